"""One archive for a class: wheels, notebooks, starter pack and the small trained networks. See install_offline.py.

The wheels are those of this machine's system and this Python, so it is made on a machine like those of the class: pip does not
resolve for another system.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ygan_core.checkpoints import write_atomically
from ygan_core.config import ConfigError
from ygan_core.data.datasets import REPOSITORY

PARTS = (
    "ygan_core",
    "notebooks",
    "data/starter",
    "data/paper_tables",
    "data/README.md",
    "results/weights",
    "results/pictures",
)
PARTS += (
    "README.md",
    "LICENSE",
    "LICENSE-texts",
    "CITATION.cff",
    "pyproject.toml",
    "constraints.txt",
    "results/search.csv",
)
PARTS += ("results/README.md",)
TEACHERS = (
    "solutions",
    "TEACHING.md",
    "slides.md",
    "handout.md",
    "__pycache__",
    ".ipynb_checkpoints",
)
INSTALLER = Path(__file__).with_name("install_offline.py")
CPU_INDEX = os.environ.get("TORCH_CPU_INDEX", "https://download.pytorch.org/whl/cpu")
BUILDING = ("setuptools>=64", "wheel")  # pip takes them for `-e .`


def make_class_archive(folder: Path, root: Path = REPOSITORY) -> Path:
    """Write ygan-class-<Python>-<system>.zip into `folder`; the repository is `root`. Returns the file.

    Raises ConfigError where a notebook holds outputs, which may be a teacher's own answers, and where pip finds no wheel.
    """
    if used := [path for path in files(root) if path.suffix == ".ipynb" and _was_run(path)]:
        raise ConfigError(
            f"{used[0]} was run: students would get its outputs. Clear them: git checkout -- notebooks"
        )
    made_for = {
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "system": sysconfig.get_platform(),
    }
    target = folder / f"ygan-class-{made_for['python']}-{made_for['system']}.zip"
    with tempfile.TemporaryDirectory() as place:
        wheels = Path(place)
        collect_wheels(wheels, root)
        (wheels / "made_for.json").write_text(json.dumps(made_for), encoding="utf-8")
        content = {f"wheels/{path.name}": path for path in sorted(wheels.iterdir())}
        content |= {path.relative_to(root).as_posix(): path for path in files(root)} | {
            "install.py": INSTALLER
        }
        write_atomically(target, partial(_zip, content, target.stem))
    return target


def files(root: Path) -> Iterator[Path]:
    """What a student gets of the repository: no solutions and no teacher's page."""
    for part in PARTS:
        inside = sorted((root / part).rglob("*")) if (root / part).is_dir() else [root / part]
        yield from (
            path
            for path in inside
            if path.is_file() and not set(path.relative_to(root).parts) & set(TEACHERS)
        )


def collect_wheels(wheels: Path, root: Path) -> None:
    """Fill `wheels` with all that the package needs, in the versions of constraints.txt. Raises ConfigError.

    On Linux PyTorch's CPU wheels are tried first: they are 200 MB, the ordinary ones several GB.
    """
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    versions = ["-c", str(root / "constraints.txt")]
    if sys.platform == "linux":
        cpu = [
            "download",
            "-q",
            "--no-deps",
            "--index-url",
            CPU_INDEX,
            "--retries",
            "1",
            "--timeout",
            "15",
            "-d",
            str(wheels),
        ]
        if subprocess.run(
            [*pip, *cpu, *versions, "torch", "torchvision"], stderr=subprocess.DEVNULL
        ).returncode:
            print(
                f"No CPU wheels of PyTorch from {CPU_INDEX}: taking the ordinary ones, several GB.",
                file=sys.stderr,
            )
    whole = [
        "wheel",
        "--find-links",
        str(wheels),
        "-w",
        str(wheels),
        *versions,
        *BUILDING,
        str(root),
    ]
    if subprocess.run([*pip, *whole]).returncode:
        raise ConfigError(
            "pip could not collect the wheels (it says why above): try again with a network"
        )
    for own in wheels.glob("ygan_core-*.whl"):  # installed from its source, where the notebooks are
        own.unlink()


def _was_run(notebook: Path) -> bool:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


def _zip(content: dict[str, Path], top: str, target: Path) -> None:
    with zipfile.ZipFile(
        target, "w", zipfile.ZIP_STORED
    ) as archive:  # wheels and pictures are compressed already
        for name, path in content.items():
            with (
                path.open("rb") as source,
                archive.open(f"{top}/{name}", "w", force_zip64=True) as copy,
            ):
                shutil.copyfileobj(source, copy, 1 << 20)

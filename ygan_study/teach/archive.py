"""One archive for a class: wheels, notebooks, starter pack, small trained networks, play.html.

The wheels are those of this machine's system and Python, because pip resolves for no other: make it
on a machine like those of the class. On a laptop install_offline.py, in the archive, does the rest.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from functools import partial
from pathlib import Path

from ygan_core.checkpoints import write_atomically
from ygan_core.config import ConfigError
from ygan_core.data.datasets import REPOSITORY
from ygan_study.teach.play import build as build_page

PARTS = """
    ygan_core ygan_study ygan_detector notebooks data/starter data/paper_tables data/README.md
    results/README.md results/search.csv results/weights results/pictures
    README.md LICENSE LICENSE-texts CITATION.cff pyproject.toml constraints.txt
""".split()
LEFT_OUT = shutil.ignore_patterns(
    "solutions", "TEACHING.md", "slides.md", "handout.md", "__pycache__", ".ipynb_checkpoints"
)
CPU_INDEX = os.environ.get("TORCH_CPU_INDEX", "https://download.pytorch.org/whl/cpu")
BUILDING = ("setuptools>=64", "wheel")  # pip takes them for `-e .`


def make_class_archive(folder: Path, root: Path = REPOSITORY) -> Path:
    """Write ygan-class-<Python>-<system>.zip into `folder`; the repository is `root`.

    Returns the file. Raises ConfigError where a notebook holds outputs, which may be a teacher's
    own answers, and where pip finds no wheel.
    """
    python, system = f"{sys.version_info[0]}.{sys.version_info[1]}", sysconfig.get_platform()
    name = f"ygan-class-{python}-{system}"
    with tempfile.TemporaryDirectory() as place:
        packed = Path(place, "packed", name)
        copy_files(root, packed)
        build_page(packed / "play.html")
        wheels = packed / "wheels"
        wheels.mkdir()
        collect_wheels(wheels, root)
        made_for = json.dumps({"python": python, "system": system})
        (wheels / "made_for.json").write_text(made_for, encoding="utf-8")
        made = shutil.make_archive(Path(place, name), "zip", packed.parent, name)
        write_atomically(folder / f"{name}.zip", partial(shutil.copy, made))
    return folder / f"{name}.zip"


def copy_files(root: Path, to: Path) -> None:
    """Copy what a student gets of the repository: no solutions and no teacher's page."""
    for part in PARTS:
        (to / part).parent.mkdir(parents=True, exist_ok=True)
        if (root / part).is_dir():
            shutil.copytree(root / part, to / part, ignore=LEFT_OUT)
        elif (root / part).exists():
            shutil.copy(root / part, to / part)
    shutil.copy(Path(__file__).with_name("install_offline.py"), to / "install.py")
    for notebook in sorted(to.rglob("*.ipynb")):
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        if any(cell.get("outputs") or cell.get("execution_count") for cell in cells):
            raise ConfigError(
                f"{notebook.relative_to(to)} was run: students would get its outputs. "
                "Clear them: git checkout -- notebooks"
            )


def collect_wheels(wheels: Path, root: Path) -> None:
    """Fill `wheels` with all that the package needs, in the versions of constraints.txt.

    On Linux PyTorch's CPU wheels are tried first: they are 200 MB, the ordinary ones several GB.
    Raises ConfigError.
    """
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    versions = ["-c", root / "constraints.txt"]
    if sys.platform == "linux":
        cpu = ["--index-url", CPU_INDEX, *"--retries 1 --timeout 15 torch torchvision".split()]
        download = [*pip, "download", "-q", "--no-deps", "-d", wheels, *versions, *cpu]
        if subprocess.run(download, stderr=subprocess.DEVNULL).returncode:
            print(
                f"No CPU wheels of PyTorch from {CPU_INDEX}: taking the ordinary ones, several GB.",
                file=sys.stderr,
            )
    build = [*pip, "wheel", "--find-links", wheels, "-w", wheels, *versions, *BUILDING, root]
    if subprocess.run(build).returncode:
        raise ConfigError(
            "pip could not collect the wheels (it says why above): try again with a network"
        )
    for own in wheels.glob("ygan_core-*.whl"):  # installed from its source, where the notebooks are
        own.unlink()

"""Executing the notebooks with papermill into results/<profile>/notebooks/."""

import base64
import hashlib
import io
import json
import os
import re
import tempfile
from functools import partial
from pathlib import Path

import nbformat
import papermill
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbformat import NotebookNode
from PIL import Image
from traitlets import default
from traitlets.config import Config as TraitletsConfig

from ygan_core.checkpoints import write_atomically
from ygan_core.data.datasets import REPOSITORY
from ygan_study.plan.jobs import Job
from ygan_study.report.book import UNTRAINED
from ygan_study.report.view import NotTrained, View
from ygan_study.report.views import VERSION, VIEWS, is_made
from ygan_study.run.checksums import SUMS, sha256
from ygan_study.run.store import Study

SOURCES = REPOSITORY / "notebooks"
SOCKET = 80  # characters of a folder's name that leave room for a socket in it (107 on Linux)
WEIGHTS = REPOSITORY / "results" / "weights"


class NotebookError(RuntimeError):
    """A notebook that did not run to its end; the message names the cell and the error."""


class OwnKernel(AsyncKernelManager):
    """This Python's kernel, whatever kernels JUPYTER_PATH names."""

    @default("kernel_spec_manager")
    def _own(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[])  # without any, python3 is sys.executable's


def notebooks() -> list[str]:
    """The numbered notebooks, in order."""
    return sorted(path.stem for path in SOURCES.glob("[0-9][0-9]_*.ipynb"))


def output(study: Study, name: str) -> Path:
    """Where an executed notebook lies. One that lies there has run to its end."""
    return study.folder / "notebooks" / f"{name}.ipynb"


def views(name: str) -> dict[str, View]:
    """The figures and tables whose names stand in quotes in a notebook's code."""
    code = "\n".join(source for kind, source in _cells(name) if kind == "code")
    named = set(re.findall(r"""["'](\w+)["']""", code))
    return {view: made for view, made in VIEWS.items() if view in named}


def needs(study: Study, name: str) -> list[Job]:
    """The jobs of a notebook: those of its figures and tables."""
    jobs = [job for view in views(name).values() for job in view.jobs(study)]
    return list({job.id: job for job in jobs}.values())


def fingerprint(study: Study, name: str) -> str:
    """A hash of what decides what a notebook shows.

    These are its cells and parameters, `VERSION`, the checksums of its trainings and of the
    networks that come with the repository. A moved folder of results changes nothing.
    """
    runs = study.found(needs(study, name))
    facts = {run.job.id: sha256(run.folder / SUMS) for run in runs}
    networks = {path.parent.name: sha256(path) for path in sorted(WEIGHTS.glob(f"*/{SUMS}"))}
    given = {**_parameters(study), "results": None}
    decides = [VERSION, _cells(name), given, facts, networks]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()


def is_done(study: Study, name: str) -> bool:
    """Whether the executed notebook, and all that it draws, is there and made of what is there."""
    try:
        book = json.loads(output(study, name).read_text(encoding="utf-8"))
        if book["metadata"]["ygan"] != fingerprint(study, name):
            return False
        outputs = [shown for cell in book["cells"] for shown in cell.get("outputs", ())]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    untrained = {shown.get("metadata", {}).get(UNTRAINED) for shown in outputs}
    made = {view: study.found(shown.jobs(study)) for view, shown in views(name).items()}
    return all(
        is_made(study, view, runs) for view, runs in made.items() if runs and view not in untrained
    )


def execute(study: Study, name: str) -> Path:
    """Run a notebook from the top with the study's parameters. Raises NotebookError, NotTrained.

    papermill ignores a parameter that the notebook does not have, so they are compared before.
    """
    source, target, parameters = SOURCES / f"{name}.ipynb", output(study, name), _parameters(study)
    if unknown := set(parameters) - set(papermill.inspect_notebook(str(source))):
        raise NotebookError(
            f"{source.name} has no parameter {', '.join(sorted(unknown))} in its parameters cell"
        )
    paths = [str(REPOSITORY), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))  # for the kernel
    failed = target.with_name(f"{name}.partial.ipynb")
    failed.unlink(missing_ok=True)
    before = fingerprint(study, name)  # trainings that are added meanwhile make it out of date
    with tempfile.TemporaryDirectory() as place:
        try:
            executed = papermill.execute_notebook(
                str(source),
                f"{place}/{name}.ipynb",
                parameters,
                kernel_name="python3",
                kernel_manager_class=OwnKernel,
                start_timeout=120,
                progress_bar=False,
                config=_quiet(place),
                resources={"metadata": {"path": str(SOURCES)}},  # `cwd` would move this process
            )
        except papermill.PapermillExecutionError as error:
            if error.ename == NotTrained.__name__:
                raise NotTrained(error.evalue) from None
            reached = nbformat.read(f"{place}/{name}.ipynb", as_version=4)
            write_atomically(failed, partial(nbformat.write, reached))
            reason = re.sub(r"\x1b\[[0-9;]*m", "", f"{error.ename}: {error.evalue}")
            raise NotebookError(
                f"{name}, cell {error.exec_count}: {reason} "
                f"(the cells as far as they ran: {failed})"
            ) from None
    executed.metadata["ygan"] = before
    for key in ("input_path", "output_path"):  # folders of this machine
        executed.metadata["papermill"].pop(key, None)
    lighten(executed)
    write_atomically(target, partial(nbformat.write, executed))
    return target


def lighten(executed: NotebookNode) -> None:
    """Make PNG pictures smaller: of 256 colours, or JPEG, whichever takes fewer bytes.

    Sites that render notebooks show no WebP, and no notebook over a few MB.
    """
    for shown in (shown for cell in executed.cells for shown in cell.get("outputs", ())):
        if not (png := shown.get("data", {}).get("image/png")):
            continue
        few, jpeg = io.BytesIO(), io.BytesIO()
        with Image.open(io.BytesIO(base64.b64decode(png))) as image:
            picture = image.convert("RGB")
        picture.quantize(256, dither=Image.Dither.NONE).save(few, "PNG", optimize=True)
        picture.save(jpeg, "JPEG", quality=85)
        kinds = {"image/png": few.getvalue(), "image/jpeg": jpeg.getvalue()}
        kind = min(kinds, key=lambda name: len(kinds[name]))
        if len(kinds[kind]) < len(base64.b64decode(png)):
            del shown.data["image/png"]
            shown.data[kind] = base64.b64encode(kinds[kind]).decode() + "\n"


def _quiet(place: str) -> TraitletsConfig:
    """A kernel that does not log the interrupt that ends it.

    Its sockets are in a folder where their names fit: kernels that start side by side can race for
    ports.
    """
    config = {"NotebookClient": {"extra_arguments": ["--IPKernelApp.log_level=50"]}}
    if os.name == "posix" and len(os.fsencode(place)) < SOCKET:
        config["KernelManager"] = {"transport": "ipc", "ip": f"{place}/kernel"}
    return TraitletsConfig(config)


def _parameters(study: Study) -> dict:
    given = {"profile": study.profile, **study.overrides}
    in_place = study.root.parent == REPOSITORY / "results"
    return given | {"results": None} if in_place else given  # the same in any clone


def _cells(name: str) -> list[tuple[str, str]]:
    book = json.loads((SOURCES / f"{name}.ipynb").read_text(encoding="utf-8"))
    return [(cell["cell_type"], "".join(cell["source"])) for cell in book["cells"]]

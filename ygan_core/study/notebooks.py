"""Executing the notebooks with papermill into results/<profile>/notebooks/."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
from pathlib import Path

import nbformat
import papermill
from traitlets.config import Config as TraitletsConfig

from ygan_core.data.datasets import REPOSITORY
from ygan_core.study.figures import FIGURES
from ygan_core.study.jobs import Job, Study, sha256
from ygan_core.study.tables import TABLES

SOURCES = REPOSITORY / "notebooks"


class NotebookError(RuntimeError):
    """A notebook that did not run to its end; the message names the cell, the error and where to look."""


def notebooks() -> list[str]:
    """The numbered notebooks, in order."""
    return sorted(path.stem for path in SOURCES.glob("[0-9][0-9]_*.ipynb"))


def output(study: Study, name: str) -> Path:
    """Where an executed notebook lies. One that lies there has run to its end."""
    return study.folder / "notebooks" / f"{name}.ipynb"


def needs(study: Study, name: str) -> list[Job]:
    """The jobs of a notebook: those of the figures and tables that its cells name."""
    cells = json.loads((SOURCES / f"{name}.ipynb").read_text())["cells"]
    code = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    named = set(re.findall(r"\w+", code))
    views = [view for view_name, view in {**FIGURES, **TABLES}.items() if view_name in named]
    return list({job.id: job for view in views for job in view.jobs(study)}.values())


def fingerprint(study: Study, name: str) -> str:
    """A hash of all that decides what a notebook shows: its cells, the code, the parameters, the jobs."""
    digest = hashlib.sha256((SOURCES / f"{name}.ipynb").read_bytes())
    for path in sorted((REPOSITORY / "ygan_core").rglob("*")):
        if path.suffix in (".py", ".mplstyle"):
            digest.update(path.read_bytes())
    digest.update(json.dumps([study.profile, study.overrides, *(job.id for job in needs(study, name))]).encode())
    return digest.hexdigest()


def is_done(study: Study, name: str) -> bool:
    """Whether the executed notebook is there, made of what is there now, and every file that it made is as it left it."""
    try:
        stamp = json.loads(output(study, name).read_text())["metadata"]["ygan"]
        whole = all(sha256(study.folder / file) == expected for file, expected in stamp["files"].items())
        return whole and stamp["fingerprint"] == fingerprint(study, name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def execute(study: Study, name: str) -> Path:
    """Run a notebook from the top with the study's parameters. Raises NotebookError.

    papermill fails silently where a parameter is unknown (it is ignored) or given as text (`-p fast true` is the word 'true'):
    so they go through its Python API, each held against the notebook's parameters cell before.
    """
    source, target = SOURCES / f"{name}.ipynb", output(study, name)
    parameters = {"profile": study.profile, **study.overrides}
    if unknown := set(parameters) - set(papermill.inspect_notebook(str(source))):
        raise NotebookError(f"{source.name} has no parameter {', '.join(sorted(unknown))} in its parameters cell")
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)  # the kernel finds this package, installed or not
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{name}.partial.ipynb")
    stamp, started = fingerprint(study, name), time.time() - 1  # file systems round
    try:
        with tempfile.TemporaryDirectory() as sockets:  # no race for ports, and no sockets left beside the notebooks
            ipc = {"KernelManager": {"transport": "ipc", "ip": f"{sockets}/kernel"}} if os.name == "posix" else {}
            options = dict(kernel_name="python3", cwd=str(SOURCES), start_timeout=120, config=TraitletsConfig(ipc))
            executed = papermill.execute_notebook(str(source), str(partial), parameters, **options)
    except papermill.PapermillExecutionError as error:
        reason = re.sub(r"\x1b\[[0-9;]*m", "", f"{error.ename}: {error.evalue}")
        raise NotebookError(f"{name}, cell {error.exec_count}: {reason} (the cells as far as they ran: {partial})") from None
    made = [p for folder in ("figures", "tables") for p in (study.folder / folder).glob("[!.]*") if p.stat().st_mtime > started]
    files = {str(path.relative_to(study.folder)): sha256(path) for path in sorted(made)}
    executed.metadata["ygan"] = {"fingerprint": stamp, "files": files}
    nbformat.write(executed, partial)
    os.replace(partial, target)
    return target

"""Executing the notebooks with papermill into results/<profile>/notebooks/."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import nbformat
import papermill
from traitlets.config import Config as TraitletsConfig

from ygan_core.checkpoints import write_atomically
from ygan_core.data.datasets import REPOSITORY
from ygan_study.fresh import ROOT, code_of_files, files_used, imported
from ygan_study.plan.jobs import Job
from ygan_study.report.figures import FIGURES
from ygan_study.report.notebook_page import html_of, lighten
from ygan_study.report.study import NotTrained
from ygan_study.report.tables import TABLES
from ygan_study.report.verdicts import VERDICTS
from ygan_study.report.view import View
from ygan_study.run.checksums import SUMS, sha256
from ygan_study.run.shipped import WEIGHTS
from ygan_study.run.store import Study

SOURCES = REPOSITORY / "notebooks"
SHOW = ROOT / "ygan_study" / "report"
SHOWN_BY = (SHOW / "study.py", SHOW / "render.py")  # how `study.show` displays


class NotebookError(RuntimeError):
    """A notebook that did not run to its end; the message names the cell, the error and where to look."""


def notebooks() -> list[str]:
    """The numbered notebooks, in order."""
    return sorted(path.stem for path in SOURCES.glob("[0-9][0-9]_*.ipynb"))


def output(study: Study, name: str) -> Path:
    """Where an executed notebook lies. One that lies there has run to its end."""
    return study.folder / "notebooks" / f"{name}.ipynb"


def needs(study: Study, name: str) -> list[Job]:
    """The jobs of a notebook: those of the figures and tables whose names stand in quotes in its code."""
    return list(
        {job.id: job for view in _views(name).values() for job in view.jobs(study)}.values()
    )


def fingerprint(study: Study, name: str) -> str:
    """A hash of all that decides what a notebook shows: its cells, parameters, the facts of its jobs, the code that it uses."""
    runs = {job.id: study.find(job) for job in needs(study, name)}
    facts = {job_id: run and sha256(run.folder / SUMS) for job_id, run in runs.items()}
    if "shipped" in _source(name):
        facts |= {path.parent.name: sha256(path) for path in WEIGHTS.glob(f"*/{SUMS}")}
    parameters = {
        key: value for key, value in _parameters(study).items() if key != "results"
    }  # a folder may be moved
    cells = [[cell["cell_type"], "".join(cell["source"])] for cell in _cells(name)]
    captions = [view.caption for view in _views(name).values()]
    return hashlib.sha256(
        json.dumps([cells, parameters, facts, captions, _code(name)]).encode()
    ).hexdigest()


def is_done(study: Study, name: str) -> bool:
    """Whether the executed notebook is there, made of what is there now, and every file that it made is as it left it."""
    try:
        stamp = json.loads(output(study, name).read_text(encoding="utf-8"))["metadata"]["ygan"]
        whole = all(
            sha256(study.folder / file) == expected for file, expected in stamp["files"].items()
        )
        return whole and stamp["fingerprint"] == fingerprint(study, name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SyntaxError):
        return False


def execute(study: Study, name: str) -> Path:
    """Run a notebook from the top with the study's parameters. Raises NotebookError, and NotTrained.

    papermill fails silently where a parameter is unknown (it is ignored) or given as text (`-p fast true` is the word 'true'):
    so they go through its Python API, each held against the notebook's parameters cell before.
    """
    source, target, parameters = SOURCES / f"{name}.ipynb", output(study, name), _parameters(study)
    if unknown := set(parameters) - set(papermill.inspect_notebook(str(source))):
        raise NotebookError(
            f"{source.name} has no parameter {', '.join(sorted(unknown))} in its parameters cell"
        )
    paths = [str(REPOSITORY), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    os.environ["PYTHONPATH"] = os.pathsep.join(
        dict.fromkeys(paths)
    )  # the kernel finds this package, installed or not
    failed = target.with_name(f"{name}.partial.ipynb")
    failed.unlink(missing_ok=True)
    stamp, started = fingerprint(study, name), time.time() - 1  # file systems round
    with (
        tempfile.TemporaryDirectory() as place
    ):  # no race for ports, and neither sockets nor half a notebook left anywhere
        ipc = (
            {"KernelManager": {"transport": "ipc", "ip": f"{place}/kernel"}}
            if os.name == "posix"
            else {}
        )
        quiet = {
            "NotebookClient": {"extra_arguments": ["--IPKernelApp.log_level=40"]}
        }  # of a parent that was stopped, say
        config = TraitletsConfig(ipc | quiet)
        options = dict(kernel_name="python3", start_timeout=120, config=config, progress_bar=False)
        options["resources"] = {
            "metadata": {"path": str(SOURCES)}
        }  # papermill's own `cwd` moves this whole process
        execution = partial(
            papermill.execute_notebook, str(source), f"{place}/{name}.ipynb", parameters, **options
        )
        try:
            with ThreadPoolExecutor(
                1
            ) as thread:  # in the main thread nbclient would take Ctrl-C for itself, and go on
                executed = thread.submit(execution).result()
        except papermill.PapermillExecutionError as error:
            executed = nbformat.read(f"{place}/{name}.ipynb", as_version=4)
            write_atomically(failed, partial(nbformat.write, executed))
            if error.ename == NotTrained.__name__:
                failed.unlink()
                raise NotTrained(error.evalue) from None
            reason = re.sub(r"\x1b\[[0-9;]*m", "", f"{error.ename}: {error.evalue}")
            raise NotebookError(
                f"{name}, cell {error.exec_count}: {reason} (the cells as far as they ran: {failed})"
            ) from None
    own = [
        path
        for folder in ("figures", "tables")
        for view in _views(name)
        for path in (study.folder / folder).glob(f"{view}[._]*")
    ]
    made = [path for path in own if path.stat().st_mtime > started]
    files = {str(path.relative_to(study.folder)): sha256(path) for path in sorted(made)}
    executed.metadata["ygan"] = {"fingerprint": stamp, "files": files}
    for key in ("input_path", "output_path"):  # folders of this machine
        executed.metadata["papermill"].pop(key, None)
    page = html_of(executed, name, study.profile)
    write_atomically(
        target.with_suffix(".html"), partial(Path.write_text, data=page, encoding="utf-8")
    )
    lighten(executed)
    write_atomically(target, partial(nbformat.write, executed))
    return target


def _parameters(study: Study) -> dict:
    given = {"profile": study.profile, **study.overrides}
    return (
        given | {"results": None} if study.root.parent == REPOSITORY / "results" else given
    )  # in any clone the same


def _cells(name: str) -> list[dict]:
    return json.loads((SOURCES / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]


def _source(name: str) -> str:
    """The code of a notebook, without IPython's own commands."""
    lines = [
        line
        for cell in _cells(name)
        if cell["cell_type"] == "code"
        for line in "".join(cell["source"]).splitlines()
    ]
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


def _views(name: str) -> dict[str, View]:
    named = set(re.findall(r"""["'](\w+)["']""", _source(name)))
    return {
        view_name: view for view_name, view in {**FIGURES, **TABLES}.items() if view_name in named
    }


def _code(name: str) -> str:
    """A hash of what a notebook imports of this package, and of what makes, displays and judges its figures and tables."""
    views = _views(name)
    makers = {view.function.__module__ for view in views.values()}
    files = files_used(
        "\n".join([_source(name), *(f"import {module}" for module in sorted(makers))])
    )
    return code_of_files(
        [*files, *SHOWN_BY * bool(views), *(judged_by() if views.keys() & VERDICTS.keys() else ())]
    )


def judged_by() -> list[Path]:
    """verdicts.py, and the modules beside it that its rules come from; not the lists of all figures and tables."""
    verdicts = SHOW / "verdicts.py"
    rules = imported(verdicts.read_text(encoding="utf-8"))
    return [
        verdicts,
        *(file for file in rules if SHOW in file.parents and file.name != "__init__.py"),
    ]

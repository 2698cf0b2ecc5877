"""The study as a notebook has it: `Study("quick").show("table5")` trains what is missing, draws, and displays."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterable

import pandas as pd
from IPython import get_ipython
from IPython.display import HTML, Markdown, display
from matplotlib.figure import Figure

from ygan_core.config import ConfigError
from ygan_study.plan.jobs import Job
from ygan_study.report import figures, render, tables, verdicts
from ygan_study.report.page import NO_ROW, markdown
from ygan_study.report.view import View
from ygan_study.run import store, training
from ygan_study.run.folder import Run


class NotTrained(RuntimeError):
    """A training that is not done, in a study that trains nothing by itself; the message names the command that trains it."""


class Study(store.Study):
    """One profile's results (`store.Study`), shown. Asked for runs, it loads what is done and trains the rest, but of a profile
    with records (`trains`). Raises ConfigError.
    """

    def __post_init__(self):
        if unknown := _unknown_parameters():
            raise ConfigError(
                f"this notebook has no parameter {', '.join(unknown)}: give it as settings = {{{unknown[0]!r}: ...}}"
            )
        super().__post_init__()

    def run(self, job: Job) -> Run:
        """The run of a job, trained where it is missing and the study trains. Raises JobFailed, NotTrained."""
        if not (self.trains or self.find(job)):
            command = f"python -m ygan_study run --profile {self.profile} {job.id}"
            raise NotTrained(f"{job.id} is not trained yet: `{command}` trains it")
        return training.run_job(self, job)

    def run_all(self, jobs: Iterable[Job]) -> list[Run]:
        """The runs of jobs, trained where they are missing and the study trains. One that fails is named and left out."""
        return training.run_all(self, jobs) if self.trains else self.found(jobs)

    def figure(self, name: str, runs: list[Run] | None = None, suffix: str = "") -> Figure:
        """Draw a figure of `runs` (the study's where none are given), save it, and return it."""
        return figures.draw(
            self, name, self._runs_of(figures.FIGURES[name]) if runs is None else runs, suffix
        )

    def table(self, name: str, runs: list[Run] | None = None, suffix: str = "") -> pd.DataFrame:
        """Make a table of `runs` (the study's where none are given), save it, and return it."""
        return tables.tabulate(
            self, name, self._runs_of(tables.TABLES[name]) if runs is None else runs, suffix
        )

    def _runs_of(self, view: View) -> list[Run]:
        """What a view is made of. Raises NotTrained where its trainings are missing, all of them: what is there stays."""
        jobs = view.jobs(self)
        if jobs and not (runs := self.run_all(jobs)):
            command = f"python -m ygan_study run --profile {self.profile} {jobs[0].id}"
            raise NotTrained(
                f"none of its {len(jobs)} trainings is done: `{command}` trains the first"
            )
        return runs if jobs else []

    def show(self, name: str, runs: list[Run] | None = None, suffix: str = "") -> None:
        """Display a figure or a table, drawn anew, its caption, and its verdict. Trains what is missing, if it trains."""
        views = {**figures.FIGURES, **tables.TABLES}
        if name not in views:
            raise KeyError(f"no figure or table {name!r}: choose from {', '.join(views)}")
        jobs = views[name].jobs(self) if runs is None else []
        runs = self.run_all(jobs) if runs is None else runs
        said = f"<small>{markdown(views[name].caption)}</small>"
        if runs and name in figures.FIGURES:
            display(self.figure(name, runs, suffix))
            display(HTML(said))
        elif runs and (table := self.table(name, runs, suffix)).empty:
            display(Markdown(f"*{NO_ROW}*"))
        elif runs:
            display(HTML(render.html(table)))
            display(HTML(f"<details><summary>What is in it?</summary>{said}</details>"))
        if not self.trains and len(runs) < len(jobs):
            display(Markdown(f"*{len(runs)} of the {len(jobs)} trainings that it plans are done.*"))
        if runs and name in verdicts.VERDICTS:
            display(Markdown(verdicts.verdict(self, name, runs)))


def _unknown_parameters() -> list[str]:
    """What papermill was told to set in this notebook though its parameters cell does not: it would change nothing."""
    shell = get_ipython()
    cells = shell.user_ns.get("In", []) if shell else []
    injected, own = (
        [c for c in cells if c.startswith("# Parameters\n") == yes] for yes in (True, False)
    )
    return sorted(_assigned(injected) - _assigned(own))


def _assigned(cells: list[str]) -> set[str]:
    found = set()
    for cell in cells:
        with contextlib.suppress(SyntaxError):  # IPython's own commands
            statements = [node for node in ast.parse(cell).body if isinstance(node, ast.Assign)]
            found |= {
                target.id
                for node in statements
                for target in node.targets
                if isinstance(target, ast.Name)
            }
    return found

"""The study as a notebook has it: `Study("quick").show("table5")` trains, draws and displays."""

import re
from collections.abc import Iterable

import pandas as pd
from IPython import get_ipython
from IPython.display import Markdown, display
from matplotlib.figure import Figure

from ygan_core.config import ConfigError
from ygan_study.plan.jobs import Job
from ygan_study.report import render
from ygan_study.report.book import UNTRAINED
from ygan_study.report.view import NotTrained
from ygan_study.report.views import VIEWS, save
from ygan_study.run import store, training
from ygan_study.run.folder import Run
from ygan_study.terminal import check_results


class Study(store.Study):
    """One profile's results (`store.Study`), shown.

    Asked for runs, it loads what is done and trains the rest, unless the profile has records
    (`trains`). Raises ConfigError.
    """

    def __post_init__(self):
        if unknown := _unknown_parameters():
            raise ConfigError(
                f"this notebook has no parameter {', '.join(unknown)}: "
                f"give it as settings = {{{unknown[0]!r}: ...}}"
            )
        super().__post_init__()
        check_results(self.folder)

    def run(self, job: Job) -> Run:
        """The run of a job, trained where it is missing. Raises JobFailed, NotTrained."""
        if not (self.trains or self.find(job)):
            raise NotTrained(f"{job.id} is not trained yet: `{self._command(job)}` trains it")
        return training.run_job(self, job)

    def run_all(self, jobs: Iterable[Job]) -> list[Run]:
        """The runs of jobs, trained where missing; one that fails is named and left out."""
        return training.run_all(self, jobs) if self.trains else self.found(jobs)

    def make(
        self, name: str, runs: list[Run] | None = None, suffix: str = ""
    ) -> Figure | pd.DataFrame:
        """Make a figure or a table of `runs`, by default the study's, save it, and return it.

        Raises NotTrained where there is none.
        """
        jobs = VIEWS[name].jobs(self) if runs is None else []
        runs = self.run_all(jobs) if runs is None else runs
        if not runs and jobs:
            raise NotTrained(
                f"none of its {len(jobs)} trainings is done: "
                f"`{self._command(jobs[0])}` trains the first"
            )
        return save(self, name, runs, suffix)

    def show(self, name: str, runs: list[Run] | None = None, suffix: str = "") -> None:
        """Display a figure or a table of `runs`, by default the study's, and its caption.

        Where its trainings are missing, it displays what trains them.
        """
        if name not in VIEWS:
            raise KeyError(f"no figure or table {name!r}: choose from {', '.join(VIEWS)}")
        try:
            made = self.make(name, runs, suffix)
        except NotTrained as missing:
            note = Markdown(f"*{VIEWS[name].title}: {missing}.*")
            display(note, metadata={UNTRAINED: name})
            return
        display(made if isinstance(made, Figure) else Markdown(render.markdown(made)))
        display(Markdown(VIEWS[name].caption))

    def _command(self, job: Job) -> str:
        return f"python -m ygan_study run --profile {self.profile} {job.id}"


def _unknown_parameters() -> list[str]:
    """What papermill set in this notebook though its parameters cell has no such name.

    It would change nothing, and papermill only logs that.
    """
    shell = get_ipython()
    cells = shell.user_ns.get("In", []) if shell else []
    given = [cell for cell in cells if cell.startswith("# Parameters\n")]
    known = [cell for cell in cells if cell not in given]
    return sorted(_assigned(given) - _assigned(known))


def _assigned(cells: list[str]) -> set[str]:
    return {name for cell in cells for name in re.findall(r"^(\w+) *=(?!=)", cell, re.MULTILINE)}

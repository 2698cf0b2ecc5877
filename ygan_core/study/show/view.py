"""A figure or a table: how it is made, and of which jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ygan_core.study.plan.jobs import Job
from ygan_core.study.run.store import Study


@dataclass(frozen=True)
class View:
    """make: makes the figure or the table; jobs: those whose runs a study gives it; title: as the page names it.

    of: what a table is made of: "rows" of runs.csv (`cells.rows_of`), or "runs" where it needs more. A figure is always made
    of runs.
    """

    make: Callable
    jobs: Callable[[Study], list[Job]]
    title: str = ""
    of: str = "rows"

"""A figure or a table: how it is made, and of which jobs."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ygan_study.plan.jobs import Job
from ygan_study.run.store import Study


class NotTrained(RuntimeError):
    """What is asked for is not trained; the message says what is missing, or what trains it."""


def selected(**wanted) -> Callable[[Study], list[Job]]:
    """A study's jobs that have these settings, or group (`Study.select`)."""
    return lambda study: study.select(**wanted)


@dataclass(frozen=True)
class View:
    """make: makes the figure or the table. jobs: those whose runs a study gives it.

    title: its heading in the book. of: what it is made of: "rows" of runs.csv (`rows.rows_of`),
    "batches", which are rows with the AUCs in batches at test time, or "runs", as pictures are.
    alt: what a figure shows, for those who cannot see it.
    """

    make: Callable
    jobs: Callable[[Study], list[Job]]
    title: str = ""
    of: str = "rows"
    alt: str = ""

    @property
    def function(self) -> Callable:
        """What makes it, without the arguments that are fixed beforehand."""
        return self.make.func if isinstance(self.make, partial) else self.make

    @property
    def caption(self) -> str:
        """What is seen, in one or two sentences of Markdown: the docstring of what makes it."""
        return inspect.getdoc(self.function) or ""

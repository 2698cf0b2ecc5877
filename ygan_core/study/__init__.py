"""The evidence: what to train, running it, drawing it. A notebook starts with `Study(profile)`."""

from ygan_core.study.jobs import Job, Run, Study, View

__all__ = ["Job", "Run", "Study", "View"]

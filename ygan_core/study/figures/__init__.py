"""Results in, pictures out: the paper's figures and what stands beside them. They read runs, they never train.

A figure is a function of a list of runs. `draw(study, name)` calls it with the study's, and leaves name.png, name.pdf and
name.json (profile, jobs, commit, versions) under results/<profile>/figures/.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from ygan_core.study.figures import color_mnist, explained, latents, paper_and_code, qualitative, scores
from ygan_core.study.figures.base import draw_view
from ygan_core.study.jobs import Run, Study

FIGURES = {**explained.VIEWS, **color_mnist.VIEWS, **latents.VIEWS, **qualitative.VIEWS, **scores.VIEWS, **paper_and_code.VIEWS}


def draw(study: Study, name: str, runs: list[Run] | None = None, suffix: str = "") -> Figure:
    """Draw a figure from `runs` (the study's where none are given), save it, and return it."""
    return draw_view(study, FIGURES[name], name, runs, suffix)

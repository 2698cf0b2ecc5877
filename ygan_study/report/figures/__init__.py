"""Results in, pictures out: the paper's figures and what stands beside them. They train nothing.

A figure is a function of a list of runs. `draw` calls it, and leaves its files, `made.keep`, under
results/<profile>/figures/: name.png, name.pdf, name.webp and name.md for the book, and name.json.
"""

from __future__ import annotations

import io
import logging

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from ygan_study.report.figures import (
    accuracy,
    color_mnist,
    cost,
    datasets,
    explained,
    ladder,
    latents,
    public_code,
    qualitative,
    scores,
)
from ygan_study.report.figures.base import STYLE
from ygan_study.report.made import keep
from ygan_study.run.folder import Run
from ygan_study.run.store import Study

logging.getLogger("fontTools").setLevel(
    logging.ERROR
)  # it warns of the dates in matplotlib's own fonts
ROOMS = (
    explained,
    datasets,
    color_mnist,
    latents,
    qualitative,
    scores,
    accuracy,
    ladder,
    cost,
    public_code,
)
FIGURES = {name: view for room in ROOMS for name, view in room.VIEWS.items()}


def draw(study: Study, name: str, runs: list[Run], suffix: str = "") -> Figure:
    """Draw a figure of `runs`, save it, and return it. Without a run it says that there is none."""
    view = FIGURES[name]
    plt.draw_if_interactive()  # loads the backend; loaded inside the context, a notebook would show no plot of its own after it
    with plt.style.context(STYLE):
        fig = view.make(runs) if runs else _nothing(study)
        pictures = {ending: io.BytesIO() for ending in ("png", "pdf", "webp")}
        fig.savefig(pictures["png"], format="png")
        fig.savefig(
            pictures["pdf"], format="pdf", metadata={"CreationDate": None}
        )  # the same results give the same bytes
        with Image.open(pictures["png"]) as image:
            image.convert("RGB").save(pictures["webp"], "WEBP", quality=85, method=6)
    plt.close(fig)  # the notebook shows what is returned, once
    files = {ending: picture.getvalue() for ending, picture in pictures.items()}
    shown = f"![{view.alt or view.title}]({name}{suffix}.webp)"
    keep(study, study.folder / "figures" / f"{name}{suffix}", view, runs, files, shown)
    return fig


def _nothing(study: Study) -> Figure:
    fig, ax = plt.subplots(figsize=(6, 0.6))
    ax.set_axis_off()
    ax.text(
        0.5,
        0.5,
        f"The profile {study.profile} has no training for this figure.",
        ha="center",
        va="center",
    )
    return fig

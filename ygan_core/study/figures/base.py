"""What every figure shares: the style, colours that mean the same everywhere, saving."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits
from torch import Tensor

from ygan_core.data import COLOURS
from ygan_core.study.jobs import Run, Study, View
from ygan_core.train import write_atomically

STYLE = Path(__file__).parents[1] / "style.mplstyle"
CLASS_COLOURS = sns.color_palette("colorblind", 10)  # the same colour for a class everywhere
GROUND_COLOURS = np.array(list(COLOURS.values())) / 255
NORMAL, ANOMALOUS = CLASS_COLOURS[0], "black"


def draw_view(study: Study, view: View, name: str, runs: list[Run] | None, suffix: str) -> Figure:
    """Draw a figure from `runs` (the study's where none are given), save it as PNG and PDF with a JSON, and return it."""
    runs = study.runs(view.jobs(study)) if runs is None else runs
    with plt.style.context(STYLE):
        fig = view.make(runs)
        folder = study.folder / "figures"
        for ending in ("png", "pdf"):
            picture = io.BytesIO()
            metadata = {"CreationDate": None} if ending == "pdf" else None  # so that the same results give the same bytes
            fig.savefig(picture, format=ending, metadata=metadata)
            write_atomically(folder / f"{name}{suffix}.{ending}", lambda path, p=picture: path.write_bytes(p.getvalue()))
    plt.close(fig)  # the notebook shows what is returned, once
    study.made(folder / f"{name}{suffix}.png", runs)
    return fig


def title(run: Run) -> str:
    """What was trained, and on how much."""
    c = run.config
    return f"{c.label}: width {c.width}, {run.about['images']['train']:,} images, {c.epochs} epochs"


def tsne(z: np.ndarray) -> np.ndarray:
    """t-SNE of latents z (n, d) -> (n, 2), on one thread, always from the same start."""
    with threadpool_limits(1):
        return TSNE(random_state=0).fit_transform(z)


def centres(count: int) -> list[float]:
    """The middles of the tiles of `show_grid`."""
    return [(place + 0.5) for place in range(count)]


def show_grid(ax: Axes, tiles: Tensor, gap_after_first: bool = False) -> None:
    """Tiles uint8 (rows, columns, C, S, S) as one picture, a unit a tile; a gap sets the first row and column apart."""
    rows, columns = tiles.shape[:2]
    gap = 0.15 if gap_after_first else 0.0
    for i in range(rows):
        for j in range(columns):
            x, y = j + gap * (j > 0), i + gap * (i > 0)
            ax.imshow(
                tiles[i, j].permute(1, 2, 0).numpy(), extent=(x + 0.03, x + 0.97, y + 0.97, y + 0.03), interpolation="nearest"
            )
    ax.set(xlim=(0, columns + gap), ylim=(rows + gap, 0), aspect="equal")
    ax.tick_params(length=0)
    sns.despine(ax=ax, left=True, bottom=True)


def scatter(ax: Axes, points: np.ndarray, colours: np.ndarray, anomalous: np.ndarray) -> None:
    """Points (n, 2) in their classes' colours (n, 3); anomalies, bool (n,), have the black outline."""
    ax.scatter(*points[~anomalous].T, s=5, c=colours[~anomalous], linewidths=0.15, edgecolors="grey")
    ax.scatter(*points[anomalous].T, s=9, c=colours[anomalous], linewidths=0.6, edgecolors="black")
    ax.set(xticks=[], yticks=[])
    sns.despine(ax=ax, left=True, bottom=True)

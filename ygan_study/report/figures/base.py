"""What every figure shares: the style, colours that mean the same everywhere, t-SNE, grids of images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import seaborn as sns
import torch
from joblib import Parallel, cpu_count, delayed
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits
from torch import Tensor

from ygan_core.data import COLOURS
from ygan_core.scores import decode, swap
from ygan_study.fresh import cached
from ygan_study.run.folder import MissingWeights, Run

STYLE = Path(__file__).parents[1] / "style.mplstyle"
CLASS_COLOURS = sns.color_palette("colorblind", 10)  # the same colour for a class everywhere
SPECIES_COLOURS = {  # of PlantVillage's fourteen plants; by name, since a part of the dataset may lack some
    "Apple": "crimson",
    "Blueberry": "royalblue",
    "Cherry": "deeppink",
    "Corn": "gold",
    "Grape": "darkviolet",
    "Orange": "darkorange",
    "Peach": "lightsalmon",
    "Pepper": "limegreen",
    "Potato": "saddlebrown",
    "Raspberry": "plum",
    "Soybean": "olive",
    "Squash": "turquoise",
    "Strawberry": "darkgrey",
    "Tomato": "deepskyblue",
}
GROUND_COLOURS = np.array(list(COLOURS.values())) / 255
NORMAL, ANOMALOUS = CLASS_COLOURS[0], "black"
METHOD_COLOURS = {"ygan": CLASS_COLOURS[0], "classifier": CLASS_COLOURS[1]}


def title(run: Run, *others: Run) -> str:
    """What was trained, whose weights are shown, and on how much. others: trained as `run`, with other classes held out."""
    c, seen = run.config, sorted({each.about["images"]["train"] for each in (run, *others)})
    images = f"{seen[0]:,}" if len(seen) == 1 else f"{seen[0]:,} to {seen[-1]:,}"
    return f"{c.configuration}, {run.weights} weights: width {c.width}, {images} images, {c.epochs} epochs"


def pictured(runs: list[Run]) -> list[Run]:
    """Those of `runs` whose networks and latents are there, as pictures need them: a record may lack them.

    Raises MissingWeights where no run has them.
    """
    found, missing = [], None
    for run in runs:
        try:
            found.append(run.pictured())
        except MissingWeights as error:
            missing = error
    if missing and not found:
        raise missing
    return found


def tsne(z: np.ndarray, random_state: int = 0) -> np.ndarray:
    """t-SNE (van der Maaten and Hinton, 2008) of latents (n, d) -> (n, 2), from a random start that random_state draws."""
    with threadpool_limits(
        1
    ):  # on a busy machine its own threads wait for each other, ten times as long
        return TSNE(init="random", random_state=random_state).fit_transform(z)


def maps(wanted: list[tuple[Run, str, np.ndarray]]) -> list[np.ndarray]:
    """t-SNE of latents, (rows, 2) each, for (run, "z_s" or "z_r", rows of run.test). Made once, then kept beside the jobs."""
    latents = [np.ascontiguousarray(run.test[name][rows]) for run, name, rows in wanted]
    key = hashlib.sha256(b"".join(hashlib.sha256(z).digest() for z in latents)).hexdigest()
    return cached(wanted[0][0].cache, key, _maps, latents)


def _maps(latents: list[np.ndarray]) -> list[np.ndarray]:
    with threadpool_limits(1):  # in threads: other processes would not hear of a Ctrl-C in silence
        return Parallel(min(len(latents), cpu_count()), backend="threading")(
            delayed(tsne)(z) for z in latents
        )


def swap_grid(
    ax: Axes, run: Run, tops: np.ndarray, lefts: np.ndarray, reconstructions: bool = False
) -> None:
    """Hybrids D(z_s of the top image, z_r of the left image), for rows of run.test, with the images along the edges.

    reconstructions: beside each image its own D(z_s, z_r).
    """
    z_s, z_r = torch.from_numpy(run.test["z_s"]), torch.from_numpy(run.test["z_r"])
    model, images = run.model(), {"top": run.images(tops), "left": run.images(lefts)}
    grid = swap(model, z_s[tops], z_r[lefts])
    edges = [(images["top"], images["left"])]
    if reconstructions:
        edges.insert(
            0, (decode(model, z_s[tops], z_r[tops]), decode(model, z_s[lefts], z_r[lefts]))
        )
    for top, left in edges:
        corner = torch.full(
            (1, grid.shape[0] - len(left) + 1, *grid.shape[2:]), 255, dtype=torch.uint8
        )
        side = torch.cat(
            [
                torch.full_like(left[:1], 255).expand(grid.shape[0] - len(left), *left.shape[1:]),
                left,
            ]
        )
        above = torch.cat([corner[0, : grid.shape[1] - len(top)], top])
        grid = torch.cat(
            [
                torch.cat([corner[:, :1], above[None]], dim=1),
                torch.cat([side[:, None], grid], dim=1),
            ]
        )
    show_grid(ax, grid, gaps=len(edges))
    ax.set_xlabel("columns: $z_s$ of the top image")
    ax.set_ylabel("rows: $z_r$ of the left image")
    ax.set_xticks([])
    ax.set_yticks([])


def centres(count: int) -> list[float]:
    """The middles of the tiles of `show_grid`."""
    return [(place + 0.5) for place in range(count)]


def show_grid(ax: Axes, tiles: Tensor, gaps: int = 0) -> None:
    """Tiles uint8 (rows, columns, C, S, S) as one picture, a unit a tile; gaps set the first rows and columns apart."""
    rows, columns = tiles.shape[:2]
    gap = 0.15
    for i in range(rows):
        for j in range(columns):
            x, y = j + gap * min(j, gaps), i + gap * min(i, gaps)
            ax.imshow(
                tiles[i, j].permute(1, 2, 0).numpy(),
                extent=(x + 0.03, x + 0.97, y + 0.97, y + 0.03),
                interpolation="nearest",
            )
    ax.set(xlim=(0, columns + gap * gaps), ylim=(rows + gap * gaps, 0), aspect="equal")
    ax.tick_params(length=0)
    sns.despine(ax=ax, left=True, bottom=True)


def class_legend(
    names: list[str], colours: Sequence, held_out: int
) -> tuple[list[Line2D], list[str]]:
    """Handles and names of a legend of classes. That which was held out has the outline of the anomalies."""
    outlines = ["black" if number == held_out else "none" for number in range(len(names))]
    handles = [
        Line2D([], [], marker="o", ls="", ms=5, mfc=c, mec=o)
        for c, o in zip(colours, outlines, strict=True)
    ]
    return handles, [
        f"{name} (anomalous)" if number == held_out else name for number, name in enumerate(names)
    ]


def scatter(ax: Axes, points: np.ndarray, colours: np.ndarray, anomalous: np.ndarray) -> None:
    """Points (n, 2) in their classes' colours (n, 3); anomalies, bool (n,), have the black outline."""
    ax.scatter(
        *points[~anomalous].T, s=5, c=colours[~anomalous], linewidths=0.15, edgecolors="grey"
    )
    ax.scatter(*points[anomalous].T, s=9, c=colours[anomalous], linewidths=0.6, edgecolors="black")
    ax.set(xticks=[], yticks=[])
    sns.despine(ax=ax, left=True, bottom=True)


def score_histogram(ax: Axes, scores: np.ndarray, anomalous: np.ndarray) -> None:
    """The share of each kind of images by score s in [0, 1]. scores (n,); anomalous bool (n,). Logarithmic above 0.001."""
    how = dict(bins=np.linspace(0, 1, 41), stat="probability", ax=ax)
    sns.histplot(x=scores[~anomalous], color=NORMAL, label="normal", linewidth=0, **how)
    sns.histplot(
        x=scores[anomalous], color=ANOMALOUS, label="anomalous", fill=False, element="step", **how
    )
    ax.set(xlim=(0, 1), ylabel="share")
    ax.set_yscale("symlog", linthresh=0.001)


def outline(ax: Axes, x: float, y: float, width: float, height: float) -> None:
    """A red frame with a white rim, which is seen on a tile of any colour."""
    rim = [withStroke(linewidth=3.6, foreground="white")]
    ax.add_patch(
        Rectangle(
            (x, y),
            width,
            height,
            fill=False,
            ec="red",
            lw=1.6,
            clip_on=False,
            zorder=3,
            path_effects=rim,
        )
    )

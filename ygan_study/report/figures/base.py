"""What every figure shares: jobs, colours and marks, panels, legends, and grids of images."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from torch import Tensor

from ygan_core.data import COLOURS
from ygan_core.scores import decode, swap
from ygan_study.methods import METHODS
from ygan_study.plan.jobs import Job, first_seeds
from ygan_study.plan.jobs import pictured as pictured_jobs
from ygan_study.plan.settings import DATASETS, TENS
from ygan_study.report.rows import TITLES
from ygan_study.report.view import View
from ygan_study.run.folder import MissingWeights, Run
from ygan_study.run.store import Study

WIDTH = 7  # inches of a page
CLASS_COLOURS = sns.color_palette("colorblind", 10)  # a class has the same colour everywhere
MARKS = "os^DvPX*<>phdH"  # and the same mark: colours alone are not read in grey
BACKGROUND_COLOURS = np.array(list(COLOURS.values())) / 255
NORMAL, ANOMALOUS = CLASS_COLOURS[0], "black"
LABELS = {  # by its key, what a legend calls a method
    key: f"{method.title} ({key})" if method.title == "Y-GAN" else method.title
    for key, method in METHODS.items()
}
# By its key, what a line or a mark of a method looks like. The classifier is grey, and baselines
# are shifted by three colours, so that those trained most are told from the classifiers.
METHOD_COLOURS = [CLASS_COLOURS[i] for i in (0, 1, 2, 3, 4, 7, 6, 5, 8, 9)]
LOOKS = {
    key: dict(color=METHOD_COLOURS[(place + 3 * METHODS[key].is_baseline) % 10], marker=marker)
    for place, (key, marker) in enumerate(zip(LABELS, cycle(MARKS), strict=False))
}
PRINTED = "Y-GAN, as printed"
Picture = partial(View, of="runs")  # a figure of images and latents; a plot is made of numbers


def title(run: Run) -> str:
    """What was trained, whose weights are shown, on how much; a panel breaks it at the colon."""
    c, images = run.config, run.about["images"]["train"]
    return (
        f"{c.configuration}, {run.weights} weights: "
        f"width {c.width}, {images:,} images, {c.epochs} epochs, seed {c.seed}"
    )


def heading(*runs: Run) -> str:
    """The dataset of runs, and what counts as anomalous in them."""
    first, held_out = runs[0], {run.config.held_out for run in runs}
    what = f"{first.classes[first.config.held_out]} held out"
    if first.config.held_out < 0:
        what = "diseased leaves"
    elif len(held_out) > 1:
        what = f"{len(held_out)} classes in turn"
    return f"{TITLES[first.config.dataset]}, {what}"


def grouped(runs: Iterable[Run], *settings: str) -> dict[tuple, list[Run]]:
    """Runs by these of their settings, in the order of DATASETS."""
    found = {}
    for run in sorted(runs, key=lambda run: DATASETS.index(run.config.dataset)):
        found.setdefault(tuple(getattr(run.config, name) for name in settings), []).append(run)
    return found


def ygan_jobs(study: Study) -> list[Job]:
    """Y-GAN in Tables 1 to 4, in the first of the study's configurations."""
    jobs = study.select(method="ygan", group=tuple(METHODS))
    return [job for job in jobs if job.group == jobs[0].group]


def both_on_tens(study: Study) -> list[Job]:
    """`ygan_jobs` and the classifier, on the datasets of Tables 1 to 3."""
    both = [*ygan_jobs(study), *study.select(group="classifier")]
    return [job for job in both if job.config.dataset in TENS]


def first_of(*datasets: str) -> Callable[[Study], list[Job]]:
    """The job of each of these datasets, or of all, that pictures show."""
    return lambda study: [
        job for job in pictured_jobs(study.jobs) if job.config.dataset in (datasets or DATASETS)
    ]


def color_mnist(study: Study) -> list[Job]:
    """The first training of each configuration on Color-MNIST."""
    return first_seeds(study.select(group="color_mnist"))


def pictured(runs: list[Run]) -> list[Run]:
    """Those of `runs` whose networks and latents are there, as pictures need them: a record may
    lack them.

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


def panels(count: int, columns: int, height: float, **how) -> tuple[Figure, np.ndarray]:
    """A figure of the page's width, with `count` axes (count,), `columns` in a row.

    height: of a row, in inches. One panel where there is room for several takes half a page.
    """
    rows, columns = -(-count // columns), min(count, columns)
    size = WIDTH * (columns > 1 or 0.5), rows * height + 0.4
    fig, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, **how)
    for ax in axes.flat[count:]:
        ax.set_axis_off()
    return fig, axes.flat[:count]


def by_dataset(
    trainings: pd.DataFrame, columns: int, height: float
) -> tuple[Figure, list[tuple[Axes, str, pd.DataFrame]]]:
    """A figure with a panel for each dataset, and of each its axes, its name and its trainings."""
    groups = list(trainings.groupby("dataset", sort=False))
    fig, axes = panels(len(groups), columns, height, sharey=True)
    return fig, [(ax, *group) for ax, group in zip(axes, groups, strict=True)]


def reference(ax: Axes, printed: float | None = None, axis: str = "y") -> None:
    """A dashed line at chance, an AUC of 0.5; a dotted one where the paper's number lies."""
    line = ax.axhline if axis == "y" else ax.axvline
    line(0.5, color="grey", lw=0.8, ls="--", zorder=0)
    if printed is not None:
        line(printed, color="black", lw=1, ls=":", zorder=0, label=PRINTED)


def rule_rows(ax: Axes) -> None:
    """A thin line through each row of marks, in place of the ticks."""
    ax.grid(axis="y", lw=0.3)
    ax.tick_params(axis="y", length=0)


def legend_below(fig: Figure, columns: int, handles: Iterable[Line2D] = ()) -> None:
    """One legend below all panels: of `handles`, or of all that is labelled in the panels."""
    labelled = [handle for ax in fig.axes for handle in ax.get_legend_handles_labels()[0]]
    named = {handle.get_label(): handle for handle in list(handles) or labelled}
    fig.legend(named.values(), named.keys(), loc="outside lower center", ncols=columns)


def mark(label: str, color="dimgrey", marker: str = "o", **how) -> Line2D:
    """A mark of a legend. how: of `Line2D`."""
    return Line2D([], [], label=label, color=color, marker=marker, **{"ls": "", **how})


def swap_grid(
    ax: Axes, run: Run, tops: np.ndarray, lefts: np.ndarray, reconstructions: bool = False
) -> None:
    """Hybrids D(z_s of the top image, z_r of the left image), for rows of run.test; the images
    stand along the edges.

    reconstructions: inside of each image its own D(z_s, z_r).
    """
    z_s, z_r = torch.from_numpy(run.test["z_s"]), torch.from_numpy(run.test["z_r"])
    model, edges = run.model(), [(run.images(tops), run.images(lefts))]
    if reconstructions:
        edges.append(tuple(decode(model, z_s[rows], z_r[rows]) for rows in (tops, lefts)))
    grid, n = swap(model, z_s[tops], z_r[lefts]), len(edges)
    tiles = grid.new_full((n + len(lefts), n + len(tops), *grid.shape[2:]), 255)
    tiles[n:, n:] = grid
    for place, (top, left) in enumerate(edges):
        tiles[place, n:], tiles[n:, place] = top, left
    show_grid(ax, tiles)
    for line in (ax.axhline, ax.axvline):
        line(n, color="black", lw=1)
    ax.set(xlabel="columns: $z_s$ of the top image", ylabel="rows: $z_r$ of the left image")


def centres(count: int) -> list[float]:
    """The middles of the tiles of `show_grid`."""
    return [place + 0.5 for place in range(count)]


def show_grid(ax: Axes, tiles: Tensor) -> None:
    """Tiles uint8 (rows, columns, C, S, S) as one picture; a tile is a unit wide, its rim white."""
    rows, columns = tiles.shape[:2]
    rim = [max(1, tiles.shape[-1] // 32)] * 4
    sheet = F.pad(tiles.expand(-1, -1, 3, -1, -1), rim, value=255).permute(0, 3, 1, 4, 2)
    sheet = sheet.flatten(0, 1).flatten(1, 2).numpy()
    ax.imshow(sheet, extent=(0, columns, rows, 0), interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.tick_params(length=0)
    sns.despine(ax=ax, left=True, bottom=True)


def tiled(images: Tensor, rows: int, columns: int) -> Tensor:
    """Images uint8 (n, C, S, S) as tiles (rows, columns, 3, S, S), the last ones white."""
    tiles = images.new_full((rows * columns, 3, *images.shape[2:]), 255)
    tiles[: len(images)] = images
    return tiles.unflatten(0, (rows, columns))


def outline(ax: Axes, x: float, y: float, width: float = 1, height: float = 1) -> None:
    """The frame of an anomaly: black, with a white rim that is seen on dark tiles too."""
    rim = [withStroke(linewidth=4, foreground="white")]
    frame = dict(fill=False, ec=ANOMALOUS, lw=1.8, clip_on=False, zorder=3, path_effects=rim)
    ax.add_patch(Rectangle((x + 0.03, y + 0.03), width - 0.06, height - 0.06, **frame))


def scatter(
    ax: Axes, points: np.ndarray, groups: np.ndarray, colours: Sequence, anomalous: np.ndarray
) -> None:
    """Points (n, 2), each looking as its group (n,); anomalies, bool (n,), have a black outline."""
    for kind, how in ((False, dict(s=4, lw=0)), (True, dict(s=8, lw=0.5, edgecolors="black"))):
        for group, (colour, marker) in enumerate(zip(colours, MARKS, strict=False)):
            rows = (groups == group) & (anomalous == kind)
            ax.scatter(*points[rows].T, color=[colour], marker=marker, **how)
    ax.set(xticks=[], yticks=[])
    sns.despine(ax=ax, left=True, bottom=True)


def group_marks(names: Sequence, colours: Sequence, held_out: int = -1) -> list[Line2D]:
    """The marks of a legend of classes; that of the class held out has a black outline."""
    marks = []
    for number, look in enumerate(zip(names, colours, MARKS, strict=False)):
        marks.append(mark(*look, mec="black" if number == held_out else "none"))
    if held_out >= 0:
        marks[held_out].set_label(f"{names[held_out]} (anomalous)")
    return marks


def score_histogram(ax: Axes, scores: np.ndarray, anomalous: np.ndarray) -> None:
    """The share of images of each kind by score (n,) in [0, 1], logarithmic above 0.001."""
    how = dict(bins=np.linspace(0, 1, 41), stat="probability", ax=ax)
    sns.histplot(x=scores[~anomalous], color=NORMAL, label="normal", linewidth=0, **how)
    edge = dict(color=ANOMALOUS, fill=False, element="step")
    sns.histplot(x=scores[anomalous], label="anomalous", **edge, **how)
    ax.set(xlim=(0, 1), ylabel="share")
    ax.set_yscale("symlog", linthresh=0.001)

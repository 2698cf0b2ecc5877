"""What every figure shares: the style, colours that mean the same everywhere, saving."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
import torch
from joblib import Parallel, cpu_count, delayed
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits
from torch import Tensor

from ygan_core.checkpoints import write_atomically
from ygan_core.data import COLOURS
from ygan_core.scores import decode, swap
from ygan_core.study.jobs import Run, Study, View

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


def maps(wanted: list[tuple[Run, str, np.ndarray]]) -> list[np.ndarray]:
    """t-SNE of latents, (rows, 2) each, for (run, "z_s" or "z_r", rows of run.test). Always from the same start.

    Each is made once: it is kept beside the study's jobs, under results/<profile>/tsne/. In processes of one thread, side by
    side: on a busy machine t-SNE's own threads wait for each other, ten times as long.
    """
    latents = [np.ascontiguousarray(run.test[name][rows]) for run, name, rows in wanted]
    files = [_kept(run, z) for (run, _, _), z in zip(wanted, latents, strict=True)]
    found = [_read(file) for file in files]
    missing = [i for i, points in enumerate(found) if points is None]
    made = Parallel(n_jobs=max(1, min(len(missing), cpu_count())))(delayed(_tsne)(latents[i]) for i in missing)
    for i, points in zip(missing, made, strict=True):
        found[i] = points
        if files[i]:
            write_atomically(files[i], lambda path, p=points: np.save(path, p))
    return found


def _tsne(z: np.ndarray) -> np.ndarray:
    with threadpool_limits(1):
        return TSNE(random_state=0).fit_transform(z)


def _kept(run: Run, z: np.ndarray) -> Path | None:
    """Where a map of these latents is kept; nowhere for networks that come with the repository."""
    jobs = run.folder.parent
    return jobs.parent / "tsne" / f"{hashlib.sha256(z).hexdigest()[:16]}.npy" if jobs.name == "jobs" else None


def _read(file: Path | None) -> np.ndarray | None:
    try:
        return np.load(file) if file else None
    except (OSError, ValueError, EOFError):
        return None


def swap_grid(ax: Axes, run: Run, tops: np.ndarray, lefts: np.ndarray, reconstructions: bool = False) -> None:
    """Hybrids D(z_s of the top image, z_r of the left image), for rows of run.test, with the images along the edges.

    reconstructions: beside each image its own D(z_s, z_r).
    """
    z_s, z_r = torch.from_numpy(run.test["z_s"]), torch.from_numpy(run.test["z_r"])
    model, images = run.model(), {"top": run.images(tops), "left": run.images(lefts)}
    grid = swap(model, z_s[tops], z_r[lefts])
    edges = [(images["top"], images["left"])]
    if reconstructions:
        edges.insert(0, (decode(model, z_s[tops], z_r[tops]), decode(model, z_s[lefts], z_r[lefts])))
    for top, left in edges:
        corner = torch.full((1, grid.shape[0] - len(left) + 1, *grid.shape[2:]), 255, dtype=torch.uint8)
        side = torch.cat([torch.full_like(left[:1], 255).expand(grid.shape[0] - len(left), *left.shape[1:]), left])
        above = torch.cat([corner[0, : grid.shape[1] - len(top)], top])
        grid = torch.cat([torch.cat([corner[:, :1], above[None]], dim=1), torch.cat([side[:, None], grid], dim=1)])
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
                tiles[i, j].permute(1, 2, 0).numpy(), extent=(x + 0.03, x + 0.97, y + 0.97, y + 0.03), interpolation="nearest"
            )
    ax.set(xlim=(0, columns + gap * gaps), ylim=(rows + gap * gaps, 0), aspect="equal")
    ax.tick_params(length=0)
    sns.despine(ax=ax, left=True, bottom=True)


def scatter(ax: Axes, points: np.ndarray, colours: np.ndarray, anomalous: np.ndarray) -> None:
    """Points (n, 2) in their classes' colours (n, 3); anomalies, bool (n,), have the black outline."""
    ax.scatter(*points[~anomalous].T, s=5, c=colours[~anomalous], linewidths=0.15, edgecolors="grey")
    ax.scatter(*points[anomalous].T, s=9, c=colours[anomalous], linewidths=0.6, edgecolors="black")
    ax.set(xticks=[], yticks=[])
    sns.despine(ax=ax, left=True, bottom=True)

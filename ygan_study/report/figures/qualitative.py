"""Section 6.4 in pictures: Grad-CAM (Fig. 9) and the edge cases (Fig. 10 and 11)."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from pytorch_grad_cam import GradCAM
from torch import Tensor, nn

from ygan_core.data import species
from ygan_core.data.datasets import is_healthy
from ygan_core.metrics import eer_threshold
from ygan_core.model import YGAN
from ygan_core.scores import to_input
from ygan_study.plan.jobs import Job, first_seeds
from ygan_study.report.figures.base import ANOMALOUS, centres, pictured, show_grid, title
from ygan_study.report.figures.scores import first_of_each, heading, ygan_jobs
from ygan_study.report.view import View
from ygan_study.run.folder import Run
from ygan_study.run.store import Study

HEAT = "inferno"


def fig9(runs: list[Run]) -> Figure:
    """Fig. 9, Grad-CAM (Selvaraju et al., 2017): where E_s looks for the class that C chose, which stands after the arrow. The
    maps are E_s's last one, of 4 × 4 places, and a finer one. Each map is scaled by itself, so the heat of two maps cannot be
    compared. Anomalies have a black outline.

    The images are the first ones of the test set that the score s (Eq. 12) tells right at the EER threshold, each of another
    class as far as there are classes.
    """
    runs = pictured(runs)
    fig = plt.figure(figsize=(9.2, 3.2 * ((len(runs) + 1) // 2) + 0.4))
    panels = fig.subplots((len(runs) + 1) // 2, 2, squeeze=False)
    for ax in panels.flat[len(runs) :]:
        ax.set_axis_off()
    for ax, run in zip(panels.flat, runs, strict=False):
        rows = np.concatenate([first_right(run, anomalous, 3) for anomalous in (False, True)])
        images, model = run.images(rows), run.model()
        steps = min(
            2, run.config.image_size.bit_length() - 4
        )  # at 32 pixels and more the finer map has 16 x 16 places
        maps = [grad_cam(model, images, step) for step in (0, steps)]
        tiles = torch.stack([images.expand(-1, 3, -1, -1), *(heated(images, m) for m in maps)])
        _sheet(ax, tiles, run.test["anomalous"][rows], _captions(run, rows, 10))
        ax.set_yticks(centres(3), ["image", "4 × 4", f"{4 << steps} × {4 << steps}"])
        ax.set_title(f"{heading([run])}\n{title(run)}")
    bar = fig.colorbar(
        plt.cm.ScalarMappable(cmap=HEAT),
        ax=panels,
        location="bottom",
        shrink=0.35,
        aspect=40,
        pad=0.02,
    )
    bar.set_label("Grad-CAM, each map from its lowest to its highest value")
    bar.set_ticks([0, 1])
    return fig


def fig10(runs: list[Run]) -> Figure:
    """Fig. 10, edge cases of each test set. False alarms are the normal images with the highest scores s (Eq. 12). Missed are
    the anomalies with the lowest scores (black outline). The worst stand first. After the arrow stands the class that C takes
    an image for.

    The title says how many test images are at hand: a record brings those that the starter pack has too. Where networks of
    several held-out classes are there, the worst of each are shown in turn.
    """
    return _edge_figure(runs, columns=10, lines=1, width=12)


def fig11(runs: list[Run]) -> Figure:
    """Fig. 11, edge cases of PlantVillage. False alarms are the healthy leaves with the highest scores s (Eq. 12). Missed are
    the diseased leaves with the lowest scores (black outline). The worst stand first. After the arrow stands the species that
    C takes a leaf for. The title says how many test images are at hand: a record brings those that the starter pack has too.
    """
    return _edge_figure(runs, columns=8, lines=2, width=15)


class Decision(nn.Module):
    """C(E_s(x)), all that decides: x (B, C, S, S) in [-1, 1] -> logits (B, N)."""

    def __init__(self, model: YGAN):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model.C(self.model.encode_s(x))


def grad_cam(
    model: YGAN, images: Tensor, steps: int = 0, target: Callable[[Tensor], Tensor] = torch.max
) -> Tensor:
    """Grad-CAM of the winning class's logit: images uint8 (n, C, S, S) -> (n, S, S) in [0, 1], each scaled by itself.

    steps: how many halvings before E_s's last 4 x 4 map it looks; 1 is the 8 x 8 map, 2 the 16 x 16 map. target: the number
    that is explained, of the logits (classes,) of an image.
    """
    layer = model.E_s.features[
        -1 - 3 * steps
    ]  # a step is a convolution, its activation and its batch norm
    return torch.from_numpy(
        GradCAM(Decision(model), [layer])(to_input(images), targets=[target] * len(images))
    )


def heated(images: Tensor, maps: Tensor) -> Tensor:
    """Heat maps (n, S, S) over the images in grey: uint8 (n, C, S, S) -> uint8 (n, 3, S, S)."""
    colour = torch.from_numpy(plt.get_cmap(HEAT)(maps.numpy())[..., :3]).movedim(-1, 1) * 255
    return (0.4 * images.float().mean(dim=1, keepdim=True) + 0.6 * colour).round().to(torch.uint8)


def first_right(run: Run, anomalous: bool, count: int) -> np.ndarray:
    """Rows of `run.test`, at most `count`: the first images of a kind in the test set that s tells right at the EER threshold.

    The first of each class in the order of the test set, then the second of each, and so on; of PlantVillage, of each species.
    """
    tested = run.test["in_test"]
    threshold, _ = eer_threshold(run.scores[tested], run.test["anomalous"][tested])
    right = (run.scores > threshold) == run.test["anomalous"]
    rows = np.flatnonzero(tested & right & (run.test["anomalous"] == anomalous))
    names = np.array(species(run.classes) if run.config.dataset == "plantvillage" else run.classes)[
        run.test["label"][rows]
    ]
    turn = pd.Series(names).groupby(names).cumcount()
    return rows[np.argsort(turn.to_numpy(), kind="stable")][:count]


def edge_cases(run: Run, anomalous: bool) -> np.ndarray:
    """Rows of `run.test`, worst first: the test set's anomalies from the lowest score up, or its normal images from the highest
    down. Ties go by the image's index.
    """
    rows = np.flatnonzero(run.test["in_test"] & (run.test["anomalous"] == anomalous))
    score = run.scores[rows] if anomalous else -run.scores[rows]
    return rows[np.lexsort((run.test["index"][rows], score))]


def taken_for(run: Run, rows: np.ndarray) -> list[str]:
    """The normal sub-class that C takes the images at these rows of `run.test` for."""
    held_out = run.config.held_out
    normal = [
        name
        for i, name in enumerate(run.classes)
        if (i != held_out if held_out >= 0 else is_healthy(name))
    ]
    with torch.inference_mode():
        winners = run.model().C(torch.from_numpy(run.test["z_s"][rows])).argmax(dim=1)
    return [normal[i] for i in winners]


def _edge_figure(runs: list[Run], columns: int, lines: int, width: int) -> Figure:
    """For each dataset `lines` rows of `columns` false alarms, then as many of misses. Names are broken at `width` letters."""
    runs = pictured(runs)
    datasets = list(dict.fromkeys(run.config.dataset for run in runs))
    fig = plt.figure(figsize=(9.2, 3.2 * lines * len(datasets)))
    for block, dataset in zip(
        np.atleast_1d(fig.subfigures(len(datasets), 1, hspace=0.04)), datasets, strict=True
    ):
        own = [run for run in runs if run.config.dataset == dataset]
        axes = block.subplots(2 * lines, 1)
        for anomalous, kind in ((False, "false alarms"), (True, "missed")):
            each = -(-columns * lines // len(own))
            found = []
            for run in own:
                rows = edge_cases(run, anomalous)[:each]
                captions = _captions(run, rows, width, held_out=len(own) > 1 and not anomalous)
                found.append(
                    list(zip(run.images(rows).expand(-1, 3, -1, -1), captions, strict=True))
                )
            cells = [cells[i] for i in range(each) for cells in found if i < len(cells)]
            for line, ax in enumerate(axes[anomalous * lines : (anomalous + 1) * lines]):
                here = cells[line * columns : (line + 1) * columns]
                tiles = torch.full((1, columns, *cells[0][0].shape), 255, dtype=torch.uint8)
                for place, (image, _) in enumerate(here):
                    tiles[0, place] = image
                _sheet(ax, tiles, np.full(len(here), anomalous), [caption for _, caption in here])
                ax.set_ylabel(kind)
                ax.set_yticks([])
        there, all_of_it = int(own[0].test["in_test"].sum()), own[0].about["images"]["test"]
        few = f"; the worst of {there:,} of {all_of_it:,} test images" if there < all_of_it else ""
        block.suptitle(f"{heading(own)}; {title(own[0])}{few}", fontsize=9)
    return fig


def _captions(run: Run, rows: np.ndarray, width: int, held_out: bool = False) -> list[str]:
    """What an image is, what C takes it for, and its score. held_out: also the class held out."""
    last = (
        textwrap.wrap(f"({run.classes[run.config.held_out]} held\N{NO-BREAK SPACE}out)", width)
        if held_out
        else []
    )
    captions = []
    for label, taken, score in zip(
        run.test["label"][rows], taken_for(run, rows), run.scores[rows], strict=True
    ):
        name = textwrap.wrap(_plain(run.classes[label]), width, break_long_words=False)
        captions.append("\n".join([*name, f"→ {_plain(taken)}", f"s = {score:#.2g}", *last]))
    return captions


def _plain(name: str) -> str:
    """A class in words: `Corn_(maize)___Common_rust_` is Corn: Common rust. A healthy leaf has the name of its species."""
    if "___" not in name:
        return name
    plant, state = re.match("[A-Za-z]+", name).group(), name.split("___")[1]
    state = re.sub(r"\s*\(.*?\)", "", state.replace("_", " ")).removeprefix(plant).strip()
    return plant if state == "healthy" else f"{plant}: {state}"


def _sheet(ax: Axes, tiles: Tensor, anomalous: np.ndarray, captions: list[str]) -> None:
    """Tiles (rows, columns, 3, S, S) with a caption under each column. The anomalies of the first row have a black outline."""
    show_grid(
        ax, F.pad(tiles, [tiles.shape[-1] // 16] * 4, value=255)
    )  # a black image, too, has a visible outline
    for place in np.flatnonzero(anomalous):
        ax.add_patch(
            Rectangle((place + 0.03, 0.03), 0.94, 0.94, fill=False, ec=ANOMALOUS, lw=1.8, zorder=3)
        )
    ax.set_xticks(centres(len(captions)), captions, fontsize=7)


def _edges(study: Study, *datasets: str) -> list[Job]:
    return [job for job in first_seeds(ygan_jobs(study)) if job.config.dataset in datasets]


VIEWS = {
    "fig9": View(fig9, first_of_each, "Fig. 9: Grad-CAM"),
    "fig10": View(
        fig10, lambda study: _edges(study, "mnist", "fmnist", "cifar10"), "Fig. 10: edge cases"
    ),
    "fig11": View(
        fig11, lambda study: _edges(study, "plantvillage"), "Fig. 11: edge cases of PlantVillage"
    ),
}

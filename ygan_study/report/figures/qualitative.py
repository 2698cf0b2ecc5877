"""Section 6.4 in pictures: Grad-CAM (Fig. 9) and the edge cases (Fig. 10 and 11)."""

import re
import textwrap
from collections.abc import Callable, Sequence
from itertools import zip_longest

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pytorch_grad_cam import GradCAM
from torch import Tensor, nn

from ygan_core.data import species
from ygan_core.metrics import eer_threshold
from ygan_core.model import YGAN
from ygan_core.scores import to_input
from ygan_study.plan.jobs import Job, first_seeds
from ygan_study.plan.settings import TENS
from ygan_study.report.figures import base
from ygan_study.report.figures.base import Picture, pictured
from ygan_study.run.folder import Run
from ygan_study.run.store import Study

HEAT = "inferno"
COLUMNS = 8  # images of a row of edge cases


def fig9(runs: list[Run]) -> Figure:
    """Fig. 9, Grad-CAM (Selvaraju et al., 2017): where `E_s` looks for the class that `C` chose,
    which stands after the arrow; each map is scaled by itself, and anomalies are framed. The images
    are the first of the test set, of different classes, that `s` classifies correctly at the EER
    threshold.
    """
    runs = pictured(runs)
    fig, axes = base.panels(len(runs), 2, 2.9)
    for ax, run in zip(axes, runs, strict=True):
        rows = np.concatenate([first_right(run, anomalous, 2) for anomalous in (False, True)])
        images, model = run.images(rows), run.model()
        finer = min(2, run.config.image_size.bit_length() - 4)  # of 32 pixels and more 16 x 16
        maps = [heated(images, grad_cam(model, images, steps)) for steps in (0, finer)]
        tiles = torch.stack([images.expand(-1, 3, -1, -1), *maps])
        _sheet(ax, tiles, run.test["anomalous"][rows], _captions(run, rows))
        ax.set_yticks(base.centres(3), ["image", "4 × 4", f"{4 << finer} × {4 << finer}"])
        ax.set_title(f"{base.heading(run)}\n{base.title(run)}".replace(": ", ":\n"))
    scale = dict(location="bottom", shrink=0.4, aspect=40, pad=0.02)
    bar = fig.colorbar(plt.cm.ScalarMappable(cmap=HEAT), ax=list(axes), **scale)
    bar.set_ticks([0, 1], labels=["lowest value of a map", "highest"])
    return fig


def edge_cases_sheet(runs: list[Run]) -> Figure:
    """The worst mistakes, worst first: normal images with the highest score `s` (Eq. 12), and
    anomalies with the lowest, which are framed. After the arrow stands the class that `C` takes an
    image for.
    """
    there = base.grouped(pictured(runs), "dataset").values()
    lines = 1 if len(there) > 1 else 2
    fig = plt.figure(figsize=(base.WIDTH, 2.75 * lines * len(there)))
    blocks = np.atleast_1d(fig.subfigures(len(there), 1, hspace=0.04))
    for block, own in zip(blocks, there, strict=True):
        axes = block.subplots(2 * lines, 1)
        kinds = ((False, "false alarms", axes[:lines]), (True, "missed", axes[lines:]))
        for anomalous, kind, sheets in kinds:
            images, captions = _worst(own, anomalous, COLUMNS * lines)
            for first, ax in zip(range(0, COLUMNS * lines, COLUMNS), sheets, strict=True):
                tiles = base.tiled(images[first:][:COLUMNS], 1, COLUMNS)
                named = captions[first:][:COLUMNS]
                _sheet(ax, tiles, [anomalous] * len(named), named)
                ax.set_ylabel(kind)
        shown, all_of_it = int(own[0].test["in_test"].sum()), own[0].about["images"]["test"]
        few = f"\nthe worst of {shown:,} of {all_of_it:,} test images" * (shown < all_of_it)
        block.suptitle(f"{base.heading(*own)}; {base.title(own[0])}{few}")
    return fig


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
    """Grad-CAM of the winning class's logit: images uint8 (n, C, S, S) -> (n, S, S) in [0, 1], each
    scaled by itself.

    steps: how many halvings before E_s's last 4 x 4 map it looks; 1 is the 8 x 8 map, 2 the 16 x 16
    map. target: the number that is explained, of the logits (classes,) of an image.
    """
    layer = model.E_s.features[-1 - 3 * steps]  # a step: a convolution, activation, batch norm
    found = GradCAM(Decision(model), [layer])(to_input(images), targets=[target] * len(images))
    return torch.from_numpy(found)


def heated(images: Tensor, maps: Tensor) -> Tensor:
    """Heat maps (n, S, S) over the images in grey: uint8 (n, C, S, S) -> uint8 (n, 3, S, S)."""
    colour = torch.from_numpy(plt.get_cmap(HEAT)(maps.numpy())[..., :3]).movedim(-1, 1) * 255
    return (0.4 * images.float().mean(dim=1, keepdim=True) + 0.6 * colour).round().to(torch.uint8)


def first_right(run: Run, anomalous: bool, count: int) -> np.ndarray:
    """Rows of `run.test`, at most `count`: the first test images of a kind that s tells right at
    the EER threshold.

    The first of each class in the order of the test set, then the second of each, and so on; of
    PlantVillage, of each species.
    """
    tested = run.test["in_test"]
    threshold, _ = eer_threshold(run.scores[tested], run.test["anomalous"][tested])
    right = (run.scores > threshold) == run.test["anomalous"]
    rows = np.flatnonzero(tested & right & (run.test["anomalous"] == anomalous))
    classes = species(run.classes) if run.config.dataset == "plantvillage" else run.classes
    names = np.array(classes)[run.test["label"][rows]]
    turn = pd.Series(names).groupby(names).cumcount()
    return rows[np.argsort(turn.to_numpy(), kind="stable")][:count]


def edge_cases(run: Run, anomalous: bool) -> np.ndarray:
    """Rows of `run.test`, worst first: the test set's anomalies from the lowest score up, or its
    normal images from the highest down. Ties go by the image's index.
    """
    rows = np.flatnonzero(run.test["in_test"] & (run.test["anomalous"] == anomalous))
    score = run.scores[rows] if anomalous else -run.scores[rows]
    return rows[np.lexsort((run.test["index"][rows], score))]


def taken_for(run: Run, rows: np.ndarray) -> list[str]:
    """The normal sub-class that C takes the images at these rows of `run.test` for."""
    with torch.inference_mode():
        winners = run.model().C(torch.from_numpy(run.test["z_s"][rows])).argmax(dim=1)
    return [run.classes[run.normal_classes[i]] for i in winners]


def _worst(runs: list[Run], anomalous: bool, count: int) -> tuple[Tensor, list[str]]:
    """The images (count, 3, S, S) and captions of edge cases, those of several runs in turn."""
    held_out, found = len(runs) > 1 and not anomalous, []
    for run in runs:
        rows = edge_cases(run, anomalous)[: -(-count // len(runs))]
        images = run.images(rows).expand(-1, 3, -1, -1)
        found.append(zip(images, _captions(run, rows, held_out), strict=True))
    turns = [each for turn in zip_longest(*found) for each in turn if each][:count]
    return torch.stack([image for image, _ in turns]), [caption for _, caption in turns]


def _captions(run: Run, rows: np.ndarray, held_out: bool = False) -> list[str]:
    """What each image is, what C takes it for, its score; held_out: also the class held out."""
    last = [f"({run.classes[run.config.held_out]} out)"] * held_out
    names = [_plain(run.classes[label]) for label in run.test["label"][rows]]
    return [
        "\n".join([textwrap.fill(name, 12), f"→ {_plain(taken)}", f"s = {score:#.2g}", *last])
        for name, taken, score in zip(names, taken_for(run, rows), run.scores[rows], strict=True)
    ]


def _plain(name: str) -> str:
    """A class in words: `Corn_(maize)___Common_rust_` is Corn: Common rust."""
    if "___" not in name:
        return name
    plant, state = re.match("[A-Za-z]+", name).group(), name.split("___")[1]
    state = re.sub(r"\s*\(.*?\)", "", state.replace("_", " ")).removeprefix(plant).strip()
    return plant if state == "healthy" else f"{plant}: {state}"


def _sheet(ax: Axes, tiles: Tensor, anomalous: Sequence[bool], captions: list[str]) -> None:
    """Tiles (rows, columns, 3, S, S) above captions; anomalies of the first row are framed."""
    base.show_grid(ax, tiles)
    for place in np.flatnonzero(anomalous):
        base.outline(ax, place, 0)
    ax.set_xticks(base.centres(len(captions)), captions, fontsize=7)


def _edges(*datasets: str) -> Callable[[Study], list[Job]]:
    """Y-GAN on these datasets, a job of each held-out class."""
    return lambda study: [
        job for job in first_seeds(base.ygan_jobs(study)) if job.config.dataset in datasets
    ]


LEAVES = "Fig. 11: edge cases of PlantVillage"
VIEWS = {
    "fig9": Picture(fig9, base.first_of(), "Fig. 9: Grad-CAM"),
    "fig10": Picture(edge_cases_sheet, _edges(*TENS), "Fig. 10: edge cases"),
    "fig11": Picture(edge_cases_sheet, _edges("plantvillage"), LEAVES),
}

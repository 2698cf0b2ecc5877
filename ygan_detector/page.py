"""The report: one HTML page without other files, the images with the highest scores first."""

import base64
import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib import colormaps, style
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from ygan_core.checkpoints import write_atomically
from ygan_detector.estimator import YGANDetector
from ygan_detector.images import Images
from ygan_detector.pixels import jpeg, read, resize
from ygan_study.engine.threads import one_thread

SIDE = 240  # px of a picture's longer side
NEAREST = 3  # training images beside each
BINS = 40
BLUE, ORANGE = "#0173b2", "#b34700"  # below the threshold, above it


@one_thread()
def write_page(
    detector: YGANDetector, images: Images, table: pd.DataFrame, path: str | Path, top: int = 200
) -> None:
    """Write the page atomically. table: `detector.examine(images)`; top: how many are pictured."""
    first = table.sort_values("score", ascending=False, kind="stable").head(top)
    pages = Environment(
        loader=PackageLoader("ygan_detector", "."), autoescape=True, undefined=StrictUndefined
    )
    text = pages.get_template("page.html").render(
        cards=_cards(detector, images, first),
        pictured=len(first),
        total=len(table),
        anomalies=int(table["anomaly"].sum()),
        threshold=detector.threshold_,
        rate=detector.false_alarm_interval(),
        left_out=len(detector.calibration_scores_),
        heat_map=detector.heat_map_,
        histogram=histogram(table["score"], detector.calibration_scores_, detector.threshold_),
        clustered=detector.clustered_,
    )
    write_atomically(Path(path).expanduser(), lambda file: file.write_text(text, encoding="utf-8"))


def _cards(detector: YGANDetector, images: Images, table: pd.DataFrame) -> Iterator[dict]:
    """What the page shows of each image: one at a time, so that memory never holds all."""
    for row in table.to_dict("records"):
        original = read(images.sources[row["place"]])
        pixels = torch.from_numpy(resize(original, detector.size_, detector.channels_))[None]
        picture = Image.fromarray(np.broadcast_to(original, (*original.shape[:2], 3)))
        picture.thumbnail((SIDE, SIDE))
        card = row | {"picture": jpeg(picture)}
        if detector.heat_map_ != "none":
            card["heat"] = jpeg(_overlay(picture, detector.heat_maps(pixels)[0]))
        yield card | {"nearest": detector.most_similar(pixels[0], NEAREST)}


def _overlay(picture: Image.Image, heat: Tensor) -> Image.Image:
    """A heat map (S, S) over a picture in grey; the scale ends at 2."""
    width, height = picture.size
    large = F.interpolate(heat[None, None], size=(height, width), mode="bilinear")[0, 0]
    colour = colormaps["inferno"]((large / 2).clamp(0, 1).numpy())[..., :3] * 255
    grey = np.asarray(picture.convert("L"))[..., None]
    return Image.fromarray((0.4 * grey + 0.6 * colour).round().astype(np.uint8))


def histogram(scores: np.ndarray, normal: np.ndarray, threshold: float) -> str:
    """An SVG, in base64: how scores and those of the normal images left untrained are spread."""
    scores, normal, line = (np.log10(np.maximum(v, 1e-12)) for v in (scores, normal, threshold))
    everything = np.array([*scores, *normal, line])
    step = max(np.ptp(everything) / BINS, 1e-5)
    below, above = np.ceil((line - everything.min()) / step), (everything.max() - line) / step
    edges = line + step * np.arange(-below, np.floor(above) + 2)  # the threshold is one of them
    share = partial(np.histogram, bins=edges)
    with style.context("default", after_reset=True):
        figure = Figure(figsize=(6.4, 2.2), layout="constrained")
        ax = figure.subplots()
        height, expected = (100 * share(v)[0] / len(v) for v in (scores, normal))
        colours = [BLUE if edge < line - step / 2 else ORANGE for edge in edges[:-1]]
        ax.bar(10 ** edges[:-1], height, np.diff(10**edges), align="edge", color=colours)
        ax.stairs(expected, 10**edges, color="black")
        ax.axvline(10**line, color="black", linestyle="dashed")
        ax.set(xscale="log", xlabel="score", ylabel="images (%)")
        ax.spines[["top", "right"]].set_visible(False)
        content = io.BytesIO()
        figure.savefig(content, format="svg", metadata={"Date": None})
    return base64.b64encode(content.getvalue()).decode()

"""The report page: one HTML file that needs nothing beside it. The most suspicious images stand first."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from ygan_core.checkpoints import write_atomically
from ygan_core.scores import encode
from ygan_detector.estimator import YGANDetector
from ygan_detector.pixels import DetectorError, fitted
from ygan_detector.sources import Source

SIDE = 240  # px of a picture's longer side
NEAREST = 3  # training images beside each
BINS = 40
HEAT = "inferno"
PLOT = (640, 150)  # px of the histogram


def write_page(
    detector: YGANDetector, images: Source, table: pd.DataFrame, path: str | Path, top: int = 200
) -> None:
    """Write the page atomically: of `table`, which `detector.examine(images)` gave, the `top` highest scores with pictures.

    Raises DetectorError where it cannot be written.
    """
    first = table.sort_values("score", ascending=False, kind="stable").head(top)
    page = Environment(
        loader=PackageLoader("ygan_detector", "."), autoescape=True, undefined=StrictUndefined
    )
    expected, low, high = detector.false_alarm_interval()
    text = page.get_template("page.html").render(
        cards=_cards(detector, images, first),
        cards_shown=len(first),
        total=len(table),
        alarms=int(table["anomaly"].sum()),
        threshold=detector.threshold_,
        expected=expected,
        low=low,
        high=high,
        left_out=len(detector.calibration_scores_),
        means=detector.means_,
        histogram=histogram(
            table["score"].to_numpy(), detector.calibration_scores_, detector.threshold_
        ),
        plot=PLOT,
        classes=detector.classes_.tolist(),
        weak=detector.weak_,
    )
    try:
        write_atomically(
            Path(path).expanduser(), lambda partial: partial.write_text(text, encoding="utf-8")
        )
    except OSError as error:
        raise DetectorError(
            f"{path} cannot be written ({error.strerror}): choose another place"
        ) from None


def _cards(detector: YGANDetector, images: Source, table: pd.DataFrame):
    """What the page shows of each image, one after the other, so that the pictures are never all in memory."""
    for row in table.to_dict("records"):
        original = images.read(row["place"])
        pixels = torch.from_numpy(fitted(original, detector.size_, detector.channels_))[None]
        picture = Image.fromarray(
            original.squeeze(-1) if original.shape[-1] == 1 else original
        ).convert("RGB")
        picture.thumbnail((SIDE, SIDE))
        heat = detector.heat_map_of(pixels)[0]
        yield row | {
            "picture": _jpeg(picture),
            "heat": _jpeg(heated(picture, heat)),
            "nearest": _nearest(detector, pixels),
        }


def heated(picture: Image.Image, heat: torch.Tensor) -> Image.Image:
    """A heat map (S, S) over a picture in grey. From twice `TOP` of a normal image on it is brightest."""
    width, height = picture.size
    large = F.interpolate(heat[None, None], size=(height, width), mode="bilinear")[0, 0]
    colour = matplotlib.colormaps[HEAT]((large / 2).clamp(0, 1).numpy())[..., :3] * 255
    grey = np.asarray(picture.convert("L"))[..., None]
    return Image.fromarray((0.4 * grey + 0.6 * colour).round().astype(np.uint8))


def _nearest(detector: YGANDetector, pixels: torch.Tensor) -> list[dict]:
    """The training images whose z_s points most nearly the same way."""
    z_s = F.normalize(encode(detector.model_, pixels).z_s, dim=1)
    cosine = (F.normalize(detector.reference_z_s_, dim=1) @ z_s.T).squeeze(1)
    found = cosine.topk(min(NEAREST, len(cosine))).indices.tolist()
    small = [Image.fromarray(detector.thumbnails_[i].permute(1, 2, 0).numpy()) for i in found]
    return [
        {"name": detector.references_[i], "picture": _jpeg(image)}
        for i, image in zip(found, small, strict=True)
    ]


def _jpeg(picture: Image.Image) -> str:
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=85)
    return base64.b64encode(content.getvalue()).decode()


def histogram(scores: np.ndarray, normal: np.ndarray, threshold: float) -> dict:
    """Bars of the scores and of the normal images left untrained, each as shares of their number, over log10 of the score.

    Plain numbers, in px of PLOT: {bars: [(x, y, width, height, above)], normal: [...], threshold: x, ticks: [(x, text)]}.
    """
    width, height = PLOT
    logs = [np.log10(np.maximum(values, 1e-12)) for values in (scores, normal, [threshold])]
    line, (low, high) = logs[2][0], (edge(np.concatenate(logs)) for edge in (np.min, np.max))
    step = max(high - low, 1e-6) / BINS
    edges = line + step * np.arange(
        np.floor((low - line) / step), np.ceil((high - line) / step) + 1.5
    )  # the line is one

    def place(value: float) -> float:
        return float((value - edges[0]) / (edges[-1] - edges[0]) * width)

    shares = [np.histogram(values, edges)[0] / len(values) for values in logs[:2]]
    scale = height / max(share.max() for share in shares)
    lefts, wide = edges[:-1].tolist(), width / (len(edges) - 1)
    bars = [
        [
            (place(x), height - y * scale, wide, y * scale, x > line - step / 2)
            for x, y in zip(lefts, share.tolist(), strict=True)
        ]
        for share in shares
    ]
    whole = range(int(np.ceil(edges[0])), int(np.floor(edges[-1])) + 1)
    ticks = [(place(power), f"{10.0**power:g}") for power in whole] or [
        (0, f"{10 ** edges[0]:.3g}")
    ]
    return {"bars": bars[0], "normal": bars[1], "threshold": place(line), "ticks": ticks}

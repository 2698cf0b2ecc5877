"""A detector as an ONNX file, its preprocessing inside: raw pixels go in, the same scores come out."""

from __future__ import annotations

import copy
import json
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ygan_core.checkpoints import write_atomically
from ygan_core.model import YGAN
from ygan_core.scores import s, to_input
from ygan_detector.pixels import DetectorError, resampling, rounded

OPSET = 18


class WithPreprocessing(nn.Module):
    """images uint8 (n, H, W, C), any H and W, upright -> score float64 (n,), anomaly bool (n,), logits float32 (n, N)."""

    def __init__(self, model: YGAN, size: int, threshold: float):
        super().__init__()
        self.E_s, self.C, self.d, self.size, self.threshold = (
            model.E_s,
            model.C,
            model.d,
            size,
            threshold,
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = images.permute(0, 3, 1, 2).double()
        rows, columns = (resampling(side, self.size, images.device) for side in x.shape[-2:])
        x = rounded(rows @ x @ columns.T)
        logits = self.C(self.E_s(to_input(x))[:, : self.d])
        score = s(logits)
        return score, score > self.threshold, logits


def export(
    model: YGAN, path: Path, size: int, channels: int, threshold: float, classes: list[str]
) -> None:
    """Write the ONNX file atomically. Its metadata name classes and threshold.

    Raises DetectorError where a package is missing.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401 (torch.onnx needs it)
    except ModuleNotFoundError as missing:
        raise DetectorError(
            f"export needs the package {missing.name}: pip install -e '.[export]'"
        ) from None
    network = WithPreprocessing(copy.deepcopy(model).cpu().eval(), size, threshold).eval()
    n, height, width = (torch.export.Dim(name, min=1) for name in ("n", "height", "width"))
    program = torch.onnx.export(
        network,
        (torch.zeros(2, size + 5, size + 9, channels, dtype=torch.uint8),),
        dynamo=True,
        opset_version=OPSET,
        input_names=["images"],
        output_names=["score", "anomaly", "logits"],
        dynamic_shapes=[{0: n, 1: height, 2: width}],
        verbose=False,
    )
    proto = program.model_proto
    about = {
        "classes": json.dumps(classes),
        "threshold": repr(threshold),
        "sign": "a higher score is more anomalous",
    }
    onnx.helper.set_model_props(proto, about)
    write_atomically(path, partial(onnx.save, proto))

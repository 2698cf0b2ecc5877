"""A detector as an ONNX file: it takes raw pixels, resizes them and gives the same scores."""

import copy
import json
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ygan_core.checkpoints import write_atomically
from ygan_core.scores import to_input
from ygan_detector.estimator import YGANDetector
from ygan_detector.messages import DetectorError
from ygan_detector.pixels import ROUNDING

OPSET = 18


class WithPreprocessing(nn.Module):
    """uint8 (n, H, W, C), upright -> score float64 (n,), anomaly bool (n,), class int64 (n,)."""

    def __init__(self, model: nn.Module, size: int, threshold: float):
        super().__init__()
        self.model, self.size, self.threshold = model, size, threshold

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = images.permute(0, 3, 1, 2).double()
        rows, columns = (resampling(side, self.size, images.device) for side in x.shape[-2:])
        score, chosen = self.model(to_input((rows @ x @ columns.T + ROUNDING).floor()))
        return score, score > self.threshold, chosen


def resampling(source: int, target: int, device: str | torch.device = "cpu") -> Tensor:
    """`pixels.resize` as a matrix, which ONNX can compute: float64 (target, source), bilinear and
    antialiased along one side of an image.
    """
    pixels = torch.arange(source, dtype=torch.float64, device=device)
    scale = (pixels[-1] + 1) / target  # not `source`, which the exporter takes for a constant
    centres = (torch.arange(target, dtype=torch.float64, device=device) + 0.5) * scale - 0.5
    distance = (pixels - centres[:, None]).abs() / scale.clamp(min=1)
    weights = (1 - distance).clamp(min=0)
    return weights / weights.sum(dim=1, keepdim=True)


def export(detector: YGANDetector, path: Path) -> None:
    """Write the ONNX file; its metadata hold the names of the classes and the threshold.

    Raises DetectorError if a package is missing.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401 (torch.onnx needs it)
    except ModuleNotFoundError as missing:
        advice = "pip install -e '.[export]'"
        raise DetectorError(f"export needs the package {missing.name}: {advice}") from None
    size, threshold = detector.size_, detector.threshold_
    n, height, width = (torch.export.Dim(name, min=1) for name in ("n", "height", "width"))
    program = torch.onnx.export(
        WithPreprocessing(copy.deepcopy(detector.model_).cpu(), size, threshold).eval(),
        (torch.zeros(2, size + 5, size + 9, detector.channels_, dtype=torch.uint8),),
        dynamo=True,
        opset_version=OPSET,
        input_names=["images"],
        output_names=["score", "anomaly", "class"],
        dynamic_shapes=[{0: n, 1: height, 2: width}],
        verbose=False,
    )
    classes = json.dumps(detector.classes_.tolist())
    metadata = {"classes": classes, "threshold": repr(threshold)}
    metadata["sign"] = "a higher score is more anomalous"
    proto = program.model_proto
    onnx.helper.set_model_props(proto, metadata)
    write_atomically(path, partial(onnx.save, proto))

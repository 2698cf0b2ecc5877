"""play.html: the shipped Color-MNIST networks in one page that needs nothing but a browser.

The page is page/page.html with the scripts beside it. The networks compute in plain typed arrays
(network.js): an image takes milliseconds, and a library would be larger. Weights stay in half
precision and at width 32, as they are shipped. Two networks then fit into 6 MB, if all high bytes
of the numbers come before all low ones (of the two, only high bytes can be compressed), and if the
result is written in base 85 (base 64 is 7 % longer). weights.js unpacks them.
"""

import base64
import json
import zlib
from pathlib import Path

import jinja2
import numpy as np
from torch import nn

from ygan_core import metrics
from ygan_core.checkpoints import write_atomically
from ygan_core.data.color import COLOURS
from ygan_core.data.datasets import REPOSITORY
from ygan_study.run import pretrained
from ygan_study.run.folder import Run

NETWORKS = {"balanced": "color_mnist-balanced", "paper": "color_mnist-paper-w32"}
EACH = 6  # images of each digit, in different colours
BINS = 90  # of the histograms of s, over [0, HIGHEST]: the page's thresholds are their edges
HIGHEST = 0.9  # s is at most 8/9
FALSE_ALARMS = 0.05  # at the threshold that station 4 begins with
DETECTED = 0.95  # at the threshold of station 5
PAGE = Path(__file__).with_name("page")


def build(to: Path = REPOSITORY / "results" / "play.html") -> Path:
    """Write the page; returns where it is. Raises DataError where the networks are damaged."""
    runs = {name: pretrained(folder) for name, folder in NETWORKS.items()}
    networks, kept = {}, {"float16": [], "float32": []}
    for name, run in runs.items():
        tensors = tensors_of(run.model())
        kinds = {key: (str(tensor.dtype), tensor.size) for key, tensor in tensors.items()}
        networks[name] = {"tensors": kinds, **facts(run)}
        for tensor in tensors.values():
            kept[str(tensor.dtype)].append(tensor.ravel())
    halves, full = (np.concatenate(tensors) for tensors in kept.values())
    low_and_high = halves.astype("<f2").view(np.uint8).reshape(-1, 2)
    planes = low_and_high[:, ::-1].T.tobytes()
    packed = zlib.compress(planes + full.astype("<f4").tobytes(), 9)
    about = {
        "networks": networks,
        "halves": len(halves),
        "packed": len(packed),
        "colours": COLOURS,
        "images": pictures(runs["balanced"]),
        "held_out": runs["balanced"].config.held_out,
        "highest": HIGHEST,
        **thresholds(runs["balanced"]),
    }
    weights = base64.b85encode(packed, pad=True).decode().replace("<", ",")
    template = jinja2.Environment(loader=jinja2.FileSystemLoader(PAGE)).get_template("page.html")
    scripts = sorted(path.name for path in PAGE.glob("*.js"))
    parts = dict(about=json.dumps(about), scripts=scripts, weights=weights)
    page = template.render(**parts, strict=about["strict"])
    write_atomically(to, lambda path: path.write_text(page, encoding="utf-8"))
    return to


def tensors_of(model: nn.Module) -> dict[str, np.ndarray]:
    """The weights of E_s, E_r, D and C by PyTorch's names: convolutions in half precision, as the
    matrix that is multiplied by the input; and of each batch norm what it does in eval mode, a
    scale and a shift of each channel."""
    found = {}
    for name, module in model.named_modules():
        if name.startswith("Ds"):
            continue
        if isinstance(module, nn.BatchNorm2d):
            scale = module.weight / (module.running_var + module.eps).sqrt()
            found[f"{name}.scale"] = scale
            found[f"{name}.shift"] = module.bias - module.running_mean * scale
        elif isinstance(module, nn.Conv2d):
            found[f"{name}.weight"] = module.weight.half()
        elif isinstance(module, nn.ConvTranspose2d):  # its weight is (inputs, outputs, 4, 4)
            found[f"{name}.weight"] = module.weight.flatten(1).T.half()
        elif isinstance(module, nn.Linear):
            found |= {f"{name}.weight": module.weight, f"{name}.bias": module.bias}
    return {key: tensor.detach().contiguous().numpy() for key, tensor in found.items()}


def facts(run: Run) -> dict:
    """Of a network: its width and training, the mean latents, and its scores on the test set."""
    test, c = run.test, run.config
    s, anomalous = run.scores[test["in_test"]], test["anomalous"][test["in_test"]]
    edges = np.linspace(0, HIGHEST, BINS + 1)
    counts = [np.histogram(s[anomalous == kind], edges)[0].tolist() for kind in (False, True)]
    return {
        "width": c.width,
        "epochs": c.epochs,
        "mean": {key: test[key].mean(axis=0).round(5).tolist() for key in ("z_s", "z_r")},
        "histograms": dict(zip(("normal", "anomalous"), counts, strict=True)),
        "auc": round(float(metrics.auc(s, anomalous)), 3),
    }


def thresholds(run: Run) -> dict[str, float]:
    """Two thresholds of two decimals: the lowest with at most the share FALSE_ALARMS, and the
    highest with at least the share DETECTED of the zeros."""
    kinds = (~run.test["anomalous"], run.test["anomalous"])
    normal, zeros = (run.scores[run.test["in_test"] & kind] for kind in kinds)
    lowest = np.ceil(100 * np.quantile(normal, 1 - FALSE_ALARMS)) / 100
    highest = np.floor(100 * np.quantile(zeros, 1 - DETECTED)) / 100
    return {"threshold": round(float(lowest), 2), "strict": round(float(highest), 2)}


def pictures(run: Run) -> list[dict]:
    """Test images to choose from: digit, colour, and which pixels are ink, as base 64 of bits."""
    found = []
    for digit in range(10):
        for colour in range(digit, digit + EACH):
            fits = (run.test["label"] == digit) & (run.test["colour"] == colour % len(COLOURS))
            image = run.images(np.flatnonzero(fits & run.test["in_test"])[:1])
            ink = np.packbits((image.amax(dim=1) == 0).numpy())
            text = base64.b64encode(ink.tobytes()).decode()
            found.append({"digit": digit, "colour": colour % len(COLOURS), "ink": text})
    return found

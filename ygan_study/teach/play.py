"""play.html: the shipped Color-MNIST networks in one page that needs nothing but a browser.

Its networks compute in plain typed arrays (play_networks.js): an image takes milliseconds, and a
library would be larger than that. Weights stay in half precision, as they are shipped, at their own
width of 32. Two networks then fit into 6 MB, if their bytes are sorted into high and low ones, of
which the high ones can be compressed, and are written in base 85.
"""

from __future__ import annotations

import base64
import json
import zlib
from functools import partial
from pathlib import Path

import jinja2
import numpy as np
from torch import nn

from ygan_core import metrics
from ygan_core.checkpoints import write_atomically
from ygan_core.data.color import COLOURS
from ygan_core.data.datasets import REPOSITORY
from ygan_study.run.folder import Run
from ygan_study.run import pretrained

NETWORKS = {"balanced": "color_mnist-balanced", "paper": "color_mnist-paper-w32"}
EACH = 6  # images of each digit, in different colours
BINS = 450  # of the histograms of s over [0, 0.9]
TEMPLATES = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent))


def build(to: Path = REPOSITORY / "results" / "play.html") -> Path:
    """Write the page; returns where it is. Raises DataError where the networks are damaged."""
    runs = {name: pretrained(folder) for name, folder in NETWORKS.items()}
    halves, full, networks = [], [], {}
    for name, run in runs.items():
        tensors = {}
        for key, tensor in tensors_of(run.model()).items():
            kind, kept = ("half", halves) if tensor.dtype == np.float16 else ("full", full)
            tensors[key] = kind, sum(map(len, kept)), tensor.size
            kept.append(tensor.ravel())
        networks[name] = {"tensors": tensors} | facts(run)
    high_and_low = np.concatenate(halves).astype("<f2").view(np.uint8).reshape(-1, 2)
    planes = high_and_low[:, 1].tobytes() + high_and_low[:, 0].tobytes()
    packed = zlib.compress(planes + np.concatenate(full).astype("<f4").tobytes(), 9)
    about = {
        "networks": networks,
        "halves": len(high_and_low),
        "packed": len(packed),
        "colours": COLOURS,
        "images": pictures(runs["balanced"]),
        "held_out": runs["balanced"].config.held_out,
    }
    weights = base64.b85encode(packed, pad=True).decode().replace("<", ",")
    page = TEMPLATES.get_template("play.html").render(about=json.dumps(about), weights=weights)
    write_atomically(to, partial(_write, page))
    return to


def tensors_of(model: nn.Module) -> dict[str, np.ndarray]:
    """The weights of E_s, E_r, D and C by PyTorch's names: convolutions in half precision, and of
    each batch norm what it does in eval mode, a scale and a shift of each channel."""
    found = {}
    for name, module in model.named_modules():
        if name.startswith("Ds"):
            continue
        if isinstance(module, nn.BatchNorm2d):
            scale = module.weight / (module.running_var + module.eps).sqrt()
            found[f"{name}.scale"] = scale
            found[f"{name}.shift"] = module.bias - module.running_mean * scale
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            found[f"{name}.weight"] = module.weight.half()
        elif isinstance(module, nn.Linear):
            found |= {f"{name}.weight": module.weight, f"{name}.bias": module.bias}
    return {key: tensor.detach().contiguous().numpy() for key, tensor in found.items()}


def facts(run: Run) -> dict:
    """Of a network: its width and training, the mean latents, and its scores on the test set."""
    test, c = run.test, run.config
    s, anomalous = run.scores[test["in_test"]], test["anomalous"][test["in_test"]]
    edges = np.linspace(0, 0.9, BINS + 1)
    counts = [np.histogram(s[anomalous == kind], edges)[0].tolist() for kind in (False, True)]
    return {
        "width": c.width,
        "epochs": c.epochs,
        "mean": {key: test[key].mean(axis=0).round(5).tolist() for key in ("z_s", "z_r")},
        "histograms": dict(zip(("normal", "anomalous"), counts, strict=True)),
        "auc": round(float(metrics.auc(s, anomalous)), 3),
    }


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


def _write(page: str, path: Path) -> None:
    path.write_text(page, encoding="utf-8")

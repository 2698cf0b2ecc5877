"""The facts of a trained network: what it says of every image that no training saw.

`numbers` has what follows from them.
"""

import copy
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from ygan_core import metrics, scores
from ygan_core.data import Dataset, Split, sub_classes
from ygan_core.model import YGAN
from ygan_core.scores import Encoding
from ygan_study.engine import Trainer
from ygan_study.measure import batch_statistics
from ygan_study.measure.ood_scores import ood_scores
from ygan_study.plan.settings import Settings

TIMED = 2048  # images that the inference is timed on, or all
OWN = "score"  # the name of a baseline's one score; the others are those of ygan_core.scores
Facts = dict[str, np.ndarray]


def each_epoch(config: Settings, data: Dataset, parts: Split) -> Callable[..., dict[str, float]]:
    """What is measured of a Trainer after every epoch, with its last and its averaged weights.

    It is for curves, and for the best epoch on the test set, which is never the headline.
    """
    held_back, y = data.images[parts.held_back], sub_classes(data, *config.outside)[parts.held_back]
    in_test = torch.isin(parts.held_back, parts.test_normal)
    images = torch.cat([held_back, data.images[parts.test_anomalous]])
    tested = torch.cat([in_test, torch.ones(len(parts.test_anomalous), dtype=torch.bool)])
    is_anomaly = torch.arange(len(images))[tested] >= len(held_back)
    labels = data.labels[torch.cat([parts.test_normal, parts.test_anomalous])]

    def of_model(model: YGAN) -> dict[str, float]:
        logits, found = scores.classify(model, images), {}
        if config.score == "s":
            found["auc"] = metrics.auc(scores.s(logits)[tested], is_anomaly)
        if config.deviation != "none":  # the public code chooses its epoch by batch statistics
            for way in (batch_statistics.SORTED, batch_statistics.SHUFFLED, batch_statistics.APART):
                how = (way, batch_statistics.AUTHORS[1])
                auc = batch_statistics.auc(model, images[tested], labels, is_anomaly, *how)
                found[f"auc_{way}"] = auc
        if config.labels == "true":
            right = logits[: len(y)].argmax(1) == y
            found["normal_accuracy"] = right.double().mean().item()
        return found

    def measure(trainer: Trainer) -> dict[str, float]:
        averaged = of_model(trainer.averaged.module)
        found = of_model(trainer.model)
        return found | {f"{name}_averaged": value for name, value in averaged.items()}

    return measure


@torch.inference_mode()
def reconstruction_scores(model: YGAN, images: Tensor, encoding: Encoding) -> dict[str, Tensor]:
    """The scores that need a reconstruction, {s_x, s_z, s_zs}: each float64 (n,), on the CPU.

    images: uint8 (n, C, S, S); encoding: what `encode` returned for them. Leaves the model in eval
    mode.
    """
    device, rows = next(model.eval().parameters()).device, []
    parts = (t.split(scores.BATCH) for t in (images, encoding.z_s, encoding.z_r))
    for batch, z_s, z_r in zip(*parts, strict=True):
        x_hat = model.D(z_s.to(device), z_r.to(device))
        z_s_hat, z_r_hat = (z.cpu() for z in model.encode(x_hat))
        z, z_hat = torch.cat([z_s, z_r], dim=1), torch.cat([z_s_hat, z_r_hat], dim=1)
        s_x = scores.s_x(scores.to_input(batch.cpu()), x_hat.cpu())
        rows.append(torch.stack([s_x, scores.s_z(z, z_hat), scores.s_zs(z_s, z_s_hat)]))
    return dict(zip(("s_x", "s_z", "s_zs"), torch.cat(rows, dim=1), strict=True))


def latent_scores(
    encoding: Encoding, z_s: Tensor, labels: Tensor, weak_labels: Tensor | None = None
) -> dict[str, Tensor]:
    """The scores of z_s and C alone, {s_zp, s_zw, s_c, s}: each float64 (n,).

    z_s (m, d), labels (m,), weak_labels (m,): of the training images. Without weak labels there is
    no s_zw.
    """
    found = {"s_zp": scores.s_prototype(encoding.z_s, scores.prototypes(z_s, labels))}
    if weak_labels is not None:
        found["s_zw"] = scores.s_prototype(encoding.z_s, scores.prototypes(z_s, weak_labels))
    return found | {"s_c": scores.s_c(encoding.logits), "s": scores.s(encoding.logits)}


def evaluate(
    model: YGAN, config: Settings, data: Dataset, parts: Split, y: Tensor, clusters: Tensor | None
) -> tuple[Facts, float]:
    """The facts of a trained network, and the microseconds that E_s and C take for an image.

    y: the labels that were trained on; clusters: the weak labels of the training images (Eq. 17),
    or None. Of each held-back and each anomalous image: index, label (int64), anomalous, in_test
    (bool), z_s, z_r (float32), right: whether C names its sub-class, and every score (float64),
    each (n,) or (n, d). calibration (m,): the headline's score of the normal images that were left
    untrained.
    """
    unseen = torch.cat([parts.held_back, parts.test_anomalous])
    there = data.take(unseen)
    encoding = scores.encode(model, there.images)
    learned = scores.encode(model, data.images[parts.train])
    left = data.images[parts.calibration]
    untrained = scores.encode(model, left)
    if config.score == "s":
        found = latent_scores(encoding, learned.z_s, y, clusters)
        C = copy.deepcopy(model.C).cpu()
        post_hoc = ood_scores(C, learned.z_s, y, encoding.z_s)
        found |= {name: torch.from_numpy(values) for name, values in post_hoc.items()}
        calibration = scores.s(untrained.logits)
    else:  # without a trained C
        found = {}
        calibration = reconstruction_scores(model, left, untrained)[config.score]
    if config.latents != "semantic":
        found = reconstruction_scores(model, there.images, encoding) | found
    facts = _facts(there, parts, unseen, {"z_s": encoding.z_s, "z_r": encoding.z_r, **found})
    facts["calibration"] = calibration.numpy()
    if config.labels == "true" and config.score == "s":  # clusters have no true class
        truth = sub_classes(data, *config.outside)[unseen]
        facts["right"] = (encoding.logits.argmax(1) == truth).numpy()
    timed, start = there.images[:TIMED], time.perf_counter()
    scores.classify(model, timed)
    return facts, (time.perf_counter() - start) / len(timed) * 1e6


def evaluate_baseline(baseline: nn.Module, data: Dataset, parts: Split) -> tuple[Facts, float]:
    """The same of a trained `Baseline`, which has one score and no latents."""
    unseen = torch.cat([parts.held_back, parts.test_anomalous])
    there, start = data.take(unseen), time.perf_counter()
    score = baseline.score(there.images)
    seconds = time.perf_counter() - start
    facts = _facts(there, parts, unseen, {OWN: score})
    facts["calibration"] = baseline.score(data.images[parts.calibration]).numpy()
    return facts, seconds / len(there) * 1e6


def _facts(there: Dataset, parts: Split, unseen: Tensor, found: dict[str, Tensor]) -> Facts:
    facts = {
        "index": there.index,
        "label": there.labels,
        "anomalous": torch.arange(len(unseen)) >= len(parts.held_back),
        "in_test": torch.isin(unseen, parts.test),
        **found,
    }
    if there.colours is not None:
        facts["colour"] = there.colours
    return {name: fact.numpy() for name, fact in facts.items()}

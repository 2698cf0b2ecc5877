"""The facts of a trained network: what it says of every image that no training saw. `numbers` has what follows from them."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from ygan_core import metrics, scores
from ygan_core.config import Config
from ygan_core.data import Dataset, Split, sub_classes
from ygan_core.model import YGAN
from ygan_study.measure import batch_statistics
from ygan_study.measure.ood_scores import ood_scores

TIMED = 2048  # images that the inference is timed on, or all
OWN = "score"  # the name of a baseline's one score; Y-GAN's and the control's are those of ygan_core.scores
Facts = dict[str, np.ndarray]


def each_epoch(config: Config, data: Dataset, parts: Split) -> Callable[[YGAN], dict[str, float]]:
    """What is measured after every epoch, for the curve and for the best epoch on the test set, which is never the headline."""
    held_back, y = data.images[parts.held_back], sub_classes(data, *config.outside)[parts.held_back]
    in_test = torch.isin(parts.held_back, parts.test_normal)
    anomalies = data.images[parts.test_anomalous]

    def measure(model: YGAN) -> dict[str, float]:
        logits, found = scores.classify(model, torch.cat([held_back, anomalies])), {}
        is_anomaly = torch.arange(in_test.sum() + len(anomalies)) >= in_test.sum()
        if config.score == "s":
            s, n = scores.s(logits), len(held_back)
            found["auc"] = metrics.auc(torch.cat([s[:n][in_test], s[n:]]), is_anomaly)
        if config.deviation != "none":  # as the public code scores, to choose its epoch
            images, there = (
                torch.cat([held_back[in_test], anomalies]),
                torch.cat([parts.test_normal, parts.test_anomalous]),
            )
            _, size = batch_statistics.AUTHORS
            for way in (batch_statistics.SORTED, batch_statistics.SHUFFLED, batch_statistics.APART):
                found[f"auc_{way}"] = batch_statistics.auc(
                    model, images, data.labels[there], is_anomaly, way, size
                )
        if config.labels == "true":
            found["normal_accuracy"] = (logits[: len(y)].argmax(1) == y).double().mean().item()
        return found

    return measure


def evaluate(
    model: YGAN, config: Config, data: Dataset, parts: Split, y: Tensor, clusters: Tensor | None
) -> tuple[Facts, float]:
    """The facts of a trained Y-GAN or Classifier control, and the microseconds that E_s + C take for an image in batches.

    y: the labels that were trained on; clusters: the weak labels of the training images (Eq. 17), where there are any. Of each
    held-back and each anomalous image: index, label (int64), anomalous, in_test (bool), z_s, z_r (float32), right: whether C
    names its sub-class, and every score (float64), each (n,) or (n, d). calibration (m,): the headline's score of the normal
    images that were left untrained.
    """
    unseen = torch.cat([parts.held_back, parts.test_anomalous])
    there = data.take(unseen)
    here = scores.encode(model, there.images)
    learned = scores.encode(model, data.images[parts.train])
    found = scores.all_scores(model, there.images, learned.z_s, y, clusters, here=here)
    untrained = scores.all_scores(model, data.images[parts.calibration], learned.z_s, y)
    if config.score == "s":  # an untrained C has no opinion
        later = ood_scores(
            copy.deepcopy(model.C).cpu(), learned.z_s, y, here.z_s
        )  # where the latents are
        found |= {name: torch.from_numpy(values) for name, values in later.items()}
    else:
        found = {name: values for name, values in found.items() if name in ("s_x", "s_z", "s_zs")}
    facts = _facts(there, parts, unseen, {"z_s": here.z_s, "z_r": here.z_r, **found})
    facts["calibration"] = untrained[config.score].numpy()
    if config.labels == "true" and config.score == "s":  # clusters have no truth
        facts["right"] = (
            here.logits.argmax(1) == sub_classes(data, *config.outside)[unseen]
        ).numpy()
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

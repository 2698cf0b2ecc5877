"""What is measured on a trained model: scores, latents, AUC, rates (section 4.2); on Color-MNIST probes, swaps (5)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from ygan_core import metrics, scores
from ygan_core.baselines.background import border
from ygan_core.config import Config
from ygan_core.data import Dataset, Split, anomalous, color_mnist, load, species, split, sub_classes, validation
from ygan_core.data.color import read_ground, read_ink
from ygan_core.model import YGAN
from ygan_core.study import company
from ygan_core.study.departures import DEPARTURES
from ygan_core.study.later_scores import later_scores

OWN = "score"  # the name of a rival's own score; Y-GAN's and the control's are those of ygan_core.scores


def dataset(config: Config) -> Dataset:
    """The images of a job."""
    if config.dataset == "color_mnist":
        return color_mnist(config.image_size, config.source, config.split_seed, config.images_per_class)
    data = load(config.dataset, config.image_size, config.source)
    if config.pixels == "border":
        data = replace(data, images=border(data.images))
    return data.per_class(config.images_per_class) if config.images_per_class else data


def prepare(config: Config) -> tuple[Dataset, Split]:
    """The images and the split of a job (sections 4.2 and 5)."""
    data = dataset(config)
    parts = split(anomalous(data, config.held_out), config.split_seed, balanced=config.held_out >= 0)
    return data, validation(parts, data.labels == config.stand_in, config.split_seed) if config.stand_in >= 0 else parts


def each_epoch(config: Config, data: Dataset, parts: Split) -> Callable[[YGAN], dict[str, float]]:
    """What is measured after every epoch, for the curve and for the best epoch on the test set, which is never the headline."""
    held_back, y = data.images[parts.held_back], sub_classes(data, *config.outside)[parts.held_back]
    in_test = torch.isin(parts.held_back, parts.test_normal)
    anomalies = data.images[parts.test_anomalous]

    def measure(model: YGAN) -> dict[str, float]:
        logits, doubt = scores.classify(model, torch.cat([held_back, anomalies])), {}
        is_anomaly = torch.arange(in_test.sum() + len(anomalies)) >= in_test.sum()
        if config.score == "s":
            s, n = scores.s(logits), len(held_back)
            doubt["auc"] = metrics.auc(torch.cat([s[:n][in_test], s[n:]]), is_anomaly)
        if config.variant in DEPARTURES:  # as the public code scores, to choose its epoch
            images, there = torch.cat([held_back[in_test], anomalies]), torch.cat([parts.test_normal, parts.test_anomalous])
            doubt["auc_sorted"] = company.auc(model, images, data.labels[there], is_anomaly, *company.AUTHORS)
        if config.labels == "true":
            doubt["normal_accuracy"] = (logits[: len(y)].argmax(1) == y).double().mean().item()
        return doubt

    return measure


def evaluate(
    model: YGAN, config: Config, data: Dataset, parts: Split, y: Tensor, clusters: Tensor | None
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Scores, latents and metrics of a trained Y-GAN or Classifier control: (the arrays of Run.test, metrics).

    y: the labels that were trained on; clusters: the weak labels of the training images (Eq. 17), where there are any. Metrics:
    auc, of the headline's score; auc_<score>; normal_accuracy, of C on all held-back normal images (not with weak labels, whose
    clusters have no truth); inference_us, for E_s + C, an image in batches; `rates`; on Color-MNIST `disentanglement`.
    """
    unseen = torch.cat([parts.held_back, parts.test_anomalous])
    there, here = data.take(unseen), scores.encode(model, data.images[unseen])
    learned = scores.encode(model, data.images[parts.train])
    found = scores.all_scores(model, there.images, learned.z_s, y, clusters)
    untrained = scores.all_scores(model, data.images[parts.calibration], learned.z_s, y)
    if config.score == "s":  # an untrained C has no opinion
        later = later_scores(model.C, learned.z_s, y, here.z_s)
        found |= {name: torch.from_numpy(values) for name, values in later.items()}
    else:
        found = {name: values for name, values in found.items() if name in ("s_x", "s_z", "s_zs")}
    arrays, measured = _arrays(there, parts, unseen, {"z_s": here.z_s, "z_r": here.z_r, **found})
    measured |= rates(arrays, config.score, untrained[config.score], data)
    measured |= {f"auc_{name}": _auc(arrays, name) for name in found}
    measured["auc"] = measured[f"auc_{config.score}"]

    normal = ~torch.from_numpy(arrays["anomalous"])
    if config.labels == "true" and config.score == "s":
        right = here.logits[normal].argmax(1) == sub_classes(data, *config.outside)[unseen[normal]]
        measured["normal_accuracy"] = right.double().mean().item()
    start = time.perf_counter()
    scores.classify(model, there.images)
    measured["inference_us"] = (time.perf_counter() - start) / len(there) * 1e6
    if config.dataset == "color_mnist":
        measured |= disentanglement(model, data.take(parts.train), learned, there, here, normal)
    return arrays, measured


def evaluate_rival(rival, data: Dataset, parts: Split) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """The same of a trained `Baseline`, which has one score and no latents."""
    unseen = torch.cat([parts.held_back, parts.test_anomalous])
    there, start = data.take(unseen), time.perf_counter()
    score = rival.score(there.images)
    seconds = time.perf_counter() - start
    arrays, measured = _arrays(there, parts, unseen, {OWN: score})
    measured |= {"auc": _auc(arrays, OWN), "inference_us": seconds / len(there) * 1e6}
    return arrays, measured | rates(arrays, OWN, rival.score(data.images[parts.calibration]), data)


def rates(arrays: dict[str, np.ndarray], score: str, calibration: Tensor, data: Dataset) -> dict[str, float]:
    """TPR and TNR (section 4.2, Table 4), at two thresholds, over the test set and by PlantVillage's species.

    The paper's threshold is "at the EER of the ROC for all training samples", of which none is anomalous. So: tpr, tnr at the
    95th percentile of the scores of the training normals that were left untrained; tpr_eer, tnr_eer at the test set's own EER,
    which no detector in use could know. eer: that error rate.
    """
    test = arrays["in_test"]
    value, truth, label = arrays[score][test], arrays["anomalous"][test], arrays["label"][test]
    at_eer, eer = metrics.eer_threshold(value, truth)
    found = {"eer": eer}
    groups = {"": np.ones(len(value), dtype=bool)}
    if data.classes[0].count("___"):
        names = np.array(species(data))
        groups |= {f":{name}": names[label] == name for name in sorted(set(names))}
    for suffix, threshold in (("", metrics.percentile_threshold(calibration)), ("_eer", at_eer)):
        for group, rows in groups.items():
            tpr, tnr = metrics.rates(value[rows], truth[rows], threshold)
            found |= {f"tpr{suffix}{group}": tpr, f"tnr{suffix}{group}": tnr}
    for group, rows in groups.items():
        if group and truth[rows].any() and not truth[rows].all():
            found[f"auc{group}"] = metrics.auc(value[rows], truth[rows])
    return {name: rate for name, rate in found.items() if rate == rate}  # a species may lack one of the two kinds


def disentanglement(
    model: YGAN, seen: Dataset, learned: scores.Encoding, there: Dataset, here: scores.Encoding, normal: Tensor
) -> dict[str, float]:
    """Section 5 in numbers, for Color-MNIST: trained on `seen`, tried on held-back normal images of `there`.

    probe_<what>_<latent>: what a linear classifier, fitted on the training images' latents, reads off the held-back ones;
    swap_digit, swap_colour: how many hybrids D(z_s, z_r') of held-back images show the digit of z_s's image and the ground of
    z_r's. The digit is read off the ink by 5 nearest training images, so the network does not judge itself; read_digit is what
    this reader makes of the real images, the most that swap_digit can be expected to reach.
    """
    measured = {}
    for what, y, y_test in (("digit", seen.labels, there.labels), ("colour", seen.colours, there.colours)):
        for latent in ("z_s", "z_r"):
            z, z_test = getattr(learned, latent), getattr(here, latent)
            measured[f"probe_{what}_{latent}"] = metrics.linear_probe(z, y, z_test[normal], y_test[normal])
    donors = torch.arange(min(1000, int(normal.sum())))
    partners = donors.roll(1)  # held-back images come in random order
    hybrids = scores.decode(model, here.z_s[donors], here.z_r[partners])
    reader = KNeighborsClassifier(5).fit(read_ink(seen.images[:10_000]), seen.labels[:10_000])
    measured["read_digit"] = float(reader.score(read_ink(there.images[donors]), there.labels[donors]))
    measured["swap_digit"] = float(reader.score(read_ink(hybrids), there.labels[donors]))
    measured["swap_colour"] = (read_ground(hybrids) == there.colours[partners]).double().mean().item()
    return measured


def _arrays(there: Dataset, parts: Split, unseen: Tensor, found: dict[str, Tensor]) -> tuple[dict[str, np.ndarray], dict]:
    arrays = {
        "index": there.index,
        "label": there.labels,
        "anomalous": torch.arange(len(unseen)) >= len(parts.held_back),
        "in_test": torch.isin(unseen, parts.test),
        **found,
    }
    if there.colours is not None:
        arrays["colour"] = there.colours
    return {name: array.numpy() for name, array in arrays.items()}, {}


def _auc(arrays: dict[str, np.ndarray], score: str) -> float:
    return metrics.auc(arrays[score][arrays["in_test"]], arrays["anomalous"][arrays["in_test"]])

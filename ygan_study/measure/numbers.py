"""What follows from the facts of a trained network: AUC, rates, accuracy, purity."""

import numpy as np
import torch

from ygan_core import metrics
from ygan_core.data import species
from ygan_study.measure.evaluation import Facts
from ygan_study.methods.weak_labels import FORMS, purity

SEVEN = ("s", "s_x", "s_z", "s_zs", "s_zp", "s_zw", "s_c")  # of the paper, Eq. 12 to 18
POST_HOC = ("max-logit", "energy", "Mahalanobis", "kNN", "ViM")
SCORES = (*SEVEN, *POST_HOC)  # of a network with a C
SINCE = ("RMDS",)  # of notebook 11; the first trainings lack it, so no mean over classes has it


def numbers(facts: Facts, headline: str, classes: tuple[str, ...]) -> dict[str, float]:
    """Every number that a table prints of a network.

    facts: as `evaluate` returns them; headline: the score of `auc`. The numbers: auc, auc_<score>;
    `rates`; normal_accuracy, of C on all held-back normal images; neighbours_<latent>, the fraction
    of normal test images whose nearest neighbour has their class; of weak labels clusters, purity,
    the same as the section is written (clusters_as_written, purity_as_written), and classes, the
    number of true ones.
    """
    found = {f"auc_{name}": _auc(facts, name) for name in (*SCORES, *SINCE) if name in facts}
    found["auc"] = _auc(facts, headline)
    found |= rates(facts, headline, classes)
    if "right" in facts:
        found["normal_accuracy"] = float(facts["right"][~facts["anomalous"]].mean())
    normal = facts["in_test"] & ~facts["anomalous"]
    for latent in ("z_s", "z_r"):
        if latent in facts and facts[latent].shape[1]:
            found[f"neighbours_{latent}"] = metrics.neighbours_agree(
                facts[latent][normal], facts["label"][normal]
            )
    if "train_class" in facts:
        truth = torch.from_numpy(facts["train_class"]).long()
        found["classes"] = len(truth.unique())
        for form, suffix in zip(FORMS, ("", "_as_written"), strict=True):
            clusters = torch.from_numpy(facts[f"clusters_{form}"]).long()
            found[f"clusters{suffix}"] = int(clusters.max()) + 1
            found[f"purity{suffix}"] = purity(clusters, truth)
    return found


def rates(facts: Facts, score: str, classes: tuple[str, ...], q: float = 0.95) -> dict[str, float]:
    """TPR and TNR (section 4.2, Table 4) at two thresholds, over the test set and by species.

    The paper's threshold is "at the EER of the ROC for all training samples", none of which is
    anomalous. So tpr and tnr are taken at the quantile q of the scores of normal training images
    that were left untrained, and tpr_eer and tnr_eer at the EER of the test set itself, which no
    detector in use could know. eer: that rate; auc:<species>: where a species has both kinds;
    calibration: the number of images that the threshold is computed from.
    """
    test = facts["in_test"]
    value, truth, label = facts[score][test], facts["anomalous"][test], facts["label"][test]
    at_eer, eer = metrics.eer_threshold(value, truth)
    found, thresholds = {"eer": eer}, {"_eer": at_eer}
    if "calibration" in facts:  # a record has them with the headline's weights alone
        found["calibration"] = len(facts["calibration"])
        thresholds = {"": metrics.percentile_threshold(facts["calibration"], q), **thresholds}
    groups = {"": np.ones(len(value), dtype=bool)}
    if classes[0].count("___"):
        names = np.array(species(classes))
        groups |= {f":{name}": names[label] == name for name in sorted(set(names))}
    for suffix, threshold in thresholds.items():
        for group, rows in groups.items():
            tpr, tnr = metrics.rates(value[rows], truth[rows], threshold)
            found |= {f"tpr{suffix}{group}": tpr, f"tnr{suffix}{group}": tnr}
    for group, rows in groups.items():
        if group and truth[rows].any() and not truth[rows].all():
            found[f"auc{group}"] = metrics.auc(value[rows], truth[rows])
    # A species may lack one of the two kinds.
    return {name: rate for name, rate in found.items() if rate == rate}


def _auc(facts: Facts, score: str) -> float:
    return metrics.auc(facts[score][facts["in_test"]], facts["anomalous"][facts["in_test"]])

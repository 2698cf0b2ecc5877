"""Beyond the paper (notebook 11): what class labels alone can do, and what the Y adds to that."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from ygan_study.measure.flops import training_operations
from ygan_study.plan.settings import Settings
from ygan_study.report.printed import NUMBERS, class_names, printed, score_name
from ygan_study.report.render import NOT_BLIND
from ygan_study.report.rows import TITLES, trainings_of
from ygan_study.report.statistics import SEEDS, difference
from ygan_study.report.tables import shared
from ygan_study.report.tables.shared import INTERVAL, MEAN
from ygan_study.report.view import View, selected
from ygan_study.run.costs import IMAGES

SHOWN = {score: score_name(score) for score in ("s", "s_c", "max-logit", "kNN", "RMDS")}
AUCS = [f"auc_{score}" for score in SHOWN]
PAPER_TRAINS_ON = 9 * 0.8  # of the images of a class: nine classes, 80 % of their images (4.2)


def paper_operations(dataset: str) -> float:
    """What one of the paper's trainings of Y-GAN costs (section 4.3), on all images that there
    are.
    """
    images = round(PAPER_TRAINS_ON * IMAGES["full"][dataset])
    return training_operations(replace(Settings(), dataset=dataset), images)


def strong(rows: pd.DataFrame) -> pd.DataFrame:
    """AUC of the strong classifier by held-out class and score, beside what the paper prints for
    Y-GAN.

    s (Eq. 12) is the headline, and was fixed beforehand; the other scores are of the same networks.
    """
    trainings, found = trainings_of(rows, metrics=AUCS), {}
    names = _names(trainings)
    for dataset, here in trainings.groupby("dataset", sort=False):
        paper = printed(NUMBERS[dataset]).set_index("model").loc["Y-GAN"]
        row = {MEAN: f"{paper['mean']:.3f} ± {paper['std']:.3f}", "mean": paper["mean"]}
        row |= dict(zip(names, paper[class_names(NUMBERS[dataset])], strict=True))
        found[TITLES[dataset], "", "Y-GAN, as printed"] = row
        for width, own in here.groupby("width", sort=False):
            for score, name in SHOWN.items():
                values = own.dropna(subset=[f"auc_{score}"])
                if len(values):
                    row = shared.summary(values, "name", f"auc_{score}").iloc[0].to_dict()
                    row |= _by_class(values[f"auc_{score}"], values, names) | {
                        "trainings": len(values)
                    }
                    row["normal accuracy"] = own["normal_accuracy"].mean()
                    found[TITLES[dataset], str(width), name] = row
    levels = ["dataset", "width", "score"]
    return shared.table_of(found, levels, shown=[MEAN, *names], marked=[MEAN])


def added(rows: pd.DataFrame) -> pd.DataFrame:
    """AUC of Y-GAN on the strong classifier's encoder less that of the classifier alone, by
    held-out class.

    The classifier is trained for as many epochs, and for about as many operations.
    """
    trainings, found = trainings_of(rows, metrics=AUCS), {}
    own, alone = (trainings[trainings["key"] == key] for key in ("whitened", "strong"))
    names = _names(trainings)
    for epochs, those in alone.groupby("epochs"):
        pairs = own.merge(those, on=["held_out", *SEEDS], suffixes=("", "_alone"))
        cost = those["training_operations"].mean() / own["training_operations"].mean()
        for score, name in SHOWN.items() if len(pairs) else ():
            gap = difference(own, those, f"auc_{score}")
            row = {INTERVAL: f"{gap:+}", **gap.columns, "pairs": len(pairs)}
            row |= _by_class(pairs[f"auc_{score}"] - pairs[f"auc_{score}_alone"], pairs, names)
            row[NOT_BLIND] = shared.not_blind(own)
            found[f"classifier, {epochs} epochs ({cost:.2f} of the operations)", name] = row
    attrs = {"shown": [INTERVAL, *names], "signed": names, "marked": [INTERVAL]}
    return shared.table_of(found, ["beside", "score"], **attrs)


def _by_class(values: pd.Series, trainings: pd.DataFrame, names: list[str]) -> dict[str, float]:
    """The mean over the trainings of each held-out class, by the class's name."""
    means = values.groupby(trainings["held_out"]).mean().reindex(range(len(names)))
    return dict(zip(names, means, strict=True))


def _names(trainings: pd.DataFrame) -> list[str]:
    """What the columns of the classes are called: by their names if all trainings are of one
    dataset.
    """
    datasets = trainings["dataset"].unique()
    return class_names(NUMBERS[datasets[0]]) if len(datasets) == 1 else [str(n) for n in range(10)]


BOTH = selected(group=("strong", "strong_short", "whitened"), dataset="cifar10")
TABLES = {
    "strong": View(
        strong, selected(group=("strong", "strong_wide")), "What class labels alone can do"
    ),
    "added": View(added, BOTH, "What the Y adds to a strong encoder"),
}

"""What the paper's tables lack: differences between methods and lengths, and notebook 11."""

from dataclasses import replace

import pandas as pd

from ygan_study.measure.flops import training_operations
from ygan_study.methods import METHODS
from ygan_study.plan.jobs import Job
from ygan_study.plan.settings import Settings
from ygan_study.report.printed import NUMBERS, class_names, printed, score_name
from ygan_study.report.render import NOT_BLIND
from ygan_study.report.rows import REAL, TITLES, trainings_of
from ygan_study.report.statistics import SEEDS, difference, holm
from ygan_study.report.tables import shared
from ygan_study.report.tables.shared import INTERVAL, MEAN
from ygan_study.report.view import View, selected
from ygan_study.run.costs import IMAGES
from ygan_study.run.folder import AVERAGED, LAST
from ygan_study.run.store import Study

CONTRASTS = (("balanced", "classifier"), ("paper", "classifier"), ("strong", "balanced"))
SCORES = {score_name("s"): "auc", score_name("s_zp"): "auc_s_zp"}
SHOWN = {score: score_name(score) for score in ("s", "s_c", "max-logit", "kNN", "RMDS")}
AUCS = [f"auc_{score}" for score in SHOWN]
PAPER_TRAINS_ON = 9 * 0.8  # of the images of a class: nine classes, 80 % of their images (4.2)


def differences(rows: pd.DataFrame) -> pd.DataFrame:
    """Differences in AUC between methods with the same labels, [95 % intervals] over the held-out
    classes.

    Averaged weights of both, by the paper's score and by the distance to a class mean; on
    PlantVillage the intervals are over three seeds.
    """
    trainings, found = trainings_of(rows, AVERAGED, metrics=SCORES.values()), {}
    for a, b in CONTRASTS:
        for score, metric in SCORES.items():
            for dataset, here in trainings.groupby("dataset", sort=False):
                gap = difference(here[here["key"] == a], here[here["key"] == b], metric)
                if gap.n:
                    row = {INTERVAL: f"{gap:+}", **gap.columns, "is": gap.word}
                    found[f"{a} - {b}", score, TITLES[dataset]] = row
    table = shared.table_of(found, ["difference", "score", "dataset"], shown=_by_dataset)
    if found:  # Holm's correction is over the main contrast, on all datasets and by both scores
        main = table.index.get_level_values("difference") == " - ".join(CONTRASTS[0])
        table["p, Holm"] = holm(table["p, t test"].where(main))
    return table


def _by_dataset(table: pd.DataFrame) -> pd.DataFrame:
    return table[INTERVAL].unstack("dataset", sort=False)


def learning_rate(rows: pd.DataFrame) -> pd.DataFrame:
    """Y-GAN (`paper`), which learns at 0.0002, minus the plain classifier, at its own rate of
    0.001 and at Y-GAN's.

    Averaged weights of both, and as many epochs; [95 % intervals] over the held-out classes.
    """
    trainings, found = trainings_of(rows, AVERAGED, metrics=["normal_accuracy"]), {}
    rates = {"": "0.001", f"lr={Settings().lr}": "0.0002"}
    trainings["rate"] = trainings["configuration"].str.partition(", ")[2].map(rates)
    classifiers = trainings[trainings["key"] == "classifier"].dropna(subset=["rate"])
    rates = classifiers.groupby(["dataset", "held_out", *SEEDS])["rate"].transform("nunique")
    there = classifiers.groupby("dataset")["rate"].transform("nunique")
    classifiers = classifiers[rates == there]  # the same classes and seeds at either rate
    for (dataset, rate), plain in classifiers.groupby(["dataset", "rate"], sort=False):
        own = trainings[(trainings["key"] == "paper") & (trainings["dataset"] == dataset)]
        gap, row = difference(own, plain), {}
        for name, those, others in (("Y-GAN", own, plain), ("classifier", plain, own)):
            both = those.merge(others[["held_out", *SEEDS]])
            means = both.groupby("held_out")[["auc", "normal_accuracy"]].mean().mean()
            row |= {f"AUC, {name}": means["auc"], f"accuracy, {name}": means["normal_accuracy"]}
        if gap.n:
            row |= {f"difference {INTERVAL}": f"{gap:+}", **gap.columns}
            found[TITLES[dataset], rate] = row
    shown = [f"{what}, {name}" for name in ("Y-GAN", "classifier") for what in ("AUC", "accuracy")]
    shown += [f"difference {INTERVAL}", "lower in", "n"]
    return shared.table_of(found, ["dataset", "rate of the classifier"], shown=shown)


def lengths(rows: pd.DataFrame) -> pd.DataFrame:
    """AUC by number of epochs. Each length is a separate training; means are over the seeds that
    were trained at every length.
    """
    found = {}
    for weights in (LAST, AVERAGED):
        by = ["dataset", "class", "name"]
        for (dataset, where, name), own in trainings_of(rows, weights).groupby(by, sort=False):
            same = own.pivot(index="epochs", columns=SEEDS, values="auc").dropna(axis=1)
            if len(same) > 1 and same.shape[1]:
                found[TITLES[dataset], where, name, weights] = same.mean(axis=1).to_dict()
    table = shared.table_of(found, ["dataset", "held out", "method", "weights"])
    return table.sort_index(axis=1).rename(columns=str)


def paper_size(rows: pd.DataFrame) -> pd.DataFrame:
    """Trainings of the paper's own size, one each: AUC, accuracy of C, how often the nearest
    neighbour has the class. The last two are of averaged weights, except those of Y-GAN (paper).

    The best epoch is the one with the best AUC on the test set, which only its labels can choose.
    """
    metrics = {"normal_accuracy": "accuracy of C"}
    metrics |= {f"neighbours_{z}": f"neighbours by {z}" for z in ("z_s", "z_r")}
    headline = trainings_of(rows, metrics=metrics).set_index("job")
    last = trainings_of(rows, LAST).set_index("job")
    table = last[["class", "name", "epochs"]].rename(
        columns={"class": "held out", "name": "method"}
    )
    averaged, best = trainings_of(rows, AVERAGED), trainings_of(rows, LAST, "best_on_test", ["auc"])
    for name, those in {"averaged weights": averaged, "best epoch": best}.items():
        table[f"AUC, {name}"] = those.set_index("job")["auc"]
    table.insert(3, "AUC, last weights", last["auc"])
    table = table.join(headline[list(metrics)].rename(columns=metrics))
    return table.set_index(["held out", "method"])


def _rate_jobs(study: Study) -> list[Job]:
    slow = study.select(group="paper_rate")
    datasets = tuple(dict.fromkeys(job.config.dataset for job in slow))
    return [*study.select(dataset=datasets, group=("classifier", "paper")), *slow] if slow else []


def length_jobs(study: Study) -> list[Job]:
    """Trainings of several lengths, and those of Tables 1 to 4 of the same images and methods."""
    same = ("dataset", "held_out", "method", "name")
    return shared.with_alike(study, "ladder", tuple(METHODS), *same)


def paper_operations(dataset: str) -> float:
    """What one of the paper's trainings of Y-GAN costs (section 4.3), on all images."""
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
    """AUC of Y-GAN on the strong classifier's encoder minus that of the classifier alone, by
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
    """The columns of the classes: names, or numbers where trainings are of several datasets."""
    datasets = trainings["dataset"].unique()
    return class_names(NUMBERS[datasets[0]]) if len(datasets) == 1 else [str(n) for n in range(10)]


WITH_Y = selected(group=("strong", "strong_short", "whitened"), dataset="cifar10")
ALONE = selected(group=("strong", "strong_wide"))
CONTRASTED = selected(dataset=REAL, group=("classifier", "balanced", "paper", "strong"))
TABLES = {
    "differences": View(differences, CONTRASTED, "Differences between methods"),
    "learning_rate": View(
        learning_rate, _rate_jobs, "Does the learning rate explain the difference?"
    ),
    "lengths": View(lengths, length_jobs, "AUC by length of training"),
    "paper_size_numbers": View(
        paper_size, selected(group="paper_size"), "One class at the paper's own size, in numbers"
    ),
    "strong": View(strong, ALONE, "What class labels alone can do"),
    "added": View(added, WITH_Y, "Y-GAN on the encoder of the strong classifier"),
}

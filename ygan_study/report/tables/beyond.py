"""Beyond the paper (notebook 11): what class labels alone can do, by anomaly score; what the Y adds to that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from ygan_study.measure.flops import PFLOP, training_operations
from ygan_study.plan.jobs import Job
from ygan_study.plan.profiles import TEN
from ygan_study.plan.settings import Settings
from ygan_study.report.printed import NUMBERS, class_names, paper_auc, printed
from ygan_study.report.rows import TITLES, trainings_of
from ygan_study.report.spread import CELL, DRAW, Difference, difference, level, said, shown, told
from ygan_study.report.tables.benchmarks import BY
from ygan_study.report.tables.blocks import CHOSEN, is_chosen, summary
from ygan_study.report.view import View
from ygan_study.run.costs import IMAGES
from ygan_study.run.store import Study

SHOWN = {
    "s": "s (Eq. 12)",
    "s_c": "s_c (Eq. 18)",
    "max-logit": "max-logit",
    "kNN": "kNN",
    "RMDS": "RMDS",
}
AUCS = [f"auc_{score}" for score in SHOWN]
PAPER_TRAINS_ON = 9 * 0.8  # of the images of a class: nine classes, and 80 % of their images (4.2)


def paper_operations(dataset: str) -> float:
    """What one of the paper's trainings of Y-GAN costs: Config's defaults (section 4.3), on all images that there are."""
    return training_operations(
        replace(Settings(), dataset=dataset), round(PAPER_TRAINS_ON * IMAGES["full"][dataset])
    )


def strong(rows: pd.DataFrame) -> pd.DataFrame:
    """The AUC of the strong classifier, by its width and by the class held out, beside what the paper prints for Y-GAN.

    s (Eq. 12) is the headline, as everywhere: it was fixed beforehand. The other scores are of the same trained networks. mean:
    over the classes, each of which is a mean over its seeds; n: how many classes; trainings: how many in all. normal accuracy:
    of C on held-back normal images.
    """
    trainings, found = trainings_of(rows, metrics=AUCS), {}
    classes = _classes(trainings)
    for (dataset, width), own in trainings.groupby(["dataset", "width"], sort=False):
        paper = printed(NUMBERS[dataset]).set_index("model").loc["Y-GAN"]
        there = dict(zip(classes.values(), paper[class_names(NUMBERS[dataset])], strict=True))
        found[TITLES[dataset], "", "Y-GAN, as printed"] = there | {
            "mean": paper["mean"],
            "n": len(TEN),
        }
        for score, name in SHOWN.items():
            value = f"auc_{score}"
            if own[value].isna().all():
                continue
            about = summary(own, BY, value).iloc[0]
            row = own.groupby("held_out")[value].mean().rename(classes).to_dict()
            row |= {"mean": about["mean"], "n": int(about["n"]), "trainings": len(own)}
            found[TITLES[dataset], str(width), name] = row | {
                "normal accuracy": own["normal_accuracy"].mean()
            }
    table = pd.DataFrame(found).T.rename_axis(["dataset", "width", "score"])
    table = table.reindex(columns=[*classes.values(), "mean", "n", "trainings", "normal accuracy"])
    table = table.astype({"n": "Int64", "trainings": "Int64"}).astype(object)
    chosen = trainings[is_chosen(trainings)]
    for row in table.index:
        if row[-1] in SHOWN.values():
            of_row = (chosen["dataset"].map(TITLES) == row[0]) & (
                chosen["width"].astype(str) == row[1]
            )
            _mark(table, row, classes, chosen[of_row])
    return table


def added(rows: pd.DataFrame) -> pd.DataFrame:
    """What the Y adds: the AUC of Y-GAN on the strong classifier's encoder (`whitened`), less that of the strong classifier.

    By the length of the classifier's training: in as many epochs both see as many images; in more epochs it may cost as many
    operations as Y-GAN. Paired: the same classes, seeds and splits. low, high: the 95 % interval of the mean over the seeds. It
    takes the classes with one pair to vary from pair to pair as those with several do. df: the degrees of freedom of that
    spread (Satterthwaite's: fewer where one class has most of it); with few of them the interval is rough. lower in: the number
    of classes where Y-GAN has the lower AUC.
    """
    trainings, found = trainings_of(rows, metrics=AUCS), {}
    first = trainings["configuration"].str.split(",").str[0]  # settings that were changed follow
    own, alone = (trainings[first == name] for name in ("whitened", "strong"))
    classes = _classes(own)
    for length, those in alone.groupby("epochs") if len(own) else ():
        cost = those["training_operations"].mean() / own["training_operations"].mean()
        against = f"the classifier in {length} epochs, {cost:.2f} of the operations"
        for score, name in SHOWN.items():
            gap = difference(own, those, f"auc_{score}")
            if gap.cells:
                pairs = own.merge(those, on=[*CELL, *DRAW])
                each = (
                    (pairs[f"auc_{score}_x"] - pairs[f"auc_{score}_y"])
                    .groupby(pairs["held_out"])
                    .mean()
                )
                about = {"mean": gap.mean, "low": gap.low, "high": gap.high, "df": gap.freedom}
                about |= {
                    "lower in": int((each < 0).sum()),
                    "n": gap.cells,
                    "pairs": gap.draws,
                    "Y-GAN is": told(gap),
                }
                found[f"Y-GAN in {own['epochs'].iloc[0]} epochs, less", against, name] = (
                    each.rename(classes).to_dict() | about
                )
    index = pd.MultiIndex.from_tuples(found, names=["trained", "beside", "score"])
    signed = [*classes.values(), "mean", "low", "high"]
    table = pd.DataFrame(
        list(found.values()), index, [*signed, "df", "lower in", "n", "pairs", "Y-GAN is"]
    )
    table["df"] = table["df"].astype(float).round().astype("Int64")
    table.attrs["signed"] = signed
    for row in table.index:
        _mark(table, row, classes, own[is_chosen(own)])
    return table


def _classes(trainings: pd.DataFrame) -> dict[int, int | str]:
    """What the column of each class is called: its name, where all trainings are of one dataset, else its number."""
    datasets = trainings["dataset"].unique()
    return dict(
        zip(TEN, class_names(NUMBERS[datasets[0]]) if len(datasets) == 1 else TEN, strict=True)
    )


def _mark(table: pd.DataFrame, row: tuple, classes: dict, chosen: pd.DataFrame) -> None:
    """Mark the classes of a row, and its mean, whose AUC a setting was chosen by."""
    columns = [*chosen["held_out"].map(classes).unique(), *["mean"] * bool(len(chosen))]
    table.attrs.setdefault("marks", {}).update({(row, column): CHOSEN for column in columns})


def verdict(rows: pd.DataFrame) -> str:
    """How far class labels alone go: mean, classes above the paper's number for them, spread, the best score, cost."""
    trainings, lines = trainings_of(rows), []
    for (dataset, width), own in trainings.groupby(["dataset", "width"], sort=False):
        classes = own.groupby("held_out")["auc"].mean()
        above = sum(auc > paper_auc(dataset, [held_out]) for held_out, auc in classes.items())
        means = (
            own.groupby("held_out")[[f"auc_{score}" for score in SHOWN if f"auc_{score}" in own]]
            .mean()
            .mean()
        )
        best = means.idxmax().removeprefix("auc_")
        other = f"The highest mean, of a score that was not fixed beforehand, is that of {best}: {means.max():.3f}."
        other = "None of its other scores has a higher mean." if best == "s" else other
        costs = (
            own.groupby("held_out")["training_operations"].mean().sum() / PFLOP,
            paper_operations(dataset) / PFLOP,
        )
        lines.append(
            f"- {TITLES[dataset]}, width {width}: $s$ (Eq. 12) has {shown(level(own), '')} over {len(classes)} of ten classes. "
            f"In these the paper prints {paper_auc(dataset, classes.index):.3f} for Y-GAN; $s$ is above its number in {above} "
            f"of {len(classes)}. Its standard deviation over these classes is {classes.std(ddof=0):.3f}, that of the paper's "
            f"numbers {paper_auc(dataset, classes.index, np.std):.3f}. {other} A training costs "
            f"{costs[0] / len(classes):.3f} PFLOP, one of each of these classes {costs[0]:.3f} in all; one training of the "
            f"paper's Y-GAN {costs[1]:.1f}."
        )
    return "\n".join(lines)


def verdict_added(rows: pd.DataFrame) -> str:
    """What the Y adds by Eq. 12, with its interval."""
    table, lines = added(rows), []
    for (trained, beside, score), row in table.iterrows():
        if score == SHOWN["s"]:
            gap = Difference(
                row["mean"], row["low"], row["high"], row["n"], row["pairs"], row["df"]
            )
            freedom = f" Degrees of freedom of the interval: {gap.freedom:.0f}." * gap.seeds_known
            gap = replace(gap, below=int(row["lower in"]))
            lines.append(
                f"- {trained} {beside}: {said(gap)} over {gap.cells} of ten classes, {gap.draws} pairs of trainings. Y-GAN is "
                f"below in {row['lower in']} of {gap.cells} (sign test over the classes: p = {gap.chance:.2g}).{freedom}"
            )
    return "\n".join(lines) or "Not trained yet."


def _jobs(study: Study) -> list[Job]:
    return study.select(group=("strong", "strong_wide"))


def _both(study: Study) -> list[Job]:
    return study.select(group=("strong", "strong_short", "whitened"), dataset="cifar10")


TABLES = {
    "strong": View(strong, _jobs, "What class labels alone can do"),
    "added": View(added, _both, "What the Y adds to a strong encoder"),
}

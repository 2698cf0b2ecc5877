"""Notebook 09 in numbers: what each deviation of the authors' public code from the paper does to
the AUC.

The public code has no averaged weights, so what is trained with its deviations is shown with the
last weights, and is compared with the last weights. Elsewhere the weights are those of the
headline.
"""

import pandas as pd

from ygan_study.measure.batch_statistics import APART, AUTHORS, RUNNING, SETTINGS, SHUFFLED
from ygan_study.methods.public_code import DEVIATIONS, PROGRAM, TAKEN_BACK
from ygan_study.plan.settings import TENS
from ygan_study.report.printed import paper_aucs
from ygan_study.report.render import NOT_BLIND
from ygan_study.report.rows import TITLES, trainings_of
from ygan_study.report.statistics import difference, level, std_over_seeds
from ygan_study.report.tables import shared
from ygan_study.report.tables.shared import INTERVAL, MEAN, beside_whole
from ygan_study.report.view import View, selected
from ygan_study.run.folder import AVERAGED, LAST

BY = ["dataset", "name"]
WITNESSES = {"auc": "AUC", "normal_accuracy": "accuracy of C", "L_s": "L_s", "L_r": "L_r"}
SECOND = ", second seed"


def in_batches(statistics: str, size: int) -> str:
    """The metric of runs.csv that is the AUC with these batch statistics at test time."""
    return f"{statistics} batches of {size}"


COLUMNS = {in_batches(*setting): f"{setting[0]} {setting[1]}" for setting in SETTINGS}
COLUMNS[in_batches(RUNNING, 1)] = RUNNING
SORTED, ALONE = "class-sorted batches of 64, as in the public code", "each image by itself"
WAYS = {  # to choose the epoch of a training, and to score it: the rule and the metric of runs.csv
    f"last epoch, {ALONE}": ("last", in_batches(RUNNING, 1)),
    f"best epoch on the test set, {ALONE}": ("best_on_test", "auc"),
    "last epoch, shuffled batches of 64": ("last", in_batches(SHUFFLED, 64)),
    f"last epoch, {SORTED}": ("last", in_batches(*AUTHORS)),
    f"best epoch on the test set, {SORTED}": ("best_sorted", "auc_sorted"),
    "last epoch, anomalies in batches of 64 of their own": ("last", in_batches(APART, 64)),
    "last epoch, anomalies in batches of 256 of their own": ("last", in_batches(APART, 256)),
    f"last epoch, {ALONE}, maximum logit in place of Eq. 12": ("last", "auc_max-logit"),
}


def batch_statistics(rows: pd.DataFrame) -> pd.DataFrame:
    """AUC (Eq. 12) of the same networks by how E_s normalises at test time, and by the size of a
    batch.

    *running*: each image by itself; *sorted*: batches in the order of the classes, as in the
    public code; *apart*: anomalies in batches of their own; *paper*: as printed for Y-GAN over
    the same classes.
    """
    found = {}
    for (dataset, name), own in _as_scored(rows, COLUMNS).groupby(BY, sort=False):
        classes = own.groupby("held_out")[list(COLUMNS)].mean().rename(columns=COLUMNS)
        paper = paper_aucs(dataset, classes.index)
        row = classes.mean().to_dict() | {"paper": paper.mean()}
        row |= {"n": len(classes), "trainings": len(own), "weights": own["weights"].iloc[0]}
        row["std over classes, paper"] = paper.std(ddof=0)
        row |= classes.std(ddof=0).add_prefix("std over classes, ").to_dict()
        row |= {f"std over seeds, {c}": std_over_seeds(own, m) for m, c in COLUMNS.items()}
        found[TITLES[dataset], name] = row | {NOT_BLIND: shared.not_blind(own)}
    shown = [*COLUMNS.values(), "paper"]
    return shared.table_of(found, ["dataset", "method"], shown=shown, marked=[RUNNING])


def best_epochs(rows: pd.DataFrame) -> pd.DataFrame:
    """The last epoch, and the one with the best AUC on the test set, as the public code chooses it.

    Each image is scored by itself, so the gain is what the choice alone adds. *epoch*: the best
    one, in the mean over the trainings.
    """
    found = {}
    for weights in (LAST, AVERAGED):
        last, best = (trainings_of(rows, weights, rule) for rule in ("last", "best_on_test"))
        for (dataset, name), chosen in best.groupby(BY, sort=False):
            own = last[last["job"].isin(chosen["job"])]
            gain = difference(chosen, own)
            row = {"last epoch": level(own).mean, "best on test": level(chosen).mean}
            row[f"gain {INTERVAL}"] = f"{gain:+}"
            row["epoch"] = f"{chosen['epoch'].mean():.1f} of {own['epochs'].iloc[0]}"
            row |= {"trainings": len(own), **gain.columns, NOT_BLIND: shared.not_blind(own)}
            found.setdefault((TITLES[dataset], name), {})[weights] = row
    found = {
        (*place, weights): row for place, both in found.items() for weights, row in both.items()
    }
    shown = ["last epoch", "best on test", f"gain {INTERVAL}", "epoch", "trainings"]
    levels = ["dataset", "method", "weights"]
    return shared.table_of(found, levels, shown=shown, marked=shown[:2])


def deviations(rows: pd.DataFrame) -> pd.DataFrame:
    """Each difference between the paper and the public code, by itself: added to the paper's
    training, and taken out of the public code's.

    Weights of the last step. The accuracy of C is on normal images that were not trained on; `L_s`
    and `L_r` are means over the last epoch, where guessing gives ln 9 = 2.20.
    """
    found = {}
    trainings = trainings_of(rows, LAST, metrics=WITNESSES)
    short = trainings[trainings["key"].isin(["paper", *DEVIATIONS])]
    for dataset, own in short.groupby("dataset", sort=False):
        own = own.set_index("deviation")
        for name, kind in {"none": None, **DEVIATIONS}.items():
            if name in own.index and {*own.index} != {"none"}:
                start = name == "public_code" or name.startswith(TAKEN_BACK)
                row = {"what": kind.what if kind else "nothing", "kind": kind.kind if kind else ""}
                runs = own.loc[[name]].sort_values("seed")[list(WITNESSES)]
                runs = runs.rename(columns=WITNESSES)
                row |= runs.iloc[0].to_dict()
                if len(runs) > 1:
                    row |= runs.add_suffix(SECOND).iloc[1].to_dict()
                what = name.removeprefix(TAKEN_BACK)
                found[TITLES[dataset], "public code" if start else "paper", what] = row
    accuracy = WITNESSES["normal_accuracy"] + SECOND
    again = [accuracy] * any(accuracy in row for row in found.values())
    shown = [*WITNESSES.values(), *again, "kind", "what"]
    return shared.table_of(found, ["dataset", "start", "difference"], shown=shown)


def ways_to_0763(rows: pd.DataFrame) -> pd.DataFrame:
    """CIFAR10: what each way to train, to score and to choose the epoch gives, where Table 3
    prints 0.763 ± 0.024.

    The difference is to the printed numbers of the same held-out classes.
    """
    found, rows = {}, rows[rows["dataset"] == "cifar10"]
    for way, (rule, metric) in WAYS.items():
        trainings = _as_scored(rows, [metric], rule).dropna(subset=[metric])
        for name, own in trainings.groupby("name", sort=False):
            printed = paper_aucs("cifar10", own["held_out"])
            gap = level(own, metric, less=printed)
            about = shared.summary(own, "name", metric).iloc[0]
            row = {MEAN: about[MEAN], "paper": printed.mean(), f"difference {INTERVAL}": f"{gap:+}"}
            row |= {"verdict": gap.word, "weights": own["weights"].iloc[0], "trainings": len(own)}
            row |= {"AUC": about["mean"], "std, paper": printed.std(ddof=0)}
            row |= about.drop([MEAN, "mean", "seeds"]).to_dict()
            found.setdefault(name, {})[way] = row
    found = {(name, way): row for name, ways in found.items() for way, row in ways.items()}
    shown = [MEAN, "paper", f"difference {INTERVAL}", "verdict", "weights", "trainings"]
    return shared.table_of(found, ["trained", "way"], shown=shown, marked=[MEAN])


def _as_scored(rows: pd.DataFrame, metrics: list[str], rule: str = "last") -> pd.DataFrame:
    """Trainings with the headline's weights, and those with the public code with the last."""
    usual, last = (trainings_of(rows, kind, rule, metrics) for kind in ("headline", LAST))
    return pd.concat([usual[usual["deviation"] == "none"], last[last["key"].isin(PROGRAM)]])


DEVIATION_JOBS = beside_whole("deviations")  # of each, and of none
PLAIN = ("classifier", "balanced", "paper")  # groups of Y-GAN and the classifier
TRAINED = selected(dataset=TENS, group=PLAIN)
TABLES = {
    "batch_statistics_auc": View(
        batch_statistics, TRAINED, "AUC by batch statistics at test time", of="batches"
    ),
    "best_epochs": View(best_epochs, TRAINED, "The last epoch and the best one"),
    "deviations": View(deviations, DEVIATION_JOBS, "Each difference of the public code"),
    "ways_to_0763": View(
        ways_to_0763,
        selected(dataset=TENS, group=(*PLAIN, *PROGRAM)),
        "Where does 0.763 come from?",
        of="batches",
    ),
}

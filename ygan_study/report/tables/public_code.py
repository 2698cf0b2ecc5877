"""Notebook 09 in numbers: what each deviation of the authors' public code from the paper does to the AUC, and where 0.763
comes from.

Table 3 prints 0.763 +- 0.024 for Y-GAN on CIFAR10; the best baseline has 0.607 +- 0.098. What is compared with the paper is
compared in the same classes. low, high: the 95 % interval that the seeds measured here give (`show/spread.py`); n: how many
classes were held out; draws: how many trainings, or pairs of them. The public code has no averaged weights: what is trained
with its deviations is shown with the last ones, and so is what it is subtracted from. Elsewhere a column or level says whose
weights they are. "As the public code" is said of the deviation public_code with the `paper` configuration alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from ygan_study.measure.batch_statistics import APART, AUTHORS, RUNNING, SETTINGS, SHUFFLED
from ygan_study.methods.public_code import BUG, CHOICE, DEVIATIONS, OPEN
from ygan_study.plan.jobs import Job
from ygan_study.plan.settings import TENS
from ygan_study.report.printed import paper_auc
from ygan_study.report.rows import TITLES, method_title
from ygan_study.report.spread import (
    CELL,
    DRAW,
    Difference,
    count,
    difference,
    level,
    pooled,
    said,
    shown,
    told,
)
from ygan_study.report.tables.blocks import CHOSEN, beside_whole, chosen_on
from ygan_study.report.view import View
from ygan_study.run.folder import LAST, Run
from ygan_study.run.store import Study

ALONE = (RUNNING, 1)
PRINTED_STD = "std, paper"
NOT_TRAINED = "Not trained here."


def batch_statistics(runs: list[Run]) -> pd.DataFrame:
    """AUC (Eq. 12) of the same networks by how E_s normalises at test time, and by the size of a batch.

    mean and std over classes (population); std over seeds: the sample std of a class's draws, pooled over the classes that
    have several. paper: what it prints for Y-GAN, over the same classes.
    """
    rows = []
    for (data, method, label, weights), own in _grouped(runs).items():
        frames = {
            _name(setting): _frame(own, lambda run, s=setting: run.batch_statistics[s])
            for setting in SETTINGS
        }
        paper = {
            "mean": paper_auc(data, _classes(own)),
            "std over classes": paper_auc(data, _classes(own), np.std),
        }
        for row, summary in (
            ("mean", lambda frame: _by_class(frame).mean()),
            ("std over classes", lambda frame: _by_class(frame).std(ddof=0)),
            ("std over seeds", lambda frame: pooled(frame)[0]),
        ):
            values = {name: summary(frame) for name, frame in frames.items()}
            if any(
                value > 0 for value in values.values()
            ):  # one class has no std over classes, one draw none over seeds
                about = {
                    "dataset": TITLES[data],
                    "method": method,
                    "configuration": label,
                    "weights": weights,
                    "over": row,
                }
                about |= {
                    **values,
                    "n": len(_classes(own)),
                    "draws": len(own),
                    "paper": paper.get(row, np.nan),
                }
                rows.append(
                    about | {CHOSEN: [*values] if row == "mean" and _is_chosen(own) else []}
                )
    return _table(rows, ["dataset", "method", "configuration", "weights", "over"])


def best_epochs(runs: list[Run]) -> pd.DataFrame:
    """The last epoch, which is this study's headline, and the best one on the test set, as the public code chooses it. The code
    scores in class-sorted batches; here each image is scored by itself, so this is what the choice alone adds.

    Means over the classes held out. gain: the AUC of the best epoch less that of the last one; no training has a negative
    one. epoch: the best one, in the mean, out of `epochs`.
    """
    rows = []
    both = [run.at(weights) for run in runs for weights in run.kinds]
    for (data, method, label, weights), own in _grouped(
        run for run in both if _curve(run) is not None
    ).items():
        last, best = (
            _frame(own, lambda run: _curve(run).iloc[-1]),
            _frame(own, lambda run: _curve(run).max()),
        )
        row = {
            "dataset": TITLES[data],
            "method": method,
            "configuration": label,
            "weights": weights,
        }
        row |= {
            "last epoch": level(last).mean,
            "best on test": level(best).mean,
            **_gap(difference(best, last), "gain"),
        }
        row |= {
            "epoch": f"{np.mean([_curve(run).idxmax() for run in own]):.1f}",
            "epochs": own[0].config.epochs,
        }
        rows.append(row | {CHOSEN: ["last epoch", "best on test"] if _is_chosen(own) else []})
    return _table(
        rows, ["dataset", "method", "configuration", "weights"], signed=["gain", "low", "high"]
    )


def deviations(runs: list[Run]) -> pd.DataFrame:
    """Y-GAN trained without a deviation, with each of the public code's deviations alone, then with all of them.

    AUC: Eq. 12, running statistics, last epoch, last weights; the mean over the classes held out. change: against the training
    without a deviation, in the same classes and draws; low, high: its interval. sorted, apart: the same networks with batch
    statistics, in batches of 64 (class-sorted; anomalies in batches of their own). best epoch, sorted: the best one on the test
    set in class-sorted batches, as the public code scores and chooses. normal accuracy: of C.
    """
    rows = []
    for data, label in dict.fromkeys(
        (run.config.dataset, run.config.configuration) for run in runs if _deviates(run)
    ):
        own = [
            run.at(LAST)
            for run in runs
            if (run.config.dataset, run.config.configuration) == (data, label)
        ]
        base = [run for run in own if not _deviates(run)]
        for name in ("none", *DEVIATIONS):
            those = [run for run in own if run.config.deviation == name]
            aucs, bases = _frame(those, _auc), _frame(base, _auc)
            if len(aucs.merge(bases, on=[*CELL, *DRAW])):
                row = {
                    "dataset": TITLES[data],
                    "configuration": label,
                    "deviation": name,
                    "what": _what(name, label),
                }
                row |= {"kind": getattr(DEVIATIONS.get(name), "kind", ""), "AUC": level(aucs).mean}
                row |= _gap(difference(aucs, bases), "change")
                row |= {"sorted": _mean(those, lambda run: run.batch_statistics[AUTHORS])}
                row |= {"apart": _mean(those, lambda run: run.batch_statistics[APART, 64])}
                row |= {"best epoch, sorted": _mean(those, _best_sorted)}
                rows.append(
                    row
                    | {"normal accuracy": _mean(those, lambda run: run.metrics["normal_accuracy"])}
                )
    return _table(rows, ["dataset", "configuration", "deviation"], signed=["change", "low", "high"])


WAYS: dict[str, Callable[[Run], float]] = {  # to score a training, and to choose its epoch
    "last epoch, each image by itself": lambda run: run.batch_statistics[ALONE],
    "best epoch on the test set, each image by itself": lambda run: (
        np.nan if _curve(run) is None else _curve(run).max()
    ),
    "last epoch, shuffled batches of 64": lambda run: run.batch_statistics[SHUFFLED, 64],
    "last epoch, class-sorted batches of 64, as in the public code": lambda run: (
        run.batch_statistics[AUTHORS]
    ),
    "best epoch on the test set, class-sorted batches of 64, as in the public code": lambda run: (
        _best_sorted(run)
    ),
    "last epoch, anomalies in batches of 64 of their own": lambda run: run.batch_statistics[
        APART, 64
    ],
    "last epoch, anomalies in batches of 256 of their own": lambda run: run.batch_statistics[
        APART, 256
    ],
    "last epoch, each image by itself, maximum logit in place of Eq. 12": lambda run: (
        run.metrics.get("auc_max-logit", np.nan)
    ),
}


def ways_to_0763(runs: list[Run]) -> pd.DataFrame:
    """Table 3's question: what each way to train, to score and to choose the epoch gives on CIFAR10.

    AUC: the mean over the classes held out; std: population, over them; paper and std, paper: what is printed for the same
    classes. missing: the paper's mean less ours. told: whether ours is lower or higher than the paper's mean, by its interval.
    """
    rows = []
    cifar10 = [_as_scored(run) for run in runs if run.config.dataset == "cifar10"]
    for (_, trained, label, weights), own in _grouped(cifar10).items():
        for way, auc in WAYS.items():
            frame = _frame(own, auc).dropna()
            if len(frame):
                found, by_class = level(frame), _by_class(frame)
                paper, std = (
                    paper_auc("cifar10", by_class.index, summary) for summary in (np.mean, np.std)
                )
                several = len(by_class) > 1
                row = {
                    "trained": trained,
                    "configuration": label,
                    "weights": weights,
                    "way": way,
                    **_gap(found, "AUC"),
                }
                row |= {"std": by_class.std(ddof=0) if several else np.nan, "paper": paper}
                row |= {PRINTED_STD: std if several else np.nan, "missing": paper - found.mean}
                rows.append(
                    row
                    | {
                        "told": told(level(frame, less=paper)),
                        CHOSEN: ["AUC"] if _is_chosen(own) else [],
                    }
                )
    return _table(rows, ["trained", "configuration", "weights", "way"], signed=["missing"])


def verdict(runs: list[Run]) -> str:
    """Five sentences on the public code and the paper, each from its numbers: batch statistics, what looks like an oversight in
    training, what is a choice, the best epoch, and where 0.763 comes from."""
    whole = [run for run in runs if not _deviates(run)]
    if not any(run.config.method == "ygan" for run in whole):
        return "No Y-GAN is trained here yet."
    lines = [
        _on_batch_statistics(whole),
        *_on_deviations(deviations(runs)),
        _on_best_epochs(runs),
        _on_0763(ways_to_0763(runs)),
    ]
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))


def _on_batch_statistics(runs: list[Run]) -> str:
    last = max((run.config.dataset for run in runs), key=TENS.index)
    texts = []
    for (_, trained, label, weights), own in _grouped(
        run for run in runs if run.config.dataset == last
    ).items():
        alone, in_order, apart = (
            _frame(own, lambda run, s=setting: run.batch_statistics[s])
            for setting in (ALONE, AUTHORS, (APART, 64))
        )
        texts.append(
            f"{trained} (`{label}`, {weights} weights, {_over(alone)}) has {shown(level(alone), '')} by itself, "
            f"{said(difference(in_order, alone))} in sorted batches, {said(difference(apart, alone))} apart"
        )
    return (
        "**Batch statistics.** The code's encoders keep no running statistics, so a score depends on the other images of its "
        f"batch. This looks like an oversight. {TITLES[last]}, the AUC of the same networks when each image is scored by "
        "itself, and how it changes in the public code's class-sorted batches of 64, and where the anomalies have batches of "
        f"64 of their own: {'; '.join(texts)}."
    )


def _on_deviations(table: pd.DataFrame) -> list[str]:
    def each_of(kinds: tuple[str, ...]) -> str:
        texts = []
        for (data, label), rows in (
            table.groupby(level=["dataset", "configuration"], sort=False) if len(table) else ()
        ):
            some = rows[
                rows["kind"].isin(kinds) & (rows.index.get_level_values("deviation") != "none")
            ]
            each = [
                f"`{key[-1]}` {said(_difference(row, 'change'))}" for key, row in some.iterrows()
            ]
            if each:
                texts.append(f"{data}, `{label}`: {'; '.join(each)}.")
        return " ".join(texts) or NOT_TRAINED

    together = []
    for (data, _, name), row in table.iterrows():
        if name == "public_code":
            together.append(f"{data}, trained {row['what']}: {said(_difference(row, 'change'))}.")
    return [
        "**What looks like an oversight in training.** The AUC with each deviation alone, less the AUC without it. "
        f"{each_of((BUG,))}",
        f"**What is a choice.** Each alone. {each_of((CHOICE,))} What the paper leaves open: {each_of((OPEN,))} "
        f"All deviations together: {' '.join(together) or NOT_TRAINED}",
    ]


def _on_best_epochs(runs: list[Run]) -> str:
    gains = {}
    for run in (run.at(LAST) for run in runs if not _deviates(run)):
        if _curve(run) is not None:
            gains.setdefault((_trained(run), run.config.configuration), []).append(run)
    texts = []
    for (method, label), own in gains.items():
        gain = level(_frame(own, lambda run: _curve(run).max() - _curve(run).iloc[-1]))
        texts.append(
            f"{shown(gain)} to {method} (`{label}`, {gain.cells} cells, {gain.draws} trainings)"
        )
    return (
        "**The best epoch.** The public code has no validation set: it keeps the epoch with the best AUC on the test set. "
        f"With the last weights this adds {', '.join(texts)}. No training has less than 0; a symmetric interval can have."
        if texts
        else f"**The best epoch.** {NOT_TRAINED}"
    )


def _on_0763(ways: pd.DataFrame) -> str:
    start = "**Where 0.763 comes from.** "
    if ways.empty:
        return start + "No training on CIFAR10 is there, so this has no answer here."
    all_ten = ways[ways["n"] == 10]
    rows = all_ten if len(all_ten) else ways
    key = rows["missing"].abs().idxmin()
    nearest = rows.loc[key]
    classes, found = (
        "ten classes" if len(all_ten) else "classes",
        shown(_difference(nearest, "AUC"), ""),
    )
    lines = [
        f"In the same {classes} the paper prints {nearest['paper']:.3f}. Of {len(rows)} ways measured here over {classes} the "
        f"nearest is: {key[0]} (`{key[1]}`, {key[2]} weights), {key[3]}: {found}."
    ]
    if not len(all_ten):
        return (
            f"{start}{lines[0]} With {nearest['n']} of ten classes: too few classes for a verdict."
        )
    lines.append(
        f"Its std over the classes is {nearest['std']:.3f}; {nearest[PRINTED_STD]:.3f} is printed."
    )
    apart = all_ten["told"].isin(["higher", "lower"])
    unknown = int((~apart & all_ten["low"].isna()).sum())
    alike = int((~apart).sum()) - unknown
    lines.append(
        f"{alike} of these ways cannot be told apart from the printed mean at this scale. A way that can come to it need not "
        "be the one that was taken."
        if alike
        else "None that has an interval comes to it, and the question stays open. Notebook 11 has another classifier."
    )
    return start + " ".join(lines + [f"{unknown} ways rest on one draw a class."] * bool(unknown))


def _frame(runs: Iterable[Run], value: Callable[[Run], float]) -> pd.DataFrame:
    """A row a training: its cell, its draw, and a value as `auc`."""
    rows = [(*(getattr(run.config, key) for key in (*CELL, *DRAW)), value(run)) for run in runs]
    return pd.DataFrame(rows, columns=[*CELL, *DRAW, "auc"])


def _by_class(frame: pd.DataFrame) -> pd.Series:
    return frame.groupby("held_out")["auc"].mean()


def _mean(runs: list[Run], value: Callable[[Run], float]) -> float:
    return level(_frame(runs, value)).mean


def _gap(found: Difference, name: str) -> dict:
    return {
        name: found.mean,
        "low": found.low,
        "high": found.high,
        "n": found.cells,
        "draws": found.draws,
    }


def _difference(row: pd.Series, name: str) -> Difference:
    """The inverse of `_gap`."""
    return Difference(row[name], row["low"], row["high"], row["n"], row["draws"])


def _over(frame: pd.DataFrame) -> str:
    return f"{frame['held_out'].nunique()} of 10 classes, {count(len(frame), 'training')}"


def _auc(run: Run) -> float:
    return run.metrics["auc"]


def _curve(run: Run) -> pd.Series | None:
    """The AUC on the test set by epoch, with this run's weights; None where it was not measured."""
    return run.losses.get("auc" if run.weights == LAST else f"auc_{run.weights}")


def _best_sorted(run: Run) -> float:
    return (
        run.losses["auc_sorted"].max()
        if run.weights == LAST and "auc_sorted" in run.losses
        else np.nan
    )


def _deviates(run: Run) -> bool:
    return run.config.deviation != "none"


def _as_scored(run: Run) -> Run:
    """With the headline's weights; what deviates with the last ones, as the public code has no others."""
    return run.at(LAST) if _deviates(run) else run


def _what(deviation: str, label: str) -> str:
    """What a deviation is; of the whole public code, whether it is what the public code does."""
    if deviation == "public_code":
        return (
            "as the public code"
            if label == "paper"
            else f"with the public code's deviations, {label} weights"
        )
    return getattr(DEVIATIONS.get(deviation), "what", "no deviation")


def _trained(run: Run) -> str:
    name = method_title(run.config.method)
    return (
        f"{name}, {_what(run.config.deviation, run.config.configuration)}"
        if _deviates(run)
        else name
    )


def _name(setting: tuple[str, int]) -> str:
    return RUNNING if setting == ALONE else f"{setting[0]} {setting[1]}"


def _classes(runs: list[Run]) -> set[int]:
    return {run.config.held_out for run in runs}


def _grouped(runs: Iterable[Run]) -> dict[tuple[str, str, str, str], list[Run]]:
    """Runs by dataset, what was trained, configuration and weights, in the order of their first; of single deviations none."""
    groups = {}
    for run in runs:
        if run.config.deviation in ("none", "public_code"):
            key = run.config.dataset, _trained(run), run.config.configuration, run.weights
            groups.setdefault(key, []).append(run)
    return groups


def _is_chosen(runs: list[Run]) -> bool:
    return any(
        chosen_on(run.config.configuration, run.config.dataset, run.config.held_out) for run in runs
    )


def _table(rows: list[dict], index: list[str], signed: list[str] | None = None) -> pd.DataFrame:
    """rows: of a row whose key CHOSEN names columns, these are marked: they are not blind."""
    marked = [row.pop(CHOSEN, []) for row in rows]
    table = pd.DataFrame(rows).set_index(index) if rows else pd.DataFrame()
    table.attrs["signed"] = signed or []
    table.attrs["marks"] = {
        (row, name): CHOSEN
        for row, names in zip(table.index, marked, strict=True)
        for name in names
    }
    return table


def trained_jobs(study: Study) -> list[Job]:
    """Y-GAN and the control on Tables 1 to 3."""
    return study.select(dataset=TENS, group=("classifier", "balanced", "paper"))


def deviation_jobs(study: Study) -> list[Job]:
    """Every deviation, and Y-GAN without one in the cells, the draws and the configuration that they have."""
    return beside_whole(study, study.select(group="deviations"))


def all_jobs(study: Study) -> list[Job]:
    """All that the verdict rests on."""
    return list({job.id: job for job in (*trained_jobs(study), *deviation_jobs(study))}.values())


TABLES = {
    "batch_statistics_auc": View(
        batch_statistics, trained_jobs, "AUC by batch statistics at test time", of="runs"
    ),
    "best_epochs": View(best_epochs, trained_jobs, "The last epoch and the best one", of="runs"),
    "deviations": View(deviations, deviation_jobs, "Each deviation of the public code", of="runs"),
    "ways_to_0763": View(ways_to_0763, all_jobs, "Where does 0.763 come from?", of="runs"),
}

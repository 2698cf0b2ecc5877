"""The paper's sentences about its own tables, each recomputed from these tables: does it hold there?

The same function recomputes a sentence from what was measured here, where every class and every method that it speaks of is
there, each baseline with the whole schedule of its authors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ygan_study.plan.jobs import Job
from ygan_study.plan.settings import TENS
from ygan_study.report.printed import printed
from ygan_study.report.rows import REAL, TITLES, trainings_of
from ygan_study.report.tables.blocks import MAIN, is_whole
from ygan_study.report.tables.schedules import is_short
from ygan_study.report.view import View
from ygan_study.run.store import Study

MODELS = tuple(printed(1)["model"])  # Y-GAN and the eight baselines of Tables 1 to 4
SYSTEMS = tuple(model for model in MODELS if model != "Y-GAN")
MNIST, FMNIST, CIFAR10, LEAVES = REAL
VARIANTS = tuple(name for name in printed(5)["variant"] if name != "full")
ILLEGIBLE = ("f-AnoGAN", LEAVES)  # in Table 4
ROUNDED = (
    0.001  # two numbers rounded to three places, one computed of the other, differ by this at most
)


@dataclass(frozen=True)
class Numbers:
    """What a claim is computed from. What was not measured has no key: asking for it raises KeyError.

    mean, std: of the AUC over the classes held out, by (method, dataset); classes: the AUC of each class, a Series; cost: what
    a variant of Table 5 loses against the whole model, by (variant, dataset).
    """

    mean: dict[tuple[str, str], float]
    std: dict[tuple[str, str], float]
    classes: dict[tuple[str, str], pd.Series]
    cost: dict[tuple[str, str], float]

    def of(self, dataset: str, models: Iterable[str] = SYSTEMS) -> pd.Series:
        """The mean of each method."""
        return pd.Series({model: self.mean[model, dataset] for model in models})

    def costs(self, variant: str) -> pd.Series:
        """The cost of a variant on each dataset."""
        return pd.Series({dataset: self.cost[variant, dataset] for dataset in REAL})


def of_paper() -> Numbers:
    """Tables 1 to 6 as printed."""
    mean, std, classes = {}, {}, {}
    for number, dataset in enumerate(TENS, 1):
        table = printed(number).set_index("model").drop(columns="type")
        for model, row in table.iterrows():
            mean[model, dataset], std[model, dataset] = row["mean"], row["std"]
            classes[model, dataset] = row.drop(["mean", "std"]).astype(float)
    leaves = printed(4).query("metric == 'TNR'").set_index("model")["auc"].dropna()
    weak = printed(6).set_index("model").loc["Y-GAN*"]
    mean |= {(model, LEAVES): auc for model, auc in leaves.items()} | {
        ("Y-GAN*", data): weak[TITLES[data]] for data in REAL
    }
    table = printed(5).set_index("variant")[[TITLES[data] for data in REAL]]
    cost = {
        (name, data): table.loc["full", TITLES[data]] - table.loc[name, TITLES[data]]
        for name in table.index
        for data in REAL
    }
    return Numbers(mean, std, classes, cost)


def of_trainings(trainings: pd.DataFrame, configuration: str) -> Numbers:
    """What was measured here, of `cells`, with one configuration of Y-GAN, where a mean is over all that the paper's is."""
    own = trainings[trainings["configuration"].isin(["", configuration])]
    own = own.loc[[not is_short(training) for _, training in own.iterrows()]]
    mean, std, classes, variants = {}, {}, {}, {}
    for (model, variant, dataset), group in own.groupby(["title", "variant", "dataset"]):
        if is_whole(group):
            by_class = group.groupby("class", sort=False)["auc"].mean()
            if model == "Y-GAN":
                variants[variant, dataset] = by_class.mean()
            if variant == "full":
                mean[model, dataset], std[model, dataset] = by_class.mean(), by_class.std(ddof=0)
                classes[model, dataset] = by_class
    cost = {
        (name, data): variants["full", data] - auc
        for (name, data), auc in variants.items()
        if ("full", data) in variants
    }
    return Numbers(mean, std, classes, cost)


Recomputed = tuple[
    str, bool | None
]  # what comes out; whether the sentence holds, None: it depends on how it is read


def _above(
    better: str, worse: str, dataset: str, holds: Callable[[float], bool]
) -> Callable[[Numbers], Recomputed]:
    def recompute(n: Numbers) -> Recomputed:
        gain = n.mean[better, dataset] / n.mean[worse, dataset] - 1
        return f"{gain:.1%}", holds(gain)

    return recompute


def _steadiest(*datasets: str) -> Callable[[Numbers], Recomputed]:
    def recompute(n: Numbers) -> Recomputed:
        texts, holds = [], True
        for dataset in datasets:
            std = pd.Series({model: n.std[model, dataset] for model in MODELS}).sort_values(
                kind="stable"
            )
            texts.append(
                f"{TITLES[dataset]}: "
                + ", ".join(f"{model} {value:.3f}" for model, value in std[:2].items())
            )
            holds &= std.index[0] == "Y-GAN"
        return "smallest std on " + "; ".join(texts), holds

    return recompute


def _factor(n: Numbers) -> Recomputed:
    factor = n.std["OCGAN", MNIST] / n.std["Y-GAN", MNIST]
    return f"{factor:.1f} times", abs(factor - 20) < 1


def _seven_and_nine(n: Numbers) -> Recomputed:
    rises = [
        f"{model} on {name} {n.classes[model, MNIST][name]:.3f}, its mean {n.mean[model, MNIST]:.3f}"
        for model in SYSTEMS
        for name in ("7", "9")
        if n.classes[model, MNIST][name] >= n.mean[model, MNIST]
    ]
    return "no drop: " + ("; ".join(rises) or "none"), not rises


def _lower_on_fmnist(n: Numbers) -> Recomputed:
    both = [(model, n.mean[model, MNIST], n.mean[model, FMNIST]) for model in MODELS]
    rises = [
        f"{model} {mnist:.3f} to {fmnist:.3f}" for model, mnist, fmnist in both if fmnist >= mnist
    ]
    return "not lower: " + ("; ".join(rises) or "none"), not rises


def _next_three(n: Numbers) -> Recomputed:
    three = n.of(FMNIST).sort_values(ascending=False)[:3]
    in_order = list(three.index) == ["ARNet", "f-AnoGAN", "GANomaly"]
    return ", ".join(f"{model} {auc:.3f}" for model, auc in three.items()), in_order


def _all_ten(n: Numbers) -> Recomputed:
    margin = n.classes["Y-GAN", CIFAR10] - pd.DataFrame(
        {model: n.classes[model, CIFAR10] for model in SYSTEMS}
    ).max(axis=1)
    return f"smallest margin {margin.min():+.3f} ({margin.idxmin()})", bool((margin > 0).all())


def _beats_all(model: str, datasets: tuple[str, ...]) -> Callable[[Numbers], Recomputed]:
    def recompute(n: Numbers) -> Recomputed:
        ahead = {
            data: n.mean[model, data]
            - n.of(data, [m for m in SYSTEMS if (m, data) != ILLEGIBLE]).max()
            for data in datasets
        }
        return ", ".join(f"{TITLES[data]} {gap:+.3f}" for data, gap in ahead.items()), min(
            ahead.values()
        ) > 0

    return recompute


def _both_terms(n: Numbers) -> Recomputed:
    cost = n.costs("A3")
    return _by_dataset(cost), bool((cost[list(REAL[1:])] > cost[MNIST]).all())


def _slightly(n: Numbers) -> Recomputed:
    L_con, L_r = n.costs("A1").mean(), n.costs("A2").mean()
    return f"L_r costs {L_r:.3f} in the mean, L_con {L_con:.3f}: {L_r / L_con:.1f} times", bool(
        1 < L_r / L_con < 1.5
    )


def _all_terms(n: Numbers) -> Recomputed:
    cost = {
        (name, data): auc
        for name in ("A1", "A2", "A3", "B4")
        for data, auc in n.costs(name).items()
    }
    (name, data), least = min(cost.items(), key=lambda item: item[1])
    mean = min(n.costs(name).mean() for name in ("A1", "A2", "A3", "B4"))
    text = f"the smallest cost: {name} on {TITLES[data]}, {least:.3f}; in the mean over the four datasets {mean:.3f}"
    return text, _by_readings(least >= ROUNDED / 2, mean >= ROUNDED / 2)


def _increasingly(n: Numbers) -> Recomputed:
    cost = n.costs("B1")
    return _by_dataset(cost), cost.is_monotonic_increasing


def _challenging(n: Numbers) -> Recomputed:
    less_whole, less_B1 = n.costs("B2"), n.costs("B2") - n.costs("B1")
    readings = [
        bool(cost[[CIFAR10, LEAVES]].min() > cost[[MNIST, FMNIST]].max())
        for cost in (less_whole, less_B1)
    ]
    text = f"less the whole model: {_by_dataset(less_whole)}; less B1, of which it is made: {_by_dataset(less_B1)}"
    return text, _by_readings(*readings)


def _without_C(n: Numbers) -> Recomputed:
    cost, others = n.costs("B3"), [n.costs(name) for name in VARIANTS if name != "B3"]
    return _by_dataset(cost), all((cost > other).all() for other in others)


def _least(n: Numbers) -> Recomputed:
    mean = pd.Series({name: n.costs(name).mean() for name in VARIANTS}).sort_values(kind="stable")
    cifar10 = pd.Series({name: n.cost[name, CIFAR10] for name in VARIANTS}).sort_values(
        kind="stable"
    )
    texts = (
        f"{where}: "
        + " < ".join(
            f"{name} {cost:.3f}"
            for name, cost in costs[: list(costs.index).index("B4") + 2].items()
        )
        for where, costs in (("mean cost", mean), ("on CIFAR10", cifar10))
    )
    of_the_architecture = mean[["B1", "B2", "B3", "B4"]].idxmin()
    text = "; ".join([*texts, f"of B1 to B4 the least in the mean: {of_the_architecture}"])
    return text, _by_readings(mean.index[0] == "B4", of_the_architecture == "B4")


def _weak_cost(n: Numbers) -> Recomputed:
    cost = 1 - n.mean["Y-GAN*", LEAVES] / n.mean["Y-GAN", LEAVES]
    return f"{cost:.1%}", round(cost, 2) == 0.12


def _weak_above(n: Numbers) -> Recomputed:
    weak, other = n.mean["Y-GAN*", LEAVES], n.mean["GANomaly", LEAVES]
    text = f"{weak / other - 1:.1%} (its lead is {(weak - other) / weak:.1%} of its own AUC)"
    return text, _by_readings(
        round(weak / other - 1, 3) == 0.077, round((weak - other) / weak, 3) == 0.077
    )


def _rows_recompute(n: Numbers) -> Recomputed:
    wrong = []
    for (model, data), row in n.classes.items():
        for name, own, stated in (
            ("mean", row.mean(), n.mean[model, data]),
            ("std", row.std(ddof=0), n.std[model, data]),
        ):
            if abs(own - stated) > ROUNDED:
                wrong.append(f"{model} on {TITLES[data]}: {name} {own:.3f}, printed {stated:.3f}")
    return "; ".join(wrong) or "all do", not wrong


def _by_readings(*holds: bool) -> bool | None:
    """Whether a sentence that can be read in several ways holds: None where it does in one of them, and not in another."""
    return bool(holds[0]) if len(set(map(bool, holds))) == 1 else None


def _by_dataset(values: pd.Series) -> str:
    return ", ".join(f"{TITLES[data]} {value:.3f}" for data, value in values.items())


# Where it stands, the sentence, how it is recomputed. Words of degree are read as the comments say.
CLAIMS: list[tuple[str, str, Callable[[Numbers], Recomputed]]] = [
    ("Tables 1 to 3", "the Mean ± Std of each row", _rows_recompute),
    ("6.1, Table 1", "MNIST: mean AUC above OCGAN's by 9 %", _above("Y-GAN", "OCGAN", MNIST, lambda g: round(g, 2) == 0.09)),
    ("6.1, Table 1", "MNIST: standard deviation better than OCGAN's by a factor of close to 20", _factor),
    ("6.1, Table 1", "MNIST: the most consistent results", _steadiest(MNIST)),
    ("6.1, Table 1", "MNIST: on 7 and 9 all tested models exhibit a drop in AUC (Y-GAN aside)", _seven_and_nine),
    ("6.1, Table 2", "AUC scores on FMNIST are lower than on MNIST for all tested models", _lower_on_fmnist),
    ("6.1, Table 2", "FMNIST: ARNet, f-AnoGAN and GANomaly are the next three, in this order", _next_three),
    ("6.1, Table 2", "FMNIST: more than 14 % over ARNet", _above("Y-GAN", "ARNet", FMNIST, lambda g: g > 0.14)),
    ("6.1, Table 2", "FMNIST: again the most consistent results", _steadiest(FMNIST)),
    ("6.1, Table 3", "CIFAR10: more than 25 % over ARNet", _above("Y-GAN", "ARNet", CIFAR10, lambda g: g > 0.25)),
    ("6.1, Table 3", "CIFAR10: outperforms all competing models in all 10 runs", _all_ten),
    ("6.1, Table 4", "PlantVillage: more than 23 % over GANomaly", _above("Y-GAN", "GANomaly", LEAVES, lambda g: g > 0.23)),
    ("abstract, 7", "outperforms all tested models (in the mean)", _beats_all("Y-GAN", REAL)),
    ("7", "the most consistent performance among all tested models", _steadiest(*TENS)),
    # "smaller": than on each of the three others
    ("6.2, Table 5", "without L_con and L_r (A3) the AUC drops considerably, on MNIST the drop is smaller", _both_terms),
    # "slightly": by less than a half
    ("6.2, Table 5", "L_r results in a slightly greater drop than L_con", _slightly),
    # "contribute": a cost that the printed places show, on every dataset, or in the mean
    ("6.2, Table 5", "all loss terms are important and contribute", _all_terms),
    # "increases": in the order in which the paper has its datasets
    ("6.2, Table 5", "without the dual encoder (B1) it costs more, the more complex the data are", _increasingly),
    # "especially": there more than on each of the two others, less the whole model, or less B1
    ("6.2, Table 5", "one entangled latent (B2) is detrimental, especially on CIFAR10 and PlantVillage", _challenging),
    ("6.2, Table 5", "without the classifier (B3) a large decrease across all datasets (the largest)", _without_C),
    # "of all components": of all variants of Table 5, or of those of the architecture, of which the paragraph speaks
    ("6.2, Table 5", "leaving out Ds (B4) seems to have the least significant impact of all components", _least),
    ("6.3, Table 6", "Y-GAN* outperforms all baselines of Tables 1, 2 and 3", _beats_all("Y-GAN*", TENS)),
    ("6.3, Table 6", "PlantVillage: weak labels decrease the performance by approximately 12 %", _weak_cost),
    # of GANomaly's AUC, or of its own
    ("6.3, Table 6", "PlantVillage: Y-GAN* still outperforms GANomaly by 7.7 %", _weak_above),
]  # fmt: skip


HOLDS = {True: "yes", False: "no", None: "depends on the reading"}


def claims(rows: pd.DataFrame) -> pd.DataFrame:
    """The paper's sentences on its numbers (sections 6.1 to 6.3, 7), recomputed from its own printed tables, Tables 1 to 6.

    holds there: whether the sentence follows from them; "depends on the reading" where it can be read in two ways, and holds in
    one of them. ours: the same from what was measured here, a column a configuration of
    Y-GAN; a dash where a class, a method or the full schedule of a baseline is missing, and no column where nothing is there.
    These have no interval: a verdict on each table has them.
    """
    trainings, paper = trainings_of(rows), of_paper()
    names = list(dict.fromkeys(trainings.loc[trainings["method"] == "ygan", "configuration"]))
    measured = {f"ours, {name}": of_trainings(trainings, name) for name in names}
    table = []
    for place, sentence, recompute in CLAIMS:
        text, holds = recompute(paper)
        row = {
            "the paper says": sentence,
            "in": place,
            "from its tables": text,
            "holds there": HOLDS[holds],
        }
        table.append(
            row | {name: _where_measured(recompute, numbers) for name, numbers in measured.items()}
        )
    return pd.DataFrame(table).set_index("the paper says").dropna(axis=1, how="all")


def _where_measured(recompute: Callable[[Numbers], Recomputed], numbers: Numbers) -> str | float:
    """What comes out, or nan where something that it takes is missing."""
    if recompute is _rows_recompute:  # about how the paper's rows were printed
        return np.nan
    try:
        return recompute(numbers)[0]
    except KeyError:
        return np.nan


def _jobs(study: Study) -> list[Job]:
    return study.select(dataset=REAL, group=(*MAIN, "ablations", "weak_labels"))


TABLES = {"claims": View(claims, _jobs, "The paper's sentences, recomputed from its tables")}

"""The paper's sentences about its own tables: data/paper_tables/sentences.csv, computed once more.

Where a word of degree can be read in two ways, each reading is computed.
"""

import pandas as pd

from ygan_study.report.printed import printed, sentences

MNIST, FMNIST, CIFAR10, LEAVES = DATA = ["MNIST", "FMNIST", "CIFAR10", "PlantVillage"]
TABLE = {name: printed(number).set_index("model").drop(columns="type")
         for number, name in enumerate(DATA[:3], 1)}  # fmt: skip
MEAN = pd.DataFrame({name: table["mean"] for name, table in TABLE.items()})
MEAN[LEAVES] = printed(4).query("metric == 'TNR'").set_index("model")["auc"]
STD = pd.DataFrame({name: table["std"] for name, table in TABLE.items()})
CLASSES = {name: table.drop(columns=["mean", "std"]) for name, table in TABLE.items()}
WEAK = printed(6).set_index("model").loc["Y-GAN*", DATA].astype(float)
AUCS = printed(5).set_index("variant")[DATA]
COST = (AUCS.loc["full"] - AUCS.drop("full")).round(4)
LEAD = MEAN.loc["Y-GAN"] - MEAN.drop("Y-GAN").max()
YES, NO, DEPENDS = "yes", "no", "depends on the reading"


def each(values):
    return ", ".join(f"{name} {value:.3f}" for name, value in values.items())


def signed(values):
    return ", ".join(f"{name} {value:+.3f}" for name, value in values.items())


def gain(name, over):
    return MEAN[name]["Y-GAN"] / MEAN[name][over] - 1


def smallest(name):
    return each(STD[name].sort_values(kind="stable")[:2])


def wrong_summaries():
    wrong = []
    for name, table in CLASSES.items():
        for kind, own in (("mean", table.mean(axis=1)), ("std", table.std(axis=1, ddof=0))):
            stated = TABLE[name][kind]
            for model in own.index[(own - stated).abs() > 0.001]:
                wrong.append(
                    f"{model} on {name}: {kind} {own[model]:.3f}, printed {stated[model]:.3f}"
                )
    return "; ".join(wrong)


def not_lower():
    rises = MEAN[MEAN[FMNIST] >= MEAN[MNIST]]
    return "; ".join(f"{m} {row[MNIST]:.3f} to {row[FMNIST]:.3f}" for m, row in rises.iterrows())


def no_drop():
    rows = CLASSES[MNIST].drop("Y-GAN")[["7", "9"]]
    above = rows.ge(MEAN[MNIST].drop("Y-GAN"), axis=0).stack()
    return "; ".join(f"{model} on {digit} {rows.loc[model, digit]:.3f}, its mean {MEAN[MNIST][model]:.3f}"
                     for model, digit in above.index[above])  # fmt: skip


margin = CLASSES[CIFAR10].loc["Y-GAN"] - CLASSES[CIFAR10].drop("Y-GAN").max()
mean_cost, on_cifar10 = (c.sort_values(kind="stable") for c in (COST.mean(axis=1), COST[CIFAR10]))
terms = COST.loc[["A1", "A2", "A3", "B4"]]
least = COST.loc[["B1", "B2", "B3", "B4"]].mean(axis=1).idxmin()
weak = MEAN[LEAVES]["GANomaly"], WEAK[LEAVES]
of_B1 = COST.loc["B2"] - COST.loc["B1"]


def ordered(costs, until):
    return " < ".join(
        f"{n} {c:.3f}" for n, c in costs[: list(costs.index).index("B4") + until].items()
    )


# In the order of the file: what comes out, and whether the sentence holds.
FOUND = [
    (wrong_summaries(), NO),
    (f"{gain(MNIST, 'OCGAN'):.1%}", YES),
    (f"{STD[MNIST]['OCGAN'] / STD[MNIST]['Y-GAN']:.1f} times", YES),
    (f"smallest std on MNIST: {smallest(MNIST)}", YES),
    (f"no drop: {no_drop()}", NO),
    (f"not lower: {not_lower()}", NO),
    (each(MEAN[FMNIST].drop("Y-GAN").sort_values(ascending=False)[:3]), YES),
    (f"{gain(FMNIST, 'ARNet'):.1%}", YES),
    (f"smallest std on FMNIST: {smallest(FMNIST)}", YES),
    (f"{gain(CIFAR10, 'ARNet'):.1%}", YES),
    (f"smallest margin {margin.min():+.3f} ({margin.idxmin()})", YES),
    (f"{gain(LEAVES, 'GANomaly'):.1%}", YES),
    (signed(LEAD), YES),
    ("smallest std on " + "; ".join(f"{name}: {smallest(name)}" for name in DATA[:3]), NO),
    (each(COST.loc["A3"]), YES),
    (f"L_r costs {COST.loc['A2'].mean():.3f} in the mean, L_con {COST.loc['A1'].mean():.3f}: "
     f"{COST.loc['A2'].mean() / COST.loc['A1'].mean():.1f} times", NO),
    (f"the smallest cost: A1 on MNIST, {terms.min(axis=None):.3f}; in the mean over the four datasets "
     f"{terms.mean(axis=1).min():.3f}", DEPENDS),
    (each(COST.loc["B1"]), NO),
    (f"less the whole model: {each(COST.loc['B2'])}; less B1, of which it is made: {each(of_B1)}", DEPENDS),
    (each(COST.loc["B3"]), YES),
    (f"mean cost: {ordered(mean_cost, 2)}; on CIFAR10: {ordered(on_cifar10, 2)}; of B1 to B4 the least in "
     f"the mean: {least}", DEPENDS),
    (signed(WEAK[DATA[:3]] - MEAN.drop("Y-GAN")[DATA[:3]].max()), YES),
    (f"{1 - WEAK[LEAVES] / MEAN[LEAVES]['Y-GAN']:.1%}", YES),
    (f"{weak[1] / weak[0] - 1:.1%} (its lead is {(weak[1] - weak[0]) / weak[1]:.1%} of its own AUC)", DEPENDS),
]  # fmt: skip


def test_each_sentence_recomputed_from_the_printed_tables():
    found = zip(sentences()["from its tables"], sentences()["holds there"], strict=True)
    assert list(found) == FOUND


def test_the_words_of_degree_are_read_as_the_numbers_allow():
    assert margin.min() > 0 and LEAD.min() > 0  # in every class of CIFAR10; in every mean
    assert COST.loc["A2"].mean() > 1.5 * COST.loc["A1"].mean()  # not "slightly"
    assert not COST.loc["B1"].is_monotonic_increasing
    assert COST.loc["B2", [CIFAR10, LEAVES]].min() < COST.loc["B2", FMNIST]
    assert of_B1[[CIFAR10, LEAVES]].min() > of_B1[[MNIST, FMNIST]].max()

"""The paper's sentences about its own tables: the numbers of data/paper_tables/sentences.csv,
computed once more from the printed tables.
"""

import pandas as pd

from ygan_study.report.printed import printed, sentences

MNIST, FMNIST, CIFAR10, LEAVES = DATA = ["MNIST", "FMNIST", "CIFAR10", "PlantVillage"]
TABLE = {name: printed(n).set_index("model").drop(columns="type") for n, name in enumerate(DATA[:3], 1)}  # fmt: skip
MEAN = pd.DataFrame({name: table["mean"] for name, table in TABLE.items()})
MEAN[LEAVES] = printed(4).query("metric == 'TNR'").set_index("model")["auc"]
STD = pd.DataFrame({name: table["std"] for name, table in TABLE.items()})
CLASSES = {name: table.drop(columns=["mean", "std"]) for name, table in TABLE.items()}
WEAK = printed(6).set_index("model").loc["Y-GAN*", DATA].astype(float)
AUCS = printed(5).set_index("variant")[DATA]
COST = (AUCS.loc["full"] - AUCS.drop("full")).round(4)
MEAN_COST, OF_B1 = COST.mean(axis=1), COST.loc["B2"] - COST.loc["B1"]
LEAD = MEAN.loc["Y-GAN"] - MEAN.drop("Y-GAN").max()
MARGIN = CLASSES[CIFAR10].loc["Y-GAN"] - CLASSES[CIFAR10].drop("Y-GAN").max()
TERMS = COST.loc[["A1", "A2", "A3", "B4"]]


def each(values, form=".3f", by=", "):
    return by.join(f"{name} {value:{form}}" for name, value in values.items())


def smallest(values, count, by=", "):
    return each(values.sort_values(kind="stable")[:count], by=by)


def gain(name, over):
    return MEAN[name]["Y-GAN"] / MEAN[name][over] - 1


def wrong_summaries():
    for name, table in CLASSES.items():
        for kind, own in (("mean", table.mean(axis=1)), ("std", table.std(axis=1, ddof=0))):
            stated = TABLE[name][kind]
            for model in own.index[(own - stated).abs() > 0.001]:
                yield f"{model} on {name}: {kind} {own[model]:.3f}, printed {stated[model]:.3f}"


def no_drop():
    rows = CLASSES[MNIST].drop("Y-GAN")[["7", "9"]]
    above = rows.ge(MEAN[MNIST].drop("Y-GAN"), axis=0).stack()
    for model, digit in above.index[above]:
        yield f"{model} on {digit} {rows.loc[model, digit]:.3f}, its mean {MEAN[MNIST][model]:.3f}"


def not_lower():
    for model, row in MEAN[MEAN[FMNIST] >= MEAN[MNIST]].iterrows():
        yield f"{model} {row[MNIST]:.3f} to {row[FMNIST]:.3f}"


# What each row of the file says, in its order.
FOUND = [
    [*wrong_summaries()],
    [f"{gain(MNIST, 'OCGAN'):.1%}"],
    [f"{STD[MNIST]['OCGAN'] / STD[MNIST]['Y-GAN']:.1f} times"],
    [smallest(STD[MNIST], 2)],
    [*no_drop()],
    [*not_lower()],
    [each(MEAN[FMNIST].drop("Y-GAN").sort_values(ascending=False)[:3])],
    [f"{gain(FMNIST, 'ARNet'):.1%}"],
    [smallest(STD[FMNIST], 2)],
    [f"{gain(CIFAR10, 'ARNet'):.1%}"],
    [f"{MARGIN.min():+.3f} ({MARGIN.idxmin()})"],
    [f"{gain(LEAVES, 'GANomaly'):.1%}"],
    [each(LEAD, "+.3f")],
    [smallest(STD[name], 2) for name in DATA[:3]],
    [each(COST.loc["A3"])],
    [f"{MEAN_COST['A2']:.3f}", f"{MEAN_COST['A1']:.3f}", f"{MEAN_COST['A2'] / MEAN_COST['A1']:.1f} times"],
    [f"A1 on MNIST, {TERMS.min(axis=None):.3f}", f"{TERMS.mean(axis=1).min():.3f}"],
    [each(COST.loc["B1"])],
    [each(COST.loc["B2"]), each(OF_B1)],
    [each(COST.loc["B3"])],
    [smallest(MEAN_COST, 3, " < "), smallest(COST[CIFAR10], 4, " < "), MEAN_COST["B1":"B4"].idxmin()],
    [each(WEAK[DATA[:3]] - MEAN.drop("Y-GAN")[DATA[:3]].max(), "+.3f")],
    [f"{1 - WEAK[LEAVES] / MEAN[LEAVES]['Y-GAN']:.1%}"],
    [f"{WEAK[LEAVES] / MEAN[LEAVES]['GANomaly'] - 1:.1%}", f"{1 - MEAN[LEAVES]['GANomaly'] / WEAK[LEAVES]:.1%}"],
]  # fmt: skip


def test_the_numbers_of_each_sentence():
    for text, found in zip(sentences()["from its tables"], FOUND, strict=True):
        assert found and all(number in text for number in found), text


def test_the_words_of_degree_are_read_as_the_numbers_allow():
    assert sentences()["holds there"].isin(["yes", "no", "depends on the reading"]).all()
    assert MARGIN.min() > 0 and LEAD.min() > 0  # in every class of CIFAR10; in every mean
    assert MEAN_COST["A2"] > 1.5 * MEAN_COST["A1"]  # not "slightly"
    assert not COST.loc["B1"].is_monotonic_increasing
    assert COST.loc["B2", [CIFAR10, LEAVES]].min() < COST.loc["B2", FMNIST]
    assert OF_B1[[CIFAR10, LEAVES]].min() > OF_B1[[MNIST, FMNIST]].max()

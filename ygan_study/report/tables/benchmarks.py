"""Tables 1 to 6, beside what the paper prints."""

from functools import partial

import pandas as pd

from ygan_study.plan.settings import TENS
from ygan_study.report.printed import CLUSTERS, IMAGE_SIZE, NUMBERS, PURITY, class_names, printed
from ygan_study.report.render import DIFFERENCE, NOT_BLIND, OURS, PAPER
from ygan_study.report.rows import REAL, TITLES, trainings_of
from ygan_study.report.statistics import difference
from ygan_study.report.tables import shared
from ygan_study.report.tables.shared import MEAN, TABLES_1_TO_4, beside_whole
from ygan_study.report.view import View, selected

NAMES = [TITLES[dataset] for dataset in REAL]
CORE = ("training_seconds", "inference_us")  # of a training on a CPU alone
RATES = {"TNR at EER": "tnr_eer", "TPR at EER": "tpr_eer"}
RATES |= {"TNR at threshold": "tnr", "TPR at threshold": "tpr"}


def benchmark(number: int, rows: pd.DataFrame) -> pd.DataFrame:
    """AUC by held-out class, as printed and as measured here, where a class is the mean of its
    seeds.

    Mean and standard deviation (population) are over the ten held-out classes.
    """
    classes = class_names(number)
    paper = printed(number).rename(columns={"model": "title", "std": "std over classes"})
    paper[MEAN] = [f"{m:.3f} ± {s:.3f}" for m, s in paper[["mean", "std over classes"]].to_numpy()]
    trainings = trainings_of(rows, metrics=CORE)
    auc = trainings.pivot_table(index="name", columns="held_out", values="auc", sort=False)
    auc = auc.reindex(columns=range(len(classes))).set_axis(classes, axis=1)
    about = shared.summary(trainings, "name")
    parts = [about, auc, shared.other_weights(rows, "name"), shared.details(trainings, "name")]
    table = _beside(paper, trainings, pd.concat(parts, axis=1), [*classes, "mean"])
    table.attrs = {"shown": [MEAN, *classes, "seeds"], "best": classes, "marked": [MEAN]}
    return table


def table4(rows: pd.DataFrame) -> pd.DataFrame:
    """PlantVillage, with diseased leaves as anomalies: the AUC over all leaves, and at two
    thresholds the share of diseased leaves that are flagged (TPR) and of healthy ones that are not
    (TNR).

    The thresholds are the score at which both error rates of the test set are equal (EER), and the
    95th percentile of the scores of healthy leaves that were not trained on.
    """
    species = class_names(4)
    paper = printed(4).rename(columns={"model": "title", "auc": "AUC"})
    rates = paper.pivot(index="title", columns="metric", values=species)
    rates.columns = [f"{rate} at EER: {name}" for name, rate in rates.columns]
    paper = paper.groupby("title", sort=False)[["AUC"]].first().join(rates).reset_index()
    size = {"image size": str(IMAGE_SIZE["plantvillage"]), "species": str(len(species))}
    trainings = trainings_of(rows, metrics=CORE)
    by_species = _means(trainings, [f"auc:{name}" for name in species])
    columns = {"calibration": "calibration images"}
    for name, rate in RATES.items():
        columns |= {rate: name} | {f"{rate}:{each}": f"{name}: {each}" for each in species}
    parts = [shared.summary(trainings, "name").drop(columns=[MEAN, "n"])]
    parts.append(by_species.mean(axis=1).rename("mean over species"))
    parts.append(by_species.std(axis=1, ddof=0).rename("std over species"))
    parts.append(_means(trainings, list(columns)).rename(columns=columns))
    parts += [shared.other_weights(rows, "name", "AUC"), shared.details(trainings, "name")]
    ours = pd.concat(parts, axis=1).rename(columns={"mean": "AUC", "held out": "species"})
    ours["species"] = ours["species"].str.removesuffix(" species")
    table = _beside(paper.assign(**size), trainings, ours, [*rates, "AUC"])
    table.attrs = {"shown": ["AUC", *RATES, "species", "image size", "seeds"], "best": ["AUC"]}
    return table


def table4_species(rows: pd.DataFrame) -> pd.DataFrame:
    """PlantVillage by species: the rates at the EER, of Y-GAN as printed, and here of Y-GAN and
    the plain classifier.
    """
    table, found = table4(rows), {}
    labelled = table.index[table["knows"] == "class labels"]
    for place in [(PAPER, "Y-GAN"), *(place for place in labelled if "," not in place[1])]:
        for rate in ("TNR", "TPR"):
            name = f"{place[1]}{', as printed' * (place[0] == PAPER)}: {rate}"
            found[name] = [table.at[place, f"{rate} at EER: {each}"] for each in class_names(4)]
    return pd.DataFrame(found, index=pd.Index(class_names(4), name="species"))


def _means(trainings: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    return trainings.reindex(columns=["name", *metrics]).groupby("name", sort=False).mean()


def _beside(
    paper: pd.DataFrame, trainings: pd.DataFrame, ours: pd.DataFrame, values: list[str]
) -> pd.DataFrame:
    """Our rows below the paper's. values: what is subtracted, last what is over all classes."""
    groups = trainings.groupby("name", sort=False)
    comparable = groups[list(trainings)].apply(shared.is_comparable).loc[ours.index]
    like = pd.DataFrame({name: comparable for name in values})
    like[values[-1]] &= groups[list(trainings)].apply(shared.has_all_classes)
    ours = ours.assign(title=groups["title"].first()).rename_axis("name").reset_index()
    paper = paper.assign(name=paper["title"]).drop(columns="type", errors="ignore")
    return _with_differences(paper, ours, like, ["title"]).drop(columns="title")


def _with_differences(
    paper: pd.DataFrame, ours: pd.DataFrame, like: pd.DataFrame, key: list[str]
) -> pd.DataFrame:
    """The paper's rows, ours, and ours minus the paper's where they can be compared.

    like: bool, a column a value and a row a row of ours: whether it was measured as the paper's
    was. key: the columns by which a row of ours finds its row of the paper; name: what a row is
    called.
    """
    values = list(like)
    theirs = ours[key].merge(paper[[*key, *values]], "left", on=key)[values]
    gaps = (ours[values] - theirs.to_numpy()).where(like.to_numpy()).dropna(how="all")
    blocks = {PAPER: paper, OURS: ours, DIFFERENCE: gaps.join(ours[["name", *key]])}
    table = pd.concat([block.assign(source=name) for name, block in blocks.items() if len(block)])
    return table.rename(columns={"name": "method"}).set_index(["source", "method"])


def table5(rows: pd.DataFrame) -> pd.DataFrame:
    """AUC of Y-GAN without some of its parts (section 6.2), means over the ten held-out classes.

    In parentheses: the classes, where not all ten were trained. The complete model is shown with
    the classes and seeds that are planned for its variants.
    """
    paper = printed(5).rename(columns={"description": "part"})
    return _by_dataset(paper, rows, "variant", "full")


def table6(rows: pd.DataFrame) -> pd.DataFrame:
    """AUC with the true classes, and with k-means clusters in their place (Y-GAN*, section 6.3).

    In parentheses: the classes, where not all ten were trained. True classes are shown with the
    held-out classes and seeds that are planned for clusters.
    """
    paper = printed(6).rename(columns={"model": "title", "labels": "part"})
    return _by_dataset(paper, rows, "title", "Y-GAN")


def weak_labels(rows: pd.DataFrame) -> pd.DataFrame:
    """The clusters of section 6.3: their number k, and their purity, the share of images whose
    class is the commonest of their cluster.

    *As written* is the section's own recipe; Y-GAN* is trained with the *cosine* form here
    (notebook 04).
    """
    found = trainings_of(rows).drop_duplicates(["dataset", "held_out", "split_seed"])
    network = found.filter(like="features:").stack().reset_index(level=1)
    network.columns = ["name", "side"]
    table = pd.DataFrame(
        {
            "dataset": found["dataset"].map(TITLES),
            "held out": found["class"],
            "split": found["split_seed"],
            "classes": found["classes"].astype(int),
            "k, paper": found["dataset"].map(CLUSTERS),
            "k, as written": found["clusters_as_written"].astype(int),
            "k, cosine": found["clusters"].astype(int),
            "purity, paper": found["dataset"].map(PURITY),
            "purity, as written": found["purity_as_written"],
            "purity, cosine": found["purity"],
            "features of": network["name"].str.partition(":")[2],
            "image size": network["side"].astype(int),
        }
    )
    return table.set_index(["dataset", "held out", "split"])


def _by_dataset(paper: pd.DataFrame, rows: pd.DataFrame, key: str, whole: str) -> pd.DataFrame:
    """Mean AUC of each row and dataset, as printed and as measured here.

    key: the column that names a row, in the paper as here; whole: its value for Y-GAN with all
    its parts and the true classes. cost: how much lower a row is than Y-GAN whole, with its
    interval.
    """
    trainings, by = trainings_of(rows), [key, "configuration", "dataset"]
    groups = trainings.groupby(by, sort=False)[list(trainings)]

    def cost(own: pd.DataFrame) -> pd.Series:
        wholes = trainings[trainings[key] == whole].merge(own[by[1:]].drop_duplicates())
        return pd.Series(difference(wholes, own).columns)[["mean", "low", "high"]]

    every, costs = groups.apply(shared.has_all_classes), groups.apply(cost).add_prefix("cost, ")
    about = [
        shared.summary(trainings, by),
        shared.details(trainings, by)[["weights", "width", "epochs"]],
    ]
    ours = pd.concat([*about, shared.other_weights(rows, by), costs], axis=1)
    ours = ours.drop(columns=MEAN).rename(columns={"mean": "AUC"})
    few = (" (" + ours["held out"] + ")").mask(every, "")
    ours["shown"] = ours["AUC"].map("{:.3f}".format) + few
    ours["like"] = every & groups.apply(shared.is_comparable)
    ours = ours.reset_index().assign(dataset=lambda t: t["dataset"].map(TITLES))
    ours.insert(0, "name", ours[key] + " (" + ours.pop("configuration") + ")")
    parts = paper.set_index(key)["part"]
    order = list(dict.fromkeys([*parts.index, *ours[key]]))
    places = ours[key].map(order.index).sort_values(kind="stable")
    ours = ours.loc[places.index].reset_index(drop=True)
    ours["part"] = ours[key].map(parts).fillna("not in the paper")
    paper = paper.melt([key, "part"], NAMES, "dataset", "AUC").assign(name=lambda t: t[key])
    paper["shown"] = paper["AUC"].map("{:.3f}".format)
    like = ours[["like"]].set_axis(["AUC"], axis=1)
    table = _with_differences(paper, ours.drop(columns="like"), like, [key, "dataset"])
    table = table.drop(columns=key).set_index("dataset", append=True)
    table.attrs["shown"] = _by_columns
    return table


def _by_columns(table: pd.DataFrame) -> pd.DataFrame:
    """A row a variant, a column a dataset; the held-out classes by name where some are missing."""
    table = table.drop(index=DIFFERENCE, level="source", errors="ignore")
    rows = table.groupby(["source", "method"], sort=False)
    wide = rows[["part"]].first().join(table["shown"].unstack("dataset").reindex(columns=NAMES))
    wide["seeds"] = rows["seeds"].agg(shared.joined)
    chosen = table.reset_index("dataset").query(f"`{NOT_BLIND}` > ''")
    wide[NOT_BLIND] = chosen.groupby(["source", "method"])["dataset"].agg(", ".join)
    return wide.rename(columns={"part": "description"})


LEAVES = selected(dataset="plantvillage", group=(*TABLES_1_TO_4, "background_only"))
TABLES = {
    f"table{NUMBERS[dataset]}": View(
        partial(benchmark, NUMBERS[dataset]),
        selected(dataset=dataset, group=TABLES_1_TO_4),
        f"Table {NUMBERS[dataset]}: {TITLES[dataset]}",
    )
    for dataset in TENS
}
TABLES |= {
    "table4": View(table4, LEAVES, "Table 4: PlantVillage"),
    "table4_species": View(table4_species, LEAVES, "Table 4 by species"),
    "table5": View(table5, beside_whole("ablations"), "Table 5: Y-GAN without some of its parts"),
    "table6": View(table6, beside_whole("weak_labels"), "Table 6: clusters in place of classes"),
    "weak_labels": View(weak_labels, selected(group="weak_labels"), "Weak labels: the clusters"),
}

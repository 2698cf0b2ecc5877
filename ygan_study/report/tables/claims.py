"""Do the paper's claims hold? The claims are data, in claims.csv; here is how each is judged.

A claim has cases: trainings of one method, width and length that speak to it. A verdict is about
the paper's own scale. What smaller trainings show is shown, but is no verdict, unless one example
is enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from ygan_core.config import TENS, Config
from ygan_study.measure.numbers import SEVEN
from ygan_study.methods import METHODS
from ygan_study.plan.jobs import Job
from ygan_study.report.printed import (
    CHANCE,
    PURITY,
    paper_auc,
    paper_epochs,
    printed,
    weak_label_costs,
)
from ygan_study.report.printed import sentences as printed_sentences
from ygan_study.report.rows import TITLES, trainings_of
from ygan_study.report.statistics import HIGHER, LOWER, ONE_TRAINING, Estimate, difference, level
from ygan_study.report.tables import shared
from ygan_study.report.view import View
from ygan_study.run.folder import AVERAGED
from ygan_study.run.store import Study

HOLDS, FAILS, PART = "holds", "does not hold", "holds in part"
UNTESTED = "not tested at the paper's scale"
NEAR = 0.01  # a printed number is met where the whole interval lies no further from it
SHARE = 0.9  # of the images, where a claim about images holds
LEAK = 2  # a latent tells what is read off it more than twice as often as by chance

# Trainings; whether the claim holds in them, None where they cannot tell; what is shown of them.
Case = tuple[pd.DataFrame, bool | None, dict]


def claims(rows: pd.DataFrame) -> pd.DataFrame:
    """What the paper claims, a verdict, and the numbers measured here, with 95 % intervals in
    brackets.

    *Not tested at the paper's scale*: trained here in fewer epochs, with fewer filters or
    classes, or once.
    """
    found = pd.read_csv(Path(__file__).with_suffix(".csv"), keep_default_na=False)
    table = pd.DataFrame([row for _, claim in found.iterrows() if (row := judge(claim, rows))])
    table.attrs["shown"] = ["verdict", "seen here"]
    return table.set_index("claim")


def answers(rows: pd.DataFrame) -> pd.DataFrame:
    """Questions about the paper: a verdict over the claims of each, and what the first of them
    shows.
    """
    table = claims(rows)
    topics = table[table["topic"] != ""].groupby("topic", sort=False)
    verdicts = topics["verdict"].agg(lambda words: together(list(words)))
    return verdicts.to_frame().assign(**{"seen here": topics["seen here"].first()})


def judge(claim: pd.Series, rows: pd.DataFrame) -> dict | None:
    """A claim as a row of the table; None where nothing was trained for it. rows: of runs.csv.

    judged: *at scale*: by trainings of the paper's scale alone; *by example*: also by a smaller
    one in which it holds; *here*: a claim about the trainings of this project, at their own
    scale. needs: how many cases decide it.
    """
    name, *arguments = claim["cases"].split()
    if not (cases := list(CASES[name](rows, *arguments))):
        return None
    words = [_word(claim["judged"], own, holds) for own, holds, _ in cases]
    trainings = pd.concat([own for own, _, _ in cases]).drop_duplicates("job")
    seen = "; ".join(claim["seen here"].format(**_about(own), **s) for own, _, s in cases)
    found = {"verdict": together(words + [UNTESTED] * (claim["needs"] - len(words)))}
    found |= {"seen here": seen, "trainings": len(trainings)}
    found["not blind"] = int(shared.is_chosen(trainings).sum())
    return claim[["topic", "claim", "shown by"]].to_dict() | found


def together(words: list[str]) -> str:
    """One verdict of several."""
    if len(set(words)) == 1:
        return words[0]
    if HOLDS in words or PART in words:
        return PART
    return FAILS if FAILS in words else UNTESTED


def _word(judged: str, own: pd.DataFrame, holds: bool | None) -> str:
    counts = judged == "here" or (judged == "by example" and holds) or at_scale(own)
    return UNTESTED if holds is None or not counts else HOLDS if holds else FAILS


def at_scale(own: pd.DataFrame) -> bool:
    """Whether trainings, of one dataset, have the paper's width, epochs, image size, and all its
    classes.
    """
    dataset = own["dataset"].iloc[0]
    long = (own["width"] >= Config().width) & (own["epochs"] >= paper_epochs(dataset))
    whole = dataset == "color_mnist" or shared.has_all_classes(own)
    return bool(long.all() and whole and shared.is_comparable(own))


def _about(own: pd.DataFrame) -> dict:
    """What the template of any claim may show."""
    dataset, epochs = own["dataset"].iloc[0], int(own["epochs"].max())
    few = dataset in TENS and not shared.has_all_classes(own)
    return {
        "dataset": TITLES[dataset],
        "method": f"`{own['key'].iloc[0]}`",
        "length": f"{epochs} of {paper_epochs(dataset)} epochs",
        "where": f" ({shared.classes_of(own)} only)" * few,
    }


def y_gan(trainings: pd.DataFrame) -> pd.DataFrame:
    """Y-GAN with all its parts and the true labels, in the configurations `paper` and
    `balanced`.
    """
    whole = (trainings["variant"] == "full") & (trainings["deviation"] == "none")
    return trainings[whole & (trainings["title"] == METHODS["paper"].title)]


def sizes(trainings: pd.DataFrame) -> list[pd.DataFrame]:
    """The trainings of each dataset and method that have the same width and epochs."""
    groups = trainings.groupby(["dataset", "key", "width", "epochs"], sort=False)
    return [own for _, own in groups]


def pairs(
    a: pd.DataFrame, b: pd.DataFrame, by: str, metric: str = "auc"
) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame, Estimate]]:
    """Trainings of `a` beside each group of `b` on the same dataset and in the same classes: a -
    b.
    """
    for own in sizes(a):
        for name, those in b[b["dataset"] == own["dataset"].iloc[0]].groupby(by, sort=False):
            gap = difference(own, those, metric)
            if gap.n:
                yield name, own[own["held_out"].isin(those["held_out"])], those, gap


def is_above(gap: Estimate) -> bool | None:
    """Whether a difference is clearly above 0; None where one training cannot tell."""
    return None if gap.word == ONE_TRAINING else gap.word == HIGHER


def against_printed(own: pd.DataFrame) -> tuple[Estimate, dict]:
    """How far trainings, of one dataset, lie above what is printed for Y-GAN; and both numbers."""
    dataset, classes = own["dataset"].iloc[0], sorted(set(own["held_out"]))
    claimed = pd.Series({held_out: paper_auc(dataset, [held_out]) for held_out in classes})
    return level(own, less=claimed), {"found": level(own), "printed": claimed.mean()}


def levels(rows: pd.DataFrame, dataset: str) -> Iterator[Case]:
    """Is the AUC the printed one?"""
    for own in sizes(y_gan(trainings_of(rows[rows["dataset"] == dataset]))):
        gap, seen = against_printed(own)
        clear = gap.low >= -NEAR or gap.word == LOWER
        whole = shared.has_all_classes(own) and gap.word != ONE_TRAINING
        yield own, gap.low >= -NEAR if whole and clear else None, seen


def images(rows: pd.DataFrame, what: str) -> Iterator[Case]:
    """Do the swaps and probes of Color-MNIST show it, in every training?"""
    metrics = ["swap_digit", "swap_colour", "read_digit"]
    metrics += [f"probe_{each}_{z}" for each in ("digit", "colour") for z in ("z_s", "z_r")]
    trainings = trainings_of(rows[rows["dataset"] == "color_mnist"], metrics=metrics)
    for own in sizes(y_gan(trainings.dropna(subset=metrics))):
        read = {name: own[name] for name in metrics}
        holds = {
            "swaps": (read["swap_digit"] >= SHARE * read["read_digit"])
            & (read["swap_colour"] >= SHARE),
            "separates": (read["probe_digit_z_s"] >= SHARE) & (read["probe_colour_z_r"] >= SHARE),
            "keeps_apart": (read["probe_colour_z_s"] <= LEAK * CHANCE["colour"])
            & (read["probe_digit_z_r"] <= LEAK * CHANCE["digit"]),
        }
        yield own, bool(holds[what].all()), own[metrics].mean().to_dict()


def neighbours(rows: pd.DataFrame) -> Iterator[Case]:
    """Is the nearest neighbour by z_s of the same class, and by z_r no more often than by
    chance?
    """
    metrics = ["neighbours_z_s", "neighbours_z_r"]
    trainings = trainings_of(rows[rows["dataset"] == "cifar10"], metrics=metrics)
    for own in sizes(y_gan(trainings.dropna(subset=metrics))):
        z_s, z_r = (level(own, metric, less=CHANCE["digit"]) for metric in metrics)
        holds = None if z_r.word == ONE_TRAINING else z_s.word == HIGHER and z_r.word != HIGHER
        yield own, holds, {z: own[f"neighbours_{z}"].mean() for z in ("z_s", "z_r")}


def scores(rows: pd.DataFrame) -> Iterator[Case]:
    """Is s clearly above each of the other six scores, on the datasets of Fig. 8?"""
    metrics = {score: f"auc_{score}" for score in SEVEN}
    shown = rows[rows["dataset"].isin(["cifar10", "plantvillage"])]
    trainings = trainings_of(shown, metrics=metrics.values()).dropna(subset=metrics.values())
    for own in sizes(y_gan(trainings)):
        means = {score: level(own, metric).mean for score, metric in metrics.items()}
        others = [own.assign(auc=own[metric]) for score, metric in metrics.items() if score != "s"]
        above = [is_above(difference(own, other)) for other in others]
        best = max(means, key=means.get)
        seen = {"best": best, "of_best": means[best], "s": means["s"]}
        yield own, None if None in above else all(above), seen


def rivals(rows: pd.DataFrame) -> Iterator[Case]:
    """Is Y-GAN clearly above each rival that saw as many images as its authors train it on?"""
    trainings, own = trainings_of(rows), y_gan(trainings_of(rows))
    own = own[own["key"] == ("paper" if "paper" in set(own["key"]) else "balanced")]
    theirs = trainings[trainings["title"].isin(set(printed(1)["model"]) - {"Y-GAN"})]
    theirs = theirs[shared.share_of_schedule(theirs) >= 1]
    for name, here, _, gap in pairs(own, theirs, "title"):
        yield here, is_above(gap), {"gap": gap, "name": name}


def parts(rows: pd.DataFrame) -> Iterator[Case]:
    """Does each variant that the paper's Table 5 has cost AUC?"""
    trainings = trainings_of(rows)
    variants = trainings[trainings["variant"].isin(set(printed(5)["variant"]) - {"full"})]
    for name, own, those, cost in pairs(y_gan(trainings), variants, "variant"):
        if (own.iloc[0][["key", "epochs"]] == those.iloc[0][["key", "epochs"]]).all():
            yield own, is_above(cost), {"gap": cost, "name": name}


def weak(rows: pd.DataFrame) -> Iterator[Case]:
    """Do clusters in place of classes cost what Table 6 says?"""
    trainings, claimed = trainings_of(rows, metrics=["purity"]), weak_label_costs()
    clustered = trainings[trainings["labels"] == "weak"]
    for key, own, those, cost in pairs(y_gan(trainings), clustered, "key"):
        if key == own["key"].iloc[0] and own["epochs"].iloc[0] == those["epochs"].iloc[0]:
            dataset = own["dataset"].iloc[0]
            near = max(abs(cost.low - claimed[dataset]), abs(cost.high - claimed[dataset])) <= NEAR
            seen = {"purity": those["purity"].mean(), "purity_printed": PURITY[dataset]}
            yield those, None if cost.word == ONE_TRAINING else near, {"gap": cost, **seen}


def objective(rows: pd.DataFrame) -> Iterator[Case]:
    """Beside the public code's objective: do the printed equations give the printed AUC?"""
    trainings = trainings_of(rows)
    own, code = (trainings[trainings["key"] == key] for key in ("paper", "public_code"))
    for _, here, those, _ in pairs(y_gan(own), code, "key"):
        if here["epochs"].iloc[0] == those["epochs"].iloc[0]:
            gap, seen = against_printed(here)
            holds = None if gap.word == ONE_TRAINING else gap.low >= -NEAR
            yield here, holds, seen | {"code": level(those)}


def contrast(rows: pd.DataFrame, key: str, metric: str) -> Iterator[Case]:
    """Is Y-GAN above the plain classifier? With averaged weights of both."""
    trainings = trainings_of(rows, AVERAGED, metrics=[metric])
    plain = trainings[(trainings["configuration"] == "classifier") & (trainings["pixels"] == "all")]
    own = y_gan(trainings[trainings["key"] == key])
    for _, here, those, gap in pairs(own, plain, "width", metric):
        if gap.n > 1 and len(here) > 1 and here["width"].iloc[0] == those["width"].iloc[0]:
            yield here, is_above(gap), {"gap": gap}


def reach(rows: pd.DataFrame, key: str) -> Iterator[Case]:
    """Does a classifier reach what is printed for Y-GAN? With averaged weights."""
    trainings = trainings_of(rows[rows["dataset"].isin(TENS)], AVERAGED)
    for own in sizes(trainings[trainings["configuration"] == key]):
        gap, seen = against_printed(own)
        if shared.has_all_classes(own):
            yield own, gap.word != LOWER, seen


CASES = {
    case.__name__: case
    for case in (levels, images, neighbours, scores, rivals, parts, weak, objective)
} | {"contrast": contrast, "reach": reach}


def sentences(rows: pd.DataFrame) -> pd.DataFrame:
    """Sentences of the paper about its own tables: what comes out when they are recomputed from
    these tables.
    """
    return printed_sentences().set_index("the paper says")


def _jobs(study: Study) -> list[Job]:
    groups = (*shared.TABLES_1_TO_4, "color_mnist", "paper_size")
    return study.select(group=(*groups, "ablations", "weak_labels", "deviations"))


TABLES = {
    "claims": View(claims, _jobs, "Do the paper's claims hold?"),
    "answers": View(answers, _jobs, "Does it hold? In short"),
    "sentences": View(sentences, _jobs, "The paper's sentences about its own tables"),
}

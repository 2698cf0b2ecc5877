"""Do the paper's claims hold? The claims are data, in claims.csv: what is said, the rule, the
template.

Here are the cases of each: the trainings of one method, width and length that speak to it, and
their numbers. A verdict on a claim of the paper is about the paper's own scale; what smaller
trainings show is no verdict, unless one example is enough.
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from ygan_study.measure.numbers import SEVEN
from ygan_study.methods import METHODS
from ygan_study.methods.public_code import PROGRAM
from ygan_study.plan.settings import TENS
from ygan_study.report import printed
from ygan_study.report.rows import TITLES, trainings_of
from ygan_study.report.statistics import HIGHER, LOWER, Estimate, difference, level
from ygan_study.report.tables import shared
from ygan_study.report.view import View, selected
from ygan_study.run.folder import AVERAGED

HOLDS, FAILS, PART = "holds", "does not hold", "holds in part"
UNTESTED = "not tested at the paper's scale"
CLAIMS = pd.read_csv(Path(__file__).with_suffix(".csv"), keep_default_na=False)

# Trainings; the numbers that the rule is about, a row a training or one in all; what else is shown.
Case = tuple[pd.DataFrame, pd.DataFrame, dict]


def claims(rows: pd.DataFrame) -> pd.DataFrame:
    """What the paper claims, a verdict, and the numbers measured here, with 95 % intervals in
    brackets.

    *Not tested at the paper's scale*: trained here in fewer epochs, with fewer filters or
    classes, or once. Claims that begin with *At the scale tried here* are ours.
    """
    table = pd.DataFrame([row for _, claim in CLAIMS.iterrows() if (row := judge(claim, rows))])
    table.attrs["shown"] = ["verdict", "seen here"]
    return table.set_index("claim")


def sentences(rows: pd.DataFrame) -> pd.DataFrame:
    """Sentences of the paper about its own tables, recomputed from these tables."""
    return printed.sentences().set_index("the paper says")


def judge(claim: pd.Series, rows: pd.DataFrame) -> dict | None:
    """A claim as a row of the table; None where nothing was trained for it. rows: of runs.csv.

    judged: *at scale*, by trainings of the paper's scale alone; *by example*, also by a smaller
    one in which it holds; *here*, at the scale of this project, whose claim it is. needs: how
    many cases decide it. holds if, fails if: of the numbers of a case; an interval that is not
    known fulfils neither.
    """
    name, *arguments = claim["cases"].split()
    words, seen, trainings = [], [], []
    for own, numbers, others in CASES[name](rows, *arguments):
        holds, fails = (bool(numbers.eval(claim[rule]).all()) for rule in ("holds if", "fails if"))
        counts = claim["judged"] == "here" or at_scale(own)
        holds &= counts or claim["judged"] == "by example"
        words.append(HOLDS if holds else FAILS if fails and counts else UNTESTED)
        seen.append(claim["seen here"].format(**_about(own), **numbers.mean(), **others))
        trainings.append(own)
    if not trainings:
        return None
    jobs = pd.concat(trainings).drop_duplicates("job")
    return {
        **claim[["claim", "shown by"]],
        "verdict": together(words + [UNTESTED] * (claim["needs"] - len(words))),
        "seen here": "; ".join(seen),
        "trainings": len(jobs),
        "of these not blind": int(jobs["chosen"].sum()),
    }


def together(words: list[str]) -> str:
    """One verdict of several."""
    if len(set(words)) == 1:
        return words[0]
    if HOLDS in words or PART in words:
        return PART
    return FAILS if FAILS in words else UNTESTED


def at_scale(own: pd.DataFrame) -> bool:
    """Whether trainings, of one dataset, have the paper's width, epochs, image size and classes."""
    dataset = own["dataset"].iloc[0]
    whole = dataset == "color_mnist" or shared.has_all_classes(own)
    return bool(shared.of_papers_size(own).all() and whole and shared.is_comparable(own))


def _about(own: pd.DataFrame) -> dict:
    """What the template of any claim may show."""
    dataset, epochs = own["dataset"].iloc[0], int(own["epochs"].max())
    few = dataset in TENS and not shared.has_all_classes(own)
    length = f"{epochs} of {printed.paper_epochs(dataset)} epochs"
    where = f" ({shared.classes_of(own)} only)" * few
    method = f"`{own['key'].iloc[0]}`"
    return {"dataset": TITLES[dataset], "method": method, "length": length, "where": where}


def y_gan(trainings: pd.DataFrame) -> pd.DataFrame:
    """Y-GAN with all its parts and the true labels, `paper` and `balanced`."""
    whole = (trainings["variant"] == "full") & (trainings["deviation"] == "none")
    return trainings[whole & (trainings["title"] == METHODS["paper"].title)]


def sizes(trainings: pd.DataFrame) -> list[pd.DataFrame]:
    """The trainings of each dataset and method that have the same width and epochs."""
    groups = trainings.groupby(["dataset", "key", "width", "epochs"], sort=False)
    return [own for _, own in groups]


def pairs(
    a: pd.DataFrame, b: pd.DataFrame, by: str, same: tuple[str, ...] = (), metric: str = "auc"
) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame, Estimate]]:
    """Trainings of `a` and of each group of `b`, on the same dataset and classes and with the
    same of these settings, and how much higher a is.
    """
    for own in sizes(a):
        alike = b.merge(own[["dataset", *same]].drop_duplicates())
        for name, those in alike.groupby(by, sort=False):
            gap = difference(own, those, metric)
            if gap.n:
                yield name, own[own["held_out"].isin(those["held_out"])], those, gap


def one(own: pd.DataFrame, numbers: dict, **seen) -> Case:
    """A case with one row of numbers, and what else is shown."""
    return own, pd.DataFrame([numbers]), seen


def against_printed(own: pd.DataFrame) -> Case:
    """Trainings, of one dataset, beside what is printed for Y-GAN in the same classes."""
    claimed = printed.paper_aucs(own["dataset"].iloc[0], own["held_out"])
    numbers = level(own, less=claimed).columns | {"whole": shared.has_all_classes(own)}
    return one(own, numbers, found=level(own), printed=claimed.mean())


def levels(rows: pd.DataFrame, dataset: str) -> Iterator[Case]:
    """Y-GAN's AUC beside the printed one."""
    return map(against_printed, sizes(y_gan(trainings_of(rows[rows["dataset"] == dataset]))))


def images(rows: pd.DataFrame) -> Iterator[Case]:
    """The swaps and probes of Color-MNIST, of each training."""
    metrics = ["swap_digit", "swap_colour", "read_digit"]
    metrics += [f"probe_{each}_{z}" for each in ("digit", "colour") for z in ("z_s", "z_r")]
    trainings = trainings_of(rows[rows["dataset"] == "color_mnist"], metrics=metrics)
    trained = trainings[trainings["labels"] == "true"].dropna(subset=metrics)
    for own in sizes(trained[trained["variant"] == "full"]):
        yield own, own[metrics], {}


def neighbours(rows: pd.DataFrame) -> Iterator[Case]:
    """How often the nearest neighbour of an image by each latent has its class."""
    metrics = ["neighbours_z_s", "neighbours_z_r"]
    trainings = trainings_of(rows[rows["dataset"] == "cifar10"], metrics=metrics)
    for own in sizes(y_gan(trainings.dropna(subset=metrics))):
        z_s, z_r = (level(own, metric) for metric in metrics)
        numbers = {"z_s": z_s.mean, "z_r": z_r.mean, "z_s_low": z_s.low, "z_r_low": z_r.low}
        yield one(own, numbers)


def scores(rows: pd.DataFrame) -> Iterator[Case]:
    """How many of the paper's six other scores s is clearly above, or below."""
    metrics = {score: f"auc_{score}" for score in SEVEN}
    shown = rows[rows["dataset"].isin(["cifar10", "plantvillage"])]
    trainings = trainings_of(shown, metrics=metrics.values()).dropna(subset=metrics.values())
    for own in sizes(y_gan(trainings)):
        means = {score: level(own, metric).mean for score, metric in metrics.items()}
        words = [difference(own, own.assign(auc=own[metrics[other]])).word for other in SEVEN[1:]]
        best = max(means, key=means.get)
        numbers = {"above": words.count(HIGHER), "below": words.count(LOWER)}
        yield one(own, numbers, s=means["s"], best=best, of_best=means[best])


def baselines(rows: pd.DataFrame) -> Iterator[Case]:
    """Y-GAN minus each baseline that saw as many images as its authors train it on."""
    trainings = trainings_of(rows)
    own = y_gan(trainings)
    own = own[own["key"] == ("paper" if "paper" in set(own["key"]) else "balanced")]
    theirs = trainings[trainings["title"].isin(set(printed.printed(1)["model"]) - {"Y-GAN"})]
    theirs = theirs[theirs["schedule"] >= shared.FULL_SCHEDULE]
    for name, here, _, gap in pairs(own, theirs, "title"):
        yield one(here, gap.columns, gap=gap, name=name)


def parts(rows: pd.DataFrame) -> Iterator[Case]:
    """Y-GAN minus each of its variants that the paper's Table 5 has."""
    trainings, names = trainings_of(rows), set(printed.printed(5)["variant"]) - {"full"}
    variants = trainings[trainings["variant"].isin(names)]
    for name, _, those, cost in pairs(y_gan(trainings), variants, "variant", ("key", "epochs")):
        yield one(those, cost.columns, gap=cost, name=name)


def clusters(rows: pd.DataFrame) -> Iterator[Case]:
    """Y-GAN with the true classes minus Y-GAN with clusters in their place."""
    trainings, costs = trainings_of(rows, metrics=["purity"]), printed.weak_label_costs()
    weak = trainings[trainings["labels"] == "weak"]
    for _, own, those, cost in pairs(y_gan(trainings), weak, "key", ("key", "epochs")):
        dataset, purity = own["dataset"].iloc[0], those["purity"].mean()
        seen = {"purity": purity, "purity_printed": printed.PURITY[dataset]}
        yield one(those, cost.columns | {"printed": costs[dataset]}, gap=cost, **seen)


def objective(rows: pd.DataFrame) -> Iterator[Case]:
    """Y-GAN as the authors' program trains it, beside what is printed."""
    trainings = trainings_of(rows[rows["dataset"].isin(TENS)])
    return map(against_printed, sizes(trainings[trainings["key"].isin(PROGRAM)]))


def contrasts(rows: pd.DataFrame, key: str, metric: str) -> Iterator[Case]:
    """Y-GAN minus the plain classifier of the same width, with averaged weights of both."""
    trainings = trainings_of(rows, AVERAGED, metrics=[metric])
    plain = trainings[(trainings["configuration"] == "classifier") & (trainings["pixels"] == "all")]
    own = y_gan(trainings[trainings["key"] == key])
    for _, here, _, gap in pairs(own, plain, "key", ("width",), metric):
        if gap.n > 1:
            yield one(here, gap.columns, gap=gap)


def classifiers(rows: pd.DataFrame, key: str) -> Iterator[Case]:
    """A classifier beside what is printed for Y-GAN, over ten classes, with averaged weights."""
    trainings = trainings_of(rows[rows["dataset"].isin(TENS)], AVERAGED)
    whole = filter(shared.has_all_classes, sizes(trainings[trainings["configuration"] == key]))
    return map(against_printed, whole)


KINDS = (levels, images, neighbours, scores, baselines, parts, clusters, objective, contrasts)
CASES = {case.__name__: case for case in (*KINDS, classifiers)}  # by their names in claims.csv
ALL = selected(
    group=(*shared.TABLES_1_TO_4, "color_mnist", "paper_size", "ablations", "weak_labels")
)
TABLES = {
    "claims": View(claims, ALL, "Do the paper's claims hold?"),
    "sentences": View(sentences, ALL, "The paper's sentences about its own tables"),
}

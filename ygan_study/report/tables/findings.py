"""Do the paper's claims hold? One row a claim: what it says, what was found here, the judgement, and on what it stands.

A judgement speaks of the size that was trained here. Y-GAN is judged in each configuration. Against its rivals it stands in
one: that which was trained over all classes, `paper` before another. Every number stands with its
interval over the draws measured here (`spread`).
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ygan_study.measure.numbers import SEVEN
from ygan_study.methods import BASELINES, METHODS
from ygan_study.methods.ablations import ABLATIONS
from ygan_study.plan.jobs import Job
from ygan_study.plan.settings import TENS, Settings
from ygan_study.report.printed import (
    CHANCE,
    NUMBERS,
    PURITY,
    paper_auc,
    paper_epochs,
    weak_label_costs,
)
from ygan_study.report.rows import REAL, TITLES, trainings_of
from ygan_study.report.spread import (
    CELL,
    HIGHER,
    LOWER,
    ONE_DRAW,
    Difference,
    count,
    difference,
    level,
    listed,
    shown,
    told,
)
from ygan_study.report.tables.blocks import MAIN, is_chosen, is_whole, lacks, paired
from ygan_study.report.tables.color_mnist import LEAK, leaks, of_swaps, separates, swaps
from ygan_study.report.tables.judgements import (
    FAILS,
    HOLDS,
    UNDECIDED,
    fails_in,
    less_printed,
    of_each,
    of_gap,
    of_gaps,
    of_level,
    printed_auc,
    undecided,
)
from ygan_study.report.tables.schedules import is_short
from ygan_study.report.view import View
from ygan_study.run.folder import AVERAGED, LAST
from ygan_study.run.store import Study

HALF = 0.5  # the share of images that z_s must place beside their class
IN_FIG8 = ("cifar10", "plantvillage")
LABELS_ALONE = {"Classifier": "plain", "Strong classifier": "stronger"}
RIVALS = [name for name in BASELINES if METHODS[name].kind != "floor"]  # the eight of Tables 1 to 4
FEW = 2  # rivals, whose differences are given one by one
NINE = 9  # normal classes where one of ten is held out

Row = tuple[
    str, str, str, str, str
]  # claim, what was found, judgement, what it stands on, the view that shows it


def findings(rows: pd.DataFrame) -> pd.DataFrame:
    """The paper's claims, a row each, and whether they hold in what was trained here.

    found here: with the 95 % interval over the trainings, where there are several. stands on: how many cells (a dataset and the
    class held out in it), and how many trainings; not blind: cells that had a part in a choice of settings
    (`config.CHOSEN_ON`). The judgement *reproduced* needs all that the claim is over, at the paper's image size. An AUC is
    reproduced where its interval lies no more than 0.01 below the printed one, a cost where its interval lies within 0.01 of
    it. They are not reproduced where the interval leaves the printed one out; the judgement says in how many of the paper's
    epochs. Where each class has one training, and so there is no interval, a sign test over the classes stands in. *Undecided*
    says what is missing. In how many classes an AUC is below the printed one, and which score is the highest: as the means
    stand, whatever their spread. Fig. 6a is reproduced where 0.9 of the hybrids take the ground, and their digit is read 0.9
    times as often as that of real images; Fig. 6b where the digit is read off z_s, and the ground off z_r, in 0.9 of the
    images; the claim of section 3.1 where no latent tells what is the other's at more than twice chance; Fig. 7 where more than
    half of the neighbours by z_s are of the image's class, and by z_r no more than twice chance. Trainings of the paper's own
    width and length stand in rows of their own. The last rows are not in the paper. A plain classifier is C(E_s(x)) alone,
    trained on the same labels; a stronger one has another encoder, and is trained on shifted and mirrored images (notebook 11).
    """
    trainings, last, averaged = (
        _named(trainings_of(rows, weights, metrics=["auc"]))
        for weights in ("headline", LAST, AVERAGED)
    )
    large = _is_large(trainings)
    trainings, large = trainings[~large], trainings[large]
    aucs = {
        weights: those.set_index("job")["auc"]
        for weights, those in ((LAST, last), (AVERAGED, averaged))
    }
    found = [*_levels(trainings), *_at_paper_size(large, aucs)]
    found += [_best_of_all(trainings), _ablations(trainings), _weak(trainings)]
    found += _figures(trainings, large)
    averaged = averaged[averaged["job"].isin(trainings["job"])]
    found += [_plain(averaged, title, kind) for title, kind in LABELS_ALONE.items()]
    found += [
        _control(averaged),
        _control(averaged, "auc_s_zp", "scored by the distance to a class mean (Eq. 16), "),
    ]
    columns = ["claim", "found here", "judgement", "stands on", "shown by"]
    return pd.DataFrame(found, columns=columns).set_index("claim")[
        ["judgement", "found here", "stands on", "shown by"]
    ]


def _named(trainings: pd.DataFrame) -> pd.DataFrame:
    """own: the configuration that a training is of, also where a part was cut off."""
    return trainings.assign(own=trainings["configuration"].str.split(",").str[0])


def _is_large(trainings: pd.DataFrame) -> pd.Series:
    """Whether each is a whole Y-GAN or control of the paper's width and length, on a dataset where others are smaller."""
    lengths = trainings["dataset"].map({dataset: paper_epochs(dataset) for dataset in TENS})
    own = trainings["title"].isin(("Y-GAN", "Classifier")) & (trainings["variant"] == "full")
    large = own & (trainings["width"] >= Settings().width) & (trainings["epochs"] >= lengths)
    return large & trainings["dataset"].isin(trainings.loc[own & ~large, "dataset"])


def _full(trainings: pd.DataFrame) -> pd.DataFrame:
    """Y-GAN with all its parts and the true labels."""
    return trainings[(trainings["title"] == "Y-GAN") & (trainings["variant"] == "full")]


def in_one_configuration(trainings: pd.DataFrame) -> pd.DataFrame:
    """Y-GAN of `cells`, on each dataset in the one configuration that is judged: over all classes before some, then `paper`."""
    own = _full(trainings)
    found = []
    for _, here in own.groupby("dataset", sort=False):
        each = [group for _, group in here.groupby("own", sort=False)]
        found.append(
            min(each, key=lambda group: (not is_whole(group), group["own"].iloc[0] != "paper"))
        )
    return pd.concat(found) if found else own


def _levels(trainings: pd.DataFrame) -> Iterator[Row]:
    for dataset, number in NUMBERS.items():
        claimed = printed_auc(dataset)
        own = trainings[trainings["dataset"] == dataset]
        each = dict(iter(_full(own).groupby("own", sort=False)))
        gaps = {name: less_printed(group, own) for name, group in each.items()}
        texts = [_beside_printed(group, own, gaps[name]) for name, group in each.items()]
        words = {name: of_level(gaps[name], group) for name, group in each.items()}
        what = "over all leaves" if number == 4 else "over ten classes"
        yield (
            f"Table {number}: the AUC on {TITLES[dataset]} is {claimed:.3f} {what}",
            "; ".join(texts) or "not trained yet",
            of_each(words) or UNDECIDED,
            _stands_on(_full(own)),
            f"table{number}",
        )


def _at_paper_size(trainings: pd.DataFrame, aucs: dict[str, pd.Series]) -> Iterator[Row]:
    """aucs: of each kind of weights, by job."""
    for (dataset, held_out, where), own in trainings.groupby([*CELL, "class"], sort=False):
        claimed, plain = paper_auc(dataset, [held_out]), {"classifier": "the plain classifier"}
        each = dict(iter(own.groupby("own", sort=False)))
        texts = []
        for name, group in each.items():
            there = {weights: auc.reindex(group["job"]).mean() for weights, auc in aucs.items()}
            numbers = ", ".join(
                f"{auc:.3f} with {weights} weights" for weights, auc in there.items() if auc == auc
            )
            texts.append(f"{plain.get(name, name)} {numbers} ({count(len(group), 'training')})")
        words = {
            name: of_gap(level(group, less=claimed))
            for name, group in each.items()
            if name not in plain
        }
        yield (
            f"Table {NUMBERS[dataset]}, at the paper's own size: the AUC of the {where} is {claimed:.3f}",
            "; ".join(texts),
            of_each(words) or UNDECIDED,
            _stands_on(own),
            "paper_size",
        )


def _beside_printed(group: pd.DataFrame, context: pd.DataFrame, gap: Difference) -> str:
    """Its level, and in how many classes it is below what the paper prints for each."""
    text = f"{group['own'].iloc[0]} {shown(level(group, context=context), '')}"
    return text if gap.cells == 1 else f"{text}, below in {gap.below} of {gap.cells} classes"


def _best_of_all(trainings: pd.DataFrame) -> Row:
    own, texts, gaps, short = (
        in_one_configuration(trainings[trainings["dataset"].isin(REAL)]),
        [],
        [],
        0,
    )
    for dataset in REAL:
        here = trainings[trainings["dataset"] == dataset]
        those = here[here["method"].isin(RIVALS)]
        found = {}
        for title, group in those.groupby("title", sort=False):
            if is_short(group.iloc[0]):
                short += 1
            elif (gap := difference(own, group, context=trainings)).cells:
                found[title] = gap
                gaps.append((told(gap), lacks(paired(own, group))))
        if found:
            label = own.loc[own["dataset"] == dataset, "own"].iloc[0]
            text = (
                f"minus {listed(found)}"
                if len(found) <= FEW
                else f"is above {_counted(list(map(told, found.values())))}"
            )
            texts.append(f"{TITLES[dataset]}: {label} {text}")
    text = "; ".join(texts) or "no baseline is trained yet"
    text += (
        f"; {short} are not compared, as their training here is shorter than their authors'"
        * bool(short)
    )
    judgement = of_gaps(gaps, len(RIVALS) * len(REAL))
    stands_on = _stands_on(own) if texts or short else ""
    return (
        "Tables 1 to 4: Y-GAN is above all eight rivals",
        text,
        judgement,
        stands_on,
        "table1 to table4",
    )


def _counted(words: list[str]) -> str:
    """How many of some differences are above 0, and how many are of one draw."""
    one = words.count(ONE_DRAW)
    return f"{words.count(HIGHER)} of {len(words)}" + f" ({one} cannot be told: one draw)" * bool(
        one
    )


def _ablations(trainings: pd.DataFrame) -> Row:
    claim, texts, gaps = "Table 5: every part of Y-GAN contributes", [], []
    whole = _full(trainings)
    parts = trainings[trainings["variant"].isin(ABLATIONS)]
    for _, own in parts.groupby(["variant", "dataset"], sort=False):
        full = whole[whole["own"] == own["own"].iloc[0]]
        cost = difference(full, own, context=trainings)
        if cost.cells:
            gaps.append((told(cost), lacks(paired(full, own))))
    if gaps:
        n, words = len(gaps), [word for word, _ in gaps]
        texts.append(
            f"of {n} cuts {words.count(HIGHER)} cost AUC, {words.count(LOWER)} gain it, the others cannot be told"
        )
    judgement = of_gaps(gaps, len(ABLATIONS) * len(REAL))
    return claim, "; ".join(texts) or "not trained yet", judgement, _stands_on(parts), "table5"


def _weak(trainings: pd.DataFrame) -> Row:
    claims, texts, holds, missing = weak_label_costs(), [], [], []
    whole, weak = _full(trainings), trainings[trainings["labels"] == "weak"]
    for dataset, own in weak.groupby("dataset", sort=False):
        true = whole[whole["own"] == own["own"].iloc[0]]
        cost = difference(true, own, context=trainings)
        if not cost.cells:
            continue
        purity = own.reindex(columns=["purity"]).mean().item()
        clusters = f"clusters of purity {purity:.2f}, the paper's {PURITY[dataset]:.2f}"
        texts.append(f"{TITLES[dataset]} {shown(cost)}, {clusters}")
        missing.append(lacks(paired(true, own)))
        holds.append(cost.less(claims[dataset]).is_nothing if not missing[-1] else None)
    judgement = (
        FAILS if False in holds else HOLDS if holds.count(True) == len(REAL) else undecided(missing)
    )
    costs = ", ".join(f"{cost:.3f} on {TITLES[data]}" for data, cost in claims.items())
    return (
        f"Table 6: clusters in place of classes cost {costs}",
        "; ".join(texts) or "not trained yet",
        judgement,
        _stands_on(weak),
        "table6",
    )


def _figures(trainings: pd.DataFrame, large: pd.DataFrame) -> Iterator[Row]:
    color = of_swaps(trainings)
    if len(color):
        means = {
            _of_length(own): own.mean(numeric_only=True)
            for _, own in color.groupby("own", sort=False)
        }
        texts = [
            f"{name}: {m['swap_digit']:.0%} keep the digit, {m['swap_colour']:.0%} take the ground"
            for name, m in means.items()
        ]
        claim = "Fig. 6a: a swap of z_r changes the ground and leaves the digit"
        yield claim, "; ".join(texts), _of_pictures(color, swaps(color)), _stands_on(color), "fig6a"
        claims = {
            "Fig. 6b: z_s separates the digits, z_r the grounds": (
                ("digit", "z_s"),
                ("colour", "z_r"),
                separates(color),
            ),
            "Section 3.1: z_s tells nothing of the ground, z_r nothing of the digit": (
                ("colour", "z_s"),
                ("digit", "z_r"),
                ~leaks(color),
            ),
        }
        for claim, (*probes, holds) in claims.items():
            texts = [
                f"{name}: "
                + ", ".join(
                    f"{what} read off {z} {m[f'probe_{what}_{z}']:.2f}" for what, z in probes
                )
                for name, m in means.items()
            ]
            chance = ", ".join(f"{what} {CHANCE[what]:.2f}" for what, _ in probes)
            yield (
                claim,
                f"{'; '.join(texts)}; chance: {chance}",
                _of_pictures(color, holds),
                _stands_on(color),
                "fig6b",
            )
    yield from _neighbours(trainings, "on CIFAR10", "fig7")
    yield from _neighbours(large, "on CIFAR10, at the paper's own size,", "fig7_paper_size")
    yield _best_score(trainings)
    yield (
        "Fig. 9: Y-GAN looks at the object, or at parts of it",
        "maps to look at; no number",
        UNDECIDED,
        "",
        "fig9",
    )


def _neighbours(trainings: pd.DataFrame, where: str, view: str) -> Iterator[Row]:
    own = _full(trainings[trainings["dataset"] == "cifar10"])
    if len(own) and "neighbours_z_r" in own:
        means = own.groupby("own", sort=False)[["neighbours_z_s", "neighbours_z_r"]].mean()
        texts = [
            f"{name}: {z_s:.2f} by z_s, {z_r:.2f} by z_r" for name, z_s, z_r in means.itertuples()
        ]
        text = f"{'; '.join(texts)}; chance {1 / NINE:.2f}: how often the nearest neighbour of an image has its class "
        text += "(a measure of this project; what the swaps of Fig. 7 themselves take from which image is in notebook 06)"
        holds = own["own"].map(
            (means["neighbours_z_s"] > HALF) & (means["neighbours_z_r"] <= LEAK / NINE)
        )
        claim = f"Fig. 7, by classes: {where} z_s holds what tells classes apart, z_r does not"
        yield claim, text, _of_pictures(own, holds), _stands_on(own), view


def _of_length(trainings: pd.DataFrame) -> str:
    """Which trainings: the paper's have 100 epochs and more."""
    return f"{trainings['own'].iloc[0]}, {trainings['epochs'].iloc[0]} epochs"


def _of_pictures(trainings: pd.DataFrame, holds: pd.Series) -> str:
    """A judgement for each configuration, by how many of its trainings hold, and whether a cell has one draw."""
    each = {}
    for name, own in holds.groupby(trainings["own"], sort=False):
        those = trainings.loc[own.index]
        failed = f"{HOLDS} in {own.sum()} of {len(own)} trainings" if own.any() else fails_in(those)
        each[name], draws = HOLDS if own.all() else failed, those.groupby("held_out").size()
        each[name] += (
            "" if draws.max() > 1 else ", in one draw" if len(draws) == 1 else ", in one draw each"
        )
    return of_each(each)


def _best_score(trainings: pd.DataFrame) -> Row:
    own, texts, judgements = _full(trainings[trainings["dataset"].isin(IN_FIG8)]), [], {}
    for (label, dataset), group in (
        own.groupby(["own", "dataset"], sort=False) if "auc_s" in own else ()
    ):
        others = [
            name
            for name in SEVEN
            if name != "s" and f"auc_{name}" in group and group[f"auc_{name}"].notna().any()
        ]
        gaps = {
            name: told(difference(group, group.assign(auc=group[f"auc_{name}"]))) for name in others
        }
        judgements.setdefault(label, []).extend((word, lacks(group)) for word in gaps.values())
        best = max((*others, "s"), key=lambda name: group[f"auc_{name}"].mean())
        texts.append(
            f"{label}, {TITLES[dataset]}: s is above {_counted(list(gaps.values()))}; the highest is {best}"
        )
    judged = {
        name: of_gaps(gaps, len(IN_FIG8) * (len(SEVEN) - 1)) for name, gaps in judgements.items()
    }
    claim = "Fig. 8: on CIFAR10 and PlantVillage s is the best of seven scores"
    return (
        claim,
        "; ".join(texts) or "not trained yet",
        of_each(judged) or UNDECIDED,
        _stands_on(own),
        "fig8",
    )


def _plain(trainings: pd.DataFrame, title: str, kind: str) -> Row:
    """trainings: with averaged weights. A judgement counts datasets of which all classes were trained, at the paper's size."""
    own, texts, words = trainings[trainings["title"] == title], [], []
    for dataset, group in own[own["dataset"].isin(REAL)].groupby("dataset", sort=False):
        claimed, some = printed_auc(dataset), ""
        if dataset in TENS and not is_whole(group):
            classes = sorted(set(group["held_out"]))
            claimed, some = paper_auc(dataset, classes), f", {len(classes)} of 10 classes:"
        texts.append(
            f"{TITLES[dataset]}{some} {shown(level(group, context=own), '')}, Y-GAN as printed {claimed:.3f}"
        )
        if not lacks(group):
            words.append((TITLES[dataset], told(less_printed(group, own))))
    claim = f"Not in the paper: does a {kind} classifier reach what the paper prints for Y-GAN?"
    return (
        claim,
        "; ".join(texts) or "not trained yet",
        _where(words) or UNDECIDED,
        _stands_on(own),
        "table1 to table4",
    )


def _control(trainings: pd.DataFrame, metric: str = "auc", by: str = "") -> Row:
    """trainings: with averaged weights, the steadier ones, of both. Datasets of which a class is missing are not judged.

    metric: the AUC of which score; by: how the claim begins.
    """
    own = _full(trainings[trainings["dataset"].isin(REAL)])
    control, texts, words = trainings[trainings["title"] == "Classifier"], [], {}
    for name, group in own.groupby("own", sort=False):
        gaps = {
            data: difference(of, control, metric, trainings)
            for data, of in group.groupby("dataset", sort=False)
        }
        gaps = {data: gap for data, gap in gaps.items() if gap.cells}
        if gaps:
            of = {data: paired(group[group["dataset"] == data], control) for data in gaps}
            whole = [
                (TITLES[data], told(gap))
                for data, gap in gaps.items()
                if data not in TENS or is_whole(of[data])
            ]
            words[name] = _where(whole) or f"{UNDECIDED}: some classes are missing"
            texts.append(
                f"{name} minus it, averaged weights of both: "
                + ", ".join(f"{TITLES[data]} {shown(gap)}" for data, gap in gaps.items())
            )
    claim = f"Not in the paper: {by}is Y-GAN above a plain classifier?"
    return (
        claim,
        "; ".join(texts) or "not trained yet",
        of_each(words) or UNDECIDED,
        _stands_on(own),
        "table1 to table4",
    )


def _where(words: list[tuple[str, str]]) -> str:
    """Of (dataset, what is told of it): `lower on MNIST, CIFAR10; higher on FMNIST`."""
    by_word = {
        word: dict.fromkeys(data for data, other in words if other == word) for _, word in words
    }
    return "; ".join(f"{word} on {', '.join(names)}" for word, names in by_word.items())


def _stands_on(trainings: pd.DataFrame) -> str:
    if trainings.empty:
        return ""
    there, chosen = (
        len(own[CELL].drop_duplicates()) for own in (trainings, trainings[is_chosen(trainings)])
    )
    blind = f" ({chosen} not blind)" * bool(chosen)
    return f"{count(there, 'cell')}{blind}, {count(len(trainings), 'training')}"


def _jobs(study: Study) -> list[Job]:
    return study.select(group=("color_mnist", *MAIN, "paper_size", "ablations", "weak_labels"))


TABLES = {"findings": View(findings, _jobs, "Every claim in one table")}

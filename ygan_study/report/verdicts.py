"""Prose from results: what the paper says, what was found, whether they agree. It cannot contradict its numbers.

VERDICTS has an entry for each table and figure that a claim of the paper rests on: a function of the rows of runs.csv, or of
the runs where the table is one of runs -> Markdown. Every difference has its interval over the seeds measured here (`spread`),
and is called one only where 0 lies outside. A claim about a mean over ten classes, or 14 species, is judged only where all of
them were measured. Nothing here trains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pandas as pd

from ygan_study.measure.numbers import POST_HOC, SCORES, SEVEN
from ygan_study.plan.profiles import PROFILES
from ygan_study.report.figures import FIGURES
from ygan_study.report.printed import (
    NUMBERS,
    PURITY,
    class_names,
    paper_auc,
    paper_epochs,
    printed,
    weak_label_costs,
)
from ygan_study.report.rows import REAL, TITLES, rows_of, trainings_of
from ygan_study.report.spread import (
    DRAW,
    HIGHER,
    LOWER,
    NEAR,
    ONE_DRAW,
    UNTOLD,
    Difference,
    by_word,
    count,
    difference,
    level,
    listed,
    said,
    shown,
    told,
)
from ygan_study.report.tables import TABLES, beyond, color_mnist, learning_rate, public_code, scores
from ygan_study.report.tables.blocks import how_much, is_chosen, is_whole, lacks, paired
from ygan_study.report.tables.findings import IN_FIG8, NINE
from ygan_study.report.tables.judgements import less_printed, of_level
from ygan_study.report.tables.schedules import extent, is_short
from ygan_study.run.folder import AVERAGED, LAST, Run
from ygan_study.run.store import Study

ON_Z_S = ("s_zs", "s_zp", "s_zw", "s_c", "s")


def agreement(d: Difference, printed: str) -> str:
    """A verdict on a number of the paper. d: ours less it; printed: what it is."""
    if not d.seeds_known:
        return ONE_DRAW
    words = {True: f"agrees with {printed} to {NEAR}", None: f"undecided: {UNTOLD} from {printed}"}
    return words.get(d.is_nothing, f"does not agree: {told(d)} than {printed}")


def judged(verdict: str, trainings: pd.DataFrame) -> str:
    """A verdict on a mean of the paper's, where these trainings, of one dataset, are over all that it is over, at its size."""
    lack = lacks(trainings)
    return f"no verdict: {lack}" if lack else verdict


def all_higher(gaps: list[Difference]) -> str:
    """A verdict on a claim that every one of these differences is above 0."""
    words = {told(gap) for gap in gaps}
    if LOWER in words:
        return "does not agree"
    return "agrees" if words == {HIGHER} else ONE_DRAW if ONE_DRAW in words else UNTOLD


def benchmark(number: int, rows: pd.DataFrame) -> str:
    """Tables 1-3: is Y-GAN's mean the paper's, and how does it stand to every other method in the same cells?"""
    paper = printed(number).set_index("model")
    claimed, second = paper.loc["Y-GAN"], paper["mean"].drop("Y-GAN").idxmax()
    start = (
        f"The paper: Y-GAN {claimed['mean']:.3f} ± {claimed['std']:.3f} over ten classes, the best of nine systems; next is "
        f"{second} with {paper.loc[second, 'mean']:.3f}. It prints no spread over seeds."
    )

    def stands(own: pd.DataFrame) -> str:
        classes, (dataset,) = sorted(set(own["held_out"])), set(own["dataset"])
        expected, gap = paper_auc(dataset, classes), less_printed(own)
        found, each = (
            of_level(gap, own),
            own.groupby("held_out")["auc"].mean().sort_values(kind="stable"),
        )
        if is_whole(own):
            lowest = ", ".join(
                f"{class_names(number)[place]} {auc:.3f}" for place, auc in each[:3].items()
            )
            return (
                f" over ten classes, std {each.std(ddof=0):.3f} over them; below the printed number in {gap.below} of them; "
                f"the lowest are {lowest}. **{found}**."
            )
        names = ", ".join(class_names(number)[place] for place in classes)
        return f" over {len(classes)} of 10 classes ({names}); the paper's mean of these is {expected:.3f}. **{found}**."

    return "\n".join([start, *_beside_the_others(rows, stands)])


def table4(rows: pd.DataFrame) -> str:
    """Table 4: the AUC over all leaves, and the balance of TPR and TNR."""
    paper = printed(4).set_index(["model", "metric"])["auc"]
    claimed, second = paper["Y-GAN", "TNR"], paper.drop("Y-GAN", level="model").dropna().idxmax()[0]

    def stands(own: pd.DataFrame) -> str:
        m, found = own.mean(numeric_only=True), of_level(level(own, less=claimed), own)
        return (
            f" over all leaves. **{found}**. At the threshold from {m['calibration']:.0f} healthy leaves left "
            f"untrained, TNR is {m['tnr']:.2f} and TPR {m['tpr']:.2f}; at the test set's own EER they are {m['tnr_eer']:.2f} "
            f"and {m['tpr_eer']:.2f}."
        )

    lines = [
        f"The paper: Y-GAN {claimed:.3f}, next is {second} with {paper[second, 'TNR']:.3f}. It prints no spread over seeds."
    ]
    rates = {
        name.partition(":")[2] for name in set(rows["metric"]) if name.startswith(("tpr:", "tnr:"))
    }
    there = (
        [f"- The data here have {len(rates)} of the paper's {len(class_names(4))} species."]
        if rates
        else []
    )
    return "\n".join([*lines, *_beside_the_others(rows, stands), *there])


def _beside_the_others(rows: pd.DataFrame, stands: Callable[[pd.DataFrame], str]) -> Iterator[str]:
    """A line for each configuration of Y-GAN, which `stands` goes on, and below it one for each other method."""
    trainings = trainings_of(rows)
    of_ygan = trainings["title"] == "Y-GAN"
    for label, own in trainings[of_ygan].groupby("configuration", sort=False):
        chosen = ", ".join(own.loc[is_chosen(own), "class"].drop_duplicates())
        not_blind = (
            f" Not blind: {chosen}, the anomaly in a choice of its settings." if chosen else ""
        )
        yield f"- `{label}` ({how_much(own)}): Y-GAN {shown(level(own, context=trainings), '')}{stands(own)}{not_blind}"
        for (title, other), those in trainings[~of_ygan].groupby(
            ["title", "configuration"], sort=False
        ):
            name = f"{title} (`{other}`, {those['weights'].iloc[0]} weights)" if other else title
            gap = difference(own, those, context=trainings)
            if is_short(those.iloc[0]):
                had = extent(those.iloc[0])
                yield f"    - {name}: not compared, as its authors' schedule is longer or unknown: it had {had}."
            elif gap.cells:
                where = f"{count(gap.cells, 'cell')}, {count(gap.draws, 'pair')} of trainings"
                yield f"    - {name}: Y-GAN minus it {said(gap)} over {where}.{_both_averaged(rows, own, those)}"


def _both_averaged(rows: pd.DataFrame, own: pd.DataFrame, those: pd.DataFrame) -> str:
    """The same difference with averaged weights of both, where the headline's are of two kinds."""
    if {own["weights"].iloc[0], those["weights"].iloc[0]} != {LAST, AVERAGED} or those[
        "configuration"
    ].iloc[0] == "":
        return ""
    averaged = trainings_of(rows, AVERAGED)
    both = (averaged[averaged["job"].isin(frame["job"])] for frame in (own, those))
    return f" With averaged weights of both {said(difference(*both, context=averaged))}."


def table5(rows: pd.DataFrame) -> str:
    """Table 5: what leaving a part out costs, and whether that is what the paper says."""
    paper, trainings = printed(5).set_index("variant"), trainings_of(rows)
    aucs = paper[[TITLES[data] for data in REAL]]
    costs = (aucs.loc["full"] - aucs.drop("full")).mean(axis=1).sort_values(kind="stable")
    lines = [
        "The paper: every part of Y-GAN contributes; leaving out Ds seems to have the least impact. In the mean of its own "
        f"table {costs.index[0]} ({paper.loc[costs.index[0], 'description']}) costs least, {costs.iloc[0]:.3f}; without Ds it "
        f"is {costs['B4']:.3f}. {costs.index[-1]} costs most, {costs.iloc[-1]:.3f}."
    ]
    for (data, label), group in trainings.groupby(["dataset", "configuration"], sort=False):
        full = group[group["variant"] == "full"]
        for name in aucs.index.drop("full"):
            without = group[group["variant"] == name]
            cost = difference(full, without, context=trainings)
            if cost.cells:
                claimed = paper.loc["full", TITLES[data]] - paper.loc[name, TITLES[data]]
                lines.append(
                    f"- {TITLES[data]}, `{label}`, {name} ({paper.loc[name, 'description']}): {_cost(cost)}; the paper's cost "
                    f"is {claimed:+.3f}: **{_judged_cost(cost, claimed, paired(full, without))}**."
                )
    if (trainings["variant"] == "full").all():
        lines.insert(
            0,
            "**No ablation is trained in this edition.** Table 5 shows the paper's numbers and our complete Y-GAN. The "
            "question of notebook 03 is open here.\n",
        )
    return "\n".join(lines)


def table6(rows: pd.DataFrame) -> str:
    """Table 6: what weak labels cost, and what the clusters are worth."""
    claims, trainings = weak_label_costs(), trainings_of(rows)
    lines = [
        f"The paper: weak labels cost {_list(claims, '.3f')}; the purity of the clusters is {_list(PURITY, '.2f')}. The table "
        "of the clusters names the network that they were found with, and the size that it saw the images at."
    ]
    for (data, label), group in trainings.groupby(["dataset", "configuration"], sort=False):
        true, weak = group[group["labels"] == "true"], group[group["labels"] == "weak"]
        cost = difference(true, weak, context=trainings)
        if cost.cells:
            clusters = weak.drop_duplicates(
                ["held_out", "split_seed"]
            )  # nothing else that is drawn moves them
            purity = level(clusters, "purity")
            found = agreement(
                level(clusters, "purity", less=PURITY[data]), f"the paper's {PURITY[data]:.2f}"
            )
            lines += [
                f"- {TITLES[data]}, `{label}`: {_cost(cost)}; the paper's cost is {claims[data]:+.3f}: "
                f"**{_judged_cost(cost, claims[data], paired(true, weak))}**.",
                f"    - {_values(clusters['clusters'])} clusters of purity {shown(purity, '')}, {PURITY[data]:.2f} in the "
                f"paper: **{judged(found, weak)}**. As section 6.3 is written k is {_values(clusters['clusters_as_written'])} "
                f"and the purity {clusters['purity_as_written'].mean():.2f}.",
            ]
    return "\n".join(lines)


def fig8(rows: pd.DataFrame) -> str:
    """Fig. 8: is s the best of the paper's scores, and do those on z_s beat s_x? Do post-hoc scores beat s?"""
    trainings = trainings_of(rows)

    def judge(gaps: dict[str, Difference], group: pd.DataFrame) -> str:
        return (
            judged(all_higher(list(gaps.values())), group)
            if group["dataset"].iloc[0] in IN_FIG8
            else "not in Fig. 8"
        )

    lines = [
        "The paper, for CIFAR10 and PlantVillage: $s$ (Eq. 12) is the best of seven scores, and those on $z_s$ beat $s_x$. In "
        "brackets: the 95 % interval over the trainings."
    ]
    for (data, label), group in trainings.groupby(["dataset", "configuration"], sort=False):
        there = [
            name for name in SCORES if f"auc_{name}" in group and group[f"auc_{name}"].notna().any()
        ]
        if not {"s", "s_x"} <= set(there):
            continue
        best = {name: _between(group, "s", name) for name in SEVEN if name in there and name != "s"}
        on_z_s = {name: _between(group, name, "s_x") for name in ON_Z_S if name in there}
        later = {name: _between(group, name, "s") for name in POST_HOC if name in there}
        above = {name: gap for name, gap in later.items() if told(gap) == HIGHER}
        many = f"{count(group['held_out'].nunique(), 'cell')}, {count(len(group), 'training')}"
        lines += [
            f"- {TITLES[data]}, `{label}` ({many}):",
            f"    - *$s$ is the best of the seven*: **{judge(best, group)}**. $s$ has "
            f"{shown(level(group, 'auc_s'), '')}. $s$ minus each other score: {by_word(best)}.",
            f"    - *the scores on $z_s$ beat $s_x$*: **{judge(on_z_s, group)}**. $s_x$ has "
            f"{shown(level(group, 'auc_s_x'), '')}. Each minus $s_x$: {by_word(on_z_s)}.",
            f"    - Post-hoc scores above $s$ here: {listed(above) or 'none that can be told'}.",
        ]
    return "\n".join(lines)


def ladder(rows: pd.DataFrame) -> str:
    """What each length of training gives, with the headline's weights: does the AUC still rise?"""
    lines = []
    for (data, held_out, title), own in trainings_of(rows).groupby(
        ["dataset", "class", "title"], sort=False
    ):
        same = own.pivot(index="epochs", columns=DRAW, values="auc").dropna(
            axis=1
        )  # the seeds that all lengths have
        by_length = same.mean(axis=1)
        if len(same) > 1 and len(same.columns):
            longest, best = by_length.index[-1], by_length.idxmax()
            aucs = ", ".join(f"{auc:.3f} in {epochs}" for epochs, auc in by_length.items())
            ends = (
                "the longest is the highest"
                if longest == best
                else f"the highest is that of {best}"
            )
            what = "leaves" if data == "plantvillage" else "held out"
            lines.append(
                f"- {TITLES[data]}, {held_out} {what}, {title} (`{own['configuration'].iloc[0]}`, {own['weights'].iloc[0]} "
                f"weights, {count(len(same.columns), 'seed')}): {aucs} epochs; {ends}. The paper has {paper_epochs(data)}."
            )
    return "\n".join(lines) or "No cell has several lengths yet."


def paper_size(rows: pd.DataFrame) -> str:
    """What trainings of the paper's own size give: the AUC, how good C is, what the latents hold."""
    if rows.empty:
        return "Not trained yet."
    last, averaged, best = (
        trainings_of(rows, LAST),
        trainings_of(rows, AVERAGED),
        trainings_of(rows, LAST, epoch_rule="best_on_test"),
    )
    others = pd.DataFrame(
        {"averaged": averaged.set_index("job")["auc"], "best": best.set_index("job")["auc"]}
    )
    lines = []
    for (data, held_out, where), own in last.join(others, on="job").groupby(
        ["dataset", "held_out", "class"], sort=False
    ):
        lines.append(
            f"- {TITLES[data]}, {where} held out. The paper prints {paper_auc(data, [held_out]):.3f} for Y-GAN."
        )
        for _, one in own.iterrows():
            text = (
                f"    - {one['title']} (`{one['configuration']}`, {count(one['epochs'], 'epoch')}): {one['auc']:.3f} with the "
                f"last weights, {one['averaged']:.3f} with averaged ones, {one['best']:.3f} after the best epoch, which only "
                f"the test set's labels can choose. With the last weights $C$ is right on "
                f"{one['normal_accuracy']:.2f} of held-back images."
            )
            if one["title"] == "Y-GAN":
                text += (
                    f" The nearest neighbour of an image has its class at {one['neighbours_z_s']:.2f} by $z_s$, at "
                    f"{one['neighbours_z_r']:.2f} by $z_r$ (chance {1 / NINE:.2f})."
                )
            lines.append(text)
    return "\n".join(lines)


def _cost(cost: Difference) -> str:
    where = f"over {count(cost.cells, 'cell')}, {count(cost.draws, 'pair')} of trainings"
    words = {
        HIGHER: "",
        LOWER: " (so it is better without)",
        UNTOLD: f", {UNTOLD} from 0",
        ONE_DRAW: "",
    }
    return f"costs {shown(cost)}{words[told(cost)]} {where}"


def _judged_cost(cost: Difference, claimed: float, trainings: pd.DataFrame) -> str:
    return judged(agreement(cost.less(claimed), "that"), trainings)


def _between(group: pd.DataFrame, score: str, less: str) -> Difference:
    """How much higher the AUC of a score is than that of another one of the same networks."""
    return difference(*(group.assign(auc=group[f"auc_{name}"]) for name in (score, less)))


def _list(numbers: dict[str, float], form: str) -> str:
    return ", ".join(f"{number:{form}} on {TITLES[data]}" for data, number in numbers.items())


def _values(column: pd.Series) -> str:
    return ", ".join(f"{value:.0f}" for value in sorted(set(column)))


VERDICTS: dict[str, Callable[..., str]] = {
    "color_mnist_probes": color_mnist.verdict,
    **{f"table{number}": partial(benchmark, number) for number in NUMBERS.values() if number < 4},
    "table4": table4,
    "table5": table5,
    "table6": table6,
    "fig8": fig8,
    "scores": scores.verdict,
    "ladder": ladder,
    "paper_size": paper_size,
    "learning_rate": learning_rate.verdict,
    "strong": beyond.verdict,
    "added": beyond.verdict_added,
    "ways_to_0763": public_code.verdict,
}


def verdict(study: Study, name: str, runs: list[Run] | None = None) -> str:
    """The verdict on a table or figure, as Markdown, below the profile's name. runs: by default those of its jobs, as found.

    Runs that are no part of the study, such as networks that come with the repository, have no profile.
    """
    view = {**FIGURES, **TABLES}[name]
    runs = study.found(view.jobs(study)) if runs is None else runs
    of_runs = name in TABLES and TABLES[name].of == "runs"
    text = VERDICTS[name](runs if of_runs else rows_of(runs))
    foreign = {run.job.id for run in runs} - {job.id for job in study.jobs}
    return (
        text
        if foreign
        else f"**Profile `{study.profile}`** ({PROFILES[study.profile].purpose}).\n\n{text}"
    )

"""Prose from results: what the paper says, what was found, whether they agree. It cannot contradict its numbers.

VERDICTS has an entry for each table and figure that a claim of the paper rests on: a function of its runs -> Markdown. A claim
about a mean over ten classes is judged only where all ten were measured; else it is said how many there are, and no more.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from ygan_core.config import PROFILES
from ygan_core.study.figures import FIGURES, paper_and_code
from ygan_core.study.figures.scores import LATER, PAPERS, rank_correlation
from ygan_core.study.jobs import Run, Study
from ygan_core.study.tables import (
    CHANCE,
    PURITY,
    TABLES,
    TITLES,
    by_seed,
    grouped,
    printed,
    title,
    weak_labels,
    whole,
)
from ygan_core.study.variants import ABLATIONS, configuration

NEAR = 0.02  # AUCs closer than this are called the same: about what one seed differs from another by


def color_mnist_verdict(run: Run) -> str:
    """Section 5's claims against one run, as Markdown. A claim holds where it holds for 0.9 of the images (of those that the
    digits' reader reads right when they are real); a latent leaks at twice chance.
    """
    m = run.metrics
    swaps = m["swap_digit"] >= 0.9 * m["read_digit"] and m["swap_colour"] >= 0.9
    read = m["probe_digit_z_s"] >= 0.9 and m["probe_colour_z_r"] >= 0.9
    leaks = [
        f"{what} from ${latent}$ at {m[f'probe_{what}_{latent}']:.2f} (chance {CHANCE[what]:.2f})"
        for what, latent in (("colour", "z_s"), ("digit", "z_r"))
        if m[f"probe_{what}_{latent}"] > 2 * CHANCE[what]
    ]
    lines = [
        f"**`{run.config.label}`** ({extent(run)}):",
        "",
        "- *Another image's $z_r$ changes the ground and leaves the digit*: "
        f"**{agrees(swaps)}**. Of the hybrids, {m['swap_digit']:.0%} show the digit of the "
        f"$z_s$ image (the same reader reads {m['read_digit']:.0%} of the real images) "
        f"and {m['swap_colour']:.0%} the ground of the $z_r$ image.",
        f"- *$z_s$ separates the normal digits, $z_r$ the ten grounds*: **{agrees(read)}**. "
        f"A linear classifier reads the digit off $z_s$ at {m['probe_digit_z_s']:.2f} "
        f"and the colour off $z_r$ at {m['probe_colour_z_r']:.2f}.",
        f"- *the two latents are mutually exclusive*: **{agrees(not leaks)}**. "
        + (f"A linear classifier still reads {' and '.join(leaks)}." if leaks else "Neither gives the other's content away."),
        f"- The held-out {run.config.held_out} is told from the normal digits with an AUC of **{m['auc']:.3f}** "
        "(the paper prints none for Color-MNIST).",
    ]
    return "\n".join(lines)


def agrees(holds: bool) -> str:
    """How a verdict says it."""
    return "agrees" if holds else "does not agree"


def judged(verdict: str, runs: list[Run]) -> str:
    """A verdict on a mean of the paper's, where these runs, of one dataset, are over all that it is over."""
    what = "species" if runs[0].config.dataset == "plantvillage" else "classes"
    return verdict if whole(runs) else f"too few {what} for a verdict"


def extent(run: Run) -> str:
    """How much was trained."""
    c = run.config
    return f"width {c.width}, {c.epochs} epochs, {run.about['images']['train']:,} training images"


def benchmark(number: int, runs: list[Run]) -> str:
    """Tables 1-3: is Y-GAN's mean the paper's, is it the best, how does it stand to the Classifier control?"""
    paper = printed(number).set_index("model")
    columns = [name for name in paper if name not in ("type", "mean", "std")]
    claimed, runner_up = paper.loc["Y-GAN"], paper["mean"].drop("Y-GAN").idxmax()
    lines = [
        f"The paper: Y-GAN {claimed['mean']:.3f} ± {claimed['std']:.3f} over ten classes, the best of nine systems; "
        f"next is {runner_up} with {paper.loc[runner_up, 'mean']:.3f}."
    ]
    for label, group in grouped(runs, lambda run: configuration(run.config)).items():
        cells = {
            method: {held_out: by_seed(those)[0] for held_out, those in grouped(own, lambda run: run.config.held_out).items()}
            for method, own in grouped(group, title).items()
        }
        own = cells.pop("Y-GAN", {})
        if not own:
            continue
        shown, mean = extent(grouped(group, title)["Y-GAN"][0]), np.mean(list(own.values()))
        if len(own) == len(columns):
            spread = f" ± {np.std(list(own.values())):.3f}"
            said = f"**{agrees(abs(mean - claimed['mean']) <= NEAR)}** ({mean - claimed['mean']:+.3f})"
        else:
            there = [columns[held_out] for held_out in own]
            of_paper = np.mean([claimed[name] for name in there])
            spread = f", over {len(own)} of 10 classes ({', '.join(there)}; the paper's mean of these: {of_paper:.3f})"
            said = "**too few classes for a verdict** on the mean"
        lines.append(f"- `{label}` ({shown}): Y-GAN {mean:.3f}{spread}. {said}.")
        for method, theirs in cells.items():
            both = [held_out for held_out in theirs if held_out in own]
            if both:
                gap = np.mean([own[held_out] - theirs[held_out] for held_out in both])
                ahead = sum(own[held_out] > theirs[held_out] for held_out in both)
                width = next(run.config.width for run in group if title(run) == method)
                narrow = f" (width {width})" if width != grouped(group, title)["Y-GAN"][0].config.width else ""
                where = f"the same {_count(len(both), 'cell')}"
                mean = np.mean([theirs[h] for h in both])
                lines.append(f"    - {method}{narrow} in {where}: {mean:.3f}; Y-GAN {gap:+.3f}, ahead in {ahead}.")
    return "\n".join(lines)


def table4(runs: list[Run]) -> str:
    """Table 4: the AUC over all leaves, and the balance of TPR and TNR."""
    paper = printed(4).set_index(["model", "metric"])["auc"]
    claimed, second = paper["Y-GAN", "TNR"], paper.drop("Y-GAN", level="model").dropna().idxmax()[0]
    lines = [f"The paper: Y-GAN {claimed:.3f}, next is {second} with {paper[second, 'TNR']:.3f}."]
    for (method, label), group in grouped(runs, lambda run: (title(run), configuration(run.config))).items():
        auc, m = by_seed(group)[0], {name: by_seed(group, name)[0] for name in ("tpr", "tnr", "tpr_eer", "tnr_eer")}
        said = f" **{judged(agrees(abs(auc - claimed) <= NEAR), group)}** ({auc - claimed:+.3f})." if method == "Y-GAN" else ""
        lines.append(
            f"- {method}, `{label}` ({extent(group[0])}): {auc:.3f}.{said} At the threshold from training images "
            f"TNR {m['tnr']:.2f} and TPR {m['tpr']:.2f}; at the test set's own EER {m['tnr_eer']:.2f} and {m['tpr_eer']:.2f}."
        )
    if runs:
        classes = {name.split("___")[0] for name in runs[0].classes}
        lines.append(f"- The data here have {len(classes)} of the paper's 14 species: the others are dashes.")
    return "\n".join(lines)


def table5(runs: list[Run]) -> str:
    """Table 5: does leaving a part out cost what the paper says, in the cells that are there?"""
    paper = printed(5).set_index("variant")
    lines = ["The paper: every part of Y-GAN contributes; leaving out the classifier costs most, leaving out Ds least."]
    for data, group in grouped(runs, lambda run: run.config.dataset).items():
        cells = {
            name: {h: by_seed(those)[0] for h, those in grouped(own, lambda run: run.config.held_out).items()}
            for name, own in grouped(group, lambda run: run.config.variant).items()
        }
        for name in (name for name in ABLATIONS if name in cells and "full" in cells):
            both = [h for h in cells[name] if h in cells["full"]]
            cost = np.mean([cells["full"][h] - cells[name][h] for h in both])
            claimed = paper.loc["full", TITLES[data]] - paper.loc[name, TITLES[data]]
            same_way = (cost > NEAR) == (claimed > NEAR) and (cost < -NEAR) == (claimed < -NEAR)
            verdict = "agrees" if abs(cost - claimed) <= NEAR else "agrees in direction" if same_way else "does not agree"
            verdict = judged(verdict, [run for run in group if run.config.variant == name and run.config.held_out in both])
            lines.append(
                f"- {TITLES[data]}, {name} ({paper.loc[name, 'description']}): costs {cost:+.3f} here "
                f"over {_count(len(both), 'cell')}, {claimed:+.3f} in the paper. **{verdict}**."
            )
    cells = grouped(runs, lambda run: (run.config.dataset, run.config.held_out, run.config.variant))
    seeds = max(map(len, cells.values()), default=0)
    if seeds == 1:
        lines.append("\nOne seed each: a difference of a few hundredths here is as likely luck as a finding.")
    return "\n".join(lines)


def table6(runs: list[Run]) -> str:
    """Table 6: what weak labels cost, and what the clusters are worth."""
    paper = printed(6).set_index("model")
    lines = [
        "The paper: weak labels cost 0.02 to 0.03 on three datasets and 0.12 on PlantVillage; their purity is 0.80 to 0.95."
    ]
    for data, group in grouped(runs, lambda run: run.config.dataset).items():
        cells = {
            name: {h: by_seed(those)[0] for h, those in grouped(own, lambda run: run.config.held_out).items()}
            for name, own in grouped(group, title).items()
        }
        both = [h for h in cells.get("Y-GAN*", {}) if h in cells.get("Y-GAN", {})]
        if not both:
            continue
        cost = np.mean([cells["Y-GAN"][h] - cells["Y-GAN*"][h] for h in both])
        claimed = paper.loc["Y-GAN", TITLES[data]] - paper.loc["Y-GAN*", TITLES[data]]
        weak = [run for run in group if run.config.labels == "weak"]
        clusters = weak_labels(weak)
        purity, k = clusters["purity, cosine"].mean(), _values(clusters["k, cosine"])
        same_cost, same_purity = abs(cost - claimed) <= NEAR, purity >= PURITY[data] - NEAR
        lines.append(
            f"- {TITLES[data]}: they cost {cost:+.3f} over {_count(len(both), 'cell')} ({claimed:+.3f} in the paper): "
            f"**{judged(agrees(same_cost), weak)}**. {k} clusters of purity {purity:.2f} "
            f"({PURITY[data]:.2f} in the paper): **{judged(agrees(same_purity), weak)}**. As section 6.3 is written, "
            f"k is {_values(clusters['k, as written'])} and the purity {clusters['purity, as written'].mean():.2f}."
        )
    return "\n".join(lines)


def fig8(runs: list[Run]) -> str:
    """Fig. 8: is s the best of the paper's scores? Do later ones beat it?"""
    lines = ["The paper, for CIFAR10 and PlantVillage: $s$ (Eq. 12) is the best of seven scores; those on $z_s$ beat $s_x$."]
    for data, group in grouped(runs, lambda run: run.config.dataset).items():
        found = {
            name: np.mean([run.metrics[f"auc_{name}"] for run in group])
            for name in (*PAPERS, *LATER)
            if all(f"auc_{name}" in run.metrics for run in group)
        }
        own = {name: auc for name, auc in found.items() if name in PAPERS}
        best, later = max(own, key=own.get), [name for name in LATER if found.get(name, 0) > found["s"] + NEAR]
        said = "agrees" if best == "s" else "too close to call" if own[best] - own["s"] <= NEAR else "does not agree"
        after = (
            f" Later scores that beat it by more than {NEAR}: {', '.join(f'{n} {found[n]:.3f}' for n in later)}."
            if later
            else ""
        )
        lines.append(
            f"- {TITLES[data]} ({_count(len({run.config.held_out for run in group}), 'cell')}): $s$ {own['s']:.3f}, "
            f"the best of the seven {best} {own[best]:.3f}. **{said}**.{after}"
        )
    return "\n".join(lines)


def accuracy_plot(runs: list[Run]) -> str:
    """Does the AUC follow the accuracy on normal images?"""
    lines = []
    for data, group in grouped(runs, lambda run: run.config.dataset).items():
        measured = [run for run in group if "normal_accuracy" in run.metrics]
        if len(measured) >= 5:
            rank = rank_correlation(measured)
            lines.append(f"- {TITLES[data]}: Spearman's rank correlation {rank:+.2f} over {len(measured)} networks.")
        else:
            lines.append(f"- {TITLES[data]}: {_count(len(measured), 'network')}, too few for a correlation.")
    return "\n".join(lines)


def _values(column: pd.Series) -> str:
    return ", ".join(map(str, sorted(set(column))))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + "s" * (number != 1)


VERDICTS: dict[str, Callable[[list[Run]], str]] = {
    "fig6a": lambda runs: "\n\n".join(map(color_mnist_verdict, runs)),
    **{f"table{number}": partial(benchmark, number) for number in (1, 2, 3)},
    "table4": table4,
    "table5": table5,
    "table6": table6,
    "fig8": fig8,
    "accuracy_plot": accuracy_plot,
    "ways_to_0763": paper_and_code.verdict,
}


def verdict(study: Study, name: str) -> str:
    """The verdict on a table or figure, from the runs it was made of, as Markdown, with the profile's name above it."""
    view = {**TABLES, **FIGURES}[name]
    runs = study.runs(view.jobs(study))
    return f"**Profile `{study.profile}`** ({PROFILES[study.profile].purpose}).\n\n{VERDICTS[name](runs)}"

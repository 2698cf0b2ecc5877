"""Notebook 09: what each departure of the authors' public code from the paper does to the AUC, and where 0.763 comes from.

Table 3 prints 0.763 +- 0.024 for Y-GAN on CIFAR10, where the best rival has 0.607 +- 0.098. Everything here is measured on the
test sets of the study's own runs; what is compared with the paper is compared in the same classes.
"""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib.figure import Figure

from ygan_core import metrics
from ygan_core.data import DATASETS
from ygan_core.study.company import ALONE, APART, AUTHORS, COMPANIES, PLACES, SHUFFLED, SIZES, batches, doubt, of_run, test_set
from ygan_core.study.departures import BUG, DEPARTURES, OPEN
from ygan_core.study.figures.base import ANOMALOUS, CLASS_COLOURS, NORMAL, show_grid, title
from ygan_core.study.figures.scores import heading
from ygan_core.study.jobs import Job, Run, Study, View
from ygan_core.study.variants import configuration

TENS = ("mnist", "fmnist", "cifar10")  # Tables 1 to 3: ten classes each
METHODS = {"ygan": "Y-GAN", "classifier": "Classifier"}
METHOD_COLOURS = dict(zip(METHODS, CLASS_COLOURS, strict=False))
PRINTED_STD = "paper's std"
CLOSE = 0.02  # AUCs closer than this are called the same: about what one seed differs from another by


def company(runs: list[Run]) -> Figure:
    """One image, one network, three companies: by itself, among shuffled images, among its own kind (batches of 64; 14 of the
    other 63 are shown). Right: the scores of the whole test set in that company, on a logarithmic scale; the line is the image.

    The image is an ordinary anomaly: of half of them the score moves less. Of the first run on CIFAR10, if there is one.
    """
    run = next((run for run in runs if run.config.dataset == "cifar10"), runs[0])
    images, labels, anomalous = test_set(run)
    model, together = run.model(), {ALONE: None}
    together |= {name: batches(name, labels, anomalous, 64) for name in (SHUFFLED, APART)}
    scores = torch.stack([doubt(model, images, rows) for rows in together.values()])
    moved = scores.amax(0) - scores.amin(0)
    candidates = anomalous.nonzero().flatten()
    chosen = int(candidates[moved[candidates].argsort()[len(candidates) // 2]])

    names = {ALONE: "by itself", SHUFFLED: "among shuffled images", APART: "among its own kind"}
    fig, axes = plt.subplots(3, 3, figsize=(9.2, 4.9), width_ratios=(1, 3.5, 4))
    for row, (name, rows) in enumerate(together.items()):
        own, s = axes[row], scores[row]
        show_grid(own[0], images[None, [chosen]].expand(1, 1, 3, -1, -1))
        own[0].set(xticks=[], yticks=[], title="the image" if row == 0 else "")
        for side in own[0].spines.values():
            side.set(visible=True, linewidth=1.5, color="black")
        if rows is None:
            own[1].text(0.5, 0.5, "nobody: normalised by the\nrunning statistics of training", ha="center", va="center")
            own[1].set_axis_off()
        else:
            batch = next(batch for batch in rows if chosen in batch)
            others = batch[batch != chosen][:14]
            tiles = torch.full((14, *images.shape[1:]), 255, dtype=torch.uint8)
            tiles[: len(others)] = images[others]
            show_grid(own[1], tiles.unflatten(0, (2, 7)).expand(-1, -1, 3, -1, -1))
            own[1].set(xticks=[], yticks=[])
        own[1].set_title(names[name])
        bins, above = np.linspace(0, 1, 41), (s[~anomalous] < s[chosen]).double().mean()
        sns.histplot(x=s[~anomalous], bins=bins, color=NORMAL, label="normal", ax=own[2], linewidth=0)
        look = dict(color=ANOMALOUS, label="anomalous", fill=False, element="step")
        sns.histplot(x=s[anomalous], bins=bins, ax=own[2], **look)
        own[2].axvline(s[chosen], color="crimson", lw=1.5)
        auc = metrics.auc(s, anomalous)
        own[2].set_title(f"$s$ = {s[chosen]:.2f}, above {above:.0%} of normal images; AUC {auc:.3f}")
        own[2].set(xlim=(0, 1), ylabel="images", xlabel="$s$ (Eq. 12)" if row == 2 else "")
        own[2].set_yscale("symlog", linthresh=10)
    fig.legend(*own[2].get_legend_handles_labels(), loc="outside lower right", ncols=2)
    fig.suptitle(f"{heading([run])}: the same network, {title(run)}", fontsize=9)
    return fig


def _a_panel_each(runs: list[Run], height: float) -> tuple[list[list[Run]], Figure, np.ndarray]:
    """The runs of each dataset that is there, and a panel for each."""
    there = [own for data in TENS if (own := [run for run in runs if run.config.dataset == data])]
    fig, axes = plt.subplots(1, len(there), figsize=(max(3.07 * len(there), 4.6), height), sharey=True, squeeze=False)
    return there, fig, axes[0]


def companies(runs: list[Run]) -> Figure:
    """AUC of the same networks in each company, by batch size: a dot a class held out, the line their mean.

    Dotted: what the paper prints, in the mean over these classes; dashed: chance.
    """
    there, fig, axes = _a_panel_each(runs, height=3.4)
    places = np.array([0, 2, 3.3, 4.6, 6.6, 7.9, 9.2, 11.2, 12.5, 13.8])
    for ax, own in zip(axes, there, strict=True):
        for shift, (method, name) in zip((-0.15, 0.15), METHODS.items(), strict=True):
            cells = np.array([[of_run(run)[place] for place in PLACES] for run in own if run.config.method == method])
            if len(cells):
                style = dict(color=METHOD_COLOURS[method], zorder=2 if method == "ygan" else 1)
                ax.plot(np.tile(places + shift, (len(cells), 1)).T, cells.T, ls="", marker="o", ms=2.5, alpha=0.5, **style)
                for group in (slice(0, 1), slice(1, 4), slice(4, 7), slice(7, 10)):
                    here = places[group] + shift, cells[:, group].mean(0)
                    ax.plot(*here, marker="_", ms=9, mew=1.5, lw=1, label=name if group.start == 0 else None, **style)
        ax.axhline(paper_auc(own), color="black", lw=1, ls=":", zorder=0)
        ax.axhline(0.5, color="grey", lw=0.8, ls="--", zorder=0)
        ax.set_xticks(places, ["–", *map(str, SIZES * 3)])
        ax.set(title=heading(own), xlabel="images in a batch")
        for middle, name in zip((0, 3.3, 7.9, 12.5), COMPANIES, strict=True):
            ax.text(middle, 1.0, name, ha="center", va="top", fontsize=7.5, transform=ax.get_xaxis_transform())
        ax.margins(y=0.12)
    axes[0].set_ylabel("AUC (Eq. 12)")
    _legend(fig)
    return fig


def best_epoch(runs: list[Run]) -> Figure:
    """AUC on the test set after each epoch, a line a training: filled, the last epoch; hollow, the best, which only someone
    with the test's labels can choose. Running statistics. gain: best less last, in the mean."""
    there, fig, axes = _a_panel_each([run for run in runs if "auc" in run.losses], height=3.0)
    for ax, own in zip(axes, there, strict=True):
        lines = [heading(own)]
        for method, name in METHODS.items():
            those = [run for run in own if run.config.method == method]
            for run in those:
                auc, colour = run.losses["auc"], METHOD_COLOURS[method]
                ax.plot(auc, color=colour, lw=0.8, alpha=0.8)
                ax.plot(auc.index[-1], auc.iloc[-1], ls="", marker="o", ms=5, color=colour, label=name)
                ax.plot(auc.idxmax(), auc.max(), ls="", marker="o", ms=8, mfc="none", mec=colour)
            if those:
                gain = np.mean([run.losses["auc"].max() - run.losses["auc"].iloc[-1] for run in those])
                lines.append(f"{name}: gain {gain:+.3f}")
        ax.axhline(0.5, color="grey", lw=0.8, ls="--", zorder=0)
        ax.set(title="\n".join(lines), xlabel="epoch")
        ax.xaxis.get_major_locator().set_params(integer=True)
    axes[0].set_ylabel("AUC on the test set")
    _legend(fig)
    return fig


def _legend(fig: Figure) -> None:
    both = [ax.get_legend_handles_labels() for ax in fig.axes]
    named = {name: handle for handles, names in both for handle, name in zip(handles, names, strict=True)}
    fig.legend(named.values(), named.keys(), loc="outside lower center", ncols=2)


def in_company(runs: list[Run]) -> pd.DataFrame:
    """AUC (Eq. 12) of the same networks in each company, at each batch size: mean and population std over the classes held out.

    n: how many classes; paper: what it prints for Y-GAN, over the same ones.
    """
    rows = []
    for (data, method, label), group in _grouped(runs).items():
        cells = _by_class(group, of_run)
        names = {place: place[0] if place[0] == ALONE else f"{place[0]} {place[1]}" for place in PLACES}
        for row, summary in (("mean", np.mean), ("std", np.std)):
            if row == "mean" or len(cells) > 1:
                values = {names[place]: summary([found[place] for found in cells]) for place in PLACES}
                about = {"dataset": DATASETS[data].title, "method": method, "configuration": label, "classes": row}
                rows.append({**about, **values, "n": len(cells), "paper": paper_auc(group, summary)})
    return pd.DataFrame(rows).set_index(["dataset", "method", "configuration", "classes"])


def best_epochs(runs: list[Run]) -> pd.DataFrame:
    """The last epoch, which is this study's headline, beside the best on the test set, which is the public code's: means over
    the classes held out. gain: best less last; epoch: of the best, in the mean, of how many."""
    rows = []
    for (data, method, label), group in _grouped([run for run in runs if "auc" in run.losses]).items():
        curves = [run.losses["auc"] for run in group]
        last, best = np.mean([curve.iloc[-1] for curve in curves]), np.mean([curve.max() for curve in curves])
        row = {"dataset": DATASETS[data].title, "method": method, "configuration": label, "last epoch": last}
        row |= {"best on test": best, "gain": best - last, "epoch": f"{np.mean([curve.idxmax() for curve in curves]):.1f}"}
        rows.append(row | {"epochs": group[0].config.epochs, "n": len({run.config.held_out for run in group})})
    return pd.DataFrame(rows).set_index(["dataset", "method", "configuration"])


def departures(runs: list[Run]) -> pd.DataFrame:
    """Training as the paper says, then with each departure of the public code alone, then with all: means over the classes.

    AUC: Eq. 12, running statistics, last epoch; change: against the paper's way; sorted, apart: the same networks in company,
    in batches of 64; best epoch, sorted: on the test set, as the code scores and chooses.
    """
    rows = []
    for data in dict.fromkeys(run.config.dataset for run in runs):
        of_data = [run for run in runs if run.config.dataset == data]
        departed = [run for run in of_data if run.config.variant in DEPARTURES]
        there = {_cell(run) for run in departed}
        base = {_cell(run): run for run in of_data if _kind(run) == "ygan" and _cell(run) in there}
        for name in ("full", *DEPARTURES):
            own = [run for run in (base.values() if name == "full" else departed) if run.config.variant == name]
            own = [run for run in own if _cell(run) in base]
            if own:
                pairs = [(run, base[_cell(run)]) for run in own]
                row = {"dataset": DATASETS[data].title, "trained": name if name != "full" else "by the paper's equations"}
                row |= {"what": getattr(DEPARTURES.get(name), "what", ""), "kind": getattr(DEPARTURES.get(name), "kind", "")}
                row |= {"AUC": _mean(run.metrics["auc"] for run in own)}
                row |= {"change": _mean(run.metrics["auc"] - paper.metrics["auc"] for run, paper in pairs)}
                row |= {"sorted": _mean(of_run(run)[AUTHORS] for run in own)}
                row |= {"apart": _mean(of_run(run)[APART, 64] for run in own)}
                if name in DEPARTURES:
                    curves = [run.losses["auc_sorted"] for run in own if "auc_sorted" in run.losses]
                    row |= {"best epoch, sorted": _mean(curve.max() for curve in curves)}
                row |= {"normal accuracy": _mean(run.metrics["normal_accuracy"] for run in own)}
                rows.append(row | {"n": len({run.config.held_out for run in own})})
    return pd.DataFrame(rows).set_index(["dataset", "trained"]) if rows else pd.DataFrame()


WAYS: dict[str, tuple[str, Callable[[Run], float]]] = {  # which runs, and the AUC of one
    "trained by the paper's equations: last epoch, each image by itself": ("ygan", lambda run: of_run(run)[ALONE, 1]),
    "the best epoch on the test set instead": ("ygan", lambda run: run.losses["auc"].max()),
    "shuffled batches of 64 instead": ("ygan", lambda run: of_run(run)[SHUFFLED, 64]),
    "batches of 64 sorted by class, as the code has them": ("ygan", lambda run: of_run(run)[AUTHORS]),
    "anomalies in batches of 64 of their own": ("ygan", lambda run: of_run(run)[APART, 64]),
    "anomalies in batches of 256 of their own": ("ygan", lambda run: of_run(run)[APART, 256]),
    "the score of another paper: maximum logit": ("ygan", lambda run: run.metrics.get("auc_max-logit", np.nan)),
    "the Classifier control, each image by itself": ("classifier", lambda run: of_run(run)[ALONE, 1]),
    "the Classifier control, anomalies in batches of 64 of their own": ("classifier", lambda run: of_run(run)[APART, 64]),
    "trained as the public code: last epoch, each image by itself": ("public_code", lambda run: of_run(run)[ALONE, 1]),
    "trained and scored as the public code: last epoch, sorted batches": ("public_code", lambda run: of_run(run)[AUTHORS]),
    "trained, scored and chosen as the public code: best epoch, sorted batches": (
        "public_code",
        lambda run: run.losses["auc_sorted"].max() if "auc_sorted" in run.losses else np.nan,
    ),
    "trained as the public code, anomalies in batches of 64 of their own": ("public_code", lambda run: of_run(run)[APART, 64]),
}


def ways_to_0763(runs: list[Run]) -> pd.DataFrame:
    """Table 3's question: what each way to train, score and choose gives on CIFAR10, beside what the paper prints for the same
    classes. Mean and population std over the classes held out (n); missing: what is left to the paper's mean."""
    rows = []
    runs = [run for run in runs if run.config.dataset == "cifar10"]
    for configured in dict.fromkeys(run.config.name for run in runs):
        for way, (which, auc) in WAYS.items():
            own = [run for run in runs if run.config.name == configured and _kind(run) == which]
            cells = [value for value in _by_class(own, auc) if value == value]
            if cells:
                row = {"configuration": configured, "way": way, "AUC": np.mean(cells)}
                row |= {"std": np.std(cells) if len(cells) > 1 else np.nan, "n": len(cells), "paper": paper_auc(own)}
                row |= {PRINTED_STD: paper_auc(own, np.std) if len(cells) > 1 else np.nan}
                rows.append(row | {"missing": paper_auc(own) - np.mean(cells)})
    return pd.DataFrame(rows).set_index(["configuration", "way"]) if rows else pd.DataFrame()


def verdict(runs: list[Run]) -> str:
    """Five sentences on the public code and the paper, each from its number: the company, the oversights, the choices, the best
    epoch, and where 0.763 comes from."""
    own = _paper_like([run for run in runs if _kind(run) == "ygan"])
    if not own:
        return "No Y-GAN is trained here yet."
    last = max((run.config.dataset for run in own), key=TENS.index)
    cells, name = [run for run in own if run.config.dataset == last], DATASETS[last].title
    place = {place: np.mean(_by_class(cells, lambda run, place=place: of_run(run)[place])) for place in PLACES}
    n = len({run.config.held_out for run in cells})
    over = f"{name}, {n} of 10 classes" if n < 10 else f"{name}, ten classes"
    lines = [
        f"**The company.** The same Y-GAN networks ({over}) have an AUC of {place[ALONE, 1]:.3f} when each image is scored by "
        f"itself, {place[AUTHORS]:.3f} in the public code's class-sorted batches of 64, and {place[APART, 64]:.3f} when "
        "anomalies fill batches of their own: the code's encoders keep no running statistics, which looks like an oversight, "
        "since a score then depends on the neighbours."
    ]
    table = departures(runs)
    changes = {} if table.empty else {key: row for key, row in table.groupby("trained")[["change"]].mean().iterrows()}
    kinds = {key: kind.kind for key, kind in DEPARTURES.items()}
    said = {
        what: ", ".join(f"`{key}` {changes[key]['change']:+.3f}" for key in DEPARTURES if key in changes and kinds[key] in of)
        for what, of in {"oversights": (BUG,), "choices": (sorted(set(kinds.values()) - {BUG, ""}))}.items()
    }
    cases = "" if table.empty else ", ".join(sorted({key[0] for key in table.index}))
    lines.append(
        "**What looks like an oversight in training.** "
        + (f"Alone, these change the AUC ({cases}) by: {said['oversights']}." if said["oversights"] else "Not trained here.")
    )
    together = f"; all together {changes['public_code']['change']:+.3f}" if "public_code" in changes else ""
    left_open = ", ".join(f"`{key}`" for key, kind in kinds.items() if kind == OPEN)
    lines.append(
        "**What is a choice.** "
        + (
            f"Alone: {said['choices']}{together} (under {CLOSE} it may be luck); the paper itself leaves open {left_open}."
            if said["choices"]
            else "Not trained here."
        )
    )
    gains = {
        METHODS[method]: np.mean([run.losses["auc"].max() - run.losses["auc"].iloc[-1] for run in those])
        for method in METHODS
        if (those := [run for run in runs if _kind(run) == method and "auc" in run.losses])
    }
    lines.append(
        "**The best epoch.** To keep the epoch with the best AUC on the test set, as the code does (it has no validation set), "
        f"adds {', '.join(f'{gain:+.3f} to {method}' for method, gain in gains.items())} in the mean over all cells here."
    )
    ways = ways_to_0763(runs)
    if ways.empty:
        lines.append("**Where 0.763 comes from.** There is no training on CIFAR10 in this profile, so it has no answer.")
    else:
        (configured, way), row = (nearest := ways["missing"].abs().idxmin()), ways.loc[nearest]
        all_ten, spread = row["n"] == 10, ""
        if row["n"] > 1:
            spread = f" ± {row['std']:.3f} (printed: ± {row[PRINTED_STD]:.3f})"
        found = "this way comes to it" if abs(row["missing"]) <= CLOSE else "none comes to it and the question stays open"
        hint = "" if all_ten else f"; with {row['n']:.0f} of ten classes and {_extent(cells[0])} this is a hint, no more"
        lines.append(
            f"**Where 0.763 comes from.** In the same {'ten classes' if all_ten else 'cells'} the paper prints "
            f"{row['paper']:.3f}; of {len(ways)} ways measured here the nearest is *{way}* (`{configured}`), "
            f"{row['AUC']:.3f}{spread}, so {found}{hint}."
        )
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))


def paper_auc(runs: list[Run], summary: Callable = np.mean) -> float:
    """What Tables 1 to 3 print for Y-GAN, over the classes that these runs of one dataset hold out."""
    from ygan_core.study.tables import printed  # which imports the figures

    (data,) = {run.config.dataset for run in runs}
    row = printed(TENS.index(data) + 1).set_index("model").loc["Y-GAN"].drop(["type", "mean", "std"])
    return float(summary(row.iloc[sorted({run.config.held_out for run in runs})].astype(float)))


def _kind(run: Run) -> str:
    return run.config.method if run.config.variant == "full" else run.config.variant


def _cell(run: Run) -> tuple:
    c = run.config
    return c.dataset, c.held_out, c.seed, c.name


def _grouped(runs: list[Run]) -> dict[tuple[str, str, str], list[Run]]:
    groups = {}
    for run in runs:
        groups.setdefault((run.config.dataset, METHODS[run.config.method], configuration(run.config)), []).append(run)
    return groups


def _paper_like(runs: list[Run]) -> list[Run]:
    """Those of the paper's configuration, where there are any; else of the first."""
    names = {run.config.name for run in runs}
    return [run for run in runs if run.config.name == ("paper" if "paper" in names else runs[0].config.name)]


def _by_class(runs: list[Run], value: Callable[[Run], object]) -> list:
    """A value for each class held out: over its seeds the mean."""
    held_out = {}
    for run in runs:
        held_out.setdefault(run.config.held_out, []).append(value(run))
    if runs and isinstance(value(runs[0]), dict):
        return [{key: np.mean([one[key] for one in own]) for key in own[0]} for own in held_out.values()]
    return [float(np.mean(own)) for own in held_out.values()]


def _mean(values) -> float:
    there = list(values)
    return float(np.mean(there)) if there else np.nan


def _extent(run: Run) -> str:
    return f"{run.config.epochs} epochs at width {run.config.width}"


def trained_jobs(study: Study) -> list[Job]:
    """Y-GAN and the control, whole, on Tables 1 to 3."""
    return study.select(dataset=TENS, method=tuple(METHODS), variant="full", labels="true")


def first_jobs(study: Study) -> list[Job]:
    """The same in the first of the study's configurations."""
    jobs = trained_jobs(study)
    return [job for job in jobs if job.config.name == jobs[0].config.name]


def departure_jobs(study: Study) -> list[Job]:
    """Every departure, and Y-GAN whole in the cells and the configuration that they have."""
    departed = study.select(variant=tuple(DEPARTURES))
    cells = {(c.dataset, c.held_out, c.seed, c.name) for c in (job.config for job in departed)}
    whole = study.select(dataset=TENS, method="ygan", variant="full", labels="true")
    whole = [j for j in whole if (j.config.dataset, j.config.held_out, j.config.seed, j.config.name) in cells]
    return [*whole, *departed]


def all_jobs(study: Study) -> list[Job]:
    """All that the verdict rests on."""
    return list({job.id: job for job in (*trained_jobs(study), *departure_jobs(study))}.values())


VIEWS = {
    "company": View(company, lambda study: [job for job in first_jobs(study) if job.config.method == "ygan"]),
    "companies": View(companies, first_jobs),
    "best_epoch": View(best_epoch, first_jobs),
}
TABLES = {
    "in_company": View(in_company, trained_jobs),
    "best_epochs": View(best_epochs, trained_jobs),
    "departures": View(departures, departure_jobs),
    "ways_to_0763": View(ways_to_0763, all_jobs),
}

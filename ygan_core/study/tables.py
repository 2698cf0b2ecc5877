"""Results in, tables out, as CSV, Markdown and LaTeX under results/<profile>/tables/. They read runs, they never train.

Tables 1 to 6 have three blocks: what the paper prints (data/paper_tables/), what was measured here, and the difference. Only
what was measured in the same cells is subtracted: a mean over fewer classes than the paper's has no difference, and names them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon

from ygan_core.baselines import RIVALS
from ygan_core.checkpoints import write_atomically
from ygan_core.data import COLOURS, DATASETS
from ygan_core.data.datasets import REPOSITORY
from ygan_core.study.figures import paper_and_code
from ygan_core.study.figures.scores import LATER, PAPERS
from ygan_core.study.jobs import Job, Run, Study, View
from ygan_core.study.variants import ABLATIONS, configuration

PAPER, OURS, DIFFERENCE = "paper", "ours", "ours - paper"
TITLES = {"color_mnist": "Color-MNIST", **{name: dataset.title for name, dataset in DATASETS.items()}}
REAL = tuple(DATASETS)
KNOWS = {"ygan": "class labels", "classifier": "class labels"}  # beside unlabelled normal images; a rival says it itself
CHANCE = {"digit": 1 / 9, "colour": 1 / len(COLOURS), "AUC": 0.5}  # Color-MNIST: nine normal digits, ten grounds


def printed(number: int) -> pd.DataFrame:
    """The paper's table, as printed; an absent cell is nan."""
    (path,) = (REPOSITORY / "data" / "paper_tables").glob(f"table{number}_*.csv")
    return pd.read_csv(path)


def color_mnist_probes(runs: list[Run]) -> pd.DataFrame:
    """What a linear classifier reads off each latent of held-back images (accuracy), beside the AUC of the digit held out.

    Not in the paper. Disentangled means: the digit from z_s and not from z_r, the colour from z_r and not from z_s.
    swap: of hybrids D(z_s, z_r'), how many show the digit of z_s's image, and the ground of z_r's.
    """
    rows = [
        {
            "configuration": run.config.label,
            "width": run.config.width,
            "epochs": run.config.epochs,
            "digit from z_s": run.metrics["probe_digit_z_s"],
            "colour from z_s": run.metrics["probe_colour_z_s"],
            "digit from z_r": run.metrics["probe_digit_z_r"],
            "colour from z_r": run.metrics["probe_colour_z_r"],
            "digit read off real images": run.metrics["read_digit"],
            "swap keeps digit": run.metrics["swap_digit"],
            "swap takes colour": run.metrics["swap_colour"],
            "accuracy of C": run.metrics["normal_accuracy"],
            "AUC (Eq. 12)": run.metrics["auc"],
        }
        for run in runs
    ]
    return pd.DataFrame(rows).set_index("configuration")


def title(run: Run) -> str:
    """What a table calls a run's method: the paper's name for it."""
    c = run.config
    if c.method in RIVALS:
        return RIVALS[c.method].title
    name = {"ygan": "Y-GAN", "classifier": "Classifier"}[c.method] + "*" * (c.labels == "weak")
    return f"{name}, border alone" if c.pixels == "border" else name


def setting(run: Run) -> str:
    """The configuration, of what has one: a rival has its authors' settings."""
    return "" if run.config.method in RIVALS else configuration(run.config)


def knows(run: Run) -> str:
    """What a method may see beside normal images without labels."""
    c = run.config
    if c.labels == "weak":
        return "ImageNet weights"
    return KNOWS.get(c.method) or RIVALS[c.method].knows


def by_seed(runs: list[Run], metric: str = "auc") -> tuple[float, float]:
    """A cell: mean and population std over the seeds it was trained with."""
    values = [run.metrics[metric] for run in runs if metric in run.metrics]
    return (float(np.mean(values)), float(np.std(values))) if values else (np.nan, np.nan)


def grouped(runs: list[Run], key: Callable[[Run], object]) -> dict:
    """Runs by key, in the order of their first."""
    groups = defaultdict(list)
    for run in runs:
        groups[key(run)].append(run)
    return dict(groups)


def three_blocks(
    paper: pd.DataFrame, ours: pd.DataFrame, values: list[str], fair: Callable[[pd.Series, str], bool]
) -> pd.DataFrame:
    """The paper's rows, ours, and ours less the paper's of the same name. values: what is subtracted, the rest are notes.

    fair(our row, column): whether that value was measured in the very cells of the paper's; else it has no difference.
    """
    differences = []
    for _, row in ours.iterrows():
        same = paper[(paper[KEYS[:-1]] == row[KEYS[:-1]]).all(axis=1)]
        if len(same):
            gap = {name: row[name] - same.iloc[0][name] if fair(row, name) else np.nan for name in values}
            if any(value == value for value in gap.values()):
                differences.append({**row[KEYS], **gap})
    blocks = {PAPER: paper, OURS: ours, DIFFERENCE: pd.DataFrame(differences)}
    table = pd.concat([block.assign(source=name) for name, block in blocks.items() if len(block)])
    columns = [name for name in dict.fromkeys([*paper, *ours]) if name not in KEYS]
    table = table.set_index(["source", *KEYS])[columns]
    table.attrs["best"] = values
    return table


KEYS = ["method", "row", "configuration"]  # what a row of Tables 1-6 is named by; a level that names nothing is dropped


def benchmark(number: int, runs: list[Run]) -> pd.DataFrame:
    """AUC by the class held out, then mean and population std over the classes, as the paper has them; over seeds apart.

    n: how many classes, cells: which, where they are not all ten. p: Wilcoxon's signed-rank test against Y-GAN over the ten
    classes, two-sided, Holm-corrected over the rows, as description. normal accuracy: of C on held-back normal images. knows:
    what a method may see beside unlabelled normal images. Costs: of a whole training, and of scoring an image in batches.
    """
    paper = printed(number).rename(columns={"model": "method"}).drop(columns="type").assign(row="", configuration="")
    classes = [name for name in paper if name not in (*KEYS, "mean", "std")]
    rows, cells = [], {}
    for (method, label), group in grouped(runs, lambda run: (title(run), setting(run))).items():
        found = {held_out: by_seed(those) for held_out, those in grouped(group, lambda run: run.config.held_out).items()}
        auc = np.array([found.get(held_out, (np.nan,))[0] for held_out in range(len(classes))])
        there = ~np.isnan(auc)
        row = {"method": method, "row": "", "configuration": label, **dict(zip(classes, auc, strict=True))}
        row |= {"mean": auc[there].mean(), "std": auc[there].std() if there.sum() > 1 else np.nan, "n": int(there.sum())}
        if not there.all():
            row["cells"] = " ".join(name for name, has in zip(classes, there, strict=True) if has)
        if len(group) > len(found):
            row["std over seeds"] = np.mean([spread for _, spread in found.values()])
        row |= {"width": group[0].config.width, "epochs": group[0].config.epochs}
        row |= {"normal accuracy": _mean(run.metrics.get("normal_accuracy", np.nan) for run in group)}
        row |= {"knows": knows(group[0]), **costs(group)}
        rows.append(row)
        if there.all():
            cells[method, label] = auc
    ours = pd.DataFrame(rows, columns=None if rows else [*KEYS, *classes])
    if p := holm(cells):
        ours["p"] = [p.get((row.method, row.configuration), np.nan) for row in ours.itertuples()]
    return three_blocks(paper, ours, [*classes, "mean"], lambda row, name: name != "mean" or row["n"] == len(classes))


def holm(cells: dict[tuple, np.ndarray]) -> dict[tuple, float]:
    """Wilcoxon's p of each row of ten AUCs against the first Y-GAN's, Holm-corrected."""
    ours = next((key for key in cells if key[0] == "Y-GAN"), None)
    raw = {key: wilcoxon(auc, cells[ours]).pvalue for key, auc in cells.items() if ours and key != ours}
    corrected, lowest = {}, 0.0
    for rank, key in enumerate(sorted(raw, key=raw.get)):
        lowest = max(lowest, min(1.0, (len(raw) - rank) * raw[key]))
        corrected[key] = lowest
    return corrected


def costs(runs: list[Run]) -> dict[str, float]:
    """Seconds of a training and microseconds of scoring an image, in the mean over runs."""
    return {
        "training s": _mean(run.about["seconds"] for run in runs),
        "scoring us": _mean(run.about["inference_us"] for run in runs),
    }


def table4(runs: list[Run]) -> pd.DataFrame:
    """PlantVillage, diseased leaves anomalous: TNR and TPR by species, with the AUC over all leaves at once.

    The threshold is the 95th percentile of the scores of the training images left untrained: what the paper's "EER of the ROC
    for all training samples" can mean where no anomaly is trained on. At EER: the same at the test set's own EER, which no
    detector in use could know. border alone: trained and tested on the outermost pixels alone, so what it finds it
    does not owe to the leaf (arXiv 2206.04374). mean AUC: over the species that have both kinds.
    """
    paper = printed(4).rename(columns={"model": "method", "metric": "row"}).drop(columns="type").assign(configuration="")
    species = [name for name in paper if name not in (*KEYS, "auc")]
    rows = []
    for (method, label), group in grouped(runs, lambda run: (title(run), setting(run))).items():
        auc = by_seed(group)[0]
        per_species = [by_seed(group, f"auc:{name}")[0] for name in species]
        for kind, metric in (("TNR", "tnr"), ("TPR", "tpr"), ("TNR at EER", "tnr_eer"), ("TPR at EER", "tpr_eer")):
            row = {"method": method, "row": kind, "configuration": label}
            row |= {name: by_seed(group, f"{metric}:{name}")[0] for name in species}
            row |= {"auc": auc, "all": by_seed(group, metric)[0], "mean AUC": np.nanmean(per_species)}
            row |= {"width": group[0].config.width, "epochs": group[0].config.epochs}
            rows.append(row | {"knows": knows(group[0]), **costs(group)})
    ours = pd.DataFrame(rows, columns=None if rows else [*KEYS, *species, "auc"])
    table = three_blocks(paper, ours, [*species, "auc"], lambda row, name: name != "auc" or whole(runs))
    table.attrs["best_within"] = ["row"]
    return table


def whole(runs: list[Run]) -> bool:
    """Whether these runs, of one dataset, are over all that the paper's number is: ten classes, or the leaves of 14 species."""
    if runs[0].config.dataset == "plantvillage":
        return len({name.split("___")[0] for name in runs[0].classes}) == 14
    return len({run.config.held_out for run in runs}) == 10


def by_dataset(paper: pd.DataFrame, groups: dict[tuple, list[Run]]) -> pd.DataFrame:
    """Tables 5 and 6: mean AUC by dataset, with n, the number of classes it is over."""
    names = [TITLES[data] for data in REAL]
    rows, entire = [], set()
    for key, runs in groups.items():
        row = dict(zip(KEYS, key, strict=True))
        for data in REAL:
            cells = grouped([run for run in runs if run.config.dataset == data], lambda run: run.config.held_out)
            row |= {TITLES[data]: _mean(by_seed(those)[0] for those in cells.values()), f"n {TITLES[data]}": len(cells)}
            if cells and whole([run for those in cells.values() for run in those]):
                entire.add((*key, TITLES[data]))
        rows.append(row)
    ours = pd.DataFrame(rows, columns=None if rows else [*KEYS, *names])
    return three_blocks(paper, ours, names, lambda row, name: (*row[KEYS], name) in entire)


def table5(runs: list[Run]) -> pd.DataFrame:
    """Ablations (section 6.2): mean AUC over the classes held out, every variant over the same ones; n says how many.

    B3 has no classifier: its score is Eq. 13, the others' Eq. 12.
    """
    paper = printed(5).rename(columns={"variant": "method", "description": "row"}).assign(configuration="")
    names = dict(zip(paper["method"], paper["row"], strict=True))
    groups = grouped(runs, lambda run: (run.config.variant, names[run.config.variant], configuration(run.config)))
    order = {name: place for place, name in enumerate(("full", *ABLATIONS))}
    return by_dataset(paper, dict(sorted(groups.items(), key=lambda item: order[item[0][0]])))


def table6(runs: list[Run]) -> pd.DataFrame:
    """Weak labels (section 6.3): mean AUC with the true sub-classes, and with k-means clusters in their place (Y-GAN*)."""
    paper = printed(6).rename(columns={"model": "method", "labels": "row"}).assign(configuration="")
    names = dict(zip(paper["method"], paper["row"], strict=True))
    groups = grouped(runs, lambda run: (title(run), names[title(run)], configuration(run.config)))
    return by_dataset(paper, groups)


def claims(runs: list[Run]) -> pd.DataFrame:
    """The paper's claims in words (section 6), recomputed from its own tables, and from ours where it has all their cells."""
    means = {number: printed(number).set_index("model")["mean"] for number in (1, 2, 3)}
    std = printed(1).set_index("model")["std"]
    means[4] = printed(4).query("metric == 'TNR'").set_index("model")["auc"]
    six = printed(6).set_index("model")["PlantVillage"]
    main = [run for run in runs if run.config.variant == "full" and run.config.labels == "true"]
    made = {number: partial(benchmark, number) for number in (1, 2, 3)} | {4: table4}
    tables = {
        number: make([run for run in main if run.config.dataset == data])
        for (number, make), data in zip(made.items(), REAL, strict=True)
    }

    def ours(number: int, method: str, column: str) -> float:
        try:
            row = tables[number].loc[OURS].loc[method].iloc[0]
        except KeyError:
            return np.nan
        return float(row[column]) if number == 4 or row["n"] == 10 else np.nan

    def beats(number: int, rival: str) -> tuple[float, float]:
        column = "auc" if number == 4 else "mean"
        mine, theirs = ours(number, "Y-GAN", column), ours(number, rival, column)
        return means[number]["Y-GAN"] / means[number][rival] - 1, mine / theirs - 1

    leaves = [run for run in runs if run.config.dataset == "plantvillage" and run.config.labels == "weak"]
    weak = by_seed(leaves)[0]
    table = {
        "MNIST: mean AUC above OCGAN's by 9 %": beats(1, "OCGAN"),
        "MNIST: standard deviation smaller than OCGAN's by a factor of close to 20": (
            std["OCGAN"] / std["Y-GAN"],
            ours(1, "OCGAN", "std") / (ours(1, "Y-GAN", "std") or np.nan),
        ),
        "FMNIST: mean AUC above ARNet's by more than 14 %": beats(2, "ARNet"),
        "CIFAR10: mean AUC above ARNet's by more than 25 %": beats(3, "ARNet"),
        "PlantVillage: AUC above GANomaly's by more than 23 %": beats(4, "GANomaly"),
        "PlantVillage: weak labels cost about 12 %": (1 - six["Y-GAN*"] / six["Y-GAN"], 1 - weak / ours(4, "Y-GAN", "auc")),
        "PlantVillage: with weak labels still above GANomaly by 7.7 %": (
            six["Y-GAN*"] / means[4]["GANomaly"] - 1,
            weak / ours(4, "GANomaly", "auc") - 1,
        ),
    }
    shown = {
        claim: [np.nan if value != value else f"{value:.1f}" if "factor" in claim else f"{value:.1%}" for value in values]
        for claim, values in table.items()
    }
    return pd.DataFrame(shown, index=pd.Index(["from its tables", "ours"])).T.rename_axis("the paper says")


PURITY = dict(zip(REAL, (0.95, 0.91, 0.87, 0.80), strict=True))  # section 6.3, in its text
CLUSTERS = dict(zip(REAL, ("9 or 10", "9 or 10", "9 or 10", "12"), strict=True))


def weak_labels(runs: list[Run]) -> pd.DataFrame:
    """What the clusters are worth (section 6.3): how many, and the share of images whose cluster's commonest class is theirs.

    as written: k-means on the first 100 principal components of the features; cosine: the features standardised before, and
    scaled to unit length after, which is what Y-GAN* was trained with here. k is that of the highest average silhouette.
    """
    rows = []
    for run in runs:
        c, m = run.config, run.metrics
        rows.append(
            {
                "dataset": TITLES[c.dataset],
                "held out": "diseased" if c.held_out < 0 else run.classes[c.held_out],
                "classes": m["classes"],
                "k, paper": CLUSTERS[c.dataset],
                "k, as written": m["clusters_as_written"],
                "k, cosine": m["clusters"],
                "purity, paper": PURITY[c.dataset],
                "purity, as written": m["purity_as_written"],
                "purity, cosine": m["purity"],
                "network": run.about["weak_labels"]["network"],
            }
        )
    return pd.DataFrame(rows).set_index(["dataset", "held out"]) if rows else pd.DataFrame()


def scores(runs: list[Run]) -> pd.DataFrame:
    """AUC of each anomaly score of the same trained networks: those of section 6.3 (Fig. 8), then those that came later.

    A mean over the classes held out, n of them. The paper draws Fig. 8 without printing its numbers.
    """
    rows = []
    for (data, label), group in grouped(runs, lambda run: (run.config.dataset, configuration(run.config))).items():
        row = {"dataset": TITLES[data], "configuration": label, "n": len({run.config.held_out for run in group})}
        rows.append(row | {name: _mean(run.metrics.get(f"auc_{name}", np.nan) for run in group) for name in (*PAPERS, *LATER)})
    table = pd.DataFrame(rows).set_index(["dataset", "configuration"]) if rows else pd.DataFrame()
    table.attrs["best_in_row"] = [*PAPERS, *LATER]
    return table


def _mean(values) -> float:
    there = [value for value in values if value == value]
    return float(np.mean(there)) if there else np.nan


def _main(dataset: str | tuple[str, ...], **wanted) -> Callable[[Study], list[Job]]:
    """Jobs of Tables 1-4: Y-GAN, the control and the rivals."""
    return lambda study: study.select(**{"dataset": dataset, "variant": "full", "labels": "true", **wanted})


def _ablations(study: Study) -> list[Job]:
    """The variants, and Y-GAN whole in the cells and the configuration that they have."""
    variants = [job for job in study.select(method="ygan", labels="true") if job.config.variant in ABLATIONS]
    return [*_whole(study, variants), *variants]


def _weak(study: Study) -> list[Job]:
    weak = study.select(labels="weak")
    return [*_whole(study, weak), *weak]


def _whole(study: Study, jobs: list[Job]) -> list[Job]:
    def cell(job: Job) -> tuple:
        return job.config.dataset, job.config.held_out, job.config.seed, job.config.name

    cells = {cell(job) for job in jobs}
    return [job for job in study.select(method="ygan", variant="full", labels="true") if cell(job) in cells]


TABLES = {
    "color_mnist_probes": View(color_mnist_probes, lambda study: study.select(dataset="color_mnist")),
    **{
        f"table{number}": View(partial(benchmark, number), _main(data))
        for number, data in enumerate(("mnist", "fmnist", "cifar10"), 1)
    },
    "table4": View(table4, _main("plantvillage", variant=("full", "border"))),
    "table5": View(table5, _ablations),
    "table6": View(table6, _weak),
    "claims": View(claims, lambda study: study.select(dataset=REAL, variant="full")),
    "weak_labels": View(weak_labels, lambda study: study.select(labels="weak")),
    "scores": View(scores, _main(REAL, method="ygan")),
    **paper_and_code.TABLES,
}


def tabulate(study: Study, name: str, runs: list[Run] | None = None, suffix: str = "") -> pd.DataFrame:
    """Make a table from `runs` (the study's where none are given), save it, and return it."""
    view = TABLES[name]
    runs = study.runs(view.jobs(study)) if runs is None else runs
    table = view.make(runs)
    folder = study.folder / "tables"
    write_atomically(folder / f"{name}{suffix}.csv", lambda path: table.to_csv(path, float_format="%.6f"))
    text = f"Profile: {study.profile}\n\n{markdown(table)}\n"
    write_atomically(folder / f"{name}{suffix}.md", lambda path: path.write_text(text))
    write_atomically(
        folder / f"{name}{suffix}.tex", lambda path: path.write_text(f"% profile: {study.profile}\n{latex(table)}")
    )
    study.made(folder / f"{name}{suffix}.csv", runs)
    return table


def readable(table: pd.DataFrame, bold: str = "{}") -> pd.DataFrame:
    """A table as it is shown: measurements to three places, differences signed, an absent cell a dash, the best bold.

    Index levels that name nothing are dropped. bold: how a cell is made bold.
    """
    best = _best(table)
    shown = pd.DataFrame("", index=table.index, columns=table.columns)
    for i, key in enumerate(table.index):
        signed = isinstance(key, tuple) and key[0] == DIFFERENCE
        for j, name in enumerate(table.columns):
            cell = _cell(table.iat[i, j], name, signed)
            shown.iat[i, j] = bold.format(cell) if best[i, j] else cell
    empty = [level for level in shown.index.names if set(shown.index.get_level_values(level)) == {""}]
    return shown.reset_index(empty, drop=True) if empty else shown


COUNTS = ("n", "width", "epochs", "training s", "scoring us", "classes")  # shown whole; of one block, so floats in a table


def _cell(value, name: str, signed: bool) -> str:
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return "–"
    if isinstance(value, (int, np.integer)) or name in COUNTS or name.startswith(("n ", "k, ")):
        return f"{value:.0f}"
    return f"{value:+.3f}" if signed else f"{value:.3f}"


def _best(table: pd.DataFrame) -> np.ndarray:
    """The highest value of each column among the paper's rows, and among ours; or of each row."""
    best = np.zeros(table.shape, dtype=bool)
    if columns := table.attrs.get("best_in_row"):
        values = table[columns].to_numpy(float)
        best[:, table.columns.get_indexer(columns)] = values == np.nanmax(values, axis=1, keepdims=True)
    names = table.attrs.get("best", ())
    groups = (
        table.index.to_frame(index=False).groupby(["source", *table.attrs.get("best_within", ())]).indices if len(names) else {}
    )
    for rows in groups.values():
        values = table.iloc[rows][names].to_numpy(float)
        several = (np.isfinite(values).sum(axis=0) > 1) & (table.index[rows[0]][0] != DIFFERENCE)
        columns = table.columns.get_indexer(names)[several]
        best[np.ix_(rows, columns)] = values[:, several] == np.nanmax(values[:, several], axis=0)
    return best


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown."""
    flat = readable(table, "**{}**").reset_index()
    lines = ["| " + " | ".join(flat.columns) + " |", "| " + " | ".join("---" for _ in flat.columns) + " |"]
    for row in flat.itertuples(index=False):
        lines.append("| " + " | ".join(map(str, row)) + " |")
    return "\n".join(lines)


def html(table: pd.DataFrame) -> str:
    """A table as HTML, for notebooks and the page."""
    return readable(table, "<b>{}</b>").to_html(escape=False, border=0, classes="table")


def latex(table: pd.DataFrame) -> str:
    """A table as LaTeX, for the package booktabs."""
    escaped = table.rename(columns=_escape)
    escaped.attrs = {key: [_escape(name) for name in names] for key, names in table.attrs.items()}
    escaped.index = table.index
    flat = readable(escaped, "\\textbf{{{}}}").reset_index()
    flat = flat.map(lambda cell: cell if "\\textbf" in cell else _escape(cell)).replace("–", "--")
    return flat.rename(columns=_escape).to_latex(index=False, escape=False)


def _escape(text: str) -> str:
    return str(text).replace("_", "\\_").replace("%", "\\%") if "\\" not in str(text) else text

"""What an AUC costs: every method of Tables 1 to 3 by the floating-point operations of its training."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ygan_core.data import DATASETS
from ygan_study.measure.flops import PFLOP
from ygan_study.plan.jobs import Job
from ygan_study.plan.profiles import TEN
from ygan_study.plan.settings import TENS
from ygan_study.report.printed import paper_auc
from ygan_study.report.rows import rows_of, trainings_of
from ygan_study.report.tables.benchmarks import BY
from ygan_study.report.tables.beyond import paper_operations
from ygan_study.report.tables.blocks import MAIN, summary
from ygan_study.report.view import View
from ygan_study.run.folder import Run
from ygan_study.run.store import Study

MARKERS = "osD^vP*X<>hpd"


def auc_by_cost(runs: list[Run]) -> Figure:
    """The AUC of each method against what one of its trainings costs: PFLOP, 10^15 operations in convolutions and matrix
    products, forward and backward, on a logarithmic scale.

    A dot is the mean over the classes held out, of which each is first averaged over its seeds. Filled: all ten classes.
    Hollow: the legend says how many. A bar is the standard deviation over the classes. The star is the paper's Y-GAN: its
    printed mean, at the cost of 100 epochs with the networks of section 4.3 on all the data. The dashed line is chance. At
    the left edge stands what does none of these operations.
    """
    trainings = trainings_of(rows_of(runs))
    several = (
        trainings.groupby(BY)["width"].transform("nunique") > 1
    )  # these are told apart by their width
    trainings["title"] += (", width " + trainings["width"].astype(str)).where(several, "")
    datasets = [name for name in TENS if name in set(trainings["dataset"])]
    names = list(dict.fromkeys(zip(*(trainings[key] for key in BY), strict=True)))
    looks = dict(
        zip(
            names,
            zip(sns.color_palette("husl", len(names)), MARKERS * 2, strict=False),
            strict=False,
        )
    )
    fig, axes = plt.subplots(
        1, len(datasets), figsize=(max(3.2 * len(datasets), 5), 4.6), sharey=True, squeeze=False
    )
    for ax, dataset in zip(axes.flat, datasets, strict=True):
        own = trainings[trainings["dataset"] == dataset]
        found = summary(own, BY).join(
            own.groupby(BY, sort=False)["training_operations"].mean() / PFLOP
        )
        paper = paper_operations(dataset) / PFLOP
        edge = min([paper, *found["training_operations"][found["training_operations"] > 0]]) / 3
        for name, row in found.iterrows():
            colour, marker = looks[name]
            ax.errorbar(
                row["training_operations"] or edge,
                row["mean"],
                yerr=row["std over classes"],
                **dict(
                    color=colour,
                    marker=marker,
                    mfc=colour if row["n"] == len(TEN) else "white",
                    ms=6,
                    lw=0.8,
                    ls="",
                ),
            )
        ax.plot(paper, paper_auc(dataset, TEN), color="black", marker="*", ms=11, ls="")
        ax.axhline(0.5, color="grey", lw=0.8, ls="--", zorder=0)
        ax.set(xscale="log", title=DATASETS[dataset].title, xlabel="PFLOP of a training")
    axes[0, 0].set_ylabel("AUC")
    counts = (
        trainings.groupby([*BY, "dataset"], sort=False)["held_out"]
        .nunique()
        .groupby(BY, sort=False)
        .agg(_counted)
    )
    handles = [
        plt.Line2D([], [], color=colour, marker=marker, ls="", label=_label(*name, counts[name]))
        for name, (colour, marker) in looks.items()
    ]
    handles.append(
        plt.Line2D(
            [], [], color="black", marker="*", ls="", ms=10, label="Y-GAN, as the paper prints it"
        )
    )
    fig.legend(handles=handles, loc="outside lower center", ncols=3)
    return fig


def _label(title: str, configuration: str, counted: str) -> str:
    named = (
        "" if configuration in ("classifier", "strong") else configuration
    )  # of these the title says it
    return " ".join(filter(None, (title, named, counted)))


def _counted(classes: pd.Series) -> str:
    few = sorted(set(classes) - {len(TEN)})
    return f"({' or '.join(map(str, few))} of ten classes)" if few else ""


def _jobs(study: Study) -> list[Job]:
    return study.select(dataset=TENS, group=(*MAIN, "whitened", "strong_wide"))


VIEWS = {"auc_by_cost": View(auc_by_cost, _jobs, "What an AUC costs")}

"""The pictures of the tables."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ygan_core.config import Config
from ygan_study.bench.tried import AS_IT_IS

COLOURS = dict(zip(("float32", "tf32", "bfloat16"), sns.color_palette("colorblind"), strict=False))


def draw_training(table: pd.DataFrame) -> Figure:
    """Training images per second, with the range over the turns. One panel shows one width."""
    table = table[table["images_per_s"].notna()]
    groups = table.groupby("width")
    fig, axes = plt.subplots(len(groups), 1, figsize=(5.5, 0.5 + 0.9 * len(groups)), squeeze=False)
    for ax, (width, rows) in zip(axes.flat, groups, strict=True):
        names = rows["what"] + ", " + rows["precision"]
        error = (
            rows["images_per_s"] - rows["images_per_s_low"],
            rows["images_per_s_high"] - rows["images_per_s"],
        )
        ax.barh(
            names,
            rows["images_per_s"],
            xerr=error,
            color=rows["precision"].map(COLOURS),
            error_kw={"lw": 0.8},
        )
        ax.invert_yaxis()
        ax.set_title(f"width {width}", loc="left")
    axes[-1, 0].set_xlabel("training images/s")
    return fig


def draw_cost(table: pd.DataFrame) -> Figure:
    """Training images per second against batch size, width and image size, with the range over the turns."""
    groups = table.groupby("against", sort=False)
    fig, axes = plt.subplots(
        1, len(groups), figsize=(3 * len(groups), 2.6), squeeze=False, sharey=True
    )
    for ax, (key, group) in zip(axes.flat, groups, strict=True):
        for precision, rows in group.groupby("precision", sort=False):
            colour = COLOURS[precision]
            ax.plot(
                rows[key], rows["images_per_s"], marker="o", ms=3, color=colour, label=precision
            )
            ax.fill_between(
                rows[key],
                rows["images_per_s_low"],
                rows["images_per_s_high"],
                color=colour,
                alpha=0.2,
                lw=0,
            )
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.set_xticks(group[key].unique(), group[key].unique())
        ax.set_xlabel(key.replace("_", " "))
    axes[0, 0].set_ylabel("training images/s")
    axes[0, 0].legend()
    return fig


def draw_breakdown(table: pd.DataFrame) -> Figure:
    """Milliseconds of a training step by kind of operator, and their share of the step."""
    fig, ax = plt.subplots(figsize=(5.5, 2.8))
    _bars(ax, table, y="kind", x="ms_per_step", label="share", style="{:.0%}")
    ax.set(
        xlabel=f"ms of a step, width {table['width'].iloc[0]}, batch {Config.batch_size}", ylabel=""
    )
    return fig


def draw_tried(table: pd.DataFrame) -> Figure:
    """The speed of our loop with one thing done in another way, as a multiple of our loop as it is."""
    fig, ax = plt.subplots(figsize=(5.5, 2.6))
    table = table[table["what"] != AS_IT_IS]
    _bars(ax, table, y="what", x="times_as_it_is", label="times_as_it_is", style="{:.2f}")
    ax.axvline(1, color="grey", lw=0.8, ls="--")
    ax.set(
        xlabel=f"speed as a multiple of ours as it is, width {table['width'].iloc[0]}", ylabel=""
    )
    return fig


def _bars(ax: Axes, table: pd.DataFrame, y: str, x: str, label: str, style: str) -> None:
    """Horizontal bars, one colour for each precision. Each bar is labelled with the column `label`, formatted by `style`."""
    sns.barplot(table, y=y, x=x, hue="precision", palette=COLOURS, ax=ax)
    for bars, (_, rows) in zip(ax.containers, table.groupby("precision", sort=False), strict=True):
        ax.bar_label(bars, [style.format(value) for value in rows[label]], fontsize=7, padding=2)
    ax.legend(title=None)

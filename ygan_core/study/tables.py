"""Results in, tables out, as CSV and Markdown under results/<profile>/tables/. They read runs, they never train."""

from __future__ import annotations

import pandas as pd

from ygan_core.data import COLOURS
from ygan_core.study.jobs import Run, Study, View
from ygan_core.train import write_atomically


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


CHANCE = {"digit": 1 / 9, "colour": 1 / len(COLOURS), "AUC": 0.5}  # Color-MNIST: nine normal digits, ten grounds

TABLES = {"color_mnist_probes": View(color_mnist_probes, lambda study: study.select(dataset="color_mnist"))}


def tabulate(study: Study, name: str, runs: list[Run] | None = None, suffix: str = "") -> pd.DataFrame:
    """Make a table from `runs` (the study's where none are given), save it, and return it."""
    view = TABLES[name]
    runs = [study.run(job) for job in view.jobs(study)] if runs is None else runs
    table = view.make(runs)
    folder = study.folder / "tables"
    write_atomically(folder / f"{name}{suffix}.csv", lambda path: table.to_csv(path, float_format="%.6f"))
    text = f"Profile: {study.profile}\n\n{markdown(table)}\n"
    write_atomically(folder / f"{name}{suffix}.md", lambda path: path.write_text(text))
    study.made(folder / f"{name}{suffix}.csv", runs)
    return table


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """A table as it is shown: measurements to three places, counts as they are."""
    return table.map(lambda cell: f"{cell:.3f}" if isinstance(cell, float) else str(cell))


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown."""
    flat = readable(table).reset_index()
    lines = ["| " + " | ".join(flat.columns) + " |", "| " + " | ".join("---" for _ in flat.columns) + " |"]
    for row in flat.itertuples(index=False):
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)

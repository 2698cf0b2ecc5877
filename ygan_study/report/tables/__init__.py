"""Tables of the evidence, in results/<profile>/tables/. They train nothing.

A table is a function of the rows of runs.csv. It holds every number; `render` shows what a reader
reads.
"""

from __future__ import annotations

import pandas as pd

from ygan_study.report import render
from ygan_study.report.made import keep
from ygan_study.report.rows import rows_of
from ygan_study.report.tables import (
    ablations,
    benchmarks,
    beyond,
    claims,
    color_mnist,
    differences,
    public_code,
    scores,
)
from ygan_study.report.view import NotTrained, View
from ygan_study.run.folder import Run
from ygan_study.run.store import Study

ROOMS = (claims, color_mnist, benchmarks, differences, ablations, beyond, scores, public_code)
TABLES: dict[str, View] = {name: view for room in ROOMS for name, view in room.TABLES.items()}


def make(name: str, runs: list[Run]) -> pd.DataFrame:
    """The table of these runs. Raises NotTrained where they give it no row."""
    view = TABLES[name]
    table = view.make(rows_of(runs, view.of == "batches")) if runs else pd.DataFrame()
    if table.empty:
        raise NotTrained(f"no row of {name} is trained")
    return table


def tabulate(study: Study, name: str, runs: list[Run], suffix: str = "") -> pd.DataFrame:
    """Make a table of `runs`, save it (`made.keep`), and return it."""
    table = make(name, runs)
    files = {
        "csv": table.dropna(axis=1, how="all").to_csv(float_format="%.6f"),
        "tex": f"% profile: {study.profile}\n{render.latex(table)}",
    }
    keep(
        study,
        study.folder / "tables" / f"{name}{suffix}",
        TABLES[name],
        runs,
        {ending: text.encode() for ending, text in files.items()},
        render.markdown(table),
        suffix,
    )
    return table

"""Tables as text: how Markdown and LaTeX show them. What they say is in `tables/`.

A table's `attrs` name what is special about its cells:

best            columns whose highest value is bold: among the paper's rows, and among ours
best_within     index levels within which it is looked for, beside the source
not_best        {(row, column)}: cells that are never bold, as they are not like those beside them
best_in_row     columns of which the highest value in each row is bold
signed          columns of differences
marks           {(row, column): note}: cells with a dagger, and the note below the table
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

PAPER, OURS, DIFFERENCE = (
    "paper",
    "ours",
    "ours - paper",
)  # the sources of rows: the first level of an index, where it has one
EMPTY = "Nothing of this table is trained yet."
DASH, SIGNS = "–", "†‡§¶"


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The text of every cell: numbers to three places, whole ones whole, differences signed, an absent cell a dash, marks.

    Index levels in which every row is empty are left out.
    """
    marks, signed, signs = (
        table.attrs.get("marks", {}),
        table.attrs.get("signed", ()),
        _signs(table),
    )
    shown = pd.DataFrame("", index=table.index, columns=table.columns, dtype=object)
    for i, row in enumerate(table.index):
        for j, column in enumerate(table.columns):
            text = _text(table.iat[i, j], column in signed or _source(row) == DIFFERENCE)
            shown.iat[i, j] = text + signs.get(marks.get((row, column)), "")
    empty = [
        level
        for level in shown.index.names
        if len(shown) and set(shown.index.get_level_values(level)) == {""}
    ]
    return shown.reset_index(empty, drop=True) if empty else shown


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown."""
    if table.empty:
        return EMPTY
    shown, bold = _flat(table)
    styler = _styled(
        shown.map(lambda cell: str(cell).replace("|", "\\|")), bold, "**{}**", "html"
    ).hide(axis="index")
    lines = [line.strip() for line in styler.to_string(delimiter=" | ").strip().splitlines()]
    numbers = [not table[name].map(lambda cell: isinstance(cell, str)).any() for name in table]
    names = len(shown.columns) - len(numbers)
    lines.insert(1, " | ".join(["---"] * names + ["---:" if right else "---" for right in numbers]))
    return "\n".join([*(f"| {line} |" for line in lines), *(f"\n{note}" for note in _notes(table))])


def latex(table: pd.DataFrame) -> str:
    """A table as LaTeX, for the package booktabs."""
    if table.empty:
        return f"% {EMPTY}\n"
    body = (
        _styled(*_flat(table), "\\textbf{{{}}}", "latex").hide(axis="index").to_latex(hrules=True)
    )
    return body + "".join(f"\n\\par {note}\n" for note in _notes(table))


def best(table: pd.DataFrame) -> np.ndarray:
    """Which cells are bold: bool, shaped like the table. One number alone is not the best of anything."""
    found = np.zeros(table.shape, dtype=bool)
    for i in range(len(table)):
        _highest(table, [i], table.attrs.get("best_in_row", ()), 1, found)
    columns = table.attrs.get("best", ())
    if len(columns):
        levels = table.index.to_frame(index=False)[["source", *table.attrs.get("best_within", ())]]
        for _, rows in levels[levels["source"] != DIFFERENCE].groupby(list(levels)):
            _highest(table, list(rows.index), columns, 0, found)
    return found


def _highest(
    table: pd.DataFrame, rows: list[int], columns: list[Hashable], axis: int, found: np.ndarray
) -> None:
    """Set `found` where a value is the highest of several, along columns (axis 0) or rows (axis 1)."""
    apart = table.attrs.get("not_best", ())
    unlike = [[(table.index[row], column) in apart for column in columns] for row in rows]
    values = np.where(unlike, np.nan, table.iloc[rows][list(columns)].to_numpy(float))
    several = np.isfinite(values).sum(axis=axis, keepdims=True) > 1
    highest = np.max(values, axis=axis, keepdims=True, where=np.isfinite(values), initial=-np.inf)
    found[np.ix_(rows, table.columns.get_indexer(list(columns)))] |= (values == highest) & several


def _flat(table: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """The text of a table with its index as the first columns, and which cells are bold."""
    shown = readable(table)
    return shown.reset_index(), np.pad(best(table), ((0, 0), (shown.index.nlevels, 0)))


def _styled(shown: pd.DataFrame, best: np.ndarray, bold: str, escape: str) -> Styler:
    """Text `shown`, escaped, where `best` in bold."""
    styler = shown.style.format(escape=escape)
    for axis in (0, 1):
        styler.format_index(axis=axis, escape=escape)
    for i, j in np.argwhere(best):
        styler.format(bold, subset=([shown.index[i]], [shown.columns[j]]), escape=escape)
    return styler


def _text(value: object, signed: bool) -> str:
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return DASH
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    return f"{value:+.3f}" if signed else f"{value:.3f}"


def _source(row: Hashable) -> Hashable:
    return row[0] if isinstance(row, tuple) else row


def _signs(table: pd.DataFrame) -> dict[str, str]:
    """The sign of each note, in the order in which the table meets them."""
    return dict(zip(dict.fromkeys(table.attrs.get("marks", {}).values()), SIGNS, strict=False))


def _notes(table: pd.DataFrame) -> list[str]:
    return [f"{sign} {note}" for note, sign in _signs(table).items()]

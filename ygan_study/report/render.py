"""Tables as readers see them, by pandas: Markdown and LaTeX. What they say is in `tables/`.

A table holds every number, and so does its CSV. Its `attrs` name what a reader sees:

shown         the columns, or a function that makes another table of this one; by default all
best          columns whose highest value is bold, among the paper's rows and among ours
best_in_row   columns of which the highest value in each row is bold
signed        columns of differences
marked        columns with a dagger wherever the column `not blind` names something; what it names
              has one, too
"""

import html

import numpy as np
import pandas as pd

PAPER, OURS, DIFFERENCE = "paper", "ours", "ours - paper"  # the sources of a table's rows
NOT_BLIND = "not blind"
NOTE = "† Optimistic: this class, or one in this mean, was used in a choice of settings."


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """What a reader sees, as text: three decimals, whole numbers whole, a dash for no value."""
    table = _for_readers(table)
    signed, marked = (set(table.attrs.get(name, ())) for name in ("signed", "marked"))
    not_blind = table.get(NOT_BLIND, pd.Series("", table.index)).fillna("")
    text = {}
    for column in _columns(table):
        named = [column in ([*names.split(", "), *marked] if names else ()) for names in not_blind]
        cells = (_text(value, column in signed) for value in table[column])
        text[column] = [cell + "†" * mark for cell, mark in zip(cells, named, strict=True)]
    return pd.DataFrame(text, table.index, dtype=object)


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown. Whatever is text in it is shown as text."""
    text = readable(table)
    flat = text.mask(best(table), "**" + text + "**").reset_index()
    flat = flat.map(lambda cell: html.escape(str(cell), quote=False).replace("|", "\\|"))
    numbers = text.apply(lambda column: column.str.fullmatch(r"[+-]?[\d.,]+†?|–").all())
    sides = ["left"] * text.index.nlevels + ["right" if each else "left" for each in numbers]
    return flat.to_markdown(index=False, disable_numparse=True, colalign=sides) + _note(
        text, "\n\n"
    )


def latex(table: pd.DataFrame) -> str:
    """A table as LaTeX, for the package booktabs."""
    text, bold = readable(table), best(table)
    styler = text.style.format(escape="latex")
    for axis in ("index", "columns"):
        styler.format_index(axis=axis, escape="latex").format_index_names(axis=axis, escape="latex")
    styler.apply(lambda _: np.where(bold, "font-weight: bold", ""), axis=None)
    return styler.to_latex(hrules=True, convert_css=True) + _note(text, "\\par ")


def best(table: pd.DataFrame) -> np.ndarray:
    """Which cells are bold, of those that a reader sees: bool. One alone is not the best."""
    table = _for_readers(table)
    found = pd.DataFrame(False, table.index, _columns(table))
    columns, within = (list(table.attrs.get(name, ())) for name in ("best", "best_in_row"))
    for _, block in table.groupby(level="source") if columns else ():
        values = block[columns].astype(float)
        found.loc[block.index, columns] = (values == values.max()) & (values.count() > 1)
    if within:
        values = table[within].astype(float)
        found[within] = values.eq(values.max(axis=1), axis=0)
    return found.to_numpy()


def _for_readers(table: pd.DataFrame) -> pd.DataFrame:
    """Without the differences to the paper, which are in the CSV alone."""
    if callable(table.attrs.get("shown")):
        shown = table.attrs["shown"](table)
        shown.attrs = {}
        return shown
    return table[table.index.get_level_values(0) != DIFFERENCE]


def _columns(table: pd.DataFrame) -> list[str]:
    return table.attrs.get("shown", [name for name in table if name != NOT_BLIND])


def _text(value: object, signed: bool) -> str:
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return "–"
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    return f"{value:+.3f}" if signed else f"{value:.3f}"


def _note(text: pd.DataFrame, before: str) -> str:
    """The note below a table with a dagger in it."""
    marked = text.apply(lambda column: column.str.endswith("†")).to_numpy().any()
    return f"{before}{NOTE}\n" if marked else ""

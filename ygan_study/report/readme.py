"""The README's table of claims, from the drawn table `findings` of the reference edition.

Write it anew after the edition was drawn: `python -m ygan_study.report.readme`.
"""

from __future__ import annotations

import re

import pandas as pd

from ygan_core.data.datasets import REPOSITORY
from ygan_study.methods import METHODS
from ygan_study.report.figures import FIGURES
from ygan_study.report.tables import TABLES

README, EDITION = REPOSITORY / "README.md", "results/laptop"
HEAD = ["| claim | judgement | found here |", "| --- | --- | --- |"]


def claims(table: pd.DataFrame) -> list[str]:
    """The lines of the table, in Markdown. table: `findings`. What shows a claim is the link of its first words."""
    return [*HEAD, *(_row(claim, row) for claim, row in table.iterrows())]


def _row(claim: str, row: pd.Series) -> str:
    where, colon, what = claim.partition(":")
    if row["shown by"] in TABLES:
        where = f"[{where}]({EDITION}/tables/{row['shown by']}.md)"
    elif row["shown by"] in FIGURES:
        where = f"[{where}]({EDITION}/figures/{row['shown by']}.webp)"
    found = _a_line_each(row["found here"]) + f"<br>*{row['stands on']}*" * bool(row["stands on"])
    return re.sub(
        r"\b(z_[sr])\b",
        r"`\1`",
        f"| {where}{colon}{what} | {_a_line_each(row['judgement'])} | {found} |",
    )


def _a_line_each(text: str) -> str:
    """What is said of each configuration or dataset on a line of its own; the names of configurations as code."""
    names = "|".join(METHODS)
    lines = re.split(rf"; (?=(?:{names}|the plain classifier|chance)\b|[A-Z])", text)
    return "<br>".join(re.sub(rf"^({names})\b", r"`\1`", line) for line in lines)


def main() -> None:
    """Put the rows of results/laptop/tables/findings.csv in the place of those that README.md has."""
    table = pd.read_csv(
        REPOSITORY / EDITION / "tables" / "findings.csv", index_col="claim", keep_default_na=False
    )
    text = README.read_text(encoding="utf-8")
    start = text.index(HEAD[0])
    end = text.index("\n\n", start)
    README.write_text(text[:start] + "\n".join(claims(table)) + text[end:], encoding="utf-8")


if __name__ == "__main__":
    main()

"""Slides and a handout for a class: notebooks/slides.md and handout.md with the tour's own pictures, each one HTML file.

The files need no network: pictures are in them, and formulas are plain HTML.
"""

from __future__ import annotations

import ast
import base64
import re
import warnings
from functools import partial
from pathlib import Path

import jinja2
import mistune
import nbformat
from matplotlib.figure import Figure
from sklearn.exceptions import ConvergenceWarning

from ygan_core.checkpoints import write_atomically
from ygan_core.config import ConfigError
from ygan_core.data.datasets import REPOSITORY
from ygan_study.teach.widgets import png

NOTEBOOKS = REPOSITORY / "notebooks"
SHORT = {
    "epochs": 4,
    "images_per_class": 200,
}  # of the live training of pictures 5 and 6: seconds in place of half a minute
NOTES = re.compile(r"^Notes:\s*$", re.M)
PICTURE = re.compile(r"(?<=\]\()[^)\s]+(?=\))")
SYMBOLS = {r"\lambda": "λ", r"\cos": "cos ", r"\max": "max ", "-": "−", "'": "′"}
MARKDOWN = mistune.create_markdown(escape=False, plugins=["table"])
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True
)


def build(folder: Path) -> list[Path]:
    """Write slides.html and handout.html into `folder`. Raises ConfigError where a text names a picture that is not there."""
    texts = {
        name: (NOTEBOOKS / f"{name}.md").read_text(encoding="utf-8")
        for name in ("slides", "handout")
    }
    sources = pictures({name for text in texts.values() for name in PICTURE.findall(text)})
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, text in texts.items():
        text = PICTURE.sub(lambda found: sources[found[0]], text)
        parts = [
            [MARKDOWN(formulas(side)) for side in NOTES.split(part)]
            for part in re.split(r"^---$", text, flags=re.M)
        ]
        page = TEMPLATES.get_template(f"{name}.html").render(parts=parts)
        made.append(folder / f"{name}.html")
        write_atomically(made[-1], partial(_write, page))
    return made


def pictures(names: set[str]) -> dict[str, str]:
    """Each picture as a data URL. A name is the id of a cell of the tour, or a file of the repository."""
    found: dict[str, bytes] = {
        name: (REPOSITORY / name).read_bytes() for name in names if (REPOSITORY / name).is_file()
    }
    cells = [
        cell
        for cell in nbformat.read(NOTEBOOKS / "00_tour.ipynb", as_version=4).cells
        if cell.cell_type == "code"
    ]
    if missing := names - found.keys() - {cell.id for cell in cells}:
        raise ConfigError(
            f"no picture {', '.join(sorted(missing))}: name a cell of 00_tour.ipynb by its id, or a file"
        )
    values: dict[str, object] = {}
    warnings.filterwarnings(
        "ignore", category=ConvergenceWarning
    )  # of the probes, after so short a training
    for cell in cells:
        if cell.id in names or cell.id.startswith(
            "cell-"
        ):  # those without a picture prepare the others
            shown = _run(cell.source, values)
            if cell.id in names:
                found[cell.id] = png(shown if isinstance(shown, Figure) else shown.first, dpi=180)
        if "parameters" in cell.metadata.get("tags", []):
            values["settings"] = SHORT
    return {
        name: f"data:image/png;base64,{base64.b64encode(data).decode()}"
        for name, data in found.items()
    }


def formulas(text: str) -> str:
    r"""Markdown whose `$z_s$`, `$L_{con}$`, `$\lambda_R$` are HTML: letters in italics, what follows _ below the line."""

    def html(found: re.Match) -> str:
        formula = found[1]
        for symbol, shown in SYMBOLS.items():
            formula = formula.replace(symbol, shown)
        formula = re.sub(r"(?<![\w{])(?!cos|max)([A-Za-zλ]+)", r"<i>\1</i>", formula)
        return re.sub(r"_(?:\{(.+?)\}|(\w))", r"<sub>\1\2</sub>", formula)

    return re.sub(r"\$(.+?)\$", html, text)


def _run(source: str, values: dict[str, object]) -> object:
    """Run a cell among `values`, as a notebook does. Returns what its last line is worth."""
    *before, last = ast.parse(source).body
    exec(compile(ast.Module(before, type_ignores=[]), "00_tour", "exec"), values)
    if isinstance(last, ast.Expr):
        return eval(compile(ast.Expression(last.value), "00_tour", "eval"), values)
    return exec(compile(ast.Module([last], type_ignores=[]), "00_tour", "exec"), values)


def _write(page: str, path: Path) -> None:
    path.write_text(page, encoding="utf-8")

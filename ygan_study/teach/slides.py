"""Slides and a handout: notebooks/slides.md and handout.md with the tour's own pictures.

Each becomes one HTML file that needs no network: pictures are in it, and formulas are MathML.
"""

import ast
import base64
import re
import warnings
from functools import partial
from mimetypes import guess_type
from pathlib import Path

import jinja2
import mistune
import nbformat
from latex2mathml.converter import convert
from sklearn.exceptions import ConvergenceWarning

from ygan_core.checkpoints import write_atomically
from ygan_core.config import ConfigError
from ygan_core.data.datasets import REPOSITORY
from ygan_study.teach.widgets import png

NOTEBOOKS = REPOSITORY / "notebooks"
# Of the live training of pictures 5 and 6: it takes seconds in place of half a minute.
SHORT = {"epochs": 4, "images_per_class": 200}
SMALLER = 0.75  # in inches than in the tour, so that the lettering is larger on a slide
NOTES = re.compile(r"^Notes:\s*$", re.M)
PICTURE = re.compile(r"(?<=\]\()[^)\s]+(?=\))")
FORMULA = re.compile(r"\$(.+?)\$")
MARKDOWN = mistune.create_markdown(escape=False, plugins=["table"])
TEMPLATES = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent))


def build(folder: Path) -> list[Path]:
    """Write slides.html and handout.html into `folder`.

    Raises ConfigError where a text names a picture that is not there.
    """
    texts = {name: (NOTEBOOKS / f"{name}.md").read_text("utf-8") for name in ("slides", "handout")}
    sources = pictures({name for text in texts.values() for name in PICTURE.findall(text)})
    for name, text in texts.items():
        text = PICTURE.sub(lambda found: sources[found[0]], text)
        text = FORMULA.sub(lambda found: convert(found[1]), text)
        parts = [
            [MARKDOWN(side) for side in NOTES.split(part)]
            for part in re.split(r"^---$", text, flags=re.M)
        ]
        page = TEMPLATES.get_template(f"{name}.html").render(parts=parts)
        write = partial(Path.write_text, data=page, encoding="utf-8")
        write_atomically(folder / f"{name}.html", write)
    return [folder / f"{name}.html" for name in texts]


def pictures(names: set[str]) -> dict[str, str]:
    """Each picture as a data URL. A name is a cell's id in the tour, or a file of ours."""
    files = {name for name in names if (REPOSITORY / name).is_file()}
    found = {name: (REPOSITORY / name).read_bytes() for name in files}
    book = nbformat.read(NOTEBOOKS / "00_tour.ipynb", as_version=4)
    cells = {cell.id: cell for cell in book.cells if cell.cell_type == "code"}
    if missing := names - files - cells.keys():
        raise ConfigError(
            f"no picture {', '.join(sorted(missing))}: name a cell of 00_tour.ipynb, or a file"
        )
    values: dict[str, object] = {}
    # The probes of so short a training do not converge.
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    for name, cell in cells.items():
        if name in names:
            shown = _value(cell.source, values)  # a figure, or widgets and their first one
            figure = getattr(shown, "first", shown)
            figure.set_size_inches(SMALLER * figure.get_size_inches())
            found[name] = png(figure, dpi=240)
        elif name.startswith("cell-"):  # what prepares the pictures
            exec(cell.source, values)
        if "parameters" in cell.metadata.get("tags", []):
            values["settings"] = SHORT
    kinds = {name: guess_type(name, strict=False)[0] or "image/png" for name in found}
    return {
        name: f"data:{kinds[name]};base64,{base64.b64encode(data).decode()}"
        for name, data in found.items()
    }


def _value(source: str, values: dict[str, object]) -> object:
    """Run a cell among `values`. Returns the value of its last line, an expression."""
    *before, last = ast.parse(source).body
    exec(ast.unparse(ast.Module(before, [])), values)
    return eval(ast.unparse(last), values)

"""An executed notebook as it is kept: light, and beside it a web page that needs no kernel, no network and no script."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import jinja2
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from PIL import Image
from pygments.formatters import HtmlFormatter

from ygan_study.report.page import HINT, markdown

TEMPLATE = Path(__file__).with_name("notebook.html")
WIDGETS = "application/vnd.jupyter.widget-view+json"  # alive in JupyterLab alone


def html_of(executed: NotebookNode, name: str, profile: str) -> str:
    """The page of a notebook: prose, code, and outputs, pictures as WebP."""
    exporter = HTMLExporter(
        template_name="basic", filters={"markdown2html": markdown}, exclude_input_prompt=True
    )
    exporter.exclude_output_prompt = True
    body, _ = exporter.from_notebook_node(_lean(executed))
    body = re.sub(
        r'(<a [^>]*href="[^":/]+)\.ipynb(?=["#])', r"\1.html", body
    )  # a browser shows a notebook's file as JSON
    body = re.sub(r"<table.*?</table>", _boxed, body, flags=re.DOTALL)
    page = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        TEMPLATE.read_text("utf-8")
    )
    colours = HtmlFormatter(style="friendly").get_style_defs(".highlight")
    return page.render(name=name, profile=profile, body=body, colours=colours)


def lighten(executed: NotebookNode) -> None:
    """Make the pictures smaller where they stand: each as a PNG of 256 colours or as a JPEG, whichever takes fewer bytes.

    A page that renders notebooks shows no WebP, and none over a few MB.
    """
    for output in (output for cell in executed.cells for output in cell.get("outputs", ())):
        if png := output.get("data", {}).get("image/png"):
            few, jpeg = io.BytesIO(), io.BytesIO()
            with Image.open(io.BytesIO(base64.b64decode(png))) as image:
                picture = image.convert("RGB")
            picture.quantize(256, dither=Image.Dither.NONE).save(few, "PNG", optimize=True)
            picture.save(jpeg, "JPEG", quality=85)
            kinds = {"image/png": few.getvalue(), "image/jpeg": jpeg.getvalue()}
            kind = min(kinds, key=lambda name: len(kinds[name]))
            if len(kinds[kind]) < len(base64.b64decode(png)):
                del output.data["image/png"]
                output.data[kind] = base64.b64encode(kinds[kind]).decode() + "\n"


def _boxed(found: re.Match) -> str:
    """A table in a box of its own, so that what stands below does not scroll with it.

    Of the columns that name its rows one stays in sight, that which tells most rows apart: all of them would fill a phone.
    """
    head, middle, body = found[0].partition("<tbody>")
    heads, rows = (
        [re.split(r"(?=<t[hd]\b)", row) for row in part.split("<tr")] for part in (head, body)
    )
    full = max(rows, key=len)
    missing = [
        len(full) - len(row) for row in rows
    ]  # a name that spans rows is missing in the later ones
    columns = [
        {_text(row[i - gone]) for row, gone in zip(rows, missing, strict=True) if i > gone}
        for i in range(1, len(full))
    ]
    names = range(
        ">source<" in head, sum(cell.startswith("<th") for cell in full)
    )  # paper or ours: not which row it is
    key = max(names, key=lambda i: len(columns[i]), default=None)
    kinds = [
        "key " * (i == key) + "text" * (max(map(len, column)) > 24)
        for i, column in enumerate(columns)
    ]
    for row, gone in [*((row, 0) for row in heads), *zip(rows, missing, strict=True)]:
        for i, kind in enumerate(kinds[gone : gone + len(row) - 1], 1):
            row[i] = f'{row[i][:3]} class="{kind.strip()}"{row[i][3:]}' if kind else row[i]
    table = middle.join("<tr".join(map("".join, part)) for part in (heads, rows))
    return f'<div class="wide" tabindex="0"><div>{table}<p class="hint">{HINT}</p></div></div>'


def _text(cell: str) -> str:
    return re.sub("<.*?>", "", cell).strip()


def _lean(executed: NotebookNode) -> NotebookNode:
    """A copy without widgets, whose pictures are a third as large."""
    book = NotebookNode(executed)
    book.cells = [NotebookNode(cell) for cell in executed.cells]
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs = [
                _lean_output(output)
                for output in cell.outputs
                if WIDGETS not in output.get("data", {})
            ]
    return book


def _lean_output(output: NotebookNode) -> NotebookNode:
    png = output.get("data", {}).get("image/png")
    if not png:
        return output
    webp = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        width = image.width
        image.convert("RGB").save(webp, "WEBP", quality=85, method=6)
    picture = f'<img alt="" width="{width}" src="data:image/webp;base64,{base64.b64encode(webp.getvalue()).decode()}">'
    return NotebookNode(
        output_type="display_data",
        data=NotebookNode({"text/html": picture}),
        metadata=NotebookNode(),
    )

"""An executed notebook as it is kept: light, and beside it a web page that needs no kernel, no network and no script."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import jinja2
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from PIL import Image
from pygments.formatters import HtmlFormatter

from ygan_core.study.show.page import markdown

TEMPLATE = Path(__file__).with_name("notebook.html")
WIDGETS = "application/vnd.jupyter.widget-view+json"  # alive in JupyterLab alone


def html_of(executed: NotebookNode, name: str, profile: str) -> str:
    """The page of a notebook: prose, code, and outputs, pictures as WebP."""
    exporter = HTMLExporter(template_name="basic", filters={"markdown2html": markdown}, exclude_input_prompt=True)
    exporter.exclude_output_prompt = True
    body, _ = exporter.from_notebook_node(_lean(executed))
    page = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(TEMPLATE.read_text("utf-8"))
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


def _lean(executed: NotebookNode) -> NotebookNode:
    """A copy without widgets, whose pictures are a third as large."""
    book = NotebookNode(executed)
    book.cells = [NotebookNode(cell) for cell in executed.cells]
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs = [_lean_output(output) for output in cell.outputs if WIDGETS not in output.get("data", {})]
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
    return NotebookNode(output_type="display_data", data=NotebookNode({"text/html": picture}), metadata=NotebookNode())

"""How Sphinx builds the book, of what `report/book.py` lays out. Nothing is executed."""

import importlib.util
import re
import sys
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2]))  # autodoc imports the packages of this repository

project, author = "Y-GAN: a paper companion", "the contributors"
copyright = "the contributors; texts and pictures under CC BY 4.0"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["README.md"]  # index.md includes it
suppress_warnings = ["toc.not_included"]  # what a text links to
html_theme = "sphinx_book_theme"
html_theme_options = {
    "navbar_persistent": [],  # one field to search in is enough
    "show_navbar_depth": 1,
    "use_download_button": False,
}
html_static_path = [str(HERE / "static")]
html_css_files, html_js_files = ["book.css"], ["book.js"]
html_copy_source = False

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3  # named as on a repository's site
nb_execution_mode = "off"
nb_merge_streams = True
nb_code_prompt_show = "The code"  # that comes before the first section is folded
nb_code_prompt_hide = "Fold the code"
nb_render_markdown_format = "myst"

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "none"
autodoc_inherit_docstrings = False  # those of PyTorch say nothing of this code
PACKAGES = "filelock numpy pandas PIL safetensors scipy sklearn torch torchvision tqdm".split()
autodoc_mock_imports = [name for name in PACKAGES if not importlib.util.find_spec(name)]


def as_mathml(writer, node: nodes.Element) -> None:
    """A formula as MathML, which a browser shows without a script or a network."""
    display = "block" if isinstance(node, nodes.math_block) else "inline"
    writer.body.append(convert(node.astext(), display=display))
    raise nodes.SkipNode


def as_text(app, what, name, obj, options, lines: list[str]) -> None:
    """Docstrings here are plain text: `code` and drawings of lines alone are kept as they are."""
    shown = []
    for paragraph in "\n".join(lines).split("\n\n"):
        rows = paragraph.split("\n")
        if "─" in paragraph:
            shown += ["::", "", *(f"    {row}" for row in rows), ""]
        else:
            text = re.sub(r"([\\*|_])", r"\\\1", "\n".join(row.strip() for row in rows))
            text = re.sub(r"`([^`]*)`", lambda code: f"``{code[1]}``".replace("\\", ""), text)
            shown += [*text.split("\n"), ""]
    lines[:] = shown


def setup(app) -> None:
    """Formulas as MathML, which needs no network, and docstrings as they are written."""
    app.add_html_math_renderer("mathml", (as_mathml, None), (as_mathml, None))
    app.config.html_math_renderer = "mathml"
    app.connect("autodoc-process-docstring", as_text)

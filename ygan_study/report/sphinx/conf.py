"""How Sphinx builds the book. `report/book.py` lays out its sources; nothing is executed here."""

import importlib.util
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
html_theme = "sphinx_book_theme"
html_theme_options = {"show_navbar_depth": 1, "show_toc_level": 2, "use_download_button": False}
html_static_path = [str(HERE / "static")]
html_css_files, html_js_files = ["book.css"], ["book.js"]
html_copy_source = html_show_sourcelink = False

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3  # the same as those of a repository's site
nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"
nb_ipywidgets_js = {}

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "none"
autodoc_mock_imports = [
    name for name in ("torch", "torchvision", "numpy", "scipy", "sklearn", "pandas", "PIL")
    if not importlib.util.find_spec(name)
]  # fmt: skip


def as_mathml(self, node: nodes.Element) -> None:
    """A formula as MathML, which browsers show without a script or a network."""
    display = "block" if isinstance(node, nodes.math_block) else "inline"
    self.body.append(convert(node.astext(), display=display))
    raise nodes.SkipNode


def as_written(app, what, name, obj, options, lines) -> None:
    """Docstrings here are plain text: their lines are kept, and nothing in them is markup."""
    lines[:] = [
        "| " + line.replace("\\", "\\\\").replace("*", "\\*").replace("`", "\\`") for line in lines
    ]


def setup(app) -> None:
    app.add_html_math_renderer("mathml", (as_mathml, None), (as_mathml, None))
    app.config.html_math_renderer = "mathml"
    app.connect("autodoc-process-docstring", as_written)

"""The book: a site of executed notebooks, tables and figures, built once from a small edition."""

import re
import subprocess
import sys

import nbformat
import pytest
from nbformat import v4
from PIL import Image

from ygan_study import Study
from ygan_study.report import book
from ygan_study.report.book import SECTIONS, UNTRAINED, WIDGETS, BookError, build_book
from ygan_study.report.commands import make_book
from ygan_study.report.figures import FIGURES
from ygan_study.report.tables import TABLES

PNG = (  # one white pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsWhTJgAAAABJRU5ErkJggg=="
)
TABLE = "| method | 0 | mean |\n| --- | ---: | ---: |\n| Y-GAN, $z_s$ | 0.9 | **0.8** |"


def output(markdown, **metadata):
    return v4.new_output("display_data", {"text/markdown": markdown}, metadata=metadata)


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    """A results folder with one executed notebook, one figure and one table."""
    folder = tmp_path_factory.mktemp("results") / "smoke"
    for kind in ("notebooks", "figures", "tables"):
        (folder / kind).mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "figures" / "fig1.webp")
    (folder / "figures" / "fig1.md").write_text("# Fig. 1: the idea\n\n![an idea](fig1.webp)\n")
    for name in ("table1", "color_mnist_probes_longer", "no_longer_made"):
        (folder / "tables" / f"{name}.md").write_text(f"# Table: {name}\n\n{TABLE}\n")
    code = v4.new_code_cell
    cells = [
        v4.new_markdown_cell("# 05 · Scores\n\n[The first](01_color_mnist.ipynb), $\\hat z_{zs}$"),
        code("profile = 'quick'", metadata={"tags": ["parameters"]}),
        code("profile = 'smoke'", metadata={"tags": ["injected-parameters"]}),
        code("study.show('fig1')", outputs=[v4.new_output("display_data", {"image/png": PNG})]),
        v4.new_markdown_cell("[Live](TEACHING.md#only-a-link-45-minutes)\n\n## Trained"),
        code("study.show('table1')", outputs=[output(TABLE)]),
        code(
            "widget", outputs=[v4.new_output("display_data", {WIDGETS: {}, "text/plain": "VBox"})]
        ),
        v4.new_markdown_cell("The last words.\n\n## Nothing here"),
        code("study.show('table5')", outputs=[output("Not trained", **{UNTRAINED: True})]),
        v4.new_markdown_cell("## Something here"),
        code(
            "study.show('table5', 'table6')",
            outputs=[output("Neither", **{UNTRAINED: True}), output("0.95")],
        ),
    ]
    executed = v4.new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})
    nbformat.write(executed, folder / "notebooks" / "05_score_analysis.ipynb")
    return folder


@pytest.fixture(scope="module")
def built(edition):
    return build_book(edition).parent


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_a_network(built):
    files = [path for path in built.rglob("*.html") if "_static" not in path.parts]  # templates
    pages = {path.resolve(): path.read_text(encoding="utf-8") for path in files}
    assert len(pages) > 10
    for path, page in pages.items():
        loaded = re.findall(r'(?:\ssrc="|<link [^>]*?href=")([^"]*)', page)
        assert loaded and not [link for link in loaded if link.startswith(("http", "//"))]
        for link in {*loaded, *re.findall(r'\shref="([^"]*)', page)}:
            if re.match(r"(https?|data|mailto):", link) or link in ("play.html", "../play.html"):
                continue  # play.html is made after the book
            address, _, place = link.partition("#")
            there = (path.parent / address.partition("?")[0]).resolve() if address else path
            assert there.is_file(), (path, link)
            assert not place or there not in pages or f'id="{place}"' in pages[there], (path, link)


def test_a_notebook_is_shown_executed(built):
    page = (built / "notebooks/05_score_analysis.html").read_text(encoding="utf-8")
    assert "<strong>0.8</strong>" in page and "<math" in page and "The last words" in page
    assert 'href="01_color_mnist.html"' in page and "Something here" in page
    assert (
        page.count("hide above-input") == 2 and "The code" in page
    )  # what precedes the first section
    assert 'alt="an idea"' in page and 'href="../play.html"' in page
    assert list(built.glob("notebooks/exercises/ex1_*.html"))
    for gone in ("Not trained", "Nothing here", "VBox", "&#39;smoke&#39;"):
        assert gone not in page


def test_the_book_has_the_texts_the_items_and_the_code(built):
    index, contents, code, search = (
        (built / name).read_text(encoding="utf-8")
        for name in ("index.html", "every_table_and_figure.html", "api.html", "searchindex.js")
    )
    for link in ("play.html", "every_table_and_figure.html", "api.html#losses"):
        assert f'href="{link}"' in index
    for name in ("figures/fig1", "tables/table1", "tables/color_mnist_probes_longer"):
        assert f"results/smoke/{name}.html" in contents
    assert not (built / "results/smoke/tables/no_longer_made.html").exists()
    assert "L_con" in code and "Define the computation performed" not in code  # PyTorch's words
    assert "fig1" in search


def test_every_figure_and_table_has_one_place_and_a_title():
    views = {**FIGURES, **TABLES}
    assert sorted(name for names in SECTIONS.values() for name in names) == sorted(views)
    assert all(view.title and view.caption for view in views.values())


def test_what_sphinx_cannot_build_leaves_the_book_that_was_there(
    edition, built, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(book, "SPHINX", tmp_path)
    with pytest.raises(BookError, match="conf.py"):
        build_book(edition)
    assert (built / "index.html").exists()
    assert make_book(Study("smoke", edition.parent), None) == 1
    assert "book failed: BookError" in capsys.readouterr().err


def test_it_is_built_without_pytorch():  # as .github/workflows/pages.yml does
    code = "import sys, ygan_study.report.book; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

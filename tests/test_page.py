import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from ygan_core.data.datasets import REPOSITORY
from ygan_study.report import page, render
from ygan_study.report.figures import FIGURES, draw
from ygan_study.report.page import SECTIONS, item, markdown, write_page
from ygan_study.report.tables import TABLES
from ygan_study.report.verdicts import VERDICTS
from ygan_study.report.view import View


class Links(HTMLParser):
    """The addresses that a page names, and the ids that it has."""

    def __init__(self, text):
        super().__init__()
        self.links, self.ids = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("href", "src", "srcset")]
        self.ids.update(value for name, value in attrs if name == "id")


def broken_links(start):
    """Every link that leads nowhere, of a page and of all pages beside it that it leads to. Those to the web are not tried."""
    broken, left, seen = [], [start], set()
    while left:
        here = left.pop()
        if here in seen:
            continue
        seen.add(here)
        found = Links(here.read_text(encoding="utf-8"))
        for link in found.links:
            address, _, place = link.partition("#")
            if re.match(r"(https?|data|mailto):", link):
                continue
            there = (here.parent / address).resolve() if address else here
            if not there.is_file():
                broken.append((here.name, link))
            elif there.suffix == ".html":
                left.append(there)
                ids = found.ids if there == here else Links(there.read_text(encoding="utf-8")).ids
                broken += [(here.name, link)] if place and place not in ids else []
    return broken


@pytest.mark.parametrize(
    "folder",
    sorted((REPOSITORY / "results").glob("*/index.html")),
    ids=lambda path: path.parent.name,
)
def test_every_link_of_the_editions_that_come_with_the_repository_leads_somewhere(folder):
    assert not broken_links(folder)


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "index.html").write_text('<a href="other.html#here">a</a><a href="none.html">b</a>')
    (tmp_path / "other.html").write_text('<p id="there"></p><a href="https://example.org">c</a>')
    assert broken_links(tmp_path / "index.html") == [
        ("index.html", "other.html#here"),
        ("index.html", "none.html"),
    ]


@pytest.fixture(scope="module")
def written(smoke):
    """The page of Color-MNIST's trainings, two of its figures drawn; what else is trained shows too."""
    study, runs = smoke
    for name in ("fig6a", "color_mnist_scores"):
        draw(study, name, list(runs.values()))
    path = write_page(study)
    return path, path.read_text(encoding="utf-8")


def test_every_figure_and_table_has_its_place_and_its_title():
    placed = [name for names in SECTIONS.values() for name in names]
    views = {**FIGURES, **TABLES}
    assert sorted(placed) == sorted(views) and len(views) == len(FIGURES) + len(TABLES)
    assert set(VERDICTS) <= set(placed)
    titles = [view.title for view in FIGURES.values()]
    assert all(titles) and len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", FIGURES)
def test_no_caption_has_a_code_name(name):
    words = re.sub(r"<.*?>", "", re.sub(r"<i>.*?</i>", "", markdown(FIGURES[name].caption)))
    assert len(words) > 40 and "`" not in words
    shouted = {word for word in re.findall(r"\b[A-Z_]{4,}\b", words)}
    assert shouted <= {"MNIST", "FMNIST", "ICLR", "PFLOP"}
    assert "_" not in words


def test_the_page_names_only_files_that_are_beside_it_and_places_that_it_has(written):
    path, text = written
    assert "figures/fig6a.webp" in Links(text).links and not broken_links(path)
    assert "@import" not in text and "url(" not in text
    assert path.stat().st_size < 3_000_000


def test_the_page_shows_the_numbers_of_its_profile(written, smoke):
    _, text = written
    study, runs = smoke
    assert f"{runs['balanced'].metrics['auc']:.3f}" in text and "Profile <b>smoke</b>" in text
    assert re.search(r"trainings are done: \d+ on a CPU core in\s+\d\.\d hours\.", text)
    assert "--only color_mnist_probes" in text and '<a href="#color_mnist_probes">' in text
    place = text.index('<article id="color_mnist_probes"')
    assert 'class="verdict"' in text[place : text.index("</article>", place)]


def test_an_item_says_in_its_place_why_it_is_not_there(smoke, monkeypatch):
    study, runs = smoke

    def broken(runs):
        raise OSError("no images of <Cherry_(including_sour)___healthy>\nin the folder")

    monkeypatch.setitem(
        page.TABLES, "color_mnist_probes", View(broken, TABLES["color_mnist_probes"].jobs, "Probes")
    )
    text = write_page(study).read_text(encoding="utf-8")
    assert (
        text.count(
            "It cannot be made: OSError: no images of &lt;Cherry_(including_sour)___healthy&gt;</p>"
        )
        == 1
    )
    assert 'id="fig6a"' in text and text.rstrip().endswith("</html>")
    assert item(study, "fig1", []).problem and item(study, "table1", []).problem
    assert "ladder" not in Links(text).ids  # the smoke profile has no such training


def test_a_picture_that_was_not_drawn_is_said_to_be_missing(smoke, tmp_path, monkeypatch):
    study, runs = smoke
    monkeypatch.setattr(study, "folder", tmp_path)
    assert item(study, "fig6a", list(runs.values())).problem == "Not drawn yet."


def test_a_table_without_rows_says_so(smoke, monkeypatch):
    study, runs = smoke
    monkeypatch.setitem(
        page.TABLES, "scores", View(lambda rows: pd.DataFrame(), TABLES["scores"].jobs, "Scores")
    )
    made = item(study, "scores", list(runs.values()))
    assert made.problem == page.NO_ROW and not made.table


def test_a_picture_that_came_with_the_repository_is_shown(smoke, tmp_path, monkeypatch):
    study, runs = smoke
    monkeypatch.setattr(study, "folder", tmp_path)
    draw(study, "fig6a", list(runs.values()))
    size = item(study, "fig6a", list(runs.values())).size
    for ending in ("json", "png", "pdf"):  # git has none of them
        (tmp_path / "figures" / f"fig6a.{ending}").unlink()
    shipped = item(study, "fig6a", list(runs.values()))
    assert (shipped.picture, shipped.problem, shipped.size) == ("figures/fig6a", "", size)


def test_a_picture_is_judged_by_the_runs_that_it_was_drawn_of(smoke, tmp_path, monkeypatch):
    study, runs = smoke
    monkeypatch.setattr(study, "folder", tmp_path)
    monkeypatch.setitem(VERDICTS, "fig6a", VERDICTS["color_mnist_probes"])
    draw(study, "fig6a", [runs["paper"]])
    made = item(study, "fig6a", list(runs.values()))
    assert "<code>paper</code>" in made.verdict and "<code>balanced</code>" not in made.verdict
    width, height = made.size
    assert 300 < width < 600 and 300 < height < 700


def test_formulas_on_the_page():
    assert (
        markdown("both $z_s$ and $\\hat z_{zs}$")
        == "<p>both <i>z<sub>s</sub></i> and <i> z<sub>zs</sub></i></p>\n"
    )


def test_latents_and_scores_are_formulas_outside_of_code():
    assert (
        markdown("z_s, `z_s` and s_zs'")
        == "<p><i>z<sub>s</sub></i>, <code>z_s</code> and <i>s<sub>zs</sub></i>'</p>\n"
    )


def test_html_in_a_text_is_text():
    assert (
        markdown("a <b>name</b>, $a < b$") == "<p>a &lt;b&gt;name&lt;/b&gt;, <i>a &lt; b</i></p>\n"
    )


def test_the_best_of_a_row_is_bold_in_a_table_of_numbers_alone():
    table = pd.DataFrame({"s": [0.9, 0.5], "kNN": [0.8, 0.6]})
    table.attrs["best_in_row"] = ["s", "kNN"]
    assert render.best(table).tolist() == [[True, False], [False, True]]

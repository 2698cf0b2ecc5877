"""The notebooks: how they lie in git, how they are executed, and when an executed one is up to date."""

import ast
import re
import threading

import nbformat
import pandas as pd
import pytest
from nbformat import v4

from ygan_study import Study, fresh
from ygan_study.__main__ import main
from ygan_study.report import commands, made, render
from ygan_study.report import notebooks as nb
from ygan_study.report.figures import FIGURES
from ygan_study.report.notebook_page import html_of
from ygan_study.report.notebooks import (
    SOURCES,
    NotebookError,
    execute,
    fingerprint,
    is_done,
    needs,
    notebooks,
    output,
)
from ygan_study.report.study import NotTrained
from ygan_study.report.tables import TABLES
from ygan_study.run.checksums import SUMS


@pytest.mark.parametrize("name", notebooks())
def test_in_git_without_outputs(name):
    book = nbformat.read(SOURCES / f"{name}.ipynb", as_version=4)
    nbformat.validate(book)
    assert book.metadata.kernelspec.name == "python3"
    for cell in book.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None


@pytest.mark.parametrize("name", notebooks())
def test_one_parameters_cell_with_literals_only(name):
    book = nbformat.read(SOURCES / f"{name}.ipynb", as_version=4)
    (cell,) = (cell for cell in book.cells if "parameters" in cell.metadata.get("tags", []))
    for statement in ast.parse(
        cell.source
    ).body:  # a value derived there would not follow a parameter that is changed
        assert isinstance(statement, ast.Assign)
        ast.literal_eval(statement.value)


def test_every_figure_and_table_is_in_a_notebook():
    study = Study("smoke")
    source = {name: (SOURCES / f"{name}.ipynb").read_text(encoding="utf-8") for name in notebooks()}
    for name, view in {**FIGURES, **TABLES}.items():
        shown = [book for book, text in source.items() if f'\\"{name}\\"' in text]
        assert shown, name
        for book in shown:
            assert {job.id for job in view.jobs(study)} <= {job.id for job in needs(study, book)}


@pytest.mark.parametrize("name", notebooks())
def test_opens_with_a_card(name):
    first = nbformat.read(SOURCES / f"{name}.ipynb", as_version=4).cells[0].source
    for row in ("You will see", "In the paper", "It takes", "Reads", "Writes"):
        assert f"| **{row}** |" in first


def test_from_top_to_end_in_the_smoke_profile(smoke, results, monkeypatch, capsys):
    study, _ = smoke
    monkeypatch.setattr(commands, "notebooks", lambda: ["01_color_mnist"])
    line = ["all", "--profile", "smoke", "--results", str(results), "--workers", "1"]
    assert main(line) == 0, capsys.readouterr().out
    book = nbformat.read(output(study, "01_color_mnist"), as_version=4)
    outputs = [o.get("data", {}) for cell in book.cells for o in cell.get("outputs", [])]
    assert sum("image/png" in data or "image/jpeg" in data for data in outputs) >= 5
    for name in ("fig6a", "fig6b", "color_mnist_scores"):
        for ending in ("png", "pdf", "json"):
            assert (study.folder / "figures" / f"{name}.{ending}").stat().st_size > 0

    capsys.readouterr()
    made = output(study, "01_color_mnist").stat().st_mtime_ns
    assert main(line) == 0 and output(study, "01_color_mnist").stat().st_mtime_ns == made
    assert "skipped, there already: 1\n  01_color_mnist" in capsys.readouterr().out
    for name, change in (("fig6b.png", None), ("fig6a.png", b"of other settings")):
        file = study.folder / "figures" / name
        content = file.read_bytes()
        file.unlink() if change is None else file.write_bytes(change)
        assert not is_done(
            study, "01_color_mnist"
        )  # a file lost or changed since: the notebook makes it again
        file.write_bytes(content)
    assert is_done(study, "01_color_mnist")
    for content in ("", "{}", "[]", "null"):
        output(study, "01_color_mnist").write_text(content)
        assert not is_done(study, "01_color_mnist")


def test_asked_for_by_name_or_by_force_it_is_executed_whether_it_is_done_or_not(
    smoke, results, monkeypatch
):
    calls = []
    monkeypatch.setattr(commands, "notebooks", lambda: ["01_color_mnist"])
    monkeypatch.setattr(commands, "execute", lambda study, name: calls.append(name))
    monkeypatch.setattr(commands, "is_done", lambda study, name: True)
    monkeypatch.setattr(commands, "write_page", lambda study: None)
    line = ["all", "--profile", "smoke", "--results", str(results)]
    assert main(line) == 0 and not calls
    assert (
        main([*line, "--force"]) == 0
        and main([*line, "--only", "01_color_mnist"]) == 0
        and len(calls) == 2
    )


@pytest.mark.parametrize(
    "file, concerned, not_concerned",
    [
        (
            "show/figures/latents.py",
            {"06_latent_space"},
            {"03_ablations", "04_weak_labels", "05_score_analysis"},
        ),
        ("show/tables/scores.py", {"05_score_analysis"}, {"07_gradcam", "08_edge_cases"}),
        (
            "show/tables/ablations.py",
            {"03_ablations"},
            {"05_score_analysis", "06_latent_space", "07_gradcam"},
        ),
        ("measure/numbers.py", {"01_color_mnist", "02_benchmarks", "03_ablations"}, set()),
        (
            "show/tables/findings.py",
            {"02_benchmarks", "05_score_analysis"},
            {"07_gradcam", "08_edge_cases"},
        ),
        ("show/page.py", set(), set(notebooks())),
        ("benchmark/report.py", set(), set(notebooks())),
    ],
)
def test_an_edit_concerns_the_notebooks_that_use_the_code(
    file, concerned, not_concerned, smoke, monkeypatch
):
    study, _ = smoke
    before = {name: fingerprint(study, name) for name in notebooks()}
    assert before == {name: fingerprint(study, name) for name in notebooks()}
    normalised, path = fresh._normalised, fresh.ROOT / "study" / file
    assert path.exists()
    monkeypatch.setattr(
        fresh, "_normalised", lambda other, *at: normalised(other, *at) + "edited" * (other == path)
    )
    now = {name for name in notebooks() if fingerprint(study, name) != before[name]}
    assert concerned <= now and not not_concerned & now


def test_an_edited_caption_concerns_the_notebooks_that_show_it(smoke, monkeypatch):
    study, _ = smoke
    before = {name: fingerprint(study, name) for name in notebooks()}
    monkeypatch.setattr(FIGURES["fig8"].make, "__doc__", "Fig. 8, said in other words.")
    now = {name for name in notebooks() if fingerprint(study, name) != before[name]}
    assert now == {name for name in notebooks() if "fig8" in nb._views(name)} and now


def test_an_executed_notebook_follows_its_cells_settings_and_facts(
    copied, tmp_path, notebook, monkeypatch
):
    study, jobs = copied
    monkeypatch.setattr(nb, "SOURCES", notebook('"table1"').parent)
    study = Study("smoke", tmp_path)
    assert jobs["ganomaly"] in needs(study, "01_made")
    before = fingerprint(study, "01_made")
    assert fingerprint(Study("smoke", tmp_path), "01_made") == before
    assert fingerprint(Study("smoke", tmp_path, settings={"epochs": 9}), "01_made") != before
    (tmp_path / "elsewhere").mkdir()
    study.root.rename(tmp_path / "elsewhere" / "smoke")
    moved = Study("smoke", tmp_path / "elsewhere")
    assert fingerprint(moved, "01_made") == before
    sums = moved.path(jobs["ganomaly"]) / SUMS
    sums.write_text(
        "\n".join(reversed(sums.read_text().splitlines())) + "\n"
    )  # as if it had been trained again
    assert moved.find(jobs["ganomaly"]) and fingerprint(moved, "01_made") != before
    notebook('"table1"', "1 + 1")
    assert fingerprint(moved, "01_made") != before


def test_a_table_follows_the_facts_of_its_runs(copied, tmp_path):
    study, jobs = copied
    runs, path = study.found(jobs.values()), tmp_path / "table.csv"
    path.touch()
    made.made(study, path, runs, TABLES["table1"].function)
    assert made.is_made(path, runs, TABLES["table1"].function)
    sums = runs[0].folder / SUMS
    sums.write_text(
        "\n".join(reversed(sums.read_text().splitlines())) + "\n"
    )  # as if its networks were measured once more
    assert len(study.found(jobs.values())) == len(runs) and not made.is_made(
        path, runs, TABLES["table1"].function
    )


def test_notebooks_run_side_by_side_and_each_says_how_it_ended(tmp_path, monkeypatch, capsys):
    both = threading.Barrier(2, timeout=30)

    def executed(study, name):
        if name != "c":
            both.wait()  # of one after the other the first would wait in vain
        if name == "b":
            raise NotTrained("train it")
        if name == "c":
            raise ValueError("broken")

    monkeypatch.setattr(commands, "notebooks", lambda: ["a", "b", "c"])
    monkeypatch.setattr(commands, "needs", lambda study, name: [])
    monkeypatch.setattr(commands, "execute", executed)
    assert (
        main(
            [
                "all",
                "--profile",
                "smoke",
                "--results",
                str(tmp_path),
                "--workers",
                "2",
                "--only",
                "a",
                "b",
                "c",
            ]
        )
        == 1
    )
    out, err = capsys.readouterr()
    ends = re.findall(r"^(done|not made yet|failed): \d+\n  (\w)\b", out, re.MULTILINE)
    assert (
        ends == [("done", "a"), ("not made yet", "b"), ("failed", "c")]
        and "c failed: ValueError: broken" in err
    )


def test_an_unknown_parameter_is_refused(smoke, notebook, monkeypatch):
    monkeypatch.setattr(nb, "SOURCES", notebook(parameters="profil = 'quick'").parent)
    with pytest.raises(
        NotebookError, match="no parameter device, precision, profile, results, settings"
    ):
        execute(smoke[0], "01_made")


def test_a_broken_notebook_leaves_no_output_that_looks_finished(smoke, notebook, monkeypatch):
    monkeypatch.setattr(
        nb, "SOURCES", notebook("assert profile == 'smoke' and settings == {}", "1 / 0").parent
    )
    partial = output(smoke[0], "01_made").with_name("01_made.partial.ipynb")
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text("left by a kill")
    with pytest.raises(NotebookError, match="01_made, cell 4: ZeroDivisionError: division by zero"):
        execute(smoke[0], "01_made")
    assert not output(smoke[0], "01_made").exists() and "ZeroDivisionError" in partial.read_text()
    notebook("print(profile)")
    assert execute(smoke[0], "01_made") == output(smoke[0], "01_made") and not partial.exists()


def test_an_executed_notebook_is_light_and_has_a_page_beside_it(smoke, notebook, monkeypatch):
    study, _ = smoke
    code = (
        "import matplotlib.pyplot as plt, numpy as np\nfrom IPython.display import Markdown, display\n"
        "plt.imshow(np.random.rand(300, 300, 3))\nplt.show()\ndisplay(Markdown('`<b>` and $z_s$'))\nprint('<i>')"
    )
    source = notebook(code)
    monkeypatch.setattr(nb, "SOURCES", source.parent)
    executed = execute(study, source.stem)
    page = executed.with_suffix(".html").read_text(encoding="utf-8")
    assert (
        "data:image/webp" in page
        and "<i>z<sub>s</sub></i>" in page
        and "&lt;i&gt;" in page
        and "&lt;b&gt;" in page
    )
    words = re.sub(r'"data:[^"]*"', "", page)  # a picture's characters may spell anything
    assert "http" not in words.replace("http-equiv", "") and "<script" not in words
    kinds = {
        kind
        for cell in nbformat.read(executed, 4).cells
        for o in cell.get("outputs", [])
        for kind in o.get("data", {})
    }
    assert "image/jpeg" in kinds and "image/png" not in kinds  # noise is a photograph's like
    assert (
        "input_path" not in nbformat.read(executed, 4).metadata.papermill
    )  # a folder of this machine


def page_of(text, html):
    """The page of a notebook with this prose and this output."""
    shown = v4.new_output("display_data", {"text/html": html})
    return html_of(
        v4.new_notebook(cells=[v4.new_markdown_cell(text), v4.new_code_cell("x", outputs=[shown])]),
        "01_made",
        "smoke",
    )


def test_pages_lead_to_pages():
    page = page_of(
        "[a](05_b.ipynb), [a](05_b.ipynb#c), [a](https://example.org/d.ipynb)",
        '<a class="x" href="06_e.ipynb">a</a>',
    )
    links = [
        "../index.html",
        "01_made.ipynb",
        "05_b.html",
        "05_b.html#c",
        "https://example.org/d.ipynb",
        "06_e.html",
    ]
    assert (
        re.findall('href="(.*?)"', page) == links
    )  # the second is the notebook itself, to take away


def test_a_table_scrolls_alone_and_what_names_its_rows_stays():
    rows = [("paper", "GANomaly", ""), ("paper", "Y-GAN", ""), ("ours", "Classifier", "control")]
    index = pd.MultiIndex.from_tuples(rows, names=["source", "method", "configuration"])
    table = pd.DataFrame(
        {"mean": [0.5, 0.6, 0.7], "knows": ["–", "–", "the labels of the normal images"]}, index
    )
    table.attrs["marks"] = {(rows[0], "mean"): "not blind"}
    page = page_of("A table.", render.html(table))
    (box,) = re.findall(r'<div class="wide".*?</div>', page, re.DOTALL)
    assert "0.500†" in box and "<p>† not blind</p>" in page and "not blind" not in box
    assert re.findall(r'<th class="key">(.*?)</th>', box) == [
        "\xa0",
        "method",
        "GANomaly",
        "Y-GAN",
        "Classifier",
    ]
    assert re.findall(r'<td class="text">(.*?)</td>', box) == [
        "–",
        "–",
        "the labels of the normal images",
    ]
    assert re.findall(r"\s(\S+) {[^}]*overflow-x: auto", page) == [".wide"]


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame(
            {("AUC", "a"): [0.1], ("AUC", "b"): [0.2]}, pd.Index(["base"], name="candidate")
        ).to_html(),
        pd.DataFrame({"a": [1]}).to_html(index=False),
        pd.DataFrame({"a": []}).to_html(),
        "<table><tr><td>1</td></tr></table>",
    ],
    ids=["columns in groups", "no names", "no rows", "no body"],
)
def test_a_table_of_another_shape_keeps_its_cells(table):
    (box,) = re.findall(r'<div class="wide".*?</div>', page_of("A table.", table), re.DOTALL)
    words, shown = (
        re.findall(r"<(/?t\w+)|>\s*([^<\s]+)\s*<", text)
        for text in (table, box[: box.index('<p class="hint"')])
    )
    assert shown == words

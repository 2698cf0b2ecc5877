import ast

import nbformat
import pytest

from ygan_core.study import Study
from ygan_core.study.__main__ import main
from ygan_core.study.show import notebooks as nb
from ygan_core.study.show.figures import FIGURES
from ygan_core.study.show.notebooks import SOURCES, NotebookError, execute, needs, notebooks, output
from ygan_core.study.show.tables import TABLES


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
    for statement in ast.parse(cell.source).body:  # a value derived there would not follow a parameter that is changed
        assert isinstance(statement, ast.Assign)
        ast.literal_eval(statement.value)


def test_every_figure_and_table_is_in_a_notebook():
    study = Study("smoke")
    source = {name: (SOURCES / f"{name}.ipynb").read_text() for name in notebooks()}
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


def test_from_top_to_end_in_the_smoke_profile(smoke, results, capsys):
    study, _ = smoke
    line = ["all", "--profile", "smoke", "--results", str(results), "--only", "01_color_mnist"]
    assert main(line) == 0
    book = nbformat.read(output(study, "01_color_mnist"), as_version=4)
    outputs = [o.get("data", {}) for cell in book.cells for o in cell.get("outputs", [])]
    text = "".join(data.get("text/markdown", "") for data in outputs)
    assert "Profile `smoke`" in text and sum("image/png" in data for data in outputs) == 7
    for name in ("fig6a", "fig6b", "fig6a_longer", "fig6b_longer", "color_mnist_scores"):
        for ending in ("png", "pdf", "json"):
            assert (study.folder / "figures" / f"{name}.{ending}").stat().st_size > 0

    assert nb.is_done(study, "01_color_mnist")
    for name, change in (("fig6a_longer.png", None), ("fig6a.png", b"of other settings")):
        file = study.folder / "figures" / name
        content = file.read_bytes()
        file.unlink() if change is None else file.write_bytes(change)
        assert not nb.is_done(study, "01_color_mnist")  # a file lost or changed since: the notebook makes it again
        file.write_bytes(content)
    assert nb.is_done(study, "01_color_mnist")
    for content in ("", "{}", "[]", "null"):
        output(study, "01_color_mnist").write_text(content)
        assert not nb.is_done(study, "01_color_mnist")


PARAMETERS = "profile = 'quick'\nresults = None\ndevice = 'auto'\nprecision = 'auto'\nsettings = {}"


def broken(tmp_path, monkeypatch, *cells, parameters=PARAMETERS):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    book.cells = [nbformat.v4.new_code_cell(source) for source in (parameters, *cells)]
    book.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(book, tmp_path / "01_broken.ipynb")
    monkeypatch.setattr(nb, "SOURCES", tmp_path)


def test_an_unknown_parameter_is_refused(smoke, tmp_path, monkeypatch):
    broken(tmp_path, monkeypatch, parameters="profil = 'quick'")
    with pytest.raises(NotebookError, match="no parameter device, precision, profile, results, settings"):
        execute(smoke[0], "01_broken")


def test_a_broken_notebook_leaves_no_output_that_looks_finished(smoke, tmp_path, monkeypatch):
    broken(tmp_path, monkeypatch, "assert profile == 'smoke' and settings == {}", "1 / 0")
    with pytest.raises(NotebookError, match="01_broken, cell 4: ZeroDivisionError: division by zero"):
        execute(smoke[0], "01_broken")
    assert not output(smoke[0], "01_broken").exists()
    assert output(smoke[0], "01_broken").with_name("01_broken.partial.ipynb").exists()

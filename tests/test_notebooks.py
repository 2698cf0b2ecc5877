"""The notebooks: how they lie in git, how they are executed, and when one is up to date."""

import ast
import json
import re
import shutil
import sys
import threading

import nbformat
import pytest

from ygan_study import Study
from ygan_study.__main__ import main
from ygan_study.report import commands, views
from ygan_study.report import notebooks as nb
from ygan_study.report.book import UNTRAINED
from ygan_study.report.notebooks import execute, fingerprint, is_done, needs, notebooks, output
from ygan_study.report.view import NotTrained
from ygan_study.run.checksums import SUMS


@pytest.mark.parametrize("name", notebooks())
def test_in_git_without_outputs_and_with_one_cell_of_literal_parameters(name):
    book = nbformat.read(nb.SOURCES / f"{name}.ipynb", as_version=4)
    nbformat.validate(book)
    assert book.metadata.kernelspec.name == "python3"
    for cell in book.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None
    (cell,) = (cell for cell in book.cells if "parameters" in cell.metadata.get("tags", []))
    for statement in ast.parse(cell.source).body:
        assert isinstance(statement, ast.Assign)
        ast.literal_eval(statement.value)  # a derived value would not follow a changed parameter
    for row in ("You will see", "In the paper", "It takes", "Reads", "Writes"):
        assert f"| **{row}** |" in book.cells[0].source


@pytest.mark.parametrize("path", sorted(nb.SOURCES.rglob("*.ipynb")), ids=lambda path: path.stem)
def test_every_name_that_a_notebook_imports_is_there(path):
    cells = nbformat.read(path, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    imports = [n for n in ast.walk(ast.parse(code)) if isinstance(n, (ast.Import, ast.ImportFrom))]
    exec(ast.unparse(ast.Module(imports, [])), {})


def test_every_figure_and_table_is_in_a_notebook_that_needs_its_trainings():
    study, shown = Study("smoke"), {name: nb.views(name) for name in notebooks()}
    for name, view in views.VIEWS.items():
        books = [book for book, views_ in shown.items() if name in views_]
        assert books, name
        assert {job.id for job in view.jobs(study)} <= {job.id for job in needs(study, books[0])}


def test_executed_once_and_again_when_something_that_it_made_is_gone(
    smoke, results, notebook, monkeypatch, capsys
):
    study, _ = smoke
    begin = "from ygan_study import Study"
    begin += "\nstudy = Study(profile, results, device, precision, settings)"
    show = 'study.show("fig6a")\nstudy.show("color_mnist_probes")'
    monkeypatch.setattr(nb, "SOURCES", notebook(begin, show).parent)
    monkeypatch.setattr(commands, "build_book", lambda folder: folder / "book/index.html")
    line = ["all", "--profile", "smoke", "--results", str(results), "--workers", "1"]
    assert main(line) == 0, capsys.readouterr().out
    executed = output(study, "01_made")
    book = nbformat.read(executed, as_version=4)
    picture, *others = [shown.data for cell in book.cells for shown in cell.get("outputs", [])]
    assert "image/png" in picture or "image/jpeg" in picture
    assert "|:-" in "".join(data.get("text/markdown", "") for data in others)
    assert "input_path" not in book.metadata.papermill  # a folder of this machine

    made_at = executed.stat().st_mtime_ns
    capsys.readouterr()
    assert main(line) == 0 and executed.stat().st_mtime_ns == made_at
    assert "skipped, there already: 1\n  01_made" in capsys.readouterr().out
    about = study.folder / "figures" / "fig6a.json"
    moved = about.rename(about.with_suffix(".moved"))
    assert not is_done(study, "01_made")
    moved.rename(about)
    assert is_done(study, "01_made")
    for content in ("", "{}", "null"):
        executed.write_text(content)
        assert not is_done(study, "01_made")


def test_asked_for_by_name_or_by_force_it_is_executed_in_any_case(smoke, results, monkeypatch):
    calls = []
    monkeypatch.setattr(commands, "notebooks", lambda: ["01_color_mnist"])
    monkeypatch.setattr(commands, "execute", lambda study, name: calls.append(name))
    monkeypatch.setattr(commands, "is_done", lambda study, name: True)
    monkeypatch.setattr(commands, "build_book", lambda folder: None)
    line = ["all", "--profile", "smoke", "--results", str(results)]
    assert main(line) == 0 and not calls
    assert main([*line, "--force"]) == 0 and main([*line, "--only", "01_color_mnist"]) == 0
    assert len(calls) == 2


def test_an_executed_notebook_follows_its_cells_settings_facts_and_version(
    copied, tmp_path, notebook, monkeypatch
):
    study, jobs = copied
    monkeypatch.setattr(nb, "SOURCES", notebook('"table1"').parent)
    assert jobs["ganomaly"] in needs(study, "01_made")
    before = fingerprint(study, "01_made")
    assert fingerprint(Study("smoke", tmp_path, settings={"epochs": 9}), "01_made") != before
    shutil.copytree(study.root, tmp_path / "elsewhere" / "smoke")
    moved = Study("smoke", tmp_path / "elsewhere")
    assert fingerprint(moved, "01_made") == before
    reverse_checksums(moved.path(jobs["ganomaly"]))
    trained_again = fingerprint(moved, "01_made")
    monkeypatch.setattr(nb, "VERSION", views.VERSION + 1)
    assert len({before, trained_again, fingerprint(moved, "01_made")}) == 3
    notebook('"table1"', "1 + 1")
    assert fingerprint(moved, "01_made") not in (before, trained_again)


def test_a_notebook_that_found_a_table_untrained_is_done_without_it(copied, notebook, monkeypatch):
    study, _ = copied
    monkeypatch.setattr(nb, "SOURCES", notebook('"table1"').parent)
    told = nbformat.v4.new_output("display_data", metadata={UNTRAINED: "table1"})
    for outputs in ([], [told]):
        executed = nbformat.v4.new_notebook(metadata={"ygan": fingerprint(study, "01_made")})
        executed.cells.append(nbformat.v4.new_code_cell(outputs=outputs))
        output(study, "01_made").parent.mkdir(exist_ok=True)
        nbformat.write(executed, output(study, "01_made"))
        assert is_done(study, "01_made") == bool(outputs)


def reverse_checksums(folder):
    """As if the training had been done again."""
    lines = (folder / SUMS).read_text().splitlines()
    (folder / SUMS).write_text("\n".join(reversed(lines)) + "\n")


def test_a_table_follows_the_facts_of_its_runs(copied):
    study, jobs = copied
    runs, page = study.found(jobs.values()), study.folder / "tables" / "table1.md"
    assert not views.is_made(study, "table1", runs)
    views.save(study, "table1", runs)
    assert views.is_made(study, "table1", runs) and not views.is_made(study, "table1", runs[:1])
    text = page.read_text()
    assert text.startswith("# Table 1: MNIST\n") and "--profile smoke --only table1`" in text
    reverse_checksums(runs[0].folder)
    assert len(study.found(jobs.values())) == len(runs)
    assert not views.is_made(study, "table1", runs)


def test_notebooks_run_side_by_side_and_each_says_how_it_ended(tmp_path, monkeypatch, capsys):
    both = threading.Barrier(2, timeout=30)

    def executed(study, name):
        if name == "c":
            raise ValueError("broken")
        both.wait()  # of one after the other the first would wait in vain
        if name == "b":
            raise NotTrained("train it")

    monkeypatch.setattr(commands, "notebooks", lambda: ["a", "b", "c"])
    monkeypatch.setattr(commands, "needs", lambda study, name: [])
    monkeypatch.setattr(commands, "execute", executed)
    line = ["all", "--profile", "smoke", "--results", str(tmp_path), "--workers", "2"]
    assert main([*line, "--only", "a", "b", "c"]) == 1
    out, err = capsys.readouterr()
    ends = re.findall(r"^(done|not made yet|failed): \d+\n  (\w)\b", out, re.MULTILINE)
    assert ends == [("done", "a"), ("not made yet", "b"), ("failed", "c")]
    assert "c failed: ValueError: broken" in err


def test_an_unknown_parameter_is_refused(smoke, notebook, monkeypatch):
    monkeypatch.setattr(nb, "SOURCES", notebook(parameters="profil = 'quick'").parent)
    with pytest.raises(
        nb.NotebookError, match="no parameter device, precision, profile, results, s"
    ):
        execute(smoke[0], "01_made")


@pytest.fixture
def partial(smoke):
    """Where the cells of a notebook lie that did not run to its end; it was left by a kill."""
    output(smoke[0], "01_made").unlink(missing_ok=True)
    path = output(smoke[0], "01_made").with_name("01_made.partial.ipynb")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("cut short")
    return path


def test_a_broken_notebook_leaves_no_output_that_looks_finished(
    smoke, notebook, monkeypatch, partial
):
    source = notebook("assert profile == 'smoke' and settings == {}", "1 / 0")
    monkeypatch.setattr(nb, "SOURCES", source.parent)
    with pytest.raises(nb.NotebookError, match="01_made, cell 4: ZeroDivisionError: division by"):
        execute(smoke[0], "01_made")
    assert not output(smoke[0], "01_made").exists() and "ZeroDivisionError" in partial.read_text()


def test_the_kernel_is_this_python_and_photographs_become_jpeg(
    smoke, notebook, monkeypatch, tmp_path, partial
):
    other = tmp_path / "jupyter" / "kernels" / "python3"
    other.mkdir(parents=True)
    kernel = {"argv": ["/bin/false"], "display_name": "another Python", "language": "python"}
    (other / "kernel.json").write_text(json.dumps(kernel))
    monkeypatch.setenv("JUPYTER_PATH", str(other.parents[1]))
    long = tmp_path / ("x" * 120)  # a socket's name has 107 characters at the most
    long.mkdir()
    monkeypatch.setattr(nb.tempfile, "tempdir", str(long))
    picture = "import matplotlib.pyplot as plt, numpy as np\n"
    picture += "plt.imshow(np.random.rand(300, 300, 3));"
    source = notebook("import sys; print(sys.executable)", picture)
    monkeypatch.setattr(nb, "SOURCES", source.parent)
    assert execute(smoke[0], "01_made") == output(smoke[0], "01_made") and not partial.exists()
    executed = output(smoke[0], "01_made").read_text()
    assert sys.executable in executed
    assert "image/jpeg" in executed and "image/png" not in executed

"""The exercises: copies match their solutions, every stub fails with its hint, solutions pass, wrong answers are caught."""

import re
import runpy
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest
from nbclient import NotebookClient
from wrong_answers import WRONG

REPOSITORY = Path(__file__).parents[1]
FOLDER = REPOSITORY / "notebooks" / "exercises"
SOLUTIONS = sorted((REPOSITORY / "notebooks" / "solutions").glob("*.ipynb"))
maker = runpy.run_path(str(SOLUTIONS[0].with_name("make_exercises.py")))
REGION, stubbed, students_copy = maker["REGION"], maker["stubbed"], maker["students_copy"]

each_solution = pytest.mark.parametrize("solution", SOLUTIONS, ids=lambda path: path.stem)


def code(solution):
    """The code cells, as far as the first training."""
    for cell in nbformat.read(solution, as_version=4).cells:
        if cell.cell_type == "code":
            if "slow" in cell.metadata.get("tags", []):
                return
            yield cell.source


def answers(source):
    """(region, the cell's source with an answer in place of it) for each region of a cell."""
    for region in REGION.finditer(source):
        yield (
            region,
            lambda answer, region=region: (
                source[: region.start()] + answer + source[region.end() :]
            ),
        )


def indented(answer, by):
    return "\n".join(by + line if line else line for line in answer.splitlines())


def walk(solution):
    """Run the solution. Before each cell with regions, yield (region, attempt): attempt(answer) runs cell and check with it."""
    cells, names = list(code(solution)), {"__name__": "exercise"}
    for place, source in enumerate(cells):
        for region, put in answers(source):

            def attempt(answer, put=put, place=place):
                own = dict(names)
                for cell in (put(answer), cells[place + 1]):
                    exec(compile(cell, solution.stem, "exec"), own)

            yield region, attempt
        exec(compile(source, solution.stem, "exec"), names)


@pytest.fixture(autouse=True)
def no_windows():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def test_six_exercises():
    assert [path.stem[:3] for path in SOLUTIONS] == [f"ex{i}" for i in range(1, 7)]
    assert [path.name for path in sorted(FOLDER.glob("*.ipynb"))] == [
        path.name for path in SOLUTIONS
    ]


@each_solution
def test_copies_match_and_tell_nothing(solution):
    text = (FOLDER / solution.name).read_text(encoding="utf-8")
    assert text == students_copy(solution), "run python notebooks/solutions/make_exercises.py"
    assert "SOLUTION" not in text
    marked = solution.read_text(encoding="utf-8").count("# BEGIN SOLUTION")
    assert marked and marked == text.count("raise NotImplementedError(")


@each_solution
def test_in_git_without_outputs(solution):
    for path in (solution, FOLDER / solution.name):
        book = nbformat.read(path, as_version=4)
        nbformat.validate(book)
        assert book.metadata.kernelspec.name == "python3"
        assert all(
            not cell.get("outputs") and cell.get("execution_count") is None for cell in book.cells
        )
        first = book.cells[0].source
        assert all(
            f"| **{row}** |" in first
            for row in ("Minutes", "You will be able to", "In the paper", "It takes")
        )


@each_solution
def test_stubs_fail_with_their_hints_and_solutions_pass(solution):
    walked = 0
    for region, attempt in walk(solution):
        with pytest.raises(NotImplementedError) as raised:
            attempt(stubbed(region[0]))
        assert str(raised.value) == region[2] and len(region[2]) > 40
        walked += 1
    assert walked == solution.read_text(encoding="utf-8").count(
        "# BEGIN SOLUTION"
    )  # no stub stands behind a training


@pytest.mark.parametrize("name", sorted(WRONG))
def test_wrong_answers_are_caught_and_explained(name):
    tried = 0
    for number, (region, attempt) in enumerate(walk(SOLUTIONS[0].with_name(f"{name}.ipynb"))):
        for answer, explanation in WRONG[name][number]:
            with pytest.raises(AssertionError) as raised:
                attempt(indented(answer, region[1]))
            assert explanation in str(raised.value), answer
            tried += 1
    assert tried >= 5


def test_every_wrong_answer_that_teaching_names_is_tried():
    """Each row of the table: | exercise | answer | the check says | ask |. What it says is a message that a test provokes."""
    table = (
        (REPOSITORY / "notebooks" / "TEACHING.md")
        .read_text(encoding="utf-8")
        .split("## Common wrong answers")[1]
    )
    rows = re.findall(r"^\| (\d) \| (.+?) \| (.+?) \| .+ \|$", table.split("\n## ")[0], re.M)
    assert len(rows) >= 15 and {number for number, *_ in rows} == set("123456")
    for number, answer, says in rows:
        (name,) = (name for name in WRONG if name.startswith(f"ex{number}_"))
        tried = {explanation for stub in WRONG[name] for _, explanation in stub}
        for phrase in says.split("; "):
            assert phrase.strip("*") in tried, (
                f"exercise {number}, {answer}: no test provokes {phrase}"
            )


@pytest.mark.slow
@each_solution
def test_in_a_kernel_from_top_to_end(solution, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    book = nbformat.read(solution, as_version=4)
    NotebookClient(
        book, timeout=600, resources={"metadata": {"path": str(solution.parent)}}
    ).execute()

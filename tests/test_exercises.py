"""The exercises: copies match solutions, stubs fail with their hints, wrong answers are caught."""

import re
import runpy
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from wrong_answers import WRONG

REPOSITORY = Path(__file__).parents[1]
EXERCISES = REPOSITORY / "notebooks" / "exercises"
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


def walk(solution):
    """Run the solution. Before each cell with marked regions, yield for each of them (region,
    attempt): attempt(answer) runs the cell and its check with an answer in place of the region."""
    cells, names = list(code(solution)), {"__name__": "exercise"}
    for place, source in enumerate(cells):
        for region in REGION.finditer(source):

            def attempt(answer, source=source, place=place, region=region):
                own = dict(names)
                answered = source[: region.start()] + answer + source[region.end() :]
                for cell in (answered, cells[place + 1]):
                    exec(compile(cell, solution.stem, "exec"), own)

            yield region, attempt
        exec(compile(source, solution.stem, "exec"), names)


@each_solution
def test_copies_match_and_tell_nothing(solution):
    assert sorted(path.name for path in EXERCISES.glob("*.ipynb")) == [p.name for p in SOLUTIONS]
    text = (EXERCISES / solution.name).read_text(encoding="utf-8")
    assert text == students_copy(solution), "run python notebooks/solutions/make_exercises.py"
    assert "SOLUTION" not in text
    marked = solution.read_text(encoding="utf-8").count("# BEGIN SOLUTION")
    assert marked and marked == text.count("raise NotImplementedError(")
    for path in (solution, EXERCISES / solution.name):
        book = nbformat.read(path, as_version=4)
        nbformat.validate(book)
        assert book.metadata.kernelspec.name == "python3"
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in book.cells)
    for row in ("Minutes", "You will be able to", "In the paper", "It takes"):
        assert f"| **{row}** |" in book.cells[0].source


@each_solution
def test_stubs_fail_with_their_hints_and_wrong_answers_are_explained(solution):
    stubs = list(WRONG[solution.stem])
    for region, attempt in walk(solution):
        with pytest.raises(NotImplementedError) as raised:
            attempt(stubbed(region[0]))
        assert str(raised.value) == region[2] and len(region[2]) > 40
        for explanation, answer in stubs.pop(0).items():
            with pytest.raises(AssertionError) as raised:
                attempt(re.sub("^(?=.)", region[1], answer, flags=re.M))
            assert explanation in str(raised.value), answer
    assert not stubs  # no stub stands behind a training


def test_every_wrong_answer_that_teaching_names_is_tried():
    """Of each row | exercise | answer | the check says | ask | a test provokes what it says."""
    text = (REPOSITORY / "notebooks" / "TEACHING.md").read_text(encoding="utf-8")
    table = text.split("## Common wrong answers")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d) \| .+? \| (.+?) \| .+ \|$", table, re.M)
    assert len(rows) >= 15 and {number for number, _ in rows} == set("123456")
    assert sorted(WRONG) == [path.stem for path in SOLUTIONS]
    for number, says in rows:
        (stubs,) = (stubs for name, stubs in WRONG.items() if name.startswith(f"ex{number}_"))
        for phrase in says.split("; "):
            assert any(phrase.strip("*") in tried for tried in stubs), (number, phrase)


@pytest.mark.slow
@each_solution
def test_in_a_kernel_from_top_to_end(solution, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    where = {"metadata": {"path": str(solution.parent)}}
    NotebookClient(nbformat.read(solution, as_version=4), timeout=600, resources=where).execute()

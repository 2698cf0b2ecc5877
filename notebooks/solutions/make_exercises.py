"""Write the students' copies: the solutions with a stub that raises the hint in each marked region.

    python notebooks/solutions/make_exercises.py

A region begins with `# BEGIN SOLUTION: hint` and ends with `# END SOLUTION`.
Change the notebooks in this folder, never the copies.
"""

import json
import re
from pathlib import Path

import nbformat

HERE = Path(__file__).parent
REGION = re.compile(r"^( *)# BEGIN SOLUTION: (.+)\n(?:.*\n)*?\1# END SOLUTION$", re.M)


def stubbed(source: str) -> str:
    """A cell's source with a stub in place of each region."""
    return REGION.sub(
        lambda region: f"{region[1]}raise NotImplementedError({json.dumps(region[2])})", source
    )


def students_copy(solution: Path) -> str:
    """The student's notebook of a solution, as text."""
    book = nbformat.read(solution, as_version=4)
    for cell in book.cells:
        cell.source = stubbed(cell.source)
    return nbformat.writes(book) + "\n"


if __name__ == "__main__":
    for solution in sorted(HERE.glob("*.ipynb")):
        (HERE.parent / "exercises" / solution.name).write_text(
            students_copy(solution), encoding="utf-8"
        )

"""A student's answers, one file a student; the files of a class, one table.

hand_in("ex1", "Ada L.", {1: "...", 2: "..."})  # in the last cell of an exercise
python -m ygan_study.teach gather FOLDER        # for the teacher
"""

import re
from functools import partial
from itertools import product
from pathlib import Path

import pandas as pd

from ygan_core.checkpoints import write_atomically
from ygan_core.config import ConfigError
from ygan_core.data.datasets import REPOSITORY

COLUMNS = ["student", "exercise", "question", "answer"]
ANSWERS = REPOSITORY / "results" / "answers"


def hand_in(exercise: str, student: str, answers: dict, folder: str | Path = ANSWERS) -> None:
    """Keep a student's answers to an exercise, {question: answer}, in place of earlier ones, and
    print where. Without a name nothing is written. Raises ConfigError if the file holds no answers
    or cannot be written.
    """
    name = re.sub(r"[^\w.-]+", "_", student).strip("_").lstrip(".")
    if not name.strip("_."):
        print("Nothing is kept yet: write your name into this cell and run it again.")
        return
    path = Path(folder).expanduser() / f"{name}.csv"
    given = [(student, exercise, str(question), str(text)) for question, text in answers.items()]
    rows = pd.DataFrame(given, columns=COLUMNS)
    before = _read(path) if path.exists() else rows[:0]
    kept = pd.concat([before[before.exercise != exercise], rows[rows.answer.str.strip() != ""]])
    try:
        write_atomically(path, partial(kept.to_csv, index=False))
    except OSError as error:
        raise ConfigError(
            f"{path.parent} cannot be written ({error.strerror}): add a folder of yours after the "
            'answers, such as hand_in(..., folder="~")'
        ) from None
    print(f"{len(kept)} answers are kept in {path}. This one file is what you hand in.")


def gather(folder: Path, to: Path) -> Path:
    """Write the answers of all files in `folder` as one table: a row a file, a column a question.

    A text that a spreadsheet would take for a formula gets an apostrophe before it. Raises
    ConfigError, and writes nothing, where no file is there or one holds something else.
    """
    # names that begin with a dot are hidden, or macOS's notes about a file (`._Ada.csv`)
    paths = sorted(path for path in folder.glob("[!.]*.csv") if path.resolve() != to.resolve())
    if not paths:
        raise ConfigError(
            f"no answers in {folder}: put the students' files there "
            "(results/answers/NAME.csv on their machines)"
        )
    rows = pd.concat([_read(path).assign(file=path.name) for path in paths])
    texts = rows[["student", "answer"]]
    rows[list(texts)] = texts.replace(r"^(?=[=+@-])(?![+-]?[\d.]+$)", "'", regex=True)
    rows["question"] = rows.exercise + " " + rows.question
    table = rows.pivot_table("answer", ["student", "file"], "question", aggfunc="last")
    write_atomically(to, table.to_csv)
    return to


def _read(path: Path) -> pd.DataFrame:
    """The rows of a file, which a spreadsheet may have saved with semicolons, or not in UTF-8."""
    for separator, encoding in product(",;", ("utf-8-sig", "cp1252")):
        try:
            options = {"sep": separator, "encoding": encoding}
            rows = pd.read_csv(path, dtype=str, keep_default_na=False, **options)
        except ValueError:  # pandas' own errors, and text in another encoding
            continue
        if list(rows.columns) == COLUMNS:
            return rows
    raise ConfigError(
        f"{path} holds no answers (its columns should be {', '.join(COLUMNS)}): "
        "remove it, or rename it"
    )

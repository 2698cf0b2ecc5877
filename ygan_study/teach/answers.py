"""A student's answers, one file each; the files of a class, one table.

hand_in("ex1", "Ada L.", {1: "...", 2: "..."})            # in the last cell of an exercise
python -m ygan_study.teach gather FOLDER              # for the teacher
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from ygan_core.checkpoints import write_atomically
from ygan_core.config import ConfigError
from ygan_core.data.datasets import REPOSITORY

COLUMNS = ["student", "exercise", "question", "answer"]
ANSWERS = REPOSITORY / "results" / "answers"


def hand_in(exercise: str, student: str, answers: dict, folder: Path = ANSWERS) -> None:
    """Keep a student's answers to an exercise, {question: answer}, in the student's file; earlier ones to it are replaced.

    Says where the file is. Without a name nothing is written. Raises ConfigError where the file is not one of answers.
    """
    name = re.sub(r"[^\w-]+", "_", student).strip("_")
    if not name:
        print(
            "Nothing is kept yet: write your name, or any word that is yours alone, into this cell and run it again."
        )
        return
    path = folder / f"{name}.csv"
    given = [
        (student, exercise, str(question), str(answer)) for question, answer in answers.items()
    ]
    rows = pd.DataFrame(given, columns=COLUMNS)
    before = _read(path) if path.exists() else rows[:0]
    kept = pd.concat([before[before.exercise != exercise], rows[rows.answer.str.strip() != ""]])
    write_atomically(path, lambda partial: kept.to_csv(partial, index=False))
    print(f"{len(kept)} answers are kept in {path}. This one file is what you hand in.")


def gather(folder: Path, to: Path) -> Path:
    """Write the answers of all files in `folder` as one table: a row a file, a column a question.

    A text that a spreadsheet would take for a formula gets an apostrophe before it. Raises ConfigError where no file is there,
    or one holds something else: nothing is written then.
    """
    paths = sorted(path for path in folder.glob("*.csv") if path.resolve() != to.resolve())
    if not paths:
        raise ConfigError(
            f"no answers in {folder}: put the students' files there (results/answers/NAME.csv on their machines)"
        )
    rows = pd.concat([_read(path).assign(file=path.name) for path in paths])
    texts = rows[["student", "answer"]]
    rows[list(texts)] = texts.replace(r"^(?=[=+@-])(?![+-]?[\d.]+$)", "'", regex=True)
    rows["question"] = rows.exercise + " " + rows.question
    table = rows.pivot_table(
        index=["student", "file"], columns="question", values="answer", aggfunc="last"
    )
    write_atomically(to, lambda partial: table.to_csv(partial))
    return to


def _read(path: Path) -> pd.DataFrame:
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
        whole = list(rows.columns) == COLUMNS
    except (ValueError, UnicodeDecodeError):  # of which pandas' own errors are some
        whole = False
    if not whole:
        raise ConfigError(
            f"{path} holds no answers (its columns should be {', '.join(COLUMNS)}): remove it, or rename it"
        )
    return rows

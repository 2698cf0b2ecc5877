"""What is kept of a figure or a table: its files, a page in Markdown, and what it is made of."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from ygan_core.checkpoints import write_atomically
from ygan_study.report.view import View
from ygan_study.run.checksums import SUMS, sha256
from ygan_study.run.folder import Run
from ygan_study.run.provenance import provenance
from ygan_study.run.store import Study

VERSION = (
    1  # raised when an edit changes what is shown: figures, tables and notebooks are then made anew
)


def keep(
    study: Study,
    path: Path,
    view: View,
    runs: list[Run],
    files: dict[str, bytes],
    shown: str,
    suffix: str = "",
) -> None:
    """Write each of `files`, by ending, to `path` with that ending, and beside it .md and .json.

    The .md shows the figure or the table with its title, its caption and the command that makes it
    again. The .json has the trainings, settings, commit, versions and machine. shown: the figure or
    the table as Markdown. suffix: of the name, where a notebook gave it other trainings.
    """
    options = f"--profile {study.profile}"
    if study.settings:
        options += " --set " + " ".join(f"{key}={value}" for key, value in study.settings.items())
    again = f"Make it again: `./run_all.sh {options} --only {path.name}`"
    title = view.title
    if suffix:
        title += f" ({suffix.strip('_')})"
        again = "Make it again: run the notebook that shows it."
    page = "\n\n".join([f"# {title}", shown, view.caption, again]) + "\n"
    about = {
        "profile": study.profile,
        "settings": study.settings,
        **made_of(runs),
        **provenance(),
    }
    texts = {"md": page, "json": json.dumps(about, indent=2) + "\n"}
    for ending, content in (files | {end: text.encode() for end, text in texts.items()}).items():
        write_atomically(
            path.with_name(f"{path.name}.{ending}"), partial(Path.write_bytes, data=content)
        )


def is_made(path: Path, runs: list[Run]) -> bool:
    """Whether a figure or a table, `path` without an ending, was made of these very trainings."""
    try:
        about = json.loads(path.with_name(f"{path.name}.json").read_text(encoding="utf-8"))
        return about.items() >= made_of(runs).items()
    except (OSError, ValueError, AttributeError):
        return False


def made_of(runs: list[Run]) -> dict:
    """All that decides what is shown; facts: the checksum of each training's checksums."""
    return {
        "version": VERSION,
        "jobs": [run.job.id for run in runs],
        "weights": [run.weights for run in runs],
        "facts": [sha256(run.folder / SUMS) for run in runs],
    }

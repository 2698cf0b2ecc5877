"""What a figure or a table was made of: a JSON beside it, by which a part of the study that is up to date can be skipped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from ygan_core.checkpoints import write_atomically
from ygan_study.fresh import code_of
from ygan_study.run.checksums import SUMS, sha256
from ygan_study.run.folder import Run
from ygan_study.run.provenance import provenance
from ygan_study.run.store import Study


def made(study: Study, path: Path, runs: list[Run], make: Callable) -> None:
    """Write `path` with the ending .json: profile, settings, what `inputs` says, commit, versions, machine."""
    about = {
        "profile": study.profile,
        "settings": study.settings,
        **inputs(runs, make),
        **provenance(),
    }
    write_atomically(
        path.with_suffix(".json"), lambda p: p.write_text(json.dumps(about, indent=2) + "\n")
    )


def is_made(path: Path, runs: list[Run], make: Callable) -> bool:
    """Whether `path` is there and was made of these very trainings, by the code that `make` has now."""
    try:
        about = json.loads(path.with_suffix(".json").read_text())
        return path.exists() and {key: about[key] for key in inputs(runs, make)} == inputs(
            runs, make
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def inputs(runs: list[Run], make: Callable) -> dict:
    """All that decides what is made. facts: the checksum of each run's checksums, as the fingerprint of a notebook has it."""
    return {
        "jobs": [run.job.id for run in runs],
        "weights": [run.weights for run in runs],
        "facts": [sha256(run.folder / SUMS) for run in runs],
        "code": code_of(make),
    }

"""Every figure and table by name: how it is made, what is kept of it, whether it is up to date.

results/<profile>/figures/ has name.png, name.pdf and name.webp; results/<profile>/tables/ has
name.csv and name.tex. Both have name.md, a page of the book, and name.json: what it is made of.
"""

import io
import json
import logging
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from ygan_core.checkpoints import write_atomically
from ygan_study.report import render
from ygan_study.report.figures import FIGURES
from ygan_study.report.rows import rows_of
from ygan_study.report.style import style
from ygan_study.report.tables import TABLES
from ygan_study.report.view import NotTrained, View
from ygan_study.run.checksums import SUMS, sha256
from ygan_study.run.folder import Run
from ygan_study.run.provenance import provenance
from ygan_study.run.store import Study

logging.getLogger("fontTools").setLevel(logging.ERROR)  # it warns of dates in matplotlib's fonts
VERSION = 2  # raised when an edit changes what is shown, so that all is made anew
VIEWS: dict[str, View] = {**FIGURES, **TABLES}


def kind(name: str) -> str:
    """figure or table."""
    return "figure" if name in FIGURES else "table"


def path(study: Study, name: str, suffix: str = "") -> Path:
    """Where the files of a figure or a table lie, without their endings."""
    return study.folder / f"{kind(name)}s" / f"{name}{suffix}"


def make(name: str, runs: list[Run]) -> Figure | pd.DataFrame:
    """The figure or the table of these runs. Raises NotTrained where they give it nothing."""
    view, made = VIEWS[name], pd.DataFrame()
    if runs:
        with style():
            of = runs if view.of == "runs" else rows_of(runs, batches=view.of == "batches")
            made = view.make(of)
    if isinstance(made, Figure):
        plt.close(made)  # the notebook shows what is returned, once
    elif made.empty:
        raise NotTrained(f"nothing of {name} is trained")
    return made


def save(study: Study, name: str, runs: list[Run], suffix: str = "") -> Figure | pd.DataFrame:
    """Make a figure or a table of `runs`, keep its files, and return it. Raises NotTrained.

    suffix: of the files' name, where a notebook gave it other trainings.
    """
    view, made, place = VIEWS[name], make(name, runs), path(study, name, suffix)
    options = f"--profile {study.profile}"
    if study.settings:
        options += " --set " + " ".join(f"{key}={value}" for key, value in study.settings.items())
    title, again = view.title, f"Make it again: `./run_all.sh {options} --only {name}`"
    if suffix:
        title += f" ({suffix.strip('_')})"
        again = "Make it again: run the notebook that shows it."
    if isinstance(made, Figure):
        files, shown = _pictures(made), f"![{view.alt}]({place.name}.webp)"
    else:
        shown = render.markdown(made)
        files = {
            "csv": made.dropna(axis=1, how="all").to_csv(float_format="%.6f").encode(),
            "tex": f"% profile: {study.profile}\n{render.latex(made)}".encode(),
        }
    where = {"profile": study.profile, "settings": study.settings}
    about = where | made_of(runs) | provenance()
    files["md"] = ("\n\n".join([f"# {title}", shown, view.caption, again]) + "\n").encode()
    files["json"] = (json.dumps(about, indent=2) + "\n").encode()
    for ending, content in files.items():
        write_atomically(Path(f"{place}.{ending}"), partial(Path.write_bytes, data=content))
    return made


def is_made(study: Study, name: str, runs: list[Run]) -> bool:
    """Whether a figure or a table is there, made of these very trainings."""
    try:
        about = json.loads(Path(f"{path(study, name)}.json").read_text(encoding="utf-8"))
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


def _pictures(fig: Figure) -> dict[str, bytes]:
    """A figure's files, by ending. The same results give the same bytes."""
    found = {ending: io.BytesIO() for ending in ("png", "pdf", "webp")}
    with style():
        fig.savefig(found["png"], format="png")
        fig.savefig(found["pdf"], format="pdf", metadata={"CreationDate": None})
    with Image.open(found["png"]) as image:
        image.convert("RGB").save(found["webp"], "WEBP", quality=85, method=6)
    return {ending: file.getvalue() for ending, file in found.items()}

"""results/<profile>/index.html: every table and figure in the order of the paper, on one page beside the pictures."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
import mistune
import pandas as pd
from matplotlib import rc_params_from_file
from PIL import Image

from ygan_core.checkpoints import write_atomically
from ygan_study.plan.profiles import PROFILES
from ygan_study.report import render, tables
from ygan_study.report.rows import TITLES
from ygan_study.report.figures import FIGURES
from ygan_study.report.figures.base import STYLE
from ygan_study.report.tables import TABLES
from ygan_study.report.verdicts import VERDICTS, verdict
from ygan_study.report.view import View
from ygan_study.run.folder import Run
from ygan_study.run.provenance import provenance
from ygan_study.run.store import Study

DEVICES = {"cpu": "CPU core", "cuda": "GPU", "mps": "GPU"}
SECTIONS = {  # the answer, then all in the order of the paper
    "Do the paper's claims hold?": ("findings",),
    "The method": ("fig1", "fig2", "fig3"),
    "The data": ("fig4", "fig5", "plantvillage_augmentation", "color_mnist_samples"),
    "Two latents": (
        *("fig6a", "fig6b", "color_mnist_probes", "color_mnist_losses", "color_mnist_scores"),
        *("fig7", "fig7_paper_size"),
    ),
    "The latents of the benchmarks": (
        "tsne_mnist",
        "tsne_fmnist",
        "tsne_cifar10",
        "tsne_paper_size",
        "tsne_plantvillage",
    ),
    "Benchmarks": (
        *("table1", "table2", "table3", "table4", "claims", "score_distributions", "accuracy_plot"),
        *("learning_rate", "ladder", "paper_size"),
    ),
    "Beyond the paper": ("strong", "auc_by_cost", "added"),
    "Ablations": ("table5",),
    "Weak labels": ("silhouette", "weak_labels", "table6"),
    "Anomaly scores": ("fig8", "scores"),
    "Where it looks, and where it errs": ("fig9", "fig10", "fig11"),
    "The paper and its public code": (
        *("ways_to_0763", "one_image_in_batches", "batch_statistics", "batch_statistics_auc"),
        *("best_epoch", "best_epochs", "deviations"),
    ),
}
DPI = rc_params_from_file(STYLE, use_default_template=False)["savefig.dpi"]
TEMPLATE = Path(__file__).with_name("page.html")
NO_ROW = "It has no row yet."
HINT = "← This table is wider than the page: scroll it sideways. →"


@dataclass
class Item:
    """A table or a figure on the page. problem: why it is not there, in one line.

    picture: its file without the ending, from the page's folder; size: on a screen. table, caption, verdict: HTML.
    """

    name: str
    title: str
    caption: str
    command: str
    datasets: list[str] = field(default_factory=list)
    picture: str = ""
    size: tuple[int, int] = (0, 0)
    table: str = ""
    verdict: str = ""
    problem: str = ""


def write_page(study: Study) -> Path:
    """Write the page from what is done: a table is made of its runs, a figure is the picture that was drawn. Trains nothing.

    What cannot be made says so in its place.
    """
    done = {run.job.id: run for run in study.found()}
    sections = {}
    for heading, names in SECTIONS.items():
        views = {name: _view(name).jobs(study) for name in names}
        items = [
            item(study, name, [done[job.id] for job in jobs if job.id in done])
            for name, jobs in views.items()
            if jobs
        ]
        if items:
            sections[heading] = items
    text = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = text.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        profile=study.profile,
        purpose=PROFILES[study.profile].purpose,
        settings=study.settings,
        sections=sections,
        notebooks=sorted(path.stem for path in (study.folder / "notebooks").glob("[0-9]*.html")),
        titles=TITLES,
        done=len(done),
        jobs=len(study.jobs),
        devices=_devices(done.values()),
        about=provenance(),
        hint=HINT,
    )
    path = study.folder / "index.html"
    write_atomically(path, lambda p: p.write_text(page, encoding="utf-8"))
    return path


def item(study: Study, name: str, runs: list[Run]) -> Item:
    """A table or a figure as the page shows it, of those of its runs that are done."""
    view = _view(name)
    command = f"./run_all.sh --profile {study.profile} --only {name}"
    made = Item(name, view.title or name, markdown(view.caption), command)
    try:
        if not runs:
            made.problem = "Not made yet: none of its trainings is done."
        elif name in TABLES and (table := tables.make(name, runs)).empty:
            made.problem = NO_ROW
        elif name in TABLES:
            made.table = render.html(table)
        elif (file := study.folder / "figures" / f"{name}.webp").exists():
            with Image.open(file) as image:
                made.size = tuple(
                    round(side * 100 / DPI) for side in image.size
                )  # 100 points an inch
            made.picture = f"figures/{name}"
            if (
                about := file.with_suffix(".json")
            ).exists():  # not beside the pictures that come with the repository
                made_of = json.loads(about.read_text())["jobs"]
                runs = [run for run in runs if run.job.id in made_of]
        else:
            made.problem = "Not drawn yet."
        made.datasets = list(dict.fromkeys(run.config.dataset for run in runs))
        if name in VERDICTS and runs:
            made.verdict = markdown(verdict(study, name, runs))
    except Exception as error:  # the other items count still
        line = (str(error).splitlines() or [""])[0]
        return Item(
            name,
            made.title,
            made.caption,
            command,
            problem=f"It cannot be made: {type(error).__name__}: {line}",
        )
    return made


def markdown(text: str) -> str:
    """Markdown as HTML; formulas, which are short here, in italics with their subscripts. HTML in the text is shown as text.

    Outside of code, z_s and the like are formulas without dollars too.
    """
    parts = re.split(r"(`[^`]*`|\$[^$]*\$)", text)
    parts[::2] = [re.sub(r"\b([zEsL]_\w+)\b", r"$\1$", part) for part in parts[::2]]
    text, formulas = "".join(parts), []

    def kept(found: re.Match) -> str:
        formulas.append(_formula(found[1]))
        return "\N{OBJECT REPLACEMENT CHARACTER}"

    page = MARKDOWN(re.sub(r"\$([^$]+)\$", kept, text))
    return re.sub("\N{OBJECT REPLACEMENT CHARACTER}", lambda _: formulas.pop(0), page)


MARKDOWN = mistune.create_markdown(escape=True, plugins=["table"])
SYMBOLS = {
    r"\max": "max",
    r"\log": "log",
    r"\oplus": "⊕",
    r"\bar": "",
    r"\hat": "",
    r"\,": " ",
    r"\ln": "ln",
    r"\lambda": "λ",
    r"\times": "×",
}


def _formula(text: str) -> str:
    for command, symbol in SYMBOLS.items():
        text = text.replace(command, symbol)
    text = re.sub(
        r"_\{([^}]*)\}|_(\w+)",
        lambda found: f"<sub>{found[1] or found[2]}</sub>",
        html.escape(text),
    )
    return f"<i>{text}</i>"


def _view(name: str) -> View:
    return TABLES[name] if name in TABLES else FIGURES[name]


def _devices(runs: Iterable[Run]) -> dict[str, tuple[int, float]]:
    """How many trainings each kind of device did, and in how many hours, all added up."""
    took = pd.DataFrame(
        [(DEVICES[run.about["device"]], run.about["seconds"] / 3600) for run in runs],
        columns=["on", "hours"],
    )
    return {name: (len(own), own["hours"].sum()) for name, own in took.groupby("on")}

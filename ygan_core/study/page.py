"""results/<profile>/index.html: every table and figure in the order of the paper, on one page that needs nothing beside it."""

from __future__ import annotations

import base64
import html
import inspect
import json
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jinja2
import mistune
from PIL import Image

from ygan_core.checkpoints import write_atomically
from ygan_core.config import PROFILES
from ygan_core.study.figures import FIGURES
from ygan_core.study.jobs import Run, Study, View, provenance
from ygan_core.study.report import VERDICTS
from ygan_core.study.tables import TABLES, TITLES
from ygan_core.study.tables import html as table_html

SECTIONS = {  # in the order of the paper
    "The method": ("fig1", "fig2", "fig3"),
    "The data": ("fig4", "fig5", "plantvillage_augmentation", "color_mnist_samples"),
    "Two latents": ("fig6a", "fig6b", "color_mnist_probes", "color_mnist_losses", "color_mnist_scores", "fig7"),
    "The latents of the benchmarks": ("tsne_mnist", "tsne_fmnist", "tsne_cifar10", "tsne_plantvillage"),
    "Benchmarks": ("table1", "table2", "table3", "table4", "claims", "score_distributions", "accuracy_plot"),
    "Ablations": ("table5",),
    "Weak labels": ("silhouette", "weak_labels", "table6"),
    "Anomaly scores": ("fig8", "scores"),
    "What it looks at, and where it errs": ("fig9", "fig10", "fig11"),
    "The paper against its public code": (
        "ways_to_0763",
        *("company", "companies", "in_company", "best_epoch", "best_epochs", "departures"),
    ),
}
TEMPLATE = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class Item:
    """One table or figure on the page. picture: a PNG in base64, width its size on a screen; table, caption, verdict: HTML."""

    name: str
    title: str
    caption: str
    datasets: list[str]
    command: str
    picture: str = ""
    width: int = 0
    table: str = ""
    verdict: str = ""


def write_page(study: Study) -> Path:
    """Write the page from what is done: a table is made of its runs, a figure is the picture that was drawn. Trains nothing."""
    done = {job.id: run for job in study.jobs if (run := study.find(job))}
    sections = {}
    for heading, names in SECTIONS.items():
        items = [item(study, name, [done[job.id] for job in _view(name).jobs(study) if job.id in done]) for name in names]
        sections[heading] = [made for made in items if made]
    seconds = sum(run.about["seconds"] for run in done.values())
    page = jinja2.Environment(autoescape=True).from_string(TEMPLATE.read_text(encoding="utf-8"))
    text = page.render(
        profile=study.profile,
        purpose=PROFILES[study.profile].purpose,
        sections={heading: items for heading, items in sections.items() if items},
        titles=TITLES,
        done=len(done),
        jobs=len(study.jobs),
        minutes=seconds / 60,
        about=provenance(),
    )
    path = study.folder / "index.html"
    write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))
    return path


def item(study: Study, name: str, runs: list[Run]) -> Item | None:
    """A table or figure as the page shows it; None where it has no run yet, or is a figure that was not drawn."""
    if not runs:
        return None
    picture, width, table = "", 0, ""
    if name in TABLES:
        table = table_html(TABLES[name].make(runs))
    else:
        try:
            file = study.folder / "figures" / f"{name}.png"
            with Image.open(file) as image:
                width = round(image.width * 100 / image.info["dpi"][0])  # an inch is 100 points on the page
            picture = base64.b64encode(file.read_bytes()).decode()
            made_of = set(json.loads(file.with_suffix(".json").read_text())["jobs"])
        except (OSError, ValueError, KeyError):
            return None
        runs = [run for run in runs if run.job.id in made_of]
    verdict = markdown(VERDICTS[name](runs)) if name in VERDICTS and runs else ""
    datasets = list(dict.fromkeys(run.config.dataset for run in runs))
    command = f"./run_all.sh --profile {study.profile} --only {name} --force"
    return Item(name, _title(name), markdown(caption(_view(name))), datasets, command, picture, width, table, verdict)


def caption(view: View) -> str:
    """What is seen, from the docstring of what makes it."""
    make = view.make.func if isinstance(view.make, partial) else view.make
    words = re.split(r"(\$[^$]*\$)", inspect.getdoc(make) or "")  # in a docstring z_s may stand without dollars
    words[::2] = [re.sub(r"\b([zEsL])_(\w+)\b", r"$\1_{\2}$", word) for word in words[::2]]
    return "".join(words)


def markdown(text: str) -> str:
    """Markdown as HTML; formulas, which are short here, in italics with their subscripts."""
    return mistune.html(re.sub(r"\$([^$]+)\$", lambda formula: _formula(formula[1]), text))


SYMBOLS = {r"\max": "max", r"\oplus": "⊕", r"\bar": "", r"\hat": "", r"\,": " ", r"\ln": "ln", r"\lambda": "λ", r"\times": "×"}


def _formula(text: str) -> str:
    for command, symbol in SYMBOLS.items():
        text = text.replace(command, symbol)
    text = re.sub(r"_\{([^}]*)\}|_(\w)", lambda found: f"<sub>{found[1] or found[2]}</sub>", html.escape(text))
    return f"<i>{text}</i>"


def _view(name: str) -> View:
    return TABLES[name] if name in TABLES else FIGURES[name]


def _title(name: str) -> str:
    if found := re.fullmatch(r"(fig|table)(\d+)(\w?)", name):
        return f"{dict(fig='Fig.', table='Table')[found[1]]} {found[2]}{found[3]}"
    words = [
        TITLES.get(word, {"tsne": "t-SNE,"}.get(word, word)) for word in name.replace("color_mnist", "Color-MNIST").split("_")
    ]
    return " ".join([words[0][:1].upper() + words[0][1:] if words[0] != "t-SNE," else words[0], *words[1:]])

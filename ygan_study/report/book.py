"""results/<profile>/book/: executed notebooks, every table and figure, and the texts, as a site.

Sphinx builds it without a network and without PyTorch, from what lies in git. It executes nothing.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SPHINX = Path(__file__).with_name("sphinx")
TEXTS = (
    *("README.md", "results/README.md", "results/WORDS.md", "notebooks/TEACHING.md"),
    *("data/README.md", "ygan_detector/README.md", "ygan_study/CLUSTER.md"),
    "ygan_study/bench/SPEED.md",
)
WIDGETS = "application/vnd.jupyter.widget-view+json"  # alive in JupyterLab alone
UNTRAINED = "untrained"  # marks what `Study.show` displays in place of this figure or table
CORE, API = Path("ygan_core"), (SPHINX / "api.md").read_text(encoding="utf-8")
LIVE = re.compile(r"\[([^][]*)\]\((?:notebooks/)?TEACHING\.md#only-a-link[^)]*\)")
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#:]+)")  # words, and a place in this repository
SHOWN, ALT = re.compile(r"\bshow\(['\"](\w+)"), re.compile(r"!\[([^\]]+)\]")
SECTIONS = {  # every figure and table, in the order of the paper
    "The answer": ("main_result", "claims", "coverage"),
    "The method": ("fig1", "architecture", "fig2", "fig3"),
    "The data": ("fig4", "fig5", "plantvillage_augmentation", "color_mnist_samples"),
    "Two latents": (
        *("fig6a", "swaps", "fig6b", "color_mnist_probes", "color_mnist_losses"),
        *("color_mnist_scores", "fig7", "fig7_paper_size"),
    ),
    "The latents of the benchmarks": (
        *("tsne_mnist", "tsne_fmnist", "tsne_cifar10", "tsne_paper_size", "tsne_plantvillage"),
    ),
    "Benchmarks": (
        *("table1", "table2", "table3", "table4", "table4_species", "differences"),
        *("method_differences", "sentences"),
        *("score_distributions", "accuracy_plot", "learning_rate"),
        *("ladder", "lengths", "paper_size", "paper_size_numbers"),
    ),
    "Beyond the paper": ("strong", "auc_by_cost", "added", "added_gains"),
    "Ablations": ("table5", "ablation_costs"),
    "Weak labels": ("silhouette", "weak_labels", "table6", "weak_label_costs"),
    "Anomaly scores": ("fig8", "scores", "score_differences"),
    "Where it looks, and where it errs": ("fig9", "fig10", "fig11"),
    "The paper and its public code": (
        *("ways_to_0763", "one_image_in_batches", "batch_statistics", "batch_statistics_auc"),
        *("best_epoch", "best_epochs", "code_epochs", "deviations", "deviation_dots"),
    ),
}


class BookError(RuntimeError):
    """A book that Sphinx did not build; the message is its own."""


def build_book(folder: Path) -> Path:
    """Build the book of results/<profile>, `folder`, in its book/. Returns its first page."""
    with tempfile.TemporaryDirectory() as place:
        source, made = Path(place, "source"), Path(place, "book")
        lay_out(source, folder)
        which = "" if folder.name == "laptop" else f" ({folder.name})"  # the reference edition
        title = f"html_title=Y-GAN: a paper companion{which}"
        options = ["-q", "-c", str(SPHINX), "-d", f"{place}/read", "-D", title]
        line = [sys.executable, "-m", "sphinx", *options, str(source), str(made)]
        sphinx = subprocess.run(line, stderr=subprocess.PIPE, text=True)
        if sphinx.returncode:
            raise BookError(f"Sphinx did not build it: {sphinx.stderr.strip()[-2000:]}")
        print(sphinx.stderr, end="", file=sys.stderr)
        shutil.rmtree(folder / "book", ignore_errors=True)
        shutil.move(made, folder / "book")
    return folder / "book" / "index.html"


def lay_out(source: Path, folder: Path) -> None:
    """Write what Sphinx reads: texts, notebooks, items, and what they link to, as they lie in git.

    The executed notebooks take the places of their sources, so that links lead to them.
    """
    results = Path("results", re.sub(r"\W+", "-", folder.name))

    def file_of(place: Path) -> Path:
        if place.is_relative_to(results):
            return folder / place.relative_to(results)
        is_executed = place.match("notebooks/*") and (folder / place).exists()
        return (folder if is_executed else REPOSITORY) / place

    items = {file.stem: results / file.relative_to(folder) for file in folder.glob("[ft]*s/*.md")}
    sections = {  # each item is followed by that of longer trainings
        heading: [items[key] for name in names for key in (name, f"{name}_longer") if key in items]
        for heading, names in SECTIONS.items()
    }
    pages = {name: file_of(item).read_text(encoding="utf-8") for name, item in items.items()}
    alts = {name: "".join(ALT.findall(page)) for name, page in pages.items()}
    left = [Path(text) for text in TEXTS]
    left += [file.relative_to(folder) for file in folder.glob("notebooks/[0-9][0-9]_*.ipynb")]
    exercises = REPOSITORY.glob("notebooks/exercises/*.ipynb")
    left += [file.relative_to(REPOSITORY) for file in exercises]
    left += [place for places in sections.values() for place in places]
    while left:
        place = left.pop()
        file, target = file_of(place), source / place
        if target.exists() or not file.is_file():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix not in (".md", ".ipynb"):
            shutil.copyfile(file, target)
            continue
        text = file.read_text(encoding="utf-8")
        live = f'<a href="{os.path.relpath("play.html", place.parent)}">'  # beside the first page
        tag = json.dumps(live)[1:-1] if file.suffix == ".ipynb" else live
        text = LIVE.sub(lambda link, tag=tag: f"{tag}{link[1]}</a>", text)
        if file.suffix == ".ipynb":
            text = json.dumps(lean(json.loads(text), alts))
        for words, link in set(LINK.findall(text)):
            to = Path(os.path.normpath(place.parent / link))
            page = page_of(to)
            if file_of(to).is_dir():  # has no page
                text = text.replace(f"[{words}]({link})", words)
            elif ".." not in to.parts:
                text = text.replace(f"]({link}", f"]({os.path.relpath(page, place.parent)}")
                left.append(Path(page))
        target.write_text(text, encoding="utf-8")
    (source / "every_table_and_figure.md").write_text(contents(sections), encoding="utf-8")
    for file in SPHINX.glob("*.md"):
        shutil.copyfile(file, source / file.name)


def page_of(place: Path) -> str:
    """Where the book has what a link leads to, which is at `place` in the repository."""
    if place == Path("README.md"):
        return "index.md"
    if place.parent == CORE and f"ygan_core.{place.stem}\n" in API:
        return f"api.md#{place.stem}"
    executed = place.match("results/*/notebooks/*")
    return Path(*place.parts[2:] if executed else place.parts).as_posix()


def contents(sections: dict[str, list[Path]]) -> str:
    """The page that leads to every table and figure, in Markdown, by their places."""
    page = ["# Every table and figure", "One on each page, with the command that makes it again."]
    for heading, places in sections.items():
        names = [place.with_suffix("").as_posix() for place in places]
        if names:
            page += [f"## {heading}", "\n".join(["```{toctree}", ":maxdepth: 1", *names, "```"])]
    return "\n\n".join(page) + "\n"


def lean(book: dict, alts: dict[str, str]) -> dict:
    """An executed notebook for readers: without widgets and empty sections, and with what precedes
    its first section folded. alts: by figure, what it shows, for those who cannot see it.
    """
    sections = [[]]
    for cell in book["cells"]:
        tags = cell["metadata"].setdefault("tags", [])
        if cell["cell_type"] == "code":
            cell["outputs"] = [o for o in cell["outputs"] if WIDGETS not in o.get("data", {})]
            names = SHOWN.findall("".join(cell["source"]))
            if alt := " ".join(dict.fromkeys(alts[name] for name in names if alts.get(name))):
                cell["metadata"]["mystnb"] = {"image": {"alt": alt}}
            tags += ["hide-input"] * (len(sections) == 1)  # of myst-nb, as is the next one
            tags += ["remove-cell"] * ("injected-parameters" in tags)
            sections[-1].append(cell)
            continue
        for part, text in enumerate(re.split(r"(?m)^(?=## )", "".join(cell["source"]))):
            if text.startswith("## "):
                sections.append([])
            if text:
                sections[-1].append({**cell, "id": f"{cell['id']}-{part}", "source": text})
    opening, *others = sections
    kept = [opening, *(section for section in others if not is_empty(section))]
    return {**book, "cells": [cell for section in kept for cell in section]}


def is_empty(section: list[dict]) -> bool:
    """Whether a section shows nothing but views of which nothing is trained."""
    outputs = [output for cell in section for output in cell.get("outputs", ())]
    return bool(outputs) and all(output.get("metadata", {}).get(UNTRAINED) for output in outputs)


if __name__ == "__main__":  # without PyTorch: python -m ygan_study.report.book results/laptop
    print(build_book(Path(sys.argv[1]).resolve()))

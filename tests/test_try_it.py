"""Every line under "Try it" in the notebooks: its edit is made in the smoke profile, and something
changes. A line that asks for thought begins with "Think:".

An edit of a file of the package is made in a copy of the repository, which is imported in its place.
"""

import contextlib
import functools
import io
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from threadpoolctl import threadpool_limits

REPOSITORY = Path(__file__).parents[1]
BOOKS = sorted(path.stem for path in (REPOSITORY / "notebooks").glob("[0-9][0-9]_*.ipynb"))


@dataclass(frozen=True)
class Try:
    """An edit that a line asks for: new in place of old. says: a part of the line; else `new`.

    cells: a part of each code cell that the edit needs, beside parameters and study. changes: an
    expression whose value has to change; else, what the last cell prints. file: what is edited, if
    not the notebook; without old, new comes at its end.
    """

    old: str
    new: str
    cells: tuple[str, ...] = ()
    changes: str = ""
    file: str = ""
    says: str = ""

    def is_in(self, line: str) -> bool:
        return (self.says or f"`{self.new}`") in line


def settings(given: str, *cells: str, changes: str = "") -> Try:
    return Try("settings = {}", f"settings = {{{given}}}", cells, changes)


PROBES = 'sorted(study.run(study.select(group="color_mnist")[0]).metrics.items())'
SWAP = ("jobs = study.select", "run = study.run", "z_r.roll")
LIVE, LOSSES = ("from functools", "live ="), "live.losses.to_csv()"
PAIRS = ("run = study.run", "higher =")
CLUSTERS, AUC_IN = ("features, network", "tried ="), ("package =", "def auc_in", "size =")
MAP, POINTS = ("normal =", "latent, perplexity ="), "points.tolist()"
LEAVES = """study.make(
    "table4", [study.run(study.select(dataset="plantvillage", group="balanced")[0])]
)"""
TABLE_5 = """[study.run(study.select(dataset="mnist", group="balanced")[0]),
*map(study.run, study.select(variant="A4"))]"""
BOTH = """"both" in __import__("ygan_study.methods", fromlist=["x"]).DEVIATIONS and [
    study.run(type(job)(__import__("dataclasses").replace(job.config, deviation="both"))).metrics
    for job in study.select(deviation="mirrored")
]"""
STRONG = 'study.run(study.select(group="strong")[0]).metrics["auc"]'
OWN = ("leaves, count =", "detector.fit(")
VIOLET = ("edge_cases", "def most", "leaves = study", "margin =", "table =")
TRIES = {
    "00_tour": [
        settings('"lambda_4": 0', *LIVE, changes=LOSSES),
        settings('"lambda_5": 0', *LIVE, changes=LOSSES),
    ],
    "01_color_mnist": [
        settings('"lambda_5": 0', changes=PROBES),
        settings('"lambda_4": 0', changes=PROBES),
        settings('"seed": 1', changes=PROBES),
        Try("z_r.roll(1, dims=0)", "z_r.roll(0, dims=0)", SWAP, "hybrids.tolist()"),
    ],
    "02_benchmarks": [
        settings('"seed": 1', *PAIRS),
        settings('"held_out": 9', *PAIRS),
        Try(
            "q: float = 0.95",
            "q: float = 0.8",
            changes=f"{LEAVES}.to_csv()",
            file="ygan_study/measure/numbers.py",
        ),
    ],
    "03_ablations": [
        Try(
            'configuration = "balanced"',
            'configuration = "paper"',
            ("trainer = Trainer", "gradient =", "length ="),
            "length.to_csv()",
        ),
        settings('"seed": 1', changes=f"{TABLE_5}[0].metrics"),
        Try(
            "ABLATIONS = {",
            'ABLATIONS = {"A4": dict(lambda_1=0.0),',
            changes=f'(study.show("table5", {TABLE_5}), study.make("table5", {TABLE_5}).to_csv())',
            file="ygan_study/methods/ablations.py",
            says='`"A4": dict(lambda_1=0.0),`',
        ),
    ],
    "04_weak_labels": [
        Try("range(2, 21)", "range(2, 6)", CLUSTERS),
        Try("cosine, tried = True, range(2, 21)", "cosine, tried = False, range(2, 21)", CLUSTERS),
    ],
    "05_score_analysis": [
        Try(
            'first, second = "s", "energy"',
            'first, second = "s", "s_c"',
            ("logits = run", "p = logits", "by_hand ="),
            "correlation",
        ),
    ],
    "06_latent_space": [
        Try('latent, perplexity = "z_s", 30', 'latent, perplexity = "z_s", 5', MAP, POINTS),
        Try('latent, perplexity = "z_s", 30', 'latent, perplexity = "z_r", 30', MAP, POINTS),
    ],
    "07_gradcam": [
        Try(
            "test & ~anomalous",
            "test & anomalous",
            ("library =", "strokes =", "rise ="),
            "rise.values.tolist()",
        ),
    ],
    "08_edge_cases": [
        Try("margin = 25", "margin = 15", VIOLET, "table.to_csv()"),
        Try(
            "by = scores.s_c(logits)",
            "by = -logits.max(dim=1).values",
            ("edge_cases", "by ="),
            "sorted(worst[1]), both",
        ),
    ],
    "09_paper_and_code": [
        Try("size = 64", "size = 2", AUC_IN, "auc_in(shuffled.split(size))"),
        Try(
            "auc_in(shuffled.split(size))",
            "auc_in(shuffled[:, None].expand(-1, 64))",
            AUC_IN,
        ),
        Try(
            "",
            'class Both(Mirrored, DetachedInputs): what, kind = "both", CHOICE\n\n\n'
            'DEVIATIONS["both"] = Both\n',
            changes=BOTH,
            file="ygan_study/methods/public_code.py",
            says='`DEVIATIONS["both"] = Both`',
        ),
    ],
    "10_your_images": [
        Try("rate = 0.05", "rate = 0.5", (*OWN, "rate =")),
        Try(
            'kind = "distance"',
            'kind = "uncertainty"',
            (*OWN, "table =", "rates =", "ygan =", "examples =", "kind ="),
            "heat.tolist()",
        ),
    ],
    "11_beyond": [
        settings('"augmentation": "none"', changes=STRONG),
        settings('"label_smoothing": 0.0', changes=STRONG),
        Try("least = 5e-4", "least = 1.0", ("patches = F", "least =")),
    ],
}
LINES = [(book, line) for book, lines in TRIES.items() for line in lines]


def sources(book: str, kind: str, root: Path = REPOSITORY) -> list[str]:
    """The cells of a notebook that are code, or markdown."""
    cells = nbformat.read(root / "notebooks" / f"{book}.ipynb", as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == kind]


def lines(book: str) -> list[str]:
    """The lines under a notebook's "Try it"."""
    text = "\n\n".join(sources(book, "markdown"))
    below = re.split(r"^#", text.split("## Try it\n")[1], flags=re.M)[0]
    return re.findall(r"^- .+(?:\n  .+)*", below, re.M)


@pytest.mark.parametrize("book", BOOKS)
def test_every_line_is_tried_or_asks_for_thought(book):
    for line in lines(book):
        fits = [one for one in TRIES[book] if one.is_in(line)]
        assert len(fits) == (0 if line.startswith("- Think:") else 1), line
    for one in TRIES[book]:
        assert one.file in " ".join(lines(book)) and any(one.is_in(line) for line in lines(book))


@pytest.mark.parametrize("book", BOOKS[1:])
def test_the_idea_is_computed_by_hand(book):
    by_hand = [len(cell.splitlines()) for cell in sources(book, "code") if "assert " in cell]
    assert by_hand and min(by_hand) <= 10


def edited(text: str, line: Try) -> str:
    """`text` with the edit; without `old`, `new` comes at the end."""
    assert line.old in text, f"there is no {line.old!r} to edit"
    return text.replace(line.old, line.new, 1) if line.old else text + line.new


def play(root: Path, results: str, book: str, line: Try, edit: bool) -> str:
    """Run the cells that a line needs, edited or as they are, and return what has to change."""
    cells = sources(book, "code", root)
    cells[0] = cells[0].replace('"quick"', '"smoke"')
    cells[0] = cells[0].replace("results = None", f"results = {results!r}")
    if edit:
        place = next(i for i, cell in enumerate(cells) if line.old in cell)
        cells[place] = edited(cells[place], line)
    wanted = ("study = Study", *line.cells)
    needed = [cell for cell in cells[1:] if any(part in cell for part in wanted)]
    *before, last = (compile(cell, book, "exec") for cell in (cells[0], *needed))
    names, printed = {"__name__": "notebook"}, io.StringIO()
    with threadpool_limits(1):  # on a busy machine threads wait for each other
        for cell in before:
            exec(cell, names)
        with contextlib.redirect_stdout(printed):
            exec(last, names)
        found = repr(eval(line.changes, names)) if line.changes else printed.getvalue()
    assert Path(sys.modules["ygan_core"].__file__).is_relative_to(root)
    return found


@contextlib.contextmanager
def imported_from(root: Path):
    """Inside, the packages of this repository are those of another copy of it."""

    def taken_out():
        ours = [name for name in sys.modules if name.startswith("ygan_")]
        return {name: sys.modules.pop(name) for name in ours}

    before = taken_out()
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        sys.path.remove(str(root))
        taken_out()
        sys.modules.update(before)


@pytest.fixture(scope="module")
def here(results, tmp_path_factory):
    """The smoke profile's results in a place of their own, where the unedited lines train."""
    folder = tmp_path_factory.mktemp("try") / "results"
    shutil.copytree(results, folder)
    return str(folder)


@functools.cache
def unedited(results: str, book: str, cells: tuple[str, ...], changes: str) -> str:
    return play(REPOSITORY, results, book, Try("", "", cells, changes), False)


@pytest.mark.parametrize(
    "book, line", LINES, ids=[f"{book[:2]}-{line.says or line.new}" for book, line in LINES]
)
def test_it_does_what_it_says(book, line, here, tmp_path):
    before = unedited(here, book, line.cells, line.changes)
    if not line.file:
        assert before and play(REPOSITORY, here, book, line, True) != before
        return
    ignored = shutil.ignore_patterns(".*", "results", "data", "__pycache__", "tests")
    copy = shutil.copytree(REPOSITORY, tmp_path / "copy", ignore=ignored)
    (copy / "data").symlink_to(REPOSITORY / "data")
    (copy / line.file).write_text(edited((copy / line.file).read_text(), line))
    with imported_from(copy):
        after = play(copy, here, book, line, False)
    assert before and after != before

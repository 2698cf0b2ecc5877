"""Every line under "Try it" in the notebooks: the edit that it asks for is made, in the smoke profile, and something changes.

A line that asks for thought begins with "Think:". An edit of a file of the package is made in a copy of the repository, and a
fresh process reads it.
"""

import contextlib
import functools
import io
import multiprocessing
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
THIRD_PARTY = [
    "torch",
    "pandas",
    "seaborn",
    "matplotlib.pyplot",
    "IPython.display",
    "pytorch_grad_cam",
    "pytorch_ood.detector",
]
PLAN = "ygan_study/plan"


@dataclass(frozen=True)
class Try:
    """says: a part of the line; old, new: the edit; cells: a part of each code cell that it needs, beside parameters and study.

    changes: an expression whose value has to change; else, what the cells print. file: what is edited, if not the notebook.
    """

    says: str
    old: str
    new: str
    cells: tuple[str, ...] = ()
    changes: str = ""
    file: str = ""


def settings(said: str, *cells: str, changes: str = "") -> Try:
    return Try(f"settings = {{{said}}}", "settings = {}", f"settings = {{{said}}}", cells, changes)


PROBES = 'sorted(study.run(study.select(group="color_mnist")[0]).metrics.items())'
SWAP = ("jobs = study.select", "run = study.run", "z_r.roll")
PAIRS = ("run = study.run", "higher =")
CLUSTERS, AUC_IN = ("features, network", "tried ="), ("package =", "def auc_in", "size =")
LEAVES = 'study.table("table4", [study.run(study.select(dataset="plantvillage", group="balanced")[0])]).to_csv()'
TABLE_5 = '[study.run(study.select(dataset="mnist", group="balanced")[0]), *map(study.run, study.select(variant="A4"))]'
BOTH = '[*map(study.run, study.select(deviation="both"))]'
STRONG = 'study.run(study.select(group="strong")[0]).metrics["auc"]'
OWN = ("leaves, count =", "detector.fit(")
GROUND = ("edge_cases", "def most", "leaves = study", "margin =", "table =")
TRIES = {
    "00_tour": [
        settings('"lambda_4": 0', "from functools", "live =", changes="live.losses.to_csv()"),
        settings('"lambda_5": 0', "from functools", "live =", changes="live.losses.to_csv()"),
    ],
    "01_color_mnist": [
        settings('"lambda_5": 0', changes=PROBES),
        settings('"lambda_4": 0', changes=PROBES),
        settings('"seed": 1', changes=PROBES),
        Try(
            "`z_r.roll(0, dims=0)`",
            "z_r.roll(1, dims=0)",
            "z_r.roll(0, dims=0)",
            SWAP,
            "hybrids.tolist()",
        ),
    ],
    "02_benchmarks": [
        settings('"seed": 1', *PAIRS),
        settings('"held_out": 9', *PAIRS),
        Try(
            "`q: float = 0.8`",
            "q: float = 0.95",
            "q: float = 0.8",
            (),
            LEAVES,
            "ygan_study/measure/numbers.py",
        ),
    ],
    "03_ablations": [
        Try(
            '`configuration = "paper"`',
            'configuration = "balanced"',
            'configuration = "paper"',
            ("trainer = Trainer", "gradient =", "length ="),
            "length.to_csv()",
        ),
        settings('"seed": 1', changes=f"{TABLE_5}[0].metrics"),
        Try(
            '`"A4": dict(lambda_1=0.0),`',
            "ABLATIONS = {",
            'ABLATIONS = {"A4": dict(lambda_1=0.0),',
            changes=f'(study.show("table5", {TABLE_5}), study.table("table5", {TABLE_5}).to_csv())',
            file=f"{PLAN}/variants.py",
        ),
    ],
    "04_weak_labels": [
        Try("`range(2, 6)`", "range(2, 21)", "range(2, 6)", CLUSTERS),
        Try(
            "`cosine, tried = False, range(2, 21)`",
            "cosine, tried = True,",
            "cosine, tried = False,",
            CLUSTERS,
        ),
    ],
    "05_score_analysis": [
        Try(
            '`first, second = "s", "s_c"`',
            'first, second = "s", "energy"',
            'first, second = "s", "s_c"',
            ("logits = run", "p = logits", "by_hand ="),
            "correlation",
        ),
    ],
    "06_latent_space": [
        Try(
            '`latent, perplexity = "z_s", 5`',
            'latent, perplexity = "z_s", 30',
            'latent, perplexity = "z_s", 5',
            ("normal =", "latent, perplexity ="),
            "points.tolist()",
        ),
        Try(
            '`latent, perplexity = "z_r", 30`',
            'latent, perplexity = "z_s", 30',
            'latent, perplexity = "z_r", 30',
            ("normal =", "latent, perplexity ="),
            "points.tolist()",
        ),
    ],
    "07_gradcam": [
        Try(
            "`test & anomalous`",
            "test & ~anomalous",
            "test & anomalous",
            ("library =", "strokes =", "rise ="),
            "rise.values.tolist()",
        ),
    ],
    "08_edge_cases": [
        Try("`margin = 15`", "margin = 25", "margin = 15", GROUND, "table.to_csv()"),
        Try(
            "`by = -logits.max(dim=1).values`",
            "by = scores.s_c(logits)",
            "by = -logits.max(dim=1).values",
            ("edge_cases", "by ="),
            "sorted(worst[1]), both",
        ),
    ],
    "09_paper_and_code": [
        Try("`size = 2`", "size = 64", "size = 2", AUC_IN, "auc_in(shuffled.split(size))"),
        Try(
            "`auc_in(shuffled[:, None].expand(-1, 64))`",
            "auc_in(shuffled.split(size))",
            "auc_in(shuffled[:, None].expand(-1, 64))",
            AUC_IN,
        ),
        Try(
            '`DEVIATIONS["both"] = Both`',
            "",
            'class Both(Mirrored, DetachedInputs): what, kind = "both", CHOICE\n\n\nDEVIATIONS["both"] = Both\n',
            changes=f'study.table("deviations", [{TABLE_5}[0], *{BOTH}]).to_csv()',
            file=f"{PLAN}/deviations.py",
        ),
    ],
    "10_your_images": [
        Try("`rate = 0.5`", "rate = 0.05", "rate = 0.5", OWN + ("rate =",)),
        Try(
            '`defect = "cut_paste"`',
            '"scratch"',
            '"cut_paste"',
            OWN + ("DEFECTS, damage", "defect ="),
            "masks.tolist()",
        ),
    ],
    "11_beyond": [
        settings('"augmentation": "none"', changes=STRONG),
        settings('"label_smoothing": 0.0', changes=STRONG),
        Try("`least = 1.0`", "least = 5e-4", "least = 1.0", ("patches = F", "least =")),
    ],
}
LINES = [(book, line) for book, lines in TRIES.items() for line in lines]


def lines(book: str) -> list[str]:
    """The lines under a notebook's "Try it"."""
    cells = nbformat.read(REPOSITORY / "notebooks" / f"{book}.ipynb", as_version=4).cells
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    below = re.split(r"^#", text.split("## Try it\n")[1], flags=re.M)[0]
    return re.findall(r"^- .+(?:\n  .+)*", below, re.M)


@pytest.mark.parametrize("book", BOOKS)
def test_every_line_is_tried_or_asks_for_thought(book):
    for line in lines(book):
        fits = [one for one in TRIES[book] if one.says in line]
        assert len(fits) == (0 if line.startswith("- Think:") else 1), line
    for one in TRIES[book]:
        assert one.file in " ".join(lines(book)) and any(one.says in line for line in lines(book))


@pytest.mark.parametrize("book", BOOKS[1:])
def test_the_idea_is_computed_by_hand(book):
    cells = nbformat.read(REPOSITORY / "notebooks" / f"{book}.ipynb", as_version=4).cells
    by_hand = [
        cell.source.splitlines()
        for cell in cells
        if cell.cell_type == "code" and "assert " in cell.source
    ]
    assert by_hand and min(map(len, by_hand)) <= 10


def edited(text: str, line: Try) -> str:
    """`text` with the edit; without `old`, `new` comes at the end."""
    assert line.old in text, f"there is no {line.old!r} to edit"
    return text.replace(line.old, line.new, 1) if line.old else text + line.new


def play(root: str, results: str, book: str, line: Try, edit: bool) -> str:
    """Run the cells that a line needs, and say what has to change. edit: whether the notebook's cells are edited before."""
    cells = nbformat.read(Path(root) / "notebooks" / f"{book}.ipynb", as_version=4).cells
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    if edit:
        place = next(i for i, source in enumerate(sources) if line.old in source)
        sources[place] = edited(sources[place], line)
    needed = [
        source
        for source in sources
        if any(part in source for part in ("study = Study", *line.cells))
    ]
    parameters = (
        sources[0].replace('"quick"', '"smoke"').replace("results = None", f"results = {results!r}")
    )
    names, printed = {"__name__": "notebook"}, io.StringIO()
    with threadpool_limits(1):  # on a busy machine threads wait for each other
        for source in (parameters, *needed):
            with (
                contextlib.redirect_stdout(printed)
                if source == needed[-1]
                else contextlib.nullcontext()
            ):
                exec(compile(source, book, "exec"), names)
        return repr(eval(line.changes, names)) if line.changes else printed.getvalue()


def _in_a_copy(pipe, copy: str, *arguments) -> None:
    sys.path.insert(0, copy)
    import ygan_core

    assert Path(ygan_core.__file__).is_relative_to(copy)
    pipe.send(play(copy, *arguments))


@pytest.fixture(scope="module")
def here(results, tmp_path_factory):
    """The smoke profile's results in a place of their own, the trainings there that the unedited lines need."""
    folder = tmp_path_factory.mktemp("try") / "results"
    shutil.copytree(results, folder)
    return str(folder)


@functools.cache
def unedited(results: str, book: str, cells: tuple[str, ...], changes: str) -> str:
    return play(str(REPOSITORY), results, book, Try("", "", "", cells, changes), False)


@pytest.mark.parametrize(
    "book, line", LINES, ids=[f"{book[:2]}-{line.says}" for book, line in LINES]
)
def test_it_does_what_it_says(book, line, here, tmp_path):
    before = unedited(here, book, line.cells, line.changes)
    if not line.file:
        assert before and play(str(REPOSITORY), here, book, line, True) != before
        return
    ignored = shutil.ignore_patterns(".*", "results", "data", "__pycache__", "tests")
    copy = shutil.copytree(REPOSITORY, tmp_path / "copy", ignore=ignored)
    (copy / "data").symlink_to(REPOSITORY / "data")
    file = copy / line.file
    file.write_text(edited(file.read_text(), line))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(THIRD_PARTY)  # not the package: the child imports the copy's
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_in_a_copy, args=(theirs, str(copy), here, book, line, False))
    process.start()
    theirs.close()
    after = ours.recv()  # EOFError where the edit breaks something; its traceback is printed
    process.join()
    assert before and after != before


def test_what_teaching_says_to_shorten_is_there():
    source = {
        path.stem[:3]: path.read_text()
        for path in (REPOSITORY / "notebooks" / "exercises").glob("*.ipynb")
    }
    teaching = (REPOSITORY / "notebooks" / "TEACHING.md").read_text()
    for exercise, old, new in (
        ("ex3", "seeds = 0, 1", "seeds = 0,"),
        ("ex3", "epochs=4", "epochs=2"),
        ("ex6", "range(10)", "range(3)"),
    ):
        assert old in source[exercise] and f"`{new}`" in teaching

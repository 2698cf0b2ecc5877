"""The house rules: which module may import which, and how long a file may be."""

import ast
import graphlib
from pathlib import Path

import pytest

import ygan_core

ROOT = Path(ygan_core.__file__).parent
# The rooms, from the first to the last. A module imports from its own room and from rooms above it.
ROOMS = (
    *("threads", "precision", "config", "checkpoints", "checksums", "whitened", "model", "losses", "scores", "metrics", "data"),
    "command_line",
    *(
        "imagenet",
        "weak_labels",
        "cuda_graph",
        "train",
        "baselines",
        "detector",
        "study.fresh",
        "study.plan",
        "study.measure",
        "study.run",
        "study.show",
    ),
    *("study.tour", "study.benchmark", "study.command_line", "study.__main__"),
)
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
    if path not in (ROOT / "__init__.py", ROOT / "study" / "__init__.py")  # the second imports what it is asked for
}


def imports(name: str) -> set[str]:
    """The modules of this package that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}: a relative import"
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {whole for whole in inside if whole.removeprefix("ygan_core.") in MODULES}
            found |= modules | ({node.module} if modules != inside else set())
    return {module.removeprefix("ygan_core.") for module in found} & MODULES.keys() - {name}


def room(name: str) -> int:
    """The place of a module's room in ROOMS."""
    return next(place for place, room in enumerate(ROOMS) if name == room or name.startswith(f"{room}."))


@pytest.mark.parametrize("name", MODULES)
def test_imports_come_from_rooms_above(name):
    assert not {other for other in imports(name) if room(other) > room(name)}


def test_no_import_circle():
    order = graphlib.TopologicalSorter({name: imports(name) for name in MODULES})
    assert len(list(order.static_order())) == len(MODULES)


@pytest.mark.parametrize("path", [*MODULES.values(), *Path(__file__).parent.glob("*.py")], ids=lambda path: path.stem)
def test_no_file_over_400_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400

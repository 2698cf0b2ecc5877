import importlib
import os
import pickle
import sys

import pytest

from ygan_study import fresh
from ygan_study.measure.numbers import numbers


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of two modules, of which `above` imports `below`, as if it were this one: (a function, its folder)."""
    root = tmp_path / "toy_core"
    root.mkdir()
    (root / "__init__.py").write_text("")
    (root / "below.py").write_text("FACTOR = 2\n")
    (root / "other.py").write_text("A = 1\n")
    text = 'from toy_core.below import FACTOR\n\ndef twice(x):\n    """Doc."""\n    return FACTOR * x\n'
    (root / "above.py").write_text(text)
    monkeypatch.setattr(fresh, "ROOT", root)
    monkeypatch.syspath_prepend(tmp_path)

    def load():
        for name in [name for name in sys.modules if name.startswith("toy_core")]:
            del sys.modules[name]
        return importlib.import_module("toy_core.above").twice

    yield load, root
    for name in [name for name in sys.modules if name.startswith("toy_core")]:
        del sys.modules[name]


def edit(path, before, after):
    path.write_text(path.read_text().replace(before, after))
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000_000))


def test_code_is_the_module_and_what_it_imports(package):
    load, root = package
    first = fresh.code_of(load())
    edit(root / "other.py", "1", "3")
    assert fresh.code_of(load()) == first
    edit(root / "above.py", '"""Doc."""', '"""Another doc."""  # and a comment')
    assert fresh.code_of(load()) == first
    edit(root / "below.py", "2", "3")
    assert fresh.code_of(load()) != first


def test_an_edited_function_never_shows_an_old_number(package, tmp_path):
    load, root = package
    assert fresh.cached(tmp_path / "cache", "key", load(), 5) == 10
    edit(root / "below.py", "2", "3")
    assert fresh.cached(tmp_path / "cache", "key", load(), 5) == 15


def test_what_is_kept_is_not_computed_again(package, tmp_path):
    load, _ = package
    assert fresh.cached(tmp_path / "cache", "key", load(), 5) == 10
    assert fresh.cached(tmp_path / "cache", "key", load(), 7) == 10  # the key names the facts
    assert fresh.cached(tmp_path / "cache", "other", load(), 7) == 14


@pytest.mark.parametrize("damage", ["another result", "cut", "empty"])
def test_what_is_kept_is_not_believed_once_it_was_changed(package, damage, tmp_path, capsys):
    load, _ = package
    assert fresh.cached(tmp_path / "cache", "key", load(), 5) == 10
    (kept,) = tmp_path.glob("cache/*/*")
    content = kept.read_bytes()
    kept.write_bytes(
        {"another result": content[:32] + pickle.dumps(11), "cut": content[:-1], "empty": b""}[
            damage
        ]
    )
    assert fresh.cached(tmp_path / "cache", "key", load(), 5) == 10
    assert (
        capsys.readouterr().out == f"{kept} is damaged or was changed: computed anew\n"
        and kept.read_bytes() == content
    )


def test_where_nothing_can_be_kept_the_result_is_the_same(package, tmp_path):
    load, _ = package
    (tmp_path / "cache").write_text("a file in the place of a folder")
    assert fresh.cached(tmp_path / "cache", "key", load(), 5) == 10


def test_the_numbers_depend_on_metrics():
    closure = fresh._closure([fresh.Path(sys.modules[numbers.__module__].__file__)])
    assert {"numbers.py", "metrics.py", "protocol.py"} <= {path.name for path in closure}
    tables = fresh.ROOT / "study" / "show" / "tables"
    assert tables.is_dir() and not [path for path in closure if tables in path.parents]

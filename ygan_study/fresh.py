"""One rule of freshness: what was computed is kept under the facts that it was computed of, and the code that computed it.

The code of a function is its module and every module of this package that it imports, directly or not. Comments, docstrings
and layout are no part of it, so that an edit of them computes nothing anew.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import pickle
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import ygan_core
from ygan_core.checkpoints import write_atomically
from ygan_study.engine.threads import one_thread

ROOT = Path(ygan_core.__file__).parents[1]
PACKAGES = ("ygan_core", "ygan_study", "ygan_detector")
OTHER_CODE = (".mplstyle",)  # read beside the modules of their folder
DOOR = (
    ROOT / "ygan_study" / "__init__.py"
)  # it imports what it is asked for, and has no code of its own


def code_of(*functions: Callable) -> str:
    """A hash of the code of functions, in hex: their modules, and all that these import of this package."""
    return code_of_files(
        _closure(
            Path(sys.modules[function.__module__].__file__).resolve() for function in functions
        )
    )


def code_of_files(files: Iterable[Path]) -> str:
    """A hash of the code of these very files, in hex."""
    return hashlib.sha256(
        "".join(_normalised(file, file.stat().st_mtime_ns) for file in sorted(set(files))).encode()
    ).hexdigest()


def files_used(code: str) -> set[Path]:
    """The files of this package that a piece of Python imports, directly or not."""
    return _closure(imported(code))


def imported(code: str) -> list[Path]:
    """The files of this package that a piece of Python imports itself."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found += [_file(alias.name) for alias in node.names]
        elif (
            isinstance(node, ast.ImportFrom) and node.module
        ):  # of a package a module, or a name that it defines itself
            found += [
                _file(f"{node.module}.{alias.name}") or _file(node.module) for alias in node.names
            ]
    return [path for path in found if path and path != DOOR]


def cached(folder: Path, key: str, function: Callable, *arguments):
    """function(*arguments), kept in `folder` with a checksum. key: names the facts, of which the result is a function."""
    name = f"{function.__module__}.{function.__qualname__}"
    kept = folder / name / hashlib.sha256(f"{code_of(function)} {key}".encode()).hexdigest()
    size = hashlib.sha256().digest_size
    try:
        found = kept.read_bytes()
        if hashlib.sha256(found[size:]).digest() != found[:size]:
            raise ValueError
        return pickle.loads(found[size:])
    except (FileNotFoundError, NotADirectoryError):
        pass
    except Exception:  # or another version of a library wrote it
        print(f"{kept} is damaged or was changed: computed anew", flush=True)
    with one_thread():  # the same number, however many threads this process has
        result = function(*arguments)
    content = pickle.dumps(result)
    with contextlib.suppress(OSError):  # where nothing can be written, nothing is kept
        write_atomically(
            kept, lambda path: path.write_bytes(hashlib.sha256(content).digest() + content)
        )
    return result


def _closure(files: Iterable[Path]) -> set[Path]:
    found, left = set(), list(files)
    while left:
        file = left.pop()
        if file not in found:
            found.add(file)
            found.update(other for other in file.parent.iterdir() if other.suffix in OTHER_CODE)
            if file.suffix == ".py":
                left += _imports(file, file.stat().st_mtime_ns)
    return found


@functools.cache
def _imports(file: Path, changed: int) -> list[Path]:
    return imported(file.read_text(encoding="utf-8"))


def _file(module: str) -> Path | None:
    """The file of a module of this package."""
    package, *parts = module.split(".")
    place = ROOT.joinpath(package, *parts)
    there = (path for path in (place.with_suffix(".py"), place / "__init__.py") if path.exists())
    return next(there, None) if package in PACKAGES and parts else None


@functools.cache
def _normalised(file: Path, changed: int) -> str:
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".py":
        return text
    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            node.body = body[1:]
    return ast.dump(tree)

"""The command line: python -m ygan_core.study all. run_all.sh is a thin door to it."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ygan_core.config import PROFILES, ConfigError
from ygan_core.data import DataError, data_root
from ygan_core.study import Job, Study
from ygan_core.study.figures import FIGURES, draw
from ygan_core.study.notebooks import execute, is_done, notebooks, output
from ygan_core.study.tables import TABLES, tabulate

OK, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


@dataclass(frozen=True)
class Part:
    """One thing that the study makes: what it is called, where it lies, whether it is there, making it."""

    kind: str
    name: str
    where: Path
    done: Callable[[], bool]
    make: Callable[[], object]


def parts(study: Study) -> dict[str, Part]:
    """All parts by name. The notebooks draw every figure and table; each of those can also be asked for alone."""
    found = [
        Part("notebook", n, output(study, n), lambda n=n: is_done(study, n), lambda n=n: execute(study, n)) for n in notebooks()
    ]
    for kind, names, ending, make in (("figure", FIGURES, "png", draw), ("table", TABLES, "csv", tabulate)):
        for n in names:
            where = study.folder / f"{kind}s" / f"{n}.{ending}"
            found.append(Part(kind, n, where, lambda where=where: study.is_made(where), lambda n=n, make=make: make(study, n)))
    return {part.name: part for part in found}


def run_all(study: Study, names: list[str], force: bool) -> int:
    """Train what is missing, then make the parts: one that fails does not stop the others. Returns the exit status."""
    known = parts(study)
    chosen = [known[name] for name in dict.fromkeys(names)] or [part for part in known.values() if part.kind == "notebook"]
    done, skipped, failed = [], [], []
    start = time.perf_counter()

    todo = []
    for part in chosen:
        if part.done() and not force:
            skipped.append(part.name)
        else:
            todo.append(part)
    jobs = list(study.color_mnist_jobs.values()) if todo else []
    broken = ""
    for number, job in enumerate(jobs, 1):
        if study.find(job):
            skipped.append(job.id)
            continue
        print(f"[training {number} of {len(jobs)}] {job.id}", flush=True)
        if error := _attempt(lambda job=job: study.run(job)):
            failed.append(f"{job.id}: {error}")
            broken = job.id
        else:
            done.append(job.id)
    for number, part in enumerate(todo, 1):
        print(f"[{part.kind} {number} of {len(todo)}] {part.name}", flush=True)
        if broken:
            failed.append(f"{part.name}: needs {broken}, which failed")
        elif error := _attempt(part.make):
            failed.append(f"{part.name}: {error}")
        else:
            done.append(f"{part.name}: {part.where}")

    print(f"\nprofile {study.profile}, {(time.perf_counter() - start) / 60:.1f} minutes, results in {study.folder}")
    for title, lines in (("done", done), ("skipped, there already", skipped), ("failed", failed)):
        if lines:
            print(f"{title}: {len(lines)}")
            print("\n".join(f"  {line}" for line in lines))
    return FAILED if failed else OK


def _attempt(make: Callable[[], object]) -> str:
    """Run `make`: "" where it went well, else what went wrong in one line."""
    try:
        make()
    except Exception as error:
        line = (str(error).splitlines() or [""])[0]
        print(f"  failed: {type(error).__name__}: {line}", file=sys.stderr, flush=True)
        return f"{type(error).__name__}: {line}"
    return ""


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not key=value")
    return key, value


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    top = argparse.ArgumentParser(prog="ygan_core.study", description=__doc__, allow_abbrev=False)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    profiles = "; ".join(f"{name}: {p.purpose}" for name, p in PROFILES.items())
    a = verbs.add_parser("all", help="train what is missing and make every notebook, table and figure", allow_abbrev=False)
    a.add_argument("--profile", choices=PROFILES, default="quick", help=f"how much of the paper ({profiles}); default quick")
    a.add_argument("--only", nargs="+", metavar="NAME", default=[], help="only these notebooks, tables, figures (see --list)")
    a.add_argument("--list", action="store_true", help="say what there is and whether it is done, and do nothing")
    a.add_argument("--force", action="store_true", help="make parts anew that are there already; trained networks are kept")
    a.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="default auto")
    a.add_argument("--data", metavar="DIR", help="the full datasets; default $YGAN_DATA, or data/ of the repository")
    a.add_argument("--results", metavar="DIR", help="where results/ goes; default results/ of the repository")
    a.add_argument("--set", nargs="+", action="extend", type=_setting, default=[], metavar="KEY=VALUE", help="epochs=3, say")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns its exit status: 0, 1 where something failed, 2 for wrong use, 130 for Ctrl-C."""
    options = parser().parse_args(arguments)
    try:
        if options.data:
            if not Path(options.data).is_dir():
                raise DataError(f"--data: no folder {options.data}: make it, or give the one that holds the datasets")
            os.environ["YGAN_DATA"] = options.data
        os.environ["YGAN_DATA"] = str(data_root().resolve())  # notebooks inherit it, and run in another folder
        if len(dict(options.set)) < len(options.set):
            raise ConfigError("--set: a setting is given twice")
        study = Study(options.profile, options.results, options.device, dict(options.set))
        known = parts(study)
        if unknown := [name for name in options.only if name not in known]:
            raise ConfigError(f"--only: no {', '.join(unknown)}: choose from {', '.join(known)}")
        if options.list:
            _list(study, known)
            return OK
        _writable(study.folder)
        return run_all(study, options.only, options.force)
    except (ConfigError, DataError, OSError) as error:
        print(f"{parser().prog}: {error}", file=sys.stderr)
        return WRONG_USE
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here, from the last epoch that was finished", file=sys.stderr)
        return INTERRUPTED


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror}): choose another folder with --results") from None


def _list(study: Study, known: dict[str, Part]) -> None:
    rows: list[tuple[str, str, bool]] = [(part.kind, part.name, part.done()) for part in known.values()]
    jobs: list[Job] = list(study.color_mnist_jobs.values())
    rows += [("training", job.id, study.find(job) is not None) for job in jobs]
    for kind, name, done in rows:
        print(f"{kind:9} {name:44} {'done' if done else '-'}")


if __name__ == "__main__":
    sys.exit(main())

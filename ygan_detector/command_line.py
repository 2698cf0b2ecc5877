"""The command line: python -m ygan_detector fit | score | export | localise."""

import argparse
import shlex
import warnings
from collections.abc import Callable
from pathlib import Path

import ygan_detector
from ygan_study.terminal import OK, WRONG_USE, Parser, check_writable, say

PRINTED = 10  # images that `score` prints


def run(arguments: list[str] | None = None) -> int:
    """Run a command line. Returns its exit status: 0, or 2 after one line about the mistake."""
    options = parser().parse_args(arguments)
    # PyTorch takes seconds to import, and --help does without it.
    from ygan_core.train import NonFiniteLoss

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *_, **__: say(f"warning: {message}")
        try:
            options.does(options)
            return OK
        except (ValueError, NonFiniteLoss, OSError) as error:
            say(str(error))
            return WRONG_USE


def parser() -> argparse.ArgumentParser:
    """All verbs and their options; those that are not given have the defaults of YGANDetector."""
    top = Parser(prog="python -m ygan_detector", description="Anomalies in your own images")
    verbs = top.add_subparsers(required=True, metavar="fit|score|export|localise")

    def add_verb(name: str, does: Callable[[argparse.Namespace], None], text: str) -> Callable:
        verb = verbs.add_parser(name, help=text, argument_default=argparse.SUPPRESS)
        verb.set_defaults(does=does)
        return verb.add_argument

    fit = add_verb("fit", _fit, "train on a folder of normal images, one subfolder a class")
    fit("images", help="the folder; without subfolders, classes are found by clustering")
    fit("--save", type=_target, required=True, metavar="FILE", help="for instance leaves.ygan")
    fit("--force", action="store_true", help="replace FILE if it exists")
    recipes = "features, balanced, classifier or auto (default): features for one kind of images"
    fit("--recipe", help=recipes)
    fit("--minutes", type=float, help="time for a training (default 10)")
    fit("--epochs", type=int, help="number of epochs, in place of --minutes")
    sizes = "32, 64, 128 or 256; default: 224, or the nearest there is time for"
    fit("--image-size", type=int, help=sizes)
    fit("--width", type=int, help="filters of the first convolution")
    fit("--augmentation", help="auto (default), none or leaves")
    fit("--seed", type=int, help="default 0")

    score = add_verb("score", _score, "score images, and write a page and a table of them")
    score("detector", type=_path, help="a file that `fit` saved")
    score("images", help="a folder, searched at any depth, or an image")
    score("--page", type=_target, metavar="FILE", default=None, help="write a report in HTML")
    table = "write a table: file, score, anomaly, class"
    score("--csv", type=_target, metavar="FILE", default=None, help=table)
    score("--top", type=int, default=200, help="how many images the page shows (default 200)")

    for add in (fit, score):
        share = "share of normal images that may be called anomalies (default of fit: 0.05)"
        add("--false-alarms", type=float, help=share)
        kinds = "auto (default), none, distance, uncertainty, reconstruction or hybrid"
        add("--heat-map", help=kinds)
        add("--device", help="auto (default), cpu, cuda or mps")

    export = add_verb("export", _export, "write a detector as ONNX, preprocessing included")
    export("detector", type=_path, help="a file that `fit` saved")
    export("--onnx", type=_target, required=True, metavar="FILE")

    localise = add_verb("localise", _localise, "measure which heat map finds lesions of leaves")
    localise("--csv", type=_target, required=True, metavar="FILE")
    localise("--epochs", type=int, default=12, help="of a training (default 12)")
    return top


def _path(text: str) -> Path:
    return Path(text).expanduser()  # a shell leaves the ~ of --csv=~/a.csv as it is


def _target(text: str) -> Path:
    """A file to write. It is refused before hours of work where that is not possible."""
    path = _path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a folder: give the name of a file")
    try:
        check_writable(path.parent)
    except OSError as error:
        reason = f"nothing can be written into {path.parent} ({error.strerror})"
        raise argparse.ArgumentTypeError(f"{reason}: make it, or choose another") from None
    return path


def _check_different(*paths: str | Path | None) -> None:
    """Refuse a command that would overwrite what it reads, or write two things to one file."""
    files = [Path(path).resolve() for path in paths if path]
    for path in files:
        if files.count(path) > 1:
            raise ValueError(f"{path} is given twice: give another name")


def _given(options: argparse.Namespace) -> dict:
    """The parameters of YGANDetector that are given."""
    names = ygan_detector.YGANDetector().get_params()
    return {name: value for name, value in vars(options).items() if name in names}


def _fit(options: argparse.Namespace) -> None:
    from ygan_detector.folders import UNFINISHED

    target = options.save
    if target.exists() and "force" not in options:
        raise OSError(f"{target} exists already: give another name, or --force")
    detector = ygan_detector.YGANDetector(**_given(options))
    detector.fit(options.images, checkpoint=f"{target}{UNFINISHED}", save=target)
    print(f"saved {target} ({target.stat().st_size / 2**20:.1f} MB)")
    score = f"score {shlex.quote(str(target))} FOLDER --page report.html --csv scores.csv"
    print(f"next: python -m ygan_detector {score}")


def _score(options: argparse.Namespace) -> None:
    from ygan_core.checkpoints import write_atomically
    from ygan_core.metrics import auc
    from ygan_detector.images import find_images
    from ygan_detector.page import write_page

    if options.top < 1:
        raise OSError("--top has to be at least 1")
    _check_different(options.detector, options.images, options.page, options.csv)
    params = {"device": "auto", "verbose": True} | _given(options)
    detector = ygan_detector.YGANDetector.load(options.detector, params["device"])
    detector.set_params(**params)
    images = find_images(options.images)
    table = detector.examine(images)
    ordered = table.sort_values("score", ascending=False, kind="stable").drop(columns="place")
    print(ordered.head(PRINTED).to_string(index=False))
    anomalies, threshold = int(table["anomaly"].sum()), detector.threshold_
    print(f"{anomalies} of {len(table)} images are above the threshold {threshold:.4g}")
    if "truth" in table and table["truth"].nunique() == 2:
        false_alarms, found = 100 * table.groupby("truth")["anomaly"].mean()
        rates = f"{found:.1f} % of the anomalies found, {false_alarms:.1f} % false alarms"
        print(f"AUC {auc(table['score'], table['truth']):.3f}; {rates}")
    if options.csv:
        write_atomically(options.csv, lambda partial: ordered.to_csv(partial, index=False))
        print(f"wrote {options.csv}")
    if options.page:
        write_page(detector, images, table, options.page, options.top)
        print(f"wrote {options.page}")


def _export(options: argparse.Namespace) -> None:
    _check_different(options.detector, options.onnx)
    ygan_detector.YGANDetector.load(options.detector, "cpu").export_onnx(options.onnx)
    print(f"wrote {options.onnx}")
    print("input: images, uint8 (n, height, width, channels); output: score, anomaly, class")


def _localise(options: argparse.Namespace) -> None:
    from ygan_core.checkpoints import write_atomically
    from ygan_detector.lesions import compare

    table = compare(epochs=options.epochs)
    write_atomically(options.csv, lambda partial: table.to_csv(partial, index=False))
    print(table.round(3).to_string(index=False))

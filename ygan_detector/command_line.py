"""The command line: python -m ygan_detector fit | score | export | localise."""

from __future__ import annotations

import argparse
import shlex
import warnings
from pathlib import Path

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
            options.verb_function(options)
            return OK
        except (ValueError, NonFiniteLoss, OSError) as error:
            say(str(error))
            return WRONG_USE


def parser() -> argparse.ArgumentParser:
    """All verbs and their options; those of `fit` are the parameters of YGANDetector."""
    top = Parser(prog="python -m ygan_detector", description="Anomalies in your own images")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="fit|score|export|localise")

    fit = verbs.add_parser("fit", help="train on a folder of normal images, one subfolder a class")
    add = fit.add_argument
    add("images", help="the folder; without subfolders, classes are found by clustering")
    add("--save", type=_path, required=True, metavar="FILE", help="for instance leaves.ygan")
    add("--force", action="store_true", help="replace FILE if it exists")
    recipes = "features, balanced, classifier or auto (default): features for one kind of images"
    add("--recipe", default="auto", help=recipes)
    add("--minutes", type=float, default=10, help="time for a training (default 10)")
    add("--epochs", type=int, help="number of epochs, in place of --minutes")
    add(
        "--image-size",
        type=int,
        help="32, 64, 128 or 256; default: 224, or the nearest there is time for",
    )
    add("--width", type=int, help="filters of the first convolution")
    add("--augmentation", default="auto", help="auto (default), none or leaves")
    add("--seed", type=int, default=0)
    _add_common(fit, false_alarms=0.05)
    fit.set_defaults(verb_function=_fit)

    score = verbs.add_parser("score", help="score images, and write a page and a table of them")
    add = score.add_argument
    add("detector", type=_path, help="a file that `fit` saved")
    add("images", help="a folder, searched at any depth, or an image")
    add("--page", type=_path, metavar="FILE", help="write a report, one HTML file")
    add("--csv", type=_path, metavar="FILE", help="write a table: file, score, anomaly, class")
    add("--top", type=int, default=200, help="how many images the page shows (default 200)")
    _add_common(score, false_alarms=None)
    score.set_defaults(verb_function=_score)

    export = verbs.add_parser("export", help="write a detector as ONNX, preprocessing included")
    export.add_argument("detector", type=_path, help="a file that `fit` saved")
    export.add_argument("--onnx", type=_path, required=True, metavar="FILE")
    export.set_defaults(verb_function=_export)

    localise = verbs.add_parser("localise", help="measure which heat map finds lesions of leaves")
    localise.add_argument("--csv", type=_path, required=True, metavar="FILE")
    localise.add_argument("--epochs", type=int, default=12, help="of a training (default 12)")
    localise.set_defaults(verb_function=_localise)
    return top


def _path(text: str) -> Path:
    return Path(text).expanduser()  # a shell leaves the ~ of --csv=~/a.csv as it is


def _add_common(verb: argparse.ArgumentParser, false_alarms: float | None) -> None:
    share = "share of normal images that may be called anomalies"
    verb.add_argument("--false-alarms", type=float, default=false_alarms, help=share)
    kinds = "auto (default), none, distance, uncertainty, reconstruction or hybrid"
    verb.add_argument("--heat-map", default="auto", help=kinds)
    verb.add_argument("--device", default="auto", help="auto (default), cpu, cuda or mps")


def _fit(options: argparse.Namespace) -> None:
    from ygan_detector.estimator import YGANDetector
    from ygan_detector.images import UNFINISHED

    target = options.save
    if target.exists() and not (options.force and target.is_file()):
        advice = "give another name, or --force" if target.is_file() else "give the name of a file"
        raise OSError(f"{target} exists already: {advice}")
    _check_target(target)
    params = YGANDetector().get_params()
    detector = YGANDetector(**{name: v for name, v in vars(options).items() if name in params})
    detector.fit(options.images, checkpoint=Path(f"{target}{UNFINISHED}"), save=target)
    print(f"saved {target} ({target.stat().st_size / 2**20:.1f} MB)")
    score = f"score {shlex.quote(str(target))} FOLDER --page report.html --csv scores.csv"
    print(f"next: python -m ygan_detector {score}")


def _score(options: argparse.Namespace) -> None:
    from ygan_core.checkpoints import write_atomically
    from ygan_core.metrics import auc
    from ygan_detector.estimator import YGANDetector
    from ygan_detector.images import find_images
    from ygan_detector.page import write_page

    if options.top < 1:
        raise OSError("--top has to be at least 1")
    _check_target(options.page, options.detector, options.images)
    _check_target(options.csv, options.detector, options.images, options.page)
    detector = YGANDetector.load(options.detector, options.device).set_params(verbose=True)
    if options.false_alarms is not None:
        detector.set_params(false_alarms=options.false_alarms)
    if options.heat_map != "auto":
        detector.set_params(heat_map=options.heat_map)
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
    from ygan_detector.estimator import YGANDetector

    _check_target(options.onnx, options.detector)
    YGANDetector.load(options.detector, "cpu").export_onnx(options.onnx)
    print(f"wrote {options.onnx}")
    print("input: images, uint8 (n, height, width, channels); output: score, anomaly, class")


def _localise(options: argparse.Namespace) -> None:
    from ygan_core.checkpoints import write_atomically
    from ygan_detector.lesions import compare

    _check_target(options.csv)
    table = compare(epochs=options.epochs)
    write_atomically(options.csv, lambda partial: table.to_csv(partial, index=False))
    print(table.round(3).to_string(index=False))


def _check_target(path: Path | None, *taken: str | Path | None) -> None:
    """Refuse a file that cannot be written before hours of work. taken: other files in use."""
    if path is None:
        return
    folder = path.resolve().parent
    if path.resolve() in {Path(other).resolve() for other in taken if other}:
        raise OSError(f"{path} is another file of this command: give another name")
    if path.is_dir():
        raise OSError(f"{path} is a folder: give the name of a file")
    if not folder.is_dir():
        raise OSError(f"there is no folder {folder}: make it first")
    try:
        check_writable(folder)
    except OSError as error:
        raise OSError(f"{folder} is not writable ({error.strerror}): choose another") from None

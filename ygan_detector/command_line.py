"""The command line: python -m ygan_detector fit | score | export | localise."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from ygan_study.terminal import OK, WRONG_USE, Parser, check_writable, say

LISTED = 10  # images that `score` prints


def run(arguments: list[str] | None = None) -> int:
    """Run a command line; returns its exit status: 0, or 2 with one line that says what is wrong."""
    options = parser().parse_args(arguments)
    from ygan_core.config import (
        ConfigError,  # from here on PyTorch, which takes seconds to import: --help does without
    )
    from ygan_core.data import DataError
    from ygan_core.train import NonFiniteLoss
    from ygan_detector.pixels import DetectorError

    before, warnings.showwarning = (
        warnings.showwarning,
        lambda message, *_, **__: say(f"warning: {message}"),
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            options.verb_function(options)
        return OK
    except (ConfigError, DataError, DetectorError, NonFiniteLoss, OSError) as error:
        say(str(error))
        return WRONG_USE
    finally:
        warnings.showwarning = before


def parser() -> argparse.ArgumentParser:
    """All verbs and their options."""
    top = Parser(prog="python -m ygan_detector", description="Y-GAN on your own images")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="fit|score|export|localise")

    fit = verbs.add_parser("fit", help="train on a folder of normal images, one subfolder a class")
    fit.add_argument(
        "images", help="the folder; without subfolders the classes are made by clustering"
    )
    fit.add_argument(
        "--save",
        type=_place,
        required=True,
        metavar="FILE",
        help="where the detector goes, for instance leaves.ygan",
    )
    fit.add_argument("--force", action="store_true", help="replace FILE if it is there")
    fit.add_argument("--recipe", default="balanced", help="balanced (default) or classifier")
    fit.add_argument(
        "--minutes", type=float, default=10, help="how long the training may take (default 10)"
    )
    fit.add_argument("--epochs", type=int, help="how many epochs, in place of --minutes")
    fit.add_argument(
        "--image-size",
        type=int,
        help="32, 64, 128 or 256; default: the nearest for which there is time",
    )
    fit.add_argument("--width", type=int, help="filters of the first convolution")
    fit.add_argument("--augmentation", default="auto", help="auto (default), none or leaves")
    fit.add_argument("--seed", type=int, default=0)
    _common(fit, default=0.05)
    fit.set_defaults(verb_function=_fit)

    score = verbs.add_parser(
        "score", help="score images: print the most suspicious, write a page and a table"
    )
    score.add_argument("detector", type=_place, help="what `fit` saved")
    score.add_argument("images", help="a folder, at any depth, or an image")
    score.add_argument(
        "--page", type=_place, metavar="FILE", help="write a report page, one HTML file"
    )
    score.add_argument(
        "--csv", type=_place, metavar="FILE", help="write a table: file, score, anomaly, class"
    )
    score.add_argument(
        "--top", type=int, default=200, help="how many images the page shows (default 200)"
    )
    _common(score, default=None)
    score.set_defaults(verb_function=_score)

    export = verbs.add_parser("export", help="write a detector as ONNX, its preprocessing inside")
    export.add_argument("detector", type=_place, help="what `fit` saved")
    export.add_argument("--onnx", type=_place, required=True, metavar="FILE")
    export.set_defaults(verb_function=_export)

    localise = verbs.add_parser(
        "localise", help="measure which heat map finds synthetic defects, beside PaDiM's"
    )
    localise.add_argument(
        "--csv", type=_place, required=True, metavar="FILE", help="where the table goes"
    )
    localise.add_argument(
        "--dataset",
        action="append",
        help="mnist, fmnist, cifar10 or plantvillage; default: all four",
    )
    localise.add_argument(
        "--minutes", type=float, default=10, help="of training, for each dataset (default 10)"
    )
    localise.add_argument("--epochs", type=int, help="how many epochs, in place of --minutes")
    localise.add_argument(
        "--per-class",
        type=int,
        default=0,
        help="images of each class; default: all of the starter pack",
    )
    localise.set_defaults(verb_function=_localise)
    return top


def _place(text: str) -> Path:
    return Path(text).expanduser()  # a shell leaves the ~ of --csv=~/a.csv as it is


def _common(verb: argparse.ArgumentParser, default: float | None) -> None:
    verb.add_argument(
        "--false-alarms",
        type=float,
        default=default,
        help="share of normal images that may be called anomalies",
    )
    verb.add_argument(
        "--heat-map", default="auto", help="auto (default), doubt, reconstruction or hybrid"
    )
    verb.add_argument("--device", default="auto", help="auto (default), cpu, cuda or mps")


def _fit(options: argparse.Namespace) -> None:
    from ygan_detector.estimator import YGANDetector
    from ygan_detector.pixels import DetectorError

    target = options.save
    if target.is_dir() or (target.exists() and not options.force):
        raise DetectorError(
            f"{target} is there already: give another name"
            + (", or --force" if target.is_file() else "")
        )
    _check_target(target)
    names = (
        "recipe",
        "minutes",
        "epochs",
        "false_alarms",
        "image_size",
        "width",
        "augmentation",
        "heat_map",
        "seed",
        "device",
    )
    detector = YGANDetector(**{name: getattr(options, name) for name in names})
    detector.fit(
        options.images, checkpoint=target.with_name(f"{target.name}.training"), save=target
    )
    print(f"saved {target} ({target.stat().st_size / 2**20:.1f} MB)")
    print(
        f"next: python -m ygan_detector score {target} FOLDER --page report.html --csv scores.csv"
    )


def _score(options: argparse.Namespace) -> None:
    from ygan_core.checkpoints import write_atomically
    from ygan_core.metrics import auc
    from ygan_detector.estimator import YGANDetector
    from ygan_detector.page import write_page
    from ygan_detector.pixels import DetectorError
    from ygan_detector.settings import check

    if options.top < 1:
        raise DetectorError("--top is 1 at least")
    read = options.detector, Path(options.images)
    if options.page:
        _check_target(options.page, *read)
    if options.csv:
        _check_target(options.csv, *read, options.page)
    detector = YGANDetector.load(options.detector, options.device).set_params(verbose=True)
    if options.false_alarms is not None:
        detector.set_params(false_alarms=options.false_alarms)
    if options.heat_map != "auto":
        detector.set_params(heat_map=options.heat_map)
    check(detector.get_params())
    images = detector.open(options.images)
    table = detector.examine(images)
    listed = table.sort_values("score", ascending=False, kind="stable").drop(columns="place")
    print(listed.head(LISTED).to_string(index=False))
    print(
        f"{int(table['anomaly'].sum())} of {len(table)} images are above the threshold {detector.threshold_:.4g}"
    )
    if "truth" in table and 0 < table["truth"].sum() < len(table):
        rates = table.groupby("truth")["anomaly"].mean()
        found = (
            f"{100 * rates[1]:.1f} % of the anomalies found, {100 * rates[0]:.1f} % false alarms"
        )
        print(f"AUC {auc(table['score'], table['truth']):.3f}; {found}")
    if options.csv:
        write_atomically(options.csv, lambda partial: listed.to_csv(partial, index=False))
        print(f"wrote {options.csv}")
    if options.page:
        write_page(detector, images, table, options.page, options.top)
        print(f"wrote {options.page}")


def _export(options: argparse.Namespace) -> None:
    from ygan_detector.estimator import YGANDetector

    _check_target(options.onnx, options.detector)
    YGANDetector.load(options.detector, "cpu").export_onnx(options.onnx)
    print(
        f"wrote {options.onnx}: it takes uint8 (n, height, width, channels), upright, and gives score, anomaly and logits"
    )


def _localise(options: argparse.Namespace) -> None:
    from ygan_core.checkpoints import write_atomically
    from ygan_detector.localisation import CELLS, compare
    from ygan_detector.pixels import DetectorError

    if unknown := set(options.dataset or ()) - set(CELLS):
        raise DetectorError(
            f"no dataset {', '.join(sorted(unknown))}: choose from {', '.join(CELLS)}"
        )
    _check_target(options.csv)
    table = compare(
        options.dataset or CELLS, options.per_class, minutes=options.minutes, epochs=options.epochs
    )
    write_atomically(options.csv, lambda partial: table.to_csv(partial, index=False))
    print(
        table.groupby(["dataset", "means"], sort=False)[["pixel_auroc", "pro"]]
        .mean()
        .round(3)
        .to_string()
    )


def _check_target(path: Path, *taken: Path | None) -> None:
    """Refuse the name of a file that cannot be written. taken: what the same command reads, or writes beside it."""
    folder = path.resolve().parent
    if path.resolve() in {other.resolve() for other in taken if other}:
        raise OSError(f"{path} is another file of this command: give another name")
    if path.is_dir():
        raise OSError(f"{path} is a folder: give the name of a file")
    if not folder.is_dir():
        raise OSError(f"there is no folder {folder}: make it first")
    try:
        check_writable(folder)
    except OSError as error:
        raise OSError(
            f"nothing can be written into {folder} ({error.strerror}): choose another place"
        ) from None

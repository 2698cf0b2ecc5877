"""The files of a folder, and what its layout says about them.

Folders follow torchvision's `ImageFolder`: a subfolder is a class. Two more layouts are known, that
of the authors' public code (`train/0.normal/<class>`, `test/0.normal`, `test/1.abnormal`) and that
of MVTec AD (`train/good`, `test/<defect>`).
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from ygan_detector.messages import printable, warn

NORMAL, ABNORMAL = ("0.normal", "good"), "1.abnormal"
UNFINISHED = ".training"  # ending of the folders with the checkpoints of a training


def files_to_score(folder: Path, say: Callable) -> tuple[Path, list[Path], list[bool] | None]:
    """(root, all files below it, which of them are anomalous, or None where nothing tells).

    say: receives lines about the layout.
    """
    root = _root(folder, "test", "train", say)
    paths = list(_walk(root))
    normal = [subfolder for subfolder in _subfolders(root) if subfolder.name in NORMAL]
    if not normal:
        return root, paths, None
    say(f"images in {normal[0]} are known to be normal, all others to be anomalies")
    return root, paths, [path.relative_to(root).parts[0] not in NORMAL for path in paths]


def files_to_train_on(folder: Path, say: Callable) -> tuple[Path, list[Path], list[str] | None]:
    """(root, its normal images, their classes, or None where there are no subfolders)."""
    root = _root(folder, "train", "test", say)
    if (root / NORMAL[0]).is_dir():
        root = root / NORMAL[0]
        say(f"images are read from {root}: the layout of the authors' public code")
    if (root / ABNORMAL).is_dir():
        say(f"{root / ABNORMAL} is left out: a detector is trained on normal images only")
    classes = [path for path in _subfolders(root) if path.name != ABNORMAL]
    files = {path.name: list(_walk(path, (root.resolve(),))) for path in classes}
    for name in files:
        if not files[name]:
            warn(f"the folder {printable(name)} is empty and was left out")
    beside = [path for path in _visible(root) if not path.is_dir()]
    if not any(files.values()):
        return root, beside, None
    if beside:
        warn(f"{len(beside)} files beside the class folders of {root} were left out")
    pairs = [(path, name) for name, paths in files.items() for path in paths]
    return root, [path for path, _ in pairs], [name for _, name in pairs]


def _root(root: Path, part: str, other: str, say: Callable[[str], None]) -> Path:
    """The folder that holds the images: `root`, the one folder of an archive, or `part` of it."""
    while len(_visible(root)) == 1 and (inner := _subfolders(root)) and _subfolders(inner[0]):
        root = inner[0]
    if (root / part).is_dir() and ((root / other).is_dir() or _subfolders(root / part)):
        root = root / part
        say(f"images are read from {root}")
    return root


def _walk(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """The files in a folder at any depth. Links are followed, unless they lead back to it."""
    above = (*above, folder.resolve())
    yield from (path for path in _visible(folder) if not path.is_dir())
    for inner in _subfolders(folder):
        if inner.resolve() not in above:
            yield from _walk(inner, above)


def _subfolders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def _visible(folder: Path) -> list[Path]:
    """What is in a folder, in order, without hidden files and unfinished trainings."""
    hidden = (".", "__MACOSX")
    paths = (path for path in folder.iterdir() if path.suffix != UNFINISHED)
    return sorted(path for path in paths if not path.name.startswith(hidden))

"""What the detector tells its user: errors, warnings, and lines about what it is doing."""

import os
import warnings
from collections import Counter
from functools import partial
from pathlib import Path

from PIL import Image, UnidentifiedImageError

NAMED = 5  # files that are named one by one; further ones are counted

warn = partial(warnings.warn, stacklevel=2)


class DetectorError(ValueError):
    """Images, settings or a file that the detector cannot use; the message is a single line."""


def printable(name: str) -> str:
    """A name from the file system as text that every output takes, whatever its bytes are."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def first_line(error: Exception) -> str:
    """The beginning of what an error says, or its kind where it says nothing."""
    return printable((str(error).splitlines() or [type(error).__name__])[0][:100])


def say(line: str) -> None:
    """Print a line at once, whatever names it contains."""
    print(printable(line), flush=True)


def warn_left_out(failed: dict[str, Exception]) -> None:
    """Name the images that cannot be read, and why; of many, count the kinds."""
    for name, error in list(failed.items())[:NAMED]:
        reason = first_line(error)
        if isinstance(error, UnidentifiedImageError):  # its own text repeats the name
            reason = "Pillow finds no image in it"
        elif isinstance(error, Image.DecompressionBombError):
            pixels = f"{2 * Image.MAX_IMAGE_PIXELS // 10**6} million pixels"
            reason = f"it has over {pixels}: scale it down"
        warn(f"{name} cannot be read and was left out ({reason})")
    if more := Counter(Path(name).suffix.lower() or name for name in list(failed)[NAMED:]):
        kinds = ", ".join(f"{count} {kind}" for kind, count in more.most_common(NAMED))
        warn(f"{more.total()} more files cannot be read and were left out: {kinds}")

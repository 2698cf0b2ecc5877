"""python -m ygan_core.detector: see command_line.py."""

from __future__ import annotations

import sys

from ygan_core.command_line import take_over

if __name__ == "__main__":
    take_over("\nstopped; the same command goes on from the last epoch that was finished\n")
    from ygan_core.detector.command_line import run

    sys.exit(run())

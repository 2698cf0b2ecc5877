"""python -m ygan_core.detector: see command_line.py."""

from __future__ import annotations

import sys

INTERRUPTED = 130

if __name__ == "__main__":
    try:
        from ygan_core.detector.command_line import run

        sys.exit(run())
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from the last epoch that was finished", file=sys.stderr)
        sys.exit(INTERRUPTED)

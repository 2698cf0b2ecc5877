"""python -m ygan_detector: see command_line.py."""

import sys

from ygan_study.terminal import take_over

if __name__ == "__main__":
    take_over("\nstopped; the same command goes on from the last epoch that was finished\n")
    from ygan_detector.command_line import run

    sys.exit(run())

"""python -m ygan_study: see command_line.py.

It is quick to import: from here on Ctrl-C gives one line, also while PyTorch is being imported.
"""

import sys

from ygan_study.terminal import take_over

STOPPED = "\nstopped; the same command goes on from here, from the last epoch that was finished\n"


def main(arguments: list[str] | None = None) -> int:
    """Run a command line. Returns its exit status: 0, 1 where something failed, 2 for wrong use."""
    from ygan_study.command_line import run

    return run(arguments)


if __name__ == "__main__":
    take_over(STOPPED)
    sys.exit(main())

"""Processes that tests start, stop and wait for."""

import os
import signal
import subprocess
import sys
import time


def start(*arguments, **options) -> subprocess.Popen:
    """Start Python with these arguments; its outputs are pipes of text.

    It heeds Ctrl-C and the end of its terminal, which a shell lets its background ignore.
    """

    def heed():
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    usual = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    usual |= dict(preexec_fn=heed) if os.name == "posix" else {}
    return subprocess.Popen([sys.executable, *map(str, arguments)], **{**usual, **options})


def wait_for(condition, seconds=300):
    """Return once `condition()` holds; fail where it does not within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)

"""A command line that is stopped, or whose outputs are gone: one line at the most."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ygan_study.__main__ import STOPPED

posix = pytest.mark.skipif(os.name != "posix", reason="signals, numbers of files")


def python(code, **options):
    """A process that first does what every command line does."""
    code = f"import os, signal, sys\nfrom ygan_study.terminal import take_over\n{code}"
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen([sys.executable, "-c", code], **{**pipes, **options})


def listen():
    """What a shell's background starts is deaf to these."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@posix
def test_stopped_while_it_imports_it_says_one_line_and_130():
    line = [sys.executable, "-m", "ygan_study", "list", "--profile", "smoke"]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process = subprocess.Popen(line, preexec_fn=listen, **pipes)
    if sys.platform == "linux":
        handled = 0
        while not handled >> (signal.SIGTERM - 1) & 1:  # Python itself has no handler of it
            status = Path(f"/proc/{process.pid}/status").read_text()
            handled = int(status.partition("SigCgt:")[2].split()[0], 16)
            time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, STOPPED)


@posix
def test_stopped_twice_it_says_so_once():
    code = "take_over('stopped\\n'); write = os.write\n"
    code += "os.write = lambda *what: (write(*what), signal.raise_signal(signal.SIGTERM))\n"
    process = python(code + "signal.raise_signal(signal.SIGTERM)", preexec_fn=listen)
    assert (process.communicate(timeout=60)[1], process.returncode) == ("stopped\n", 130)


@posix
def test_started_deaf_to_a_signal_as_by_nohup_it_stays_so():
    code = "signal.signal(signal.SIGHUP, signal.SIG_IGN); take_over('stopped')\n"
    process = python(code + "signal.raise_signal(signal.SIGHUP); print('on')")
    assert (process.communicate(timeout=60), process.returncode) == (("on\n", ""), 0)


def test_a_reader_that_leaves_does_not_stop_the_work():
    code = "take_over('')\nfor _ in range(9): print('line' * 9999)\nsys.stderr.write('done')"
    process = python(code)
    process.stdout.close()
    assert (process.stderr.read(), process.wait()) == ("done", 0)


def test_a_line_is_in_the_file_as_soon_as_it_is_printed(tmp_path):
    """`./run_all.sh > log` tells how far it is."""
    with open(tmp_path / "log", "w") as log:
        process = python("take_over('')\nprint('1 of 2')\ninput()", stdin=-1, stdout=log)
        deadline = time.monotonic() + 60
        while (tmp_path / "log").read_text() != "1 of 2\n":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.communicate("\n", timeout=60)


def test_a_path_with_an_umlaut_is_printed_where_the_language_is_c():
    language = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    process = python("take_over(''); print(chr(196) + 'hren')", env={**os.environ, **language})
    assert process.communicate(timeout=60) == ("\\xc4hren\n", "")


@posix
def test_where_outputs_are_closed_nothing_is_printed_into_a_file(tmp_path):
    code = f"take_over('')\nfile = open({str(tmp_path / 'file')!r}, 'w')\n"
    code += "print('out'); print('err', file=sys.stderr); os.write(1, b'C'); file.write('own')"
    process = python(
        code, stdout=None, stderr=None, close_fds=False, preexec_fn=lambda: os.closerange(0, 3)
    )
    assert process.wait(60) == 0 and (tmp_path / "file").read_text() == "own"

"""The detector in threads and in forked processes."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
import torch
from small_detector import TINY, pictures, trained
from threadpoolctl import threadpool_info, threadpool_limits

from ygan_detector import YGANDetector
from ygan_study.engine.threads import one_thread

FORKED = """
import multiprocessing, sys, tempfile, warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
import torch
sys.path.insert(0, "tests")
warnings.simplefilter("ignore")
from small_detector import TINY, pictures, write_folder
from ygan_detector import YGANDetector
from ygan_detector.images import find_images
from ygan_detector.page import write_page

def work(recipe):
    detector = YGANDetector(**{**TINY, "recipe": recipe, "image_size": 64}).fit(*pictures(8))
    with tempfile.TemporaryDirectory() as place:
        detector.save(place + "/a.ygan")
        detector, images = YGANDetector.load(place + "/a.ygan"), find_images(write_folder(Path(place), 2))
        write_page(detector, images, detector.examine(images), place + "/a.html")
    pixels = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    return detector.heat_maps(pixels).sum(), detector.most_similar(pixels[0])

torch.set_num_threads(2)
(torch.ones(500, 500) @ torch.ones(500, 500)).exp()  # starts OpenMP's threads
for recipe in ("features", "balanced"):
    work(recipe)
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        pool.submit(work, recipe).result()
"""


def threads():
    found = [
        pool["num_threads"] for pool in threadpool_info() if pool["internal_api"] == "openblas"
    ]
    return torch.get_num_threads(), *found


def test_side_by_side_each_thread_has_one_inside_and_afterwards_all_are_back():
    detector, images = trained(), pictures(4)[0]
    entered, leave, of_pytest = threading.Event(), threading.Event(), torch.get_num_threads()

    def stay():
        with one_thread():
            entered.set()
            assert leave.wait(60)
            return threads()

    try:
        torch.set_num_threads(2)
        with ThreadPoolExecutor(1) as pool:  # OpenBLAS belongs to whoever sets it, while it lives
            pool.submit(threadpool_limits, 2, "blas").result()
        before = threads()
        for first_leaves_last in (True, False):
            with ThreadPoolExecutor(5) as pool:
                entered.clear()
                leave.clear()
                staying = pool.submit(stay)
                assert entered.wait(60)
                others = [pool.submit(detector.decision_function, images) for _ in range(4)]
                if first_leaves_last:
                    wait(others)
                leave.set()
                assert set(staying.result()) == {1}
            assert threads() == before
    finally:
        torch.set_num_threads(of_pytest)


def test_quiet_fits_side_by_side_leave_the_output_as_it_was(capsys):
    with ThreadPoolExecutor(2) as pool:
        data = pictures(10)
        list(pool.map(lambda seed: YGANDetector(**TINY, seed=seed).fit(*data), range(2)))
    assert capsys.readouterr().out == ""
    print("heard")
    assert capsys.readouterr().out == "heard\n"


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_a_forked_process_does_not_wait_for_threads_that_it_does_not_have():
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    process = subprocess.Popen(
        [sys.executable, "-c", FORKED], env=environment, start_new_session=True
    )
    try:
        assert process.wait(timeout=120) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the processes that wait, too

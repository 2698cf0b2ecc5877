"""The detector in threads and in forked processes."""

import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from small_detector import pictures, trained
from threadpoolctl import threadpool_info, threadpool_limits

from ygan_study.engine.threads import one_thread

FORKED = """
import multiprocessing, sys, warnings
from concurrent.futures import ProcessPoolExecutor
import torch
sys.path.insert(0, "tests")
warnings.simplefilter("ignore")
from small_detector import TINY, pictures, trained
from ygan_detector import YGANDetector

torch.set_num_threads(2)
(torch.ones(500, 500) @ torch.ones(500, 500)).exp()  # starts OpenMP's threads
pixels = torch.from_numpy(pictures(2)[0]).permute(0, 3, 1, 2).contiguous()

def work(recipe):
    detector = YGANDetector(**{**TINY, "recipe": recipe, "image_size": 64}).fit(*pictures(15))
    similar = detector.most_similar(torch.zeros(3, 64, 64, dtype=torch.uint8))
    known = trained()
    return known.heat_maps(pixels).mean(), known.most_similar(pixels[0]), similar

trained()
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


def test_side_by_side_the_number_of_threads_is_one_inside_and_afterwards_what_it_was():
    detector, images = trained(), pictures(4)[0]
    first, last, before_test = threading.Event(), threading.Event(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threadpool_limits(2), ThreadPoolExecutor(4) as pool:
            before = threads()

            def stay():  # enters first, and leaves last
                with one_thread():
                    first.set()
                    last.wait(60)
                    return threads()

            staying = pool.submit(stay)
            first.wait(60)
            list(pool.map(detector.decision_function, [images] * 4))
            with one_thread():
                assert set(threads()) == {1}
            last.set()
            assert set(staying.result()[1:]) <= {1}
            assert threads() == before
    finally:
        torch.set_num_threads(before_test)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_a_forked_process_does_not_wait_for_threads_that_it_does_not_have():
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", FORKED], timeout=120, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]

"""The detector in threads and in forked processes."""

import threading
from concurrent.futures import ThreadPoolExecutor, wait

import torch
from small_detector import pictures, trained
from threadpoolctl import threadpool_info, threadpool_limits

from ygan_study.engine.threads import one_thread


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

"""Work shared by threads: all of it done, the matrix library's threads put back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ood_core.runtime.threads import share_out


@pytest.mark.parametrize("n", [0, 1, 2, 9])
def test_every_part_is_worked_on_once(n):
    done: list[int] = []
    share_out(lambda share: done.extend(share), list(range(n)))
    assert sorted(done) == list(range(n))


def test_an_error_in_a_thread_is_raised_here():
    def work(share):
        raise OSError("no luck")

    with pytest.raises(OSError, match="no luck"):
        share_out(work, [1, 2])


LAST_USER = """
import threading
import numpy
from threadpoolctl import threadpool_info
from ood_core.runtime.threads import one_blas_thread

def blas_threads():
    return {i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"}

before = blas_threads()
entered, leave = threading.Event(), threading.Event()

def other():
    with one_blas_thread():
        entered.set()
        leave.wait(10)

thread = threading.Thread(target=other)
with one_blas_thread():
    thread.start()
    entered.wait(10)
assert blas_threads() == {1}, blas_threads()
leave.set()
thread.join()
assert blas_threads() == before, (blas_threads(), before)
"""


def alone(code: str) -> None:
    """Run the code in a process of its own, as both libraries count threads for a whole one."""
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_limit_lasts_until_the_last_user_leaves():
    alone(LAST_USER)


def test_overlapping_users_put_torch_back():
    alone("""
import threading, torch
from ood_core.runtime.threads import one_torch_thread
torch.set_num_threads(3)
entered, leave = threading.Event(), threading.Event()

def other():
    with one_torch_thread():
        entered.set()
        leave.wait(10)

thread = threading.Thread(target=other)
with one_torch_thread():
    thread.start()
    entered.wait(10)
    assert torch.get_num_threads() == 1
leave.set()
thread.join()
seen = []
after = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
after.start()
after.join()
assert seen == [3] and torch.get_num_threads() == 3, seen
""")

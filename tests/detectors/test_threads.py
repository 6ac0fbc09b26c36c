"""Work shared by threads: all of it done, the matrix library's threads put back."""

from __future__ import annotations

import threading

import pytest

from ood_core.detectors._threads import one_blas_thread, share_out


def blas_threads() -> set[int]:
    from threadpoolctl import threadpool_info

    return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}


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


def test_the_limit_lasts_until_the_last_user_leaves():
    before = blas_threads()
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with one_blas_thread():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with one_blas_thread():
        thread.start()
        entered.wait(10)
    assert blas_threads() == {1}
    leave.set()
    thread.join()
    assert blas_threads() == before

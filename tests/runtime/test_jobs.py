"""Background work: once per key, stopped at any time, never fatal, forgotten in time."""

from __future__ import annotations

import gc
import logging
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ood_core.errors import DataError, StoppedError
from ood_core.runtime.jobs import KEPT, Job, Lane
from ood_core.runtime.progress import Progress
from ood_core.runtime.threads import DaemonPool

ROOT = Path(__file__).parents[2]


def eventually(holds: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether it holds within this time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


class Gated:
    """Work that waits for `gate`, stops when asked, and counts how often it began."""

    def __init__(self, value: object = "value") -> None:
        self.value, self.began = value, 0
        self.entered, self.gate = threading.Event(), threading.Event()

    def __call__(self, progress, should_stop):
        self.began += 1
        self.entered.set()
        while not self.gate.wait(0.002):
            if should_stop():
                raise StoppedError("stopped")
        return self.value


@pytest.fixture
def lane() -> Iterator[Lane]:
    lane = Lane("test")
    yield lane
    for job in lane.jobs():
        job.stop()
        assert job.wait(10)


def test_a_job_from_asking_to_its_result(lane):
    work = Gated({"a": 1})
    job = lane.submit("key", work)
    assert work.entered.wait(10)
    assert (job.state, job.active, job.result, job.error) == ("running", True, None, None)
    assert not job.wait(0.01)
    work.gate.set()
    assert job.wait(10)
    assert (job.state, job.active, job.result, job.error) == ("done", False, {"a": 1}, None)
    assert lane.find("key") is job
    assert repr(job) == "Job('key', done)"


def test_progress_is_that_of_the_work(lane):
    there, go_on = threading.Event(), threading.Event()

    def work(progress, should_stop):
        progress(Progress("half", 1, 2))
        there.set()
        go_on.wait(10)

    job = lane.submit("key", work)
    assert there.wait(10)
    assert (job.progress.stage, job.progress.done, job.progress.total) == ("half", 1, 2)
    go_on.set()
    assert job.wait(10)


@pytest.mark.parametrize("ask", ["submit", "once"])
def test_many_threads_that_want_the_same_get_the_same_job(lane, ask):
    work, found, start = Gated(), [], threading.Barrier(32)

    def visitor():
        start.wait(10)
        found.append(getattr(lane, ask)("key", work))

    threads = [threading.Thread(target=visitor) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    work.gate.set()
    assert found[0].wait(10)
    assert len(found) == 32
    assert len(set(map(id, found))) == work.began == 1


def test_what_has_ended_is_run_again_when_asked_for_again(lane):
    first = lane.submit("key", lambda *_: 1)
    assert first.wait(10)
    second = lane.submit("key", lambda *_: 2)
    assert second.wait(10)
    assert second is not first
    assert (first.result, second.result) == (1, 2)
    assert lane.find("key") is second


@pytest.mark.parametrize("error", [None, DataError("no"), StoppedError("no"), KeyError("no")])
def test_once_is_once_whatever_became_of_it(lane, error):
    def work(*_: object) -> int:
        calls.append(1)
        if error is not None:
            raise error
        return 1

    calls: list[int] = []
    job = lane.once("key", work)
    assert job.wait(10)
    assert lane.once("key", work) is job
    assert calls == [1]
    lane.forget(job)
    assert lane.find("key") is None
    again = lane.once("key", work)
    assert again is not job
    assert again.wait(10)
    assert calls == [1, 1]


def test_forgetting_an_old_job_leaves_the_new_one(lane):
    old = lane.submit("key", lambda *_: 1)
    assert old.wait(10)
    new = lane.submit("key", lambda *_: 2)
    lane.forget(old)
    lane.forget(old)
    assert lane.find("key") is new


def test_one_worker_runs_one_at_a_time_in_the_order_of_asking(lane):
    order, running, most = [], [], []

    def work_named(number):
        def work(progress, should_stop):
            running.append(number)
            most.append(len(running))
            order.append(number)
            time.sleep(0.001)
            running.remove(number)

        return work

    jobs = [lane.submit(number, work_named(number)) for number in range(20)]
    assert all(job.wait(10) for job in jobs)
    assert order == list(range(20))
    assert max(most) == 1


def test_workers_run_beside_each_other():
    lane, meet = Lane("test", workers=3), threading.Barrier(3)
    jobs = [lane.submit(number, lambda *_: meet.wait(10)) for number in range(3)]
    assert all(job.wait(10) for job in jobs)
    assert [job.state for job in jobs] == ["done"] * 3


def test_lanes_do_not_wait_for_each_other(lane):
    held = Gated()
    job = lane.submit("key", held)
    other = Lane("other").submit("key", lambda *_: 1)
    assert other.wait(10)
    assert other is not job
    assert job.active


def test_what_waits_is_stopped_at_once_and_never_runs(lane):
    held, never = Gated(), Gated()
    running, waiting = lane.submit("a", held), lane.submit("b", never)
    assert held.entered.wait(10)
    assert (running.state, waiting.state, waiting.progress) == ("running", "queued", None)
    waiting.stop()
    assert waiting.wait(0)
    assert (waiting.state, waiting.active, waiting.error) == ("stopped", False, None)
    anew = lane.submit("b", lambda *_: "ran")
    assert anew is not waiting
    held.gate.set()
    assert anew.wait(10)
    assert (anew.result, never.began, running.state) == ("ran", 0, "done")


def test_what_runs_is_stopped_where_it_asks(lane):
    work = Gated()
    job = lane.submit("key", work)
    assert work.entered.wait(10)
    job.stop()
    job.stop()
    assert job.wait(10)
    assert (job.state, job.result, job.error) == ("stopped", None, None)


def test_what_never_asks_is_done_all_the_same(lane):
    entered, gate = threading.Event(), threading.Event()

    def deaf(progress, should_stop):
        entered.set()
        gate.wait(10)
        return "done all the same"

    job = lane.submit("key", deaf)
    assert entered.wait(10)
    job.stop()
    assert job.state == "running"
    gate.set()
    assert job.wait(10)
    assert (job.state, job.result) == ("done", "done all the same")


def test_stopping_what_has_ended_changes_nothing(lane):
    job = lane.submit("key", lambda *_: 1)
    assert job.wait(10)
    job.stop()
    assert (job.state, job.result) == ("done", 1)


def test_jobs_stopped_while_they_begin_end_in_one_of_two_ways(lane):
    """Each ended as it says: not begun and stopped, or begun and stopped where it asked."""
    for number in range(200):
        work = Gated()
        job = lane.submit(number, work)
        if number % 2:
            time.sleep(0)
        job.stop()
        assert job.wait(10)
        assert (job.state, job.result) == ("stopped", None)
        assert work.began in (0, 1)


def test_an_error_for_the_user_is_its_message(lane, caplog):
    def work(*_: object) -> None:
        raise DataError("no such folder.")

    job = lane.submit("key", work)
    assert job.wait(10)
    assert (job.state, job.error, job.result) == ("failed", "no such folder.", None)
    assert not job.unforeseen
    assert not caplog.records


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), SystemExit("by zero")])
def test_an_unforeseen_error_is_logged_and_the_worker_lives_on(lane, caplog, error):
    def work(*_: object) -> None:
        raise error

    with caplog.at_level(logging.ERROR, "ood_core.runtime.jobs"):
        job = lane.submit("key", work)
        assert job.wait(10)
    assert (job.state, job.error) == ("failed", f"{type(error).__name__}: by zero")
    assert job.unforeseen
    (record,) = caplog.records
    assert "'key'" in record.getMessage()
    assert record.exc_info is not None
    after = lane.submit("after", lambda *_: 1)
    assert after.wait(10)
    assert after.state == "done"


def test_an_error_does_not_keep_what_its_work_held(lane):
    class Large:
        pass

    refs = []

    def work(*_: object) -> None:
        large = Large()
        refs.append(weakref.ref(large))
        raise DataError("no")

    job = lane.submit("key", work)
    assert job.wait(10)
    assert eventually(lambda: gc.collect() >= 0 and refs[0]() is None)
    assert job.error == "no"


def test_a_finished_job_does_not_keep_what_its_work_was_made_of(lane):
    class Large:
        pass

    def asked():
        large = Large()
        return lane.submit("key", lambda *_: bool(large)), weakref.ref(large)

    job, ref = asked()
    assert job.wait(10)
    assert eventually(lambda: gc.collect() >= 0 and ref() is None, 5)
    assert job.result is True


def test_the_history_is_bounded_and_results_are_let_go():
    class Result:
        pass

    lane = Lane("test", keep=3)
    refs = []

    def work(*_: object) -> Result:
        result = Result()
        refs.append(weakref.ref(result))
        return result

    for number in range(10):
        assert lane.submit(number, work).wait(10)
    assert eventually(lambda: [job.key for job in lane.jobs()] == [7, 8, 9])
    assert lane.find(0) is None
    gc.collect()
    assert [ref() is not None for ref in refs] == [False] * 7 + [True] * 3


def test_what_is_still_asked_for_is_dropped_last():
    lane = Lane("test", keep=2)
    for key in ("a", "b"):
        assert lane.submit(key, lambda *_: None).wait(10)
    assert lane.find("a") is not None
    assert lane.submit("c", lambda *_: "c").wait(10)
    assert eventually(lambda: [job.key for job in lane.jobs()] == ["a", "c"])


def test_active_jobs_are_never_dropped():
    lane, held = Lane("test", keep=1), Gated()
    jobs = [lane.submit(number, held) for number in range(6)]
    assert len(lane.jobs()) == 6
    for job in jobs[1:]:
        job.stop()
    assert eventually(lambda: len(lane.jobs()) == 2)
    assert lane.find(0) is jobs[0]
    held.gate.set()
    assert jobs[0].wait(10)
    assert eventually(lambda: len(lane.jobs()) == 1)


def test_the_bound_is_stated_and_is_the_default():
    lane = Lane("test")
    for number in range(KEPT + 5):
        assert lane.submit(number, lambda *_: None).wait(10)
    assert eventually(lambda: len(lane.jobs()) == KEPT)


def test_a_state_seen_from_outside_never_goes_back():
    """Whoever reads short jobs without pause see queued, running, ended: in this order."""
    rank = {"queued": 0, "running": 1, "done": 2}
    lane = Lane("test", keep=4)
    for number in range(300):
        job: Job = lane.submit(number, lambda *_: None)
        seen = 0
        while seen < 2:
            now = rank[job.state]
            assert now >= seen, (number, seen, job.state)
            seen = now


def test_many_visitors_ask_stop_and_find_at_once():
    lane, errors = Lane("test", workers=2, keep=4), []

    def visitor(seed: int) -> None:
        try:
            for step in range(100):
                job = lane.submit((seed + step) % 7, lambda *_: 1)
                if step % 3 == 0:
                    job.stop()
                if step % 5 == 0:
                    lane.forget(job)
                lane.find(step % 7)
                assert job.wait(10)
                assert job.state in ("done", "stopped")
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=visitor, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    assert eventually(lambda: len(lane.jobs()) <= 4)


def test_a_pool_runs_what_it_was_given_before_it_closes():
    with DaemonPool(2, "test") as pool:
        futures = [pool.submit(pow, 2, n) for n in range(20)]
    assert [future.result(0) for future in futures] == [2**n for n in range(20)]
    with pytest.raises(RuntimeError, match="the pool test is shut down"):
        pool.submit(pow, 2, 2)


def test_a_pool_can_drop_what_has_not_begun():
    pool, gate, entered = DaemonPool(1, "test"), threading.Event(), threading.Event()
    first = pool.submit(lambda: (entered.set(), gate.wait(10)))
    rest = [pool.submit(pow, 2, 2) for _ in range(5)]
    assert entered.wait(10)
    pool.shutdown(wait=False, cancel_futures=True)
    gate.set()
    assert first.result(10)
    assert all(future.cancelled() for future in rest)


EXIT = """
import sys, threading, time
from ood_core.runtime.jobs import Lane
from ood_core.runtime.threads import share_out

def alone(progress, should_stop):
    entered.set()
    time.sleep(60)

def with_threads_of_its_own(progress, should_stop):
    share_out(lambda part: (entered.set(), time.sleep(60)), [1, 2, 3, 4])

entered = threading.Event()
lane = Lane("test")
job = lane.submit("key", {work})
waiting = lane.submit("next", {work})
assert entered.wait(30)
print("running", job.state, waiting.state, flush=True)
{end}
"""
ENDINGS = {
    "at its end": ("", 0),
    "by an error": ("raise SystemExit(3)", 3),
    "by Ctrl-C while it waits": ("job.wait()", -signal.SIGINT),
}


@pytest.mark.parametrize("work", ["alone", "with_threads_of_its_own"])
@pytest.mark.parametrize("how", ENDINGS)
def test_the_process_ends_while_work_runs(how, work):
    end, status = ENDINGS[how]
    # A child of a shell's background job ignores Ctrl-C unless it says otherwise.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + EXIT
    process = subprocess.Popen(
        [sys.executable, "-c", code.format(end=end, work=work)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "running running queued\n", process.stderr.read()
        began = time.monotonic()
        if status == -signal.SIGINT:
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert time.monotonic() - began < 10
    finally:
        process.kill()
    assert process.returncode == status
    if status != -signal.SIGINT:
        assert errors == ""


def test_work_that_asks_ends_in_order_when_the_process_ends():
    code = """
import os, threading, time
from ood_core.errors import StoppedError
from ood_core.runtime.jobs import Lane

def work(progress, should_stop):
    entered.release()
    while not should_stop():
        time.sleep(0.01)
    os.write(1, b"put away\\n")  # in one piece: two threads print at once
    raise StoppedError("stopped")

entered = threading.Semaphore(0)
Lane("dropped").submit("key", work)
lane = Lane("test")
lane.submit("key", work)
lane.submit("next", work)
assert entered.acquire(timeout=30) and entered.acquire(timeout=30)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "put away\n" * 2

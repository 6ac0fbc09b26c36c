"""Background work: one kind of job for preparing, theory, downloads and pages.

>>> lane = Lane("example")
>>> job = lane.submit("answer", lambda progress, should_stop: 6 * 7)
>>> job.wait(10), job.state, job.result
(True, 'done', 42)
"""

from __future__ import annotations

import atexit
import logging
import reprlib
import threading
import time
import weakref
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any

from ood_core.errors import OODLensError, StoppedError
from ood_core.runtime.progress import Progress, ProgressCallback, StopCheck
from ood_core.runtime.threads import DaemonPool

__all__ = ["GRACE", "KEPT", "Job", "Lane", "Work"]

logger = logging.getLogger(__name__)

Work = Callable[[ProgressCallback, StopCheck], Any]
"""What a job does: it reports to the first, and asks the second whether it should stop."""

KEPT = 32
"""Finished jobs that a lane remembers, with their results."""

GRACE = 2.0
"""Seconds that running jobs have to stop where they ask, once the process ends."""

_lanes: weakref.WeakSet[Lane] = weakref.WeakSet()


@dataclass(frozen=True)
class _Outcome:
    """How work ended. Only the message of an error is kept: its frames hold arrays alive."""

    state: str
    error: str | None = None
    result: Any = None
    unforeseen: bool = False


class Job:
    """One request for background work. Read it from any thread.

    Attributes
    ----------
    key : what was asked for; the same key while it is active is the same job.
    state : "queued", "running", "done", "failed" or "stopped".
    active : whether it waits or runs.
    progress : where it stands; None until the work says so.
    error : message for the user when it failed, else None.
    unforeseen : whether it failed by an error that nobody wrote for users; the log has it.
    result : what the work returned when it is done, else None.
    """

    def __init__(self, key: Hashable, work: Work, pool: DaemonPool) -> None:
        self.key = key
        self.progress: Progress | None = None
        self._stop = threading.Event()
        self._future: Future[_Outcome] = pool.submit(self._run, work)

    @property
    def state(self) -> str:
        """How far it is."""
        running = self._future.running()  # asked first: what ends in between is not "queued"
        if self.active:
            return "running" if running else "queued"
        return self._outcome().state

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return not self._future.done()

    @property
    def error(self) -> str | None:
        """Message for the user when it failed."""
        return None if self.active else self._outcome().error

    @property
    def unforeseen(self) -> bool:
        """Whether it failed by an error that nobody wrote for users."""
        return not self.active and self._outcome().unforeseen

    @property
    def result(self) -> Any:
        """What the work returned when it is done."""
        return None if self.active else self._outcome().result

    def stop(self) -> None:
        """Ask it to stop; one that waits for its turn never runs. Safe to call at any time.

        What the work finished is kept; one that ends without asking is done all the same.
        """
        self._stop.set()
        self._future.cancel()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended; False when it has not after `timeout` seconds."""
        try:
            self._future.exception(timeout)
        except CancelledError:
            return True
        except TimeoutError:
            return False
        return True

    def __repr__(self) -> str:
        return f"Job({reprlib.repr(self.key)}, {self.state})"

    def _outcome(self) -> _Outcome:
        return _Outcome("stopped") if self._future.cancelled() else self._future.result()

    def _run(self, work: Work) -> _Outcome:
        try:
            return _Outcome("done", result=work(self._report, self._stop.is_set))
        except StoppedError:
            return _Outcome("stopped")
        except OODLensError as problem:
            return _Outcome("failed", str(problem))
        except BaseException as problem:  # a SystemExit of some library must not end the worker
            logger.exception("background work failed: %s", reprlib.repr(self.key))
            return _Outcome("failed", f"{type(problem).__name__}: {problem}", unforeseen=True)

    def _report(self, progress: Progress) -> None:
        self.progress = progress


class Lane:
    """Jobs that wait for each other's workers, shared by all visitors of a process.

    They begin in the order in which they were asked for. Finished ones are remembered by their
    keys, those asked for longest ago are dropped first. A process that ends stops them, and goes
    on after GRACE seconds without those that did not ask.

    Parameters
    ----------
    name : of the threads.
    workers : jobs that run at the same time.
    keep : finished jobs that are remembered.
    """

    def __init__(self, name: str, workers: int = 1, keep: int = KEPT) -> None:
        self._pool = DaemonPool(workers, name)
        self._keep = keep
        # Re-entrant: a job that ends while it is being entered is dropped by the same thread.
        self._lock = threading.RLock()
        self._jobs: dict[Hashable, Job] = {}
        _lanes.add(self)

    def submit(self, key: Hashable, work: Work) -> Job:
        """Ask for work and return at once; an active job of the same key is the same job."""
        with self._lock:
            job = self.find(key)
            return job if job is not None and job.active else self._start(key, work)

    def once(self, key: Hashable, work: Work) -> Job:
        """The last job of the key whatever became of it; asked for where there is none."""
        with self._lock:
            return self.find(key) or self._start(key, work)

    def find(self, key: Hashable) -> Job | None:
        """The last job of the key, or None when there was none or it has been dropped."""
        with self._lock:
            job = self._jobs.pop(key, None)
            if job is not None:
                self._jobs[key] = job  # asked for last, dropped last
            return job

    def forget(self, job: Job) -> None:
        """Drop a job and its result; a newer one of the same key stays."""
        with self._lock:
            if self._jobs.get(job.key) is job:
                del self._jobs[job.key]

    def jobs(self) -> tuple[Job, ...]:
        """Those that are remembered, the one asked for longest ago first."""
        with self._lock:
            return tuple(self._jobs.values())

    def _start(self, key: Hashable, work: Work) -> Job:
        self._jobs.pop(key, None)
        job = self._jobs[key] = Job(key, work, self._pool)
        job._future.add_done_callback(lambda _: self._drop_old())
        return job

    def _drop_old(self) -> None:
        with self._lock:
            ended = [job for job in self._jobs.values() if not job.active]
            for job in ended[: max(0, len(ended) - self._keep)]:
                self.forget(job)


@atexit.register
def _stop_all() -> None:
    """A thread that the interpreter cuts off inside torch aborts the process, so stop it before."""
    jobs = [job for lane in tuple(_lanes) for job in lane.jobs() if job.active]
    for job in jobs:
        job.stop()
    end = time.monotonic() + GRACE
    for job in jobs:
        job.wait(max(0.0, end - time.monotonic()))

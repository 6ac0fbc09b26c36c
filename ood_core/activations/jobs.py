"""Preparing in the background: one worker per process, shared by all visitors.

`prepare(experiment)` gives a job; its `state`, `progress` and `error` are read while it runs.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ood_core.activations.activation_set import prepared
from ood_core.activations.extraction import extract
from ood_core.errors import OODLensError, StoppedError

if TYPE_CHECKING:
    from ood_core.activations.activation_set import ActivationSet
    from ood_core.experiments import Experiment
    from ood_core.runtime.progress import Progress

__all__ = ["ACTIVE", "Job", "find", "prepare"]

logger = logging.getLogger("ood_core.activations")

ACTIVE = ("queued", "running")


class Job:
    """One request to prepare an experiment. Read it from any thread.

    Attributes
    ----------
    experiment : what is prepared.
    state : "queued", "running", "done", "failed" or "stopped".
    progress : where it stands; None while it waits for its turn.
    error : message for the user when it failed, else None.
    result : the ActivationSet when it is done, else None.
    """

    def __init__(self, experiment: Experiment, options: Mapping[str, Any]) -> None:
        self.experiment = experiment
        self.options = dict(options)
        self.state = "queued"
        self.progress: Progress | None = None
        self.error: str | None = None
        self.result: ActivationSet | None = None
        self._stop = threading.Event()
        self._ended = threading.Event()

    def stop(self) -> None:
        """Ask it to stop; what is finished stays in the store. Safe to call twice."""
        self._stop.set()
        with _lock:
            if self.state == "queued":
                self._end("stopped")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended; False when it has not after `timeout` seconds."""
        return self._ended.wait(timeout)

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ACTIVE

    def __repr__(self) -> str:
        return f"Job({self.experiment.name!r}, {self.state})"

    def _work(self) -> Any:
        """What is done in the background; its value becomes `result`."""
        return extract(
            self.experiment,
            progress=self._report,
            should_stop=self._stop.is_set,
            **self.options,
        )

    def _run(self) -> None:
        try:
            self.result = self._work()
        except StoppedError:
            self._end("stopped")
        except OODLensError as problem:
            self._end("failed", str(problem))
        except Exception as problem:  # the worker lives on for the others
            logger.exception("preparing %s failed", self.experiment.name)
            self._end("failed", f"{type(problem).__name__}: {problem}")
        else:
            self._end("done")

    def _report(self, progress: Progress) -> None:
        self.progress = progress

    def _end(self, state: str, error: str | None = None) -> None:
        self.error = error
        self.state = state
        self._ended.set()


_lock = threading.Lock()
_jobs: dict[str, Job] = {}
_queue: queue.Queue[Job] = queue.Queue()
_worker: threading.Thread | None = None


def prepare(
    exp: Experiment,
    layers: Sequence[str] | None = None,
    sets: Sequence[str] | None = None,
    **options: Any,
) -> Job:
    """Ask for an experiment's activations; returns at once.

    A request that is waiting or running already is the same job. `options` as for `extract`.
    """
    global _worker
    wanted = {"layers": layers, "sets": sets, **options}
    key = _key(exp, wanted)
    with _lock:
        job = _jobs.get(key)
        if job is not None and job.active:
            return job
        job = _jobs[key] = Job(exp, wanted)
        _queue.put(job)
        if _worker is None or not _worker.is_alive():
            _worker = threading.Thread(target=_work, name="ood-prepare", daemon=True)
            _worker.start()
        return job


def find(
    exp: Experiment,
    layers: Sequence[str] | None = None,
    sets: Sequence[str] | None = None,
    **options: Any,
) -> Job | None:
    """The last job of this request, or None. A job whose result is out of date is forgotten."""
    wanted = {"layers": layers, "sets": sets, **options}
    key = _key(exp, wanted)
    job = _jobs.get(key)
    if job is None or job.state != "done":
        return job
    if prepared(exp, layers, sets, bool(options.get("amp"))) is None:
        with _lock:
            if _jobs.get(key) is job:
                del _jobs[key]
        return _jobs.get(key)
    return job


def _key(exp: Experiment, wanted: Mapping[str, Any]) -> str:
    return repr((exp, sorted(wanted.items(), key=lambda item: item[0])))


def _work() -> None:
    while True:
        job = _queue.get()
        with _lock:
            if not job.active:
                continue
            job.state = "running"
        job._run()

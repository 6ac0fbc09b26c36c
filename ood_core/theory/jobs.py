"""Measuring and the lab in the background: one at a time, shared by all visitors."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ood_core.activations.activation_set import ActivationSet
from ood_core.activations.jobs import Job
from ood_core.runtime.progress import ProgressCallback, StopCheck
from ood_core.theory.lab import run_lab
from ood_core.theory.measurement import measure_layer

__all__ = ["TheoryJob", "find_lab", "find_measurement", "start_lab", "start_measurement"]

Work = Callable[[ProgressCallback, StopCheck], Any]
_LAB = "lab"


class TheoryJob(Job):
    """A job of preparing, with other work: same states, progress, error, stop and wait.

    `result` is what the work returned.
    """

    def __init__(self, experiment: Any, work: Work) -> None:
        super().__init__(experiment, {})
        self._does = work

    def _work(self) -> Any:
        return self._does(self._report, self._stop.is_set)

    def run(self) -> None:
        """Wait for its turn, then work; called in the job's own thread."""
        with _turn:
            if self.active:
                self.state = "running"
                self._run()


_turn = threading.Lock()
_guard = threading.Lock()
_jobs: dict[str, TheoryJob] = {}


def start_lab() -> TheoryJob:
    """Train what is missing of the lab; the running job where there is one."""
    return _start(_LAB, None, lambda report, stop: run_lab(None, report, stop))


def find_lab() -> TheoryJob | None:
    """The lab's last job, or None."""
    return _jobs.get(_LAB)


def start_measurement(acts: ActivationSet, layer: str) -> TheoryJob:
    """Measure a layer of the experiment's network; the running job where there is one."""

    def work(report: ProgressCallback, stop: StopCheck) -> Any:
        return measure_layer(acts, layer, progress=report, should_stop=stop)

    return _start(_name(acts, layer), acts.experiment, work)


def find_measurement(acts: ActivationSet, layer: str) -> TheoryJob | None:
    """The last job that measured this layer, or None."""
    return _jobs.get(_name(acts, layer))


def _name(acts: ActivationSet, layer: str) -> str:
    return f"{acts.fingerprint} {layer}"


def _start(key: str, experiment: Any, work: Work) -> TheoryJob:
    with _guard:
        job = _jobs.get(key)
        if job is None or not job.active:
            job = _jobs[key] = TheoryJob(experiment, work)
            threading.Thread(target=job.run, name="ood-theory", daemon=True).start()
        return job

"""Measuring and the lab in the background: one at a time, shared by all visitors."""

from __future__ import annotations

from typing import Any

from ood_core.activations.activation_set import ActivationSet
from ood_core.runtime.jobs import Job, Lane
from ood_core.runtime.progress import ProgressCallback, StopCheck
from ood_core.theory.lab import run_lab
from ood_core.theory.measurement import measure_layer

__all__ = ["LANE", "find_lab", "find_measurement", "start_lab", "start_measurement"]

LANE = Lane("ood-theory")
"""Measuring and training share this lane: each of them takes all cores."""
_LAB = "lab"


def start_lab() -> Job:
    """Train what is missing of the lab; the running job where there is one."""
    return LANE.submit(_LAB, lambda report, stop: run_lab(None, report, stop))


def find_lab() -> Job | None:
    """The lab's last job, or None."""
    return LANE.find(_LAB)


def start_measurement(acts: ActivationSet, layer: str) -> Job:
    """Measure a layer of the experiment's network; the running job where there is one."""

    def work(report: ProgressCallback, stop: StopCheck) -> Any:
        return measure_layer(acts, layer, progress=report, should_stop=stop)

    return LANE.submit(_name(acts, layer), work)


def find_measurement(acts: ActivationSet, layer: str) -> Job | None:
    """The last job that measured this layer, or None."""
    return LANE.find(_name(acts, layer))


def _name(acts: ActivationSet, layer: str) -> str:
    return f"{acts.fingerprint} {layer}"

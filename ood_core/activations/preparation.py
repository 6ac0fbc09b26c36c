"""Preparing in the background: one at a time, shared by all visitors.

`prepare(experiment)` gives a job; its `state`, `progress` and `error` are read while it runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ood_core.activations.activation_set import prepared
from ood_core.activations.extraction import extract
from ood_core.runtime.jobs import Lane

if TYPE_CHECKING:
    from ood_core.experiments import Experiment
    from ood_core.runtime.jobs import Job

__all__ = ["LANE", "find", "prepare"]

LANE = Lane("ood-prepare")
"""Extraction takes all cores and most of the memory: one at a time."""


def prepare(
    exp: Experiment,
    layers: Sequence[str] | None = None,
    sets: Sequence[str] | None = None,
    **options: Any,
) -> Job:
    """Ask for an experiment's activations; returns at once. The result is the ActivationSet.

    A request that is waiting or running already is the same job. `options` as for `extract`.
    """
    wanted = {"layers": layers, "sets": sets, **options}
    return LANE.submit(
        _key(exp, wanted),
        lambda progress, stop: extract(exp, progress=progress, should_stop=stop, **wanted),
    )


def find(
    exp: Experiment,
    layers: Sequence[str] | None = None,
    sets: Sequence[str] | None = None,
    **options: Any,
) -> Job | None:
    """The last job of this request, or None. A job whose result is out of date is forgotten."""
    key = _key(exp, {"layers": layers, "sets": sets, **options})
    job = LANE.find(key)
    if job is None or job.state != "done":
        return job
    if prepared(exp, layers, sets, bool(options.get("amp"))) is None:
        LANE.forget(job)
        return LANE.find(key)
    return job


def _key(exp: Experiment, wanted: Mapping[str, Any]) -> str:
    return repr((exp, sorted(wanted.items(), key=lambda item: item[0])))

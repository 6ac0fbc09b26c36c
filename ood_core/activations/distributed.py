"""The Ray engine: each shard is a task, wherever the cluster has room. Optional."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ood_core.activations.engine import EngineOptions, Runner
from ood_core.activations.resident_models import resident_model
from ood_core.activations.shard_passes import compute_shards
from ood_core.activations.shard_tasks import ShardResult, ShardTask
from ood_core.data import Transform, open_dataset
from ood_core.errors import DataError

if TYPE_CHECKING:
    from ood_core.data import ImageSet
    from ood_core.experiments import Experiment, Preprocessing

__all__ = ["compute_with_ray"]


def compute_with_ray(
    exp: Experiment,
    options: EngineOptions,
    preprocessing: Preprocessing,
    source: ImageSet,
    tasks: Sequence[ShardTask],
    advanced: Callable[[int], None],
) -> Iterator[ShardResult]:
    """Yield the result of each task as it comes, in any order; `advanced(n)` after each.

    Workers read the images themselves, so every machine needs the same files under the same
    paths. As many tasks as the cluster has cores (GPUs, where it has any) are in flight, so that
    results wait for the driver in bounded memory. A cluster that is running is used; else one is
    started on this machine.

    Raises
    ------
    DataError
        When a worker sees other images than this process does.
    """
    ray = importlib.import_module("ray")
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False)
    gpus = int(ray.cluster_resources().get("GPU", 0)) if options.device != "cpu" else 0
    cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
    remote = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0)(_shard)
    shared = ray.put((exp, dataclasses.replace(options, engine="local", workers=1), preprocessing))
    waiting = list(tasks)
    running: dict[Any, ShardTask] = {}
    try:
        while waiting or running:
            while waiting and len(running) < 2 * (gpus or cores):
                task = waiting.pop(0)
                running[remote.remote(shared, source.name, source.identity, task)] = task
            (ready, *_), _ = ray.wait(list(running), num_returns=1)
            task = running.pop(ready)
            result = _fetched(ray, ready)
            advanced(task.n_images)
            yield result
    finally:
        for reference in running:
            ray.cancel(reference, force=False)


def _shard(
    shared: tuple[Experiment, EngineOptions, Preprocessing],
    name: str,
    identity: str,
    task: ShardTask,
) -> ShardResult:
    """One shard, in a worker. The model stays in the worker for its next task."""
    exp, options, preprocessing = shared
    source = open_dataset(exp.sets[name])
    if source.identity != identity:
        raise DataError(
            f"a Ray worker sees other files for {name!r} than the process that asked. Every "
            "machine of the cluster needs the same images under the same paths."
        )
    runner = Runner(resident_model(exp), options)
    (result,) = compute_shards(runner, source, Transform(preprocessing), [task], lambda _: None)
    return result


def _fetched(ray: Any, reference: Any) -> ShardResult:
    """A task's result; an error that a user can act on comes as itself."""
    try:
        result: ShardResult = ray.get(reference)
    except ray.exceptions.RayTaskError as problem:
        raise problem.cause from problem
    return result

"""The forward pass: one model on one device, statistics of every chosen layer in one pass."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ood_core.activations.capture import captured
from ood_core.activations.record import PENULTIMATE
from ood_core.activations.statistics import layer_statistics
from ood_core.errors import ConfigError, ModelError
from ood_core.models import to_positions

if TYPE_CHECKING:
    import numpy as np
    import torch

    from ood_core.models import LayerInfo, LoadedModel

__all__ = ["EngineOptions", "Runner", "pick_device"]

logger = logging.getLogger("ood_core.activations")

ENGINES = ("local", "ray")
_BATCH_LIMITS = {"cpu": (8, 64)}
"""Smallest and largest first batch, (1, 256) elsewhere. On the CPU more only leaves the caches."""

_MAP_BYTES = {"cpu": 24 << 20, "mps": 1 << 30}
"""Bytes of recorded maps per batch that the first batch size is chosen for; on cuda, an eighth
of what is free. On the CPU a DenseNet takes half the time in batches of 16 that it takes in
batches of 64, whose maps no cache holds."""


@dataclass(frozen=True)
class EngineOptions:
    """How to compute; what is computed does not change, except with `amp`.

    Parameters
    ----------
    device : "auto" (cuda, else mps, else cpu) or a torch device name.
    amp : half precision where the network allows (bfloat16 on the CPU, float16 elsewhere).
        Off by default: scores then differ in the third digit.
    channels_last : memory format that is faster for convolutions on some devices.
    compile : `torch.compile` the network part by part; takes minutes at first, so it pays off
        for hundreds of thousands of images.
    batch_size : images per forward pass; found by itself for None, halved on out-of-memory.
    workers : decode threads; for None one per core, half as many where the CPU also computes,
        at most 16.
    engine : "local", or "ray" (see requirements-ray.txt).

    Raises
    ------
    ConfigError
        On an unknown engine, Ray that is not installed, or a number below 1.
    """

    device: str = "auto"
    amp: bool = False
    channels_last: bool = False
    compile: bool = False
    batch_size: int | None = None
    workers: int | None = None
    engine: str = "local"

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise ConfigError(f"engine must be one of {', '.join(ENGINES)}; got {self.engine!r}.")
        if self.engine == "ray" and importlib.util.find_spec("ray") is None:
            raise ConfigError(
                "engine 'ray' needs Ray, which is not installed: pip install -r "
                "requirements-ray.txt, or use engine 'local'."
            )
        for name in ("batch_size", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1; got {value}.")


def pick_device(device: str = "auto") -> str:
    """Device to compute on.

    Raises
    ------
    ConfigError
        When the device is unknown or not there, with those that are.
    """
    import torch

    there = ["cpu"]
    if torch.backends.mps.is_available():
        there.insert(0, "mps")
    if torch.cuda.is_available():
        there.insert(0, "cuda")
    if device == "auto":
        return there[0]
    if device.partition(":")[0] not in there:
        raise ConfigError(f"device {device!r} is not available here. Use auto, {', '.join(there)}.")
    return device


class Runner:
    """Runs one model; keeps the batch size that fits.

    Parameters
    ----------
    loaded : the model; moved to the device.
    options : how to compute.
    """

    def __init__(self, loaded: LoadedModel, options: EngineOptions) -> None:
        import torch

        self.loaded = loaded
        self.options = options
        self.device = torch.device(pick_device(options.device))
        self.batch_size = options.batch_size or _first_batch_size(loaded.layers, self.device.type)
        module = loaded.module.eval().to(self.device)
        if options.channels_last:
            module = module.to(memory_format=torch.channels_last)
        self._forward = module
        self._compiled: dict[str, Any] = {}

    @property
    def workers(self) -> int:
        """Threads that decode images."""
        if self.options.workers:
            return self.options.workers
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        share = (cores or 1) // 2 if self.device.type == "cpu" else (cores or 1)
        return max(1, min(16, share))

    def stage(self, images: np.ndarray) -> torch.Tensor:
        """A batch in memory that the device can fetch from while it computes."""
        import torch

        batch = torch.from_numpy(images)
        return batch.pin_memory() if self.device.type == "cuda" else batch

    def statistics(self, images: torch.Tensor, layers: Sequence[LayerInfo]) -> list[dict[str, Any]]:
        """Statistics of each layer, and "logits" where there is a head, for parts of the batch.

        On out-of-memory the part is halved and tried again; the smaller size is kept.

        Raises
        ------
        ModelError
            When a single image does not fit into memory.
        """
        parts: list[dict[str, Any]] = []
        done = 0
        while done < len(images):
            part = images[done : done + self.batch_size]
            try:
                parts.append(self._statistics(part, layers))
            except (RuntimeError, MemoryError) as problem:
                if not _is_out_of_memory(problem):
                    raise
                self._halve(len(part), problem)
            else:
                done += len(part)
        return parts

    def raw(self, images: torch.Tensor, layer: LayerInfo) -> torch.Tensor:
        """The layer's output as it is, shape (n, *layer.shape), on the CPU."""
        with captured(self.loaded, [layer], lambda tensor, _: tensor.float().cpu()) as found:
            self._run(images)
        output: torch.Tensor = found[layer.name]
        return output

    def _statistics(self, images: torch.Tensor, layers: Sequence[LayerInfo]) -> dict[str, Any]:
        with captured(
            self.loaded, layers, lambda tensor, layer: layer_statistics(to_positions(tensor, layer))
        ) as found:
            output = self._run(images)
        missing = [layer.name for layer in layers if layer.name not in found]
        if missing:
            raise ModelError(f"the forward pass never reached layers {', '.join(missing)}.")
        return found if self.loaded.head is None else {**found, "logits": output.float()}

    def _run(self, images: torch.Tensor) -> torch.Tensor:
        import torch

        batch = images.to(self.device, non_blocking=True)
        if self.options.channels_last:
            batch = batch.contiguous(memory_format=torch.channels_last)
        half = torch.bfloat16 if self.device.type == "cpu" else torch.float16
        precision: Any = (
            torch.autocast(self.device.type, dtype=half)
            if self.options.amp
            else contextlib.nullcontext()
        )
        with torch.inference_mode(), precision, self._compiled_parts():
            output: torch.Tensor = self._forward(batch)
        return output

    @contextlib.contextmanager
    def _compiled_parts(self) -> Iterator[None]:
        """With `compile`, the forward methods of the recorded modules are compiled ones.

        Part by part, because hooks run between the parts: a compiled whole would trace into the
        hooks. Where no compiler works, torch falls back to running the part as it is.
        """
        if not self.options.compile:
            yield
            return
        import torch

        parts = _innermost([layer.name for layer in self.loaded.layers])
        modules = {name: self.loaded.module.get_submodule(name) for name in parts}
        try:
            for name, module in modules.items():
                if name not in self._compiled:
                    self._compiled[name] = torch.compile(module.forward)
                module.forward = self._compiled[name]
            with torch._dynamo.config.patch(suppress_errors=True):
                yield
        finally:
            for module in modules.values():
                module.__dict__.pop("forward", None)

    def _halve(self, tried: int, problem: BaseException) -> None:
        if tried <= 1:
            raise ModelError(
                f"one image alone does not fit into the memory of {self.device}: {problem}. "
                "Use another device, or smaller images."
            ) from problem
        self.batch_size = max(1, tried // 2)
        logger.warning("out of memory: batch size is now %d", self.batch_size)
        if self.device.type == "cuda":
            import torch

            torch.cuda.empty_cache()


def _innermost(names: Sequence[str]) -> list[str]:
    """Modules among `names` that hold no other of them."""
    modules = [name for name in names if name != PENULTIMATE]
    return [m for m in modules if not any(other.startswith(f"{m}.") for other in modules)]


def _first_batch_size(layers: Sequence[LayerInfo], device: str) -> int:
    """Power of two whose recorded maps take about what the device can spare."""
    per_image = 4 * max(1, sum(layer.channels * layer.positions for layer in layers))
    room = _MAP_BYTES.get(device, _MAP_BYTES["cpu"])
    if device == "cuda":
        import torch

        room = torch.cuda.mem_get_info()[0] // 8
    least, most = _BATCH_LIMITS.get(device, (1, 256))
    fits = 2 ** (max(1, room // per_image).bit_length() - 1)
    return int(min(most, max(least, fits)))


def _is_out_of_memory(problem: BaseException) -> bool:
    """torch has a class for accelerators, and a RuntimeError with this text for the CPU."""
    import torch

    if isinstance(problem, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(text in str(problem) for text in ("out of memory", "can't allocate memory"))

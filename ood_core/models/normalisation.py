"""Mean and std of images that a checkpoint stores beside the weights, or inside the network."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ood_core.models.parts import Candidate

if TYPE_CHECKING:
    from ood_core.models.mismatch import Shapes

__all__ = ["StoredNormalisation", "stored_normalisations", "without_constants"]

_MEAN = {"mean", "means", "mu"}
_STD = {"std", "stds", "stdev", "sigma", "sigmas"}
_VARIANCE = {"var", "variance"}
_CHANNELS = (1, 3)
_DEPTH = 4
_IMAGENET_BGR = (0.406, 0.456, 0.485)


@dataclass(frozen=True)
class StoredNormalisation:
    """One pair of constants, for pixel values of 0 to 1.

    Parameters
    ----------
    names : paths of mean and std in the file.
    mean, std : one value per channel, or one for all.
    scale : largest pixel value that they are stored for, 1 or 255.
    """

    names: tuple[str, str]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: int

    @property
    def bgr(self) -> bool:
        """Whether the order of channels is blue, green, red, as ImageNet's values tell."""
        return len(self.mean) == 3 and all(
            abs(m - known) < 0.01 for m, known in zip(self.mean, _IMAGENET_BGR, strict=True)
        )

    def per_channel(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Mean and std for so many channels; None where they are for another number."""
        if len(self.mean) not in (1, channels):
            return None
        return self.mean * (channels // len(self.mean)), self.std * (channels // len(self.std))

    def agrees(self, mean: Sequence[float], std: Sequence[float]) -> bool:
        """Whether a preprocessing has these values, up to the four digits that papers print."""
        pair = self.per_channel(len(mean))
        if pair is None:
            return False
        close = zip((*pair[0], *pair[1]), (*mean, *std), strict=True)
        return all(abs(a - b) <= 5e-4 for a, b in close)


def stored_normalisations(
    content: Any, used: Collection[int] = ()
) -> tuple[StoredNormalisation, ...]:
    """Pairs of a mean and a std in a checkpoint, each pair of values once.

    A pair lies side by side under names that differ in that word only: `mu` and `sigma`,
    `normalize.mean` and `normalize.std`, `new_mean` and `new_std`. One and three values count;
    a mean of 0 with a std of 1 changes nothing and is none. Values above 1 are for pixels of 0 to
    255 and are divided by 255; on no known scale they are none.

    Parameters
    ----------
    content : what a checkpoint file holds.
    used : ids of the tensors that the network got: what it applies itself is left out.
    """
    found: dict[tuple[str, str], dict[str, tuple[str, tuple[float, ...]]]] = {}
    for parent, name, value in _constants(content, "", used):
        kind, stem = _kind(name)
        path = f"{parent}.{name}" if parent else name
        found.setdefault((parent, stem), {}).setdefault(kind, (path, value))
    pairs: list[StoredNormalisation] = []
    for pair in found.values():
        one = _pair(pair)
        if one is not None and (one.mean, one.std) not in [(p.mean, p.std) for p in pairs]:
            pairs.append(one)
    return tuple(pairs)


def without_constants(state: Candidate, wanted: Shapes) -> Candidate:
    """The state dict without means and stds of images that the network has no place for."""
    return {
        k: v
        for k, v in state.items()
        if k in wanted or v.numel() not in _CHANNELS or not _kind(k.rpartition(".")[2])[0]
    }


def _pair(found: Mapping[str, tuple[str, tuple[float, ...]]]) -> StoredNormalisation | None:
    name, mean = found.get("mean", ("", ()))
    other, std = found.get("std", ("", ()))
    if not std and "variance" in found:
        other, variance = found["variance"]
        std = tuple(math.sqrt(max(v, 0.0)) for v in variance)
    channels = max(len(mean), len(std))
    if not mean or not std or {len(mean), len(std)} - {1, channels}:
        return None
    mean, std = mean * (channels // len(mean)), std * (channels // len(std))
    scale = _scale(mean, std)
    if not scale or (set(mean), set(std)) == ({0.0}, {float(scale)}):
        return None
    return StoredNormalisation((name, other), _rounded(mean, scale), _rounded(std, scale), scale)


def _scale(mean: tuple[float, ...], std: tuple[float, ...]) -> int:
    """Largest pixel value that the constants are for; 0 where they are on no known scale."""
    if not all(map(math.isfinite, (*mean, *std))) or min(mean) < 0 or min(std) <= 0:
        return 0
    if max(mean) <= 1 and max(std) <= 1:
        return 1
    bytes_scale = max(mean) > 2 or min(std) > 20
    return 255 if bytes_scale and max(*mean, *std) <= 255 else 0


def _rounded(values: tuple[float, ...], scale: int) -> tuple[float, ...]:
    """As they were typed before they became float32."""
    return tuple(float(f"{v / scale:.6g}") for v in values)


def _constants(
    content: Any, parent: str, used: Collection[int], depth: int = 0
) -> Iterator[tuple[str, str, tuple[float, ...]]]:
    """(parent, name, values) of everything in the file that may be a mean or a std."""
    if isinstance(content, argparse.Namespace):
        content = vars(content)
    if not isinstance(content, Mapping) or depth > _DEPTH:
        return
    for key, value in content.items():
        inside, _, name = str(key).rpartition(".")
        above = ".".join(p for p in (parent, inside) if p)
        if isinstance(value, Mapping | argparse.Namespace):
            yield from _constants(value, f"{parent}.{key}" if parent else str(key), used, depth + 1)
        elif _kind(name)[0] and id(value) not in used:
            numbers = _numbers(value)
            if numbers:
                yield above, name, numbers


def _numbers(value: Any) -> tuple[float, ...]:
    """The values of a small tensor or list of numbers; () of anything else."""
    import torch

    if torch.is_tensor(value):
        dense = value.layout == torch.strided and not (
            value.is_quantized or value.is_meta or value.is_nested
        )
        if not dense or value.is_complex() or value.numel() not in _CHANNELS:
            return ()
        return tuple(value.double().flatten().tolist())
    if not isinstance(value, list | tuple) or len(value) not in _CHANNELS:
        return ()
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in value):
        return ()
    return tuple(map(float, value))


def _kind(name: str) -> tuple[str, str]:
    """("mean", "std", "variance" or "", the name without that word)."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[^A-Za-z0-9]+", "_", name).lower().split("_")
    if "running" in words:  # batch norm's
        return "", name
    for kind, known in (("mean", _MEAN), ("std", _STD), ("variance", _VARIANCE)):
        if known & set(words):
            return kind, "_".join("*" if w in known else w for w in words)
    return "", name

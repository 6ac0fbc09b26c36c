"""What is recorded of a layer's output instead of the output: a few cheap, exact reductions.

On the CPU memory traffic is what costs, and comparisons and integer sums are slow in torch, so
counting works on bytes: the mask of units > 0 is read as 64-bit words, whose sums count eight
units at a time, one per byte, in runs short enough that no byte overflows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["layer_statistics", "vector_statistics"]

_BYTE_RUN = 255
"""Most masks that can be added before a byte overflows."""

_EVEN_BYTES = np.uint64(0x00FF00FF00FF00FF)
_ADD_PAIRS = np.uint64(0x0001000100010001)
"""Times this, the four 16-bit numbers of a word add up in its highest 16 bits."""

_NORM_RUN = 256
"""Squares added up in float32 before float64 takes over."""


def layer_statistics(units: torch.Tensor) -> dict[str, torch.Tensor]:
    """Statistics of n activations of shape (n, c, p): channels x positions.

    Sums within a channel are float32, sums over channels float64. Counts are exact.

    Returns
    -------
    pooled (n, c) float32; active (n, c), positions where the unit is > 0; l1, l2 (n,) float64;
    l0, negatives (n,); active_counts (c * p,), of the n images those where a unit is > 0.
    """
    import torch

    units = units.float()
    if units.shape[2] == 1:
        return _vector_statistics(units[:, :, 0])
    values, axis = _contiguous(units)
    sums = values.sum(axis)
    active, active_counts = _counts(values, axis, negative=False)
    if values.device.type == "cpu" and values.numel() and float(values.amin()) >= 0:
        # Behind a ReLU the L1 norm is the sum that is known already. Elsewhere than on the CPU
        # the question would cost more than the answer saves: it waits for the device.
        l1, negatives = _wide(sums).sum(1), torch.zeros(len(values), dtype=torch.int64)
    else:
        l1 = _wide(values.abs().sum(axis)).sum(1)
        negatives = _counts(values, axis, negative=True)[0].sum(1)
    return {
        "pooled": sums / values.shape[axis],
        "active": active,
        "l1": l1,
        "l2": _norms(values, axis),
        "l0": active.sum(1),
        "negatives": negatives,
        "active_counts": active_counts,
    }


def vector_statistics(vectors: np.ndarray) -> dict[str, np.ndarray]:
    """`layer_statistics` of vectors (n, c) in memory: one position, so every unit is a channel.

    What the network's features give on the CPU and what features from elsewhere give is computed
    here, so that the same rows have the same scores to the last digit.
    """
    vectors = np.ascontiguousarray(vectors, np.float32)
    active = vectors > 0
    wide = np.abs(vectors, dtype=np.float64)
    return {
        "pooled": vectors.copy(),
        "active": active.astype(np.int64),
        "l1": wide.sum(1),
        "l2": np.sqrt(np.square(wide, out=wide).sum(1)),
        "l0": active.sum(1),
        "negatives": (vectors < 0).sum(1),
        "active_counts": active.sum(0),
    }


def _vector_statistics(vectors: torch.Tensor) -> dict[str, torch.Tensor]:
    """The same of a tensor, wherever it is."""
    import torch

    if vectors.device.type == "cpu":
        found = vector_statistics(vectors.numpy())
        return {name: torch.from_numpy(array) for name, array in found.items()}
    active = (vectors > 0).long()
    wide = _wide(vectors)
    return {
        "pooled": vectors.clone(),
        "active": active,
        "l1": wide.abs().sum(1),
        "l2": wide.square().sum(1).sqrt(),
        "l0": active.sum(1),
        "negatives": (vectors < 0).sum(1),
        "active_counts": active.sum(0),
    }


def _contiguous(units: torch.Tensor) -> tuple[torch.Tensor, int]:
    """The same values contiguous in memory without a copy where possible, and the axis of
    positions: 2 for maps, 1 for tokens and channels-last maps, which come transposed."""
    if not units.is_contiguous() and units.transpose(1, 2).is_contiguous():
        return units.transpose(1, 2), 1
    return units.contiguous(), 2


def _norms(values: torch.Tensor, axis: int) -> torch.Tensor:
    """L2 norm of each row over both other axes, float64."""
    import torch

    length = values.shape[2]
    runs = torch.unflatten(values, 2, (-1, _NORM_RUN)) if length % _NORM_RUN == 0 else values
    parts = torch.linalg.vector_norm(runs, 2, dim=-1)
    return _wide(parts).flatten(1).square().sum(1).sqrt()


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    """In float64, on the CPU where the device has none."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()


def _counts(values: torch.Tensor, axis: int, negative: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Number of units > 0 (or < 0) over positions, (n, c), and over rows, (c * p,)."""
    import torch

    if values.device.type == "cpu":
        by_channel, by_unit = _byte_counts(values.numpy(), axis, negative)
        return torch.from_numpy(by_channel), torch.from_numpy(by_unit)
    mask = values < 0 if negative else values > 0
    units = mask.sum(0)
    return mask.sum(axis), (units if axis == 2 else units.T).flatten()


def _byte_counts(values: np.ndarray, axis: int, negative: bool) -> tuple[np.ndarray, np.ndarray]:
    rows, first, last = values.shape
    make = np.empty if last % 8 == 0 else np.zeros  # padding must not count
    mask = make((rows, first, -(-last // 8) * 8), np.uint8)
    compare = np.less if negative else np.greater
    compare(values, 0, out=mask.view(np.bool_)[:, :, :last])
    words = mask.view(np.int64)
    by_unit = _bytes_summed(words, 0)[:, :last]
    if axis == 1:
        return _bytes_summed(words, 1)[:, :last], np.ascontiguousarray(by_unit.T).reshape(-1)
    return _rows_summed(words), by_unit.reshape(-1)


def _runs(words: np.ndarray, axis: int) -> Iterator[np.ndarray]:
    """Sums of words along an axis in runs in which no byte overflows. torch sums these fastest."""
    import torch

    tensor = torch.from_numpy(words)
    for run in torch.split(tensor, _BYTE_RUN, axis):
        yield run.sum(axis).numpy()


def _bytes_summed(words: np.ndarray, axis: int) -> np.ndarray:
    """Sum of each byte along an axis other than the last, int64."""
    parts = [run.view(np.uint8).astype(np.int64) for run in _runs(words, axis)]
    return parts[0] if len(parts) == 1 else np.sum(parts, axis=0)


def _rows_summed(words: np.ndarray) -> np.ndarray:
    """Sum of all bytes along the last axis, int64: neighbours are added within each word."""
    total = np.zeros(words.shape[:-1], np.int64)
    for run in _runs(words, words.ndim - 1):
        pairs = run.view(np.uint64)
        pairs = (pairs & _EVEN_BYTES) + ((pairs >> np.uint64(8)) & _EVEN_BYTES)
        total += ((pairs * _ADD_PAIRS) >> np.uint64(48)).view(np.int64)
    return total

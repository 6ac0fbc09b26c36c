"""Heads in files of their own: `weight` and `bias` of a linear layer, or embeddings of texts."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ood_core.errors import DataError, ModelError
from ood_core.models.checkpoint_formats import checkpoint_format
from ood_core.models.checkpoints import read_checkpoint
from ood_core.models.head import ClassifierHead

__all__ = ["read_head", "read_text"]

_TEXT = ("embeddings", "text")


def read_head(path: Path) -> ClassifierHead:
    """The head of a file: `weight` (c, d) and, where it has one, `bias` (c,).

    A file is an `.npz`, safetensors, or what `torch.save` wrote of a linear layer's state dict.

    Raises
    ------
    ModelError
        When it cannot be read, lacks `weight`, or a shape or value cannot be a head's.
    """
    arrays = _arrays(path)
    weight = _named(path, arrays, ("weight",), "(classes, features)")
    bias = arrays.get("bias")
    try:
        return ClassifierHead(weight, None if bias is None else _floats(path, "bias", bias))
    except DataError as error:
        raise ModelError(f"{path.name}: {error}") from error


def read_text(path: Path) -> np.ndarray:
    """Embeddings of the classes' texts (c, d), each divided by its length, float64.

    Raises
    ------
    ModelError
        When the file cannot be read, has no `embeddings` or `text`, or a row is zero or not finite.
    """
    arrays = _arrays(path)
    given = _named(path, arrays, _TEXT, "(classes, features)")
    if len(given) < 2:
        raise ModelError(f"{path.name}: a head needs two classes or more, got {len(given)} rows.")
    if not np.isfinite(given).all():
        rows = np.flatnonzero(~np.isfinite(given).all(axis=1))
        raise ModelError(f"{path.name}: the embedding of class {rows[0]} holds NaN or infinity.")
    largest = np.abs(given).max(axis=1, keepdims=True)
    if not largest.all():
        row = int(np.flatnonzero(largest[:, 0] == 0)[0])
        raise ModelError(
            f"{path.name}: the embedding of class {row} is zero, so it points nowhere. Compute it "
            "again from the class's texts."
        )
    scaled = given / largest  # lengths of very small or large values would vanish or overflow
    unit: np.ndarray = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
    return unit


def _named(
    path: Path, arrays: Mapping[str, np.ndarray], names: tuple[str, ...], shape: str
) -> np.ndarray:
    """The array of one of these names, float64 of two dimensions."""
    found = next((name for name in names if name in arrays), None)
    if found is None:
        there = ", ".join(sorted(arrays)[:5]) or "none"
        raise ModelError(
            f"{path.name} must hold an array {' or '.join(map(repr, names))} of shape {shape}; its "
            f"arrays: {there}."
        )
    array = _floats(path, found, arrays[found])
    if array.ndim != 2 or not array.size:
        raise ModelError(f"{path.name}: {found} must have shape {shape}, got {array.shape}.")
    return array


def _floats(path: Path, name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "fiu":
        raise ModelError(f"{path.name}: {name} must hold real numbers, got {array.dtype}.")
    return np.asarray(array, np.float64)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Every array of a file by name; nothing in it is executed."""
    if not path.is_file():
        raise ModelError(f"{path} is not a file.")
    if checkpoint_format(path) == "npz":
        return _of_npz(path)
    import torch

    content = read_checkpoint(path)
    if not isinstance(content, Mapping) or not all(map(torch.is_tensor, content.values())):
        raise ModelError(f"{path.name} holds more than named tensors: save those alone.")
    numpy = {k: (t.double() if t.is_floating_point() else t) for k, t in content.items()}
    return {str(k): t.detach().numpy() for k, t in numpy.items()}


def _of_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(
            f"{path.name} holds arrays that are no plain numbers or texts, or are damaged: {error}."
        ) from error

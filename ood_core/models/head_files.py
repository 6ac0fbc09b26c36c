"""Heads in files of their own: `weight` and `bias` of a linear layer, or embeddings of texts."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from ood_core.data.features import open_arrays
from ood_core.errors import DataError, ModelError
from ood_core.models.checkpoints import read_checkpoint
from ood_core.models.head import ClassifierHead

__all__ = ["head_files", "read_head", "read_text"]

_TEXT = ("embeddings", "text")


def read_head(path: Path, d: int | None = None) -> ClassifierHead:
    """The head of a file: `weight` (c, d) and, where it has one, `bias` (c,).

    A file is of any format that features may have, or what `torch.save` wrote of a linear layer's
    state dict.

    Parameters
    ----------
    path : the file.
    d : number of features, where it is known.

    Raises
    ------
    ModelError
        When it cannot be read, lacks `weight`, or a shape or value cannot be a head's.
    """
    arrays = _arrays(path)
    weight = _named(path, arrays, ("weight",), "(classes, features)")
    c, width = weight.shape
    if d is not None and width != d:
        turned = f" It may be turned: save weight.T, ({width}, {c})." if c == d else ""
        raise ModelError(
            f"{path.name}: weight has shape {weight.shape}, but the features have d = {d} values: "
            f"expected (c, {d}).{turned}"
        )
    bias = arrays.get("bias")
    try:
        return ClassifierHead(weight, None if bias is None else _floats(path, "bias", bias))
    except DataError as error:
        raise ModelError(f"{path.name}: {error}") from error


def head_files(path: Path) -> tuple[Path, ...]:
    """Every file that a head's file is read from, for its identity."""
    return (path,) if _is_torch(path) else open_arrays(path).files


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
    if not path.exists():
        raise ModelError(f"{path} is not there.")
    if _is_torch(path):
        return _of_torch(path)
    try:
        columns = open_arrays(path).columns
        return {n: c.read(0, c.shape[0]) if c.shape else np.array(0) for n, c in columns.items()}
    except (DataError, ValueError, OSError) as error:
        raise ModelError(f"the head's file cannot be used: {error}") from error


def _is_torch(path: Path) -> bool:
    """Whether `torch.save` wrote it, or a pickle that is then refused as checkpoints are."""
    if path.is_dir():
        return False
    with open(path, "rb") as file:
        start = file.read(2)
    if start == b"PK":
        with suppress(zipfile.BadZipFile, OSError), zipfile.ZipFile(path) as archive:
            return any(name.endswith("data.pkl") for name in archive.namelist())
    return start[:1] == b"\x80" and start[1:2] <= b"\x05"


def _of_torch(path: Path) -> dict[str, np.ndarray]:
    import torch

    content = read_checkpoint(path)
    if not isinstance(content, Mapping) or not all(map(torch.is_tensor, content.values())):
        raise ModelError(f"{path.name} holds more than named tensors: save those alone.")
    numpy = {k: (t.double() if t.is_floating_point() else t) for k, t in content.items()}
    return {str(k): t.detach().numpy() for k, t in numpy.items()}

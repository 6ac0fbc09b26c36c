"""Tensors of an ONNX file that lie in files beside it: which those are, and their bytes.

A path in an ONNX file is text that whoever made the file chose. It is followed only to a regular
file in the ONNX file's own folder or below: absolute paths, drives, `..` and links that lead out of
the folder are refused before anything is opened.
"""

from __future__ import annotations

import math
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ood_core.errors import ModelError
from ood_core.models.published_weights import WeightsMissingError

__all__ = ["bytes_of", "external_path", "external_tensors", "location", "tensors"]

_EXTERNAL = 1
"""`TensorProto.EXTERNAL`, a number that the format fixes."""


def tensors(message: Any) -> Iterator[Any]:
    """Every TensorProto under a ModelProto, GraphProto, FunctionProto, NodeProto or attribute."""
    kind = type(message).__name__
    if kind == "TensorProto":
        yield message
        return
    inner = {
        "ModelProto": ("graph", "functions"),
        "GraphProto": ("initializer", "sparse_initializer", "node"),
        "FunctionProto": ("node", "attribute_proto"),
        "NodeProto": ("attribute",),
        "AttributeProto": ("t", "tensors", "g", "graphs", "sparse_tensor", "sparse_tensors"),
        "SparseTensorProto": ("values", "indices"),
    }[kind]
    for field, value in message.ListFields():
        if field.name in inner:
            for one in value if hasattr(value, "append") else (value,):
                yield from tensors(one)


def external_tensors(message: Any) -> Iterator[Any]:
    """Those of `tensors` whose values lie in another file."""
    return (tensor for tensor in tensors(message) if tensor.data_location == _EXTERNAL)


def location(tensor: Any) -> str:
    """The path that an external tensor states."""
    return str(_entries(tensor).get("location", ""))


def external_path(file: Path, stated: str) -> Path:
    """The file that a stated path means.

    Raises
    ------
    ModelError
        When the path leads out of the folder of `file`, or to something that is no regular file.
    WeightsMissingError
        When there is no such file.
    """
    folder = file.parent.resolve()
    steps = re.split(r"[/\\]", stated)
    if not stated or "\0" in stated or ".." in steps or not steps[0] or ":" in steps[0]:
        raise ModelError(_outside(file, stated, "It was not opened."))
    try:
        found = (folder / stated).resolve()
        if not found.is_relative_to(folder):
            raise ModelError(
                _outside(file, stated, "It is a link that leads elsewhere: copy the file there.")
            )
        if not stat.S_ISREG(found.stat().st_mode):
            raise ModelError(f"{file.name}: {stated!r}, which should hold tensors, is no file.")
    except (OSError, ValueError, RuntimeError) as error:
        raise WeightsMissingError(
            f"{file.name} keeps tensors in {stated!r} beside it, which cannot be read "
            f"({getattr(error, 'strerror', None) or error}): copy that file too."
        ) from error
    return found


def bytes_of(file: Path, tensor: Any, expected: int) -> tuple[Path, int]:
    """Where an external tensor of `expected` bytes lies: its file and offset, held against both.

    Raises
    ------
    ModelError
        When offset and length do not fit the tensor's shape or the file's size.
    """
    path = external_path(file, location(tensor))
    entries, size = _entries(tensor), path.stat().st_size
    try:
        offset = int(entries.get("offset") or 0)
        length = int(entries.get("length") or expected)
    except ValueError:
        offset = length = -1
    if offset < 0 or length != expected or offset + expected > size:
        raise ModelError(
            f"{file.name}: tensor {tensor.name!r} of shape {tuple(tensor.dims)} takes {expected:,} "
            f"bytes, but {path.name} ({size:,} bytes) is said to hold {length:,} of them at "
            f"{offset:,}. The files do not belong together or were cut off: copy them again."
        )
    return path, offset


def n_elements(tensor: Any) -> int:
    """Number of values that a tensor declares."""
    return math.prod(tensor.dims)


def _entries(tensor: Any) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _outside(file: Path, stated: str, what: str) -> str:
    return (
        f"{file.name} keeps tensors in {stated!r}, outside its own folder. Only files beside it or "
        f"below are read. {what}"
    )

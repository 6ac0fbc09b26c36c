"""Plain values that training scripts save beside the weights, and how they are read."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from numpy._core.multiarray import _reconstruct, scalar

__all__ = ["HARMLESS", "arrays_as_tensors"]

_DEPTH = 4


def _plain_dict(*_: object) -> dict[Any, Any]:
    """A `defaultdict` as a plain one, whatever its default is."""
    return {}


_NUMBERS = "?bBhHiIlLqQefdgFDGSU"
"""numpy's types of numbers and text; objects are none of them."""

HARMLESS: tuple[Any, ...] = (
    argparse.Namespace,
    np.dtype, np.ndarray, scalar, (scalar, "numpy.core.multiarray.scalar"),
    _reconstruct, (_reconstruct, "numpy.core.multiarray._reconstruct"),
    *dict.fromkeys(type(np.dtype(kind)) for kind in _NUMBERS),
    (_plain_dict, "collections.defaultdict"), list, dict, set, int, float, str, bool,
    *((PurePosixPath, f"pathlib{m}.{n}") for m in ("", "._local") for n in (
        "PosixPath", "PurePosixPath")),
    *((PureWindowsPath, f"pathlib{m}.{n}") for m in ("", "._local") for n in (
        "WindowsPath", "PureWindowsPath")),
    datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone,
)  # fmt: skip
"""What the restricted unpickler may make beside tensors: none of it runs code."""


def arrays_as_tensors(content: Any, depth: int = 0) -> Any:
    """The content of a checkpoint with its named numpy arrays as tensors: they may be weights."""
    import torch

    if isinstance(content, np.ndarray):
        try:
            return torch.from_numpy(np.array(content))
        except TypeError:  # text, or numbers that torch does not have
            return content
    if isinstance(content, Mapping) and depth <= _DEPTH:
        return {name: arrays_as_tensors(value, depth + 1) for name, value in content.items()}
    return content

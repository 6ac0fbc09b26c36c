"""What every file of arrays looks like to the rest: named columns that are read by rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["ArrayFile", "Column", "bfloat16", "kind_of", "natural_key"]


@dataclass(frozen=True, eq=False)
class Column:
    """One array of a file; nothing of it is read before `read` is called.

    Attributes
    ----------
    name : its name in the file.
    shape : its shape; the first axis is rows.
    dtype : its type as messages call it.
    kind : "number", "text", or "other" for what is neither.
    read : rows start to stop as an array: numbers as they are (bfloat16 as float32), texts as str.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    kind: str
    read: Callable[[int, int], np.ndarray]

    def __str__(self) -> str:
        return f"{self.name} {self.shape} {self.dtype}"


@dataclass(frozen=True, eq=False)
class ArrayFile:
    """A file of arrays, or a folder with one array a file.

    Attributes
    ----------
    path : the file or folder.
    format : what it was found to be.
    columns : name -> array, in the file's order.
    files : every file that is read.
    ordered : whether the order of the arrays was chosen by whoever wrote the file.
    """

    path: Path
    format: str
    columns: Mapping[str, Column]
    files: tuple[Path, ...]
    ordered: bool = True

    def listed(self) -> str:
        """The arrays there are, for messages."""
        shown = [str(column) for column in list(self.columns.values())[:12]]
        more = ", …" if len(self.columns) > 12 else ""
        return ", ".join(shown) + more if shown else "none"


def kind_of(dtype: np.dtype) -> str:
    """Whether values of a numpy type are numbers or text."""
    return {
        "b": "number",
        "i": "number",
        "u": "number",
        "f": "number",
        "U": "text",
        "S": "text",
    }.get(dtype.kind, "other")


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts names as people do: block2 before block10.

    >>> sorted(["block10", "block2"], key=natural_key)
    ['block2', 'block10']
    """
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts)


def bfloat16(bits: np.ndarray) -> np.ndarray:
    """bfloat16 numbers, given as their 16 bits, as float32, exactly.

    >>> bfloat16(np.array([0x3FC0, 0xC000], np.uint16)).tolist()
    [1.5, -2.0]
    """
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)

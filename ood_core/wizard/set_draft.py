"""One set of images or features as typed, and its table in an experiment file."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ood_core.experiments.parsing_sets import RESERVED
from ood_core.experiments.sources import BUILTIN_SOURCES, TORCHVISION_SETS, file_kind

__all__ = [
    "TORCHVISION",
    "SetDraft",
    "distinct_names",
    "ood_table",
    "set_kind",
    "set_name",
    "set_table",
]

TORCHVISION = "torchvision:"
"""What a source begins with that torchvision downloads."""


@dataclass(frozen=True)
class SetDraft:
    """One image set as typed.

    Parameters
    ----------
    source : a folder, an image list (.txt), a table (.csv, .tsv, .json, .parquet), a zip, or
        "torchvision:NAME" for a set that torchvision downloads.
    name : of an OOD set.
    near : whether an OOD set counts as near.
    options : further keys of the experiment file: `root`, `split`, `limit`, `labels`, …
    """

    source: str = ""
    name: str = ""
    near: bool = False
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


NOTHING = SetDraft()
"""No set was chosen yet."""


def set_table(chosen: SetDraft, kind: str | None = None) -> dict[str, Any]:
    """The table of one set; its kind follows from what the source is unless it is given."""
    source, kind = chosen.source.strip(), kind or set_kind(chosen.source)
    return {kind: source.removeprefix(TORCHVISION), **chosen.options}


def set_kind(source: str) -> str:
    """Kind of data set that a source names: "folder", "image_list", "manifest", "zip", …"""
    source = source.strip()
    if source in BUILTIN_SOURCES:
        return "builtin"
    if source.startswith(TORCHVISION) or (
        source in TORCHVISION_SETS and not os.path.exists(source)
    ):
        return "torchvision"
    path = Path(source).expanduser()
    return "folder" if os.path.isdir(path) else file_kind(path.name) or "folder"


def set_name(source: str) -> str:
    """Name for an OOD set: that of its folder or file, of what experiment files allow in names.

    >>> set_name("/data/My drawings (2)")
    'My drawings -2-'
    """
    last = source.strip().removeprefix(TORCHVISION).rstrip("/").rpartition("/")[2]
    stem = Path(last).stem if set_kind(source) != "folder" else last
    plain = re.sub(r"[^A-Za-z0-9._+ -]", "-", stem).lstrip("._+ -")
    return plain[:95] or "ood"  # of 100 allowed, so that a number can follow


def distinct_names(sets: Iterable[SetDraft]) -> tuple[SetDraft, ...]:
    """The sets with usable names that differ from each other and from fit and test."""
    taken, out = {"fit", "test", *RESERVED}, []
    for chosen in sets:
        plain = set_name(chosen.name or chosen.source)
        name, number = plain, 2
        while name in taken:
            name, number = f"{plain}-{number}", number + 1
        taken.add(name)
        out.append(dataclasses.replace(chosen, name=name))
    return tuple(out)


def ood_table(chosen: SetDraft, kind: str | None = None) -> dict[str, Any]:
    """One [[ood]] entry."""
    near = {"near": True} if chosen.near else {}
    return {"name": chosen.name, **set_table(chosen, kind), **near}

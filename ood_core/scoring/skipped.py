"""A detector that could not run, with what its row in a table needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Skipped"]


@dataclass(frozen=True)
class Skipped:
    """A detector that could not run here, and why.

    Attributes
    ----------
    detector, params, layer : what was to score, as of a `ScoreSet`.
    reason : the error, as a sentence.
    id_name, n_id : the ID test set and its number of images.
    n_ood : OOD set name -> its number of images.
    left_out : nobody named it, and the experiment lacks what it needs (a head, labels): tables
        pass over it. Any other has a row, whose figures are missing.
    """

    detector: str
    layer: str
    reason: str
    params: Mapping[str, Any] = field(default_factory=dict)
    id_name: str = ""
    n_id: int = 0
    n_ood: Mapping[str, int] = field(default_factory=dict)
    left_out: bool = False

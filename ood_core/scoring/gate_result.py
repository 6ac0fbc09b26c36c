"""The result of a sanity gate, and what several of them say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["CAUTION", "FALSE", "PARTLY", "GateResult", "gates_in_words", "worst"]

FALSE, PARTLY, CAUTION = 3, 2, 1
"""How much a failing gate spoils: figures are false, some detectors' are, or read with care."""


@dataclass(frozen=True)
class GateResult:
    """One gate.

    Parameters
    ----------
    name : what is checked, for a line of a list.
    ok : True, False, or None where it cannot be checked.
    value : what was measured; NaN where it cannot be.
    limit : what it is held against.
    text : the measurement in words.
    remedy : what to do when it is not ok; "" otherwise.
    weight : how much it spoils when it fails: `FALSE`, `PARTLY` or `CAUTION`.
    """

    name: str
    ok: bool | None
    value: float
    limit: float
    text: str
    remedy: str = ""
    weight: int = CAUTION


def worst(gates: Sequence[GateResult]) -> GateResult | None:
    """The failing gate that spoils most, the first of several; None where none fails."""
    return max((g for g in gates if g.ok is False), key=lambda g: g.weight, default=None)


def gates_in_words(gates: Sequence[GateResult]) -> str:
    """How many gates fail, the worst by name: the sentence that stands wherever figures leave.

    >>> gate = GateResult("Every image can be read", False, 2.0, 0.0, "2 images have no score")
    >>> gates_in_words([gate, GateResult("Every class has fit images", True, 0.0, 0.0, "")])
    '1 of 2 checks fails: "Every image can be read" does not hold (2 images have no score).'
    """
    bad, first = sum(g.ok is False for g in gates), worst(gates)
    unknown = sum(g.ok is None for g in gates)
    if first is None:
        rest = f", {unknown} cannot be checked" if unknown else ""
        return f"{len(gates) - unknown} of {len(gates)} checks hold{rest}."
    count = f"{bad} of {len(gates)} checks {'fails' if bad == 1 else 'fail'}"
    which = "" if bad == 1 else "the worst, "
    return f'{count}: {which}"{first.name}" does not hold ({first.text}).'

"""The result of a sanity gate, and what several of them say together."""

from __future__ import annotations

import math
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
    ok : True, False, or None where it cannot be checked or does not apply.
    value : what was measured; NaN where it cannot be.
    limit : what it is held against.
    text : the measurement in words.
    remedy : what to do when it is not ok; "" otherwise.
    weight : how much it spoils when it fails: `FALSE`, `PARTLY` or `CAUTION`.
    applies : False where the network or the images have nothing that it is about, such as a head:
        nothing is wrong then, and nothing is left to check. `text` says why.
    """

    name: str
    ok: bool | None
    value: float
    limit: float
    text: str
    remedy: str = ""
    weight: int = CAUTION
    applies: bool = True

    @classmethod
    def not_applicable(cls, name: str, why: str) -> GateResult:
        """A gate that has nothing to be about here.

        >>> GateResult.not_applicable("The head explains the logits", "there is no head").text
        'not applicable, because there is no head'
        """
        text = f"not applicable, because {why}"
        return cls(name, None, math.nan, math.nan, text, applies=False)


def worst(gates: Sequence[GateResult]) -> GateResult | None:
    """The failing gate that spoils most, the first of several; None where none fails."""
    return max((g for g in gates if g.ok is False), key=lambda g: g.weight, default=None)


def gates_in_words(gates: Sequence[GateResult]) -> str:
    """How many gates fail, the worst by name: the sentence that stands wherever figures leave.

    >>> gate = GateResult("Every image can be read", False, 2.0, 0.0, "2 images have no score")
    >>> gates_in_words([gate, GateResult("Every class has fit images", True, 0.0, 0.0, "")])
    '1 of 2 checks fails: "Every image can be read" does not hold (2 images have no score).'
    """
    held = [g for g in gates if g.applies]
    bad, first = sum(g.ok is False for g in held), worst(held)
    unknown, outside = sum(g.ok is None for g in held), len(gates) - len(held)
    if first is None:
        rest = f", {unknown} cannot be checked" if unknown else ""
        rest += f", {outside} not applicable" if outside else ""
        return f"{len(held) - unknown} of {len(held)} checks hold{rest}."
    count = f"{bad} of {len(held)} checks {'fails' if bad == 1 else 'fail'}"
    which = "" if bad == 1 else "the worst, "
    return f'{count}: {which}"{first.name}" does not hold ({first.text}).'

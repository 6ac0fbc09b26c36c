"""What a detector's parameter may be: one declaration for validation, sliders and documents."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

__all__ = ["LAYER", "POOL", "Choice", "Constraint", "Flag", "LayerName", "Number"]


@dataclass(frozen=True)
class Constraint:
    """Base of the constraints: `label` and `help` are what a page prints beside its control."""

    label: str = ""
    help: str = ""
    optional: bool = False

    def accepts(self, value: Any) -> bool:
        """Whether `value` is allowed."""
        return (self.optional and value is None) or self._accepts(value)

    def describe(self) -> str:
        """What is allowed, as the end of a sentence "must be ..."."""
        return self._describe() + (" or None" if self.optional else "")

    def wrong_value(self) -> Any:
        """A value that is not allowed: what the contract suite tries."""
        return object()

    def _accepts(self, value: Any) -> bool:
        raise NotImplementedError

    def _describe(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True)
class Number(Constraint):
    """A number in [low, high]; `open_low` leaves `low` itself out.

    `slider` is the (low, high, step) that a page offers where the allowed range is too wide.
    """

    low: float = -math.inf
    high: float = math.inf
    integer: bool = False
    open_low: bool = False
    slider: tuple[float, float, float] | None = None

    def _accepts(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, Real):
            return False
        if self.integer and not isinstance(value, Integral):
            return False
        number = float(value)
        return (self.low < number if self.open_low else self.low <= number) and number <= self.high

    def _describe(self) -> str:
        kind = "a whole number" if self.integer else "a number"
        if math.isinf(self.high):
            if math.isinf(self.low):
                return kind
            return f"{kind} {'above' if self.open_low else 'of at least'} {self.low:g}"
        return f"{kind} in {'(' if self.open_low else '['}{self.low:g}, {self.high:g}]"


@dataclass(frozen=True)
class Choice(Constraint):
    """One of a few names."""

    options: tuple[str, ...] = ()

    def _accepts(self, value: Any) -> bool:
        return isinstance(value, str) and value in self.options

    def _describe(self) -> str:
        return "one of " + ", ".join(repr(o) for o in self.options)


@dataclass(frozen=True)
class Flag(Constraint):
    """True or False."""

    def _accepts(self, value: Any) -> bool:
        return isinstance(value, bool)

    def _describe(self) -> str:
        return "True or False"


@dataclass(frozen=True)
class LayerName(Constraint):
    """Name of a recorded layer; None is the penultimate layer."""

    def _accepts(self, value: Any) -> bool:
        return isinstance(value, str) and bool(value)

    def _describe(self) -> str:
        return "the name of a recorded layer"


LAYER = LayerName("Layer", "Whose activation is measured; None: the head's input.", optional=True)
POOL = Choice(
    "Pooling",
    "gap: mean over positions first, one value per channel. flat: every position is a unit.",
    options=("gap", "flat"),
)

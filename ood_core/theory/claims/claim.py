"""A claim with the numbers that decide whether it holds here."""

from __future__ import annotations

from dataclasses import dataclass

from ood_core.theory.hidden_classifier import Estimate

__all__ = ["Claim", "above", "below"]


@dataclass(frozen=True)
class Claim:
    """One claim, decided by data.

    Attributes
    ----------
    text : the claim as a sentence.
    holds : True when the whole interval lies on the claimed side, False when it lies on the
        other, None when it covers the border: then these data do not decide.
    measure : what was measured, in words.
    estimate : the measured value with its 95 % interval; None where nothing could be measured.
    border : the value it is compared with.
    unit : "%" for shares shown in percent, "points" for differences of percentages, "" otherwise.
    """

    text: str
    holds: bool | None
    measure: str
    estimate: Estimate | None
    border: float
    unit: str = ""

    @property
    def verdict(self) -> str:
        """`holds here`, `does not hold here` or `not decided here`."""
        known = {True: "holds here", False: "does not hold here", None: "not decided here"}
        return known[self.holds]

    @property
    def numbers(self) -> str:
        """`93.8 % [92.1, 95.5], n = 479`: the estimate as a reader sees it."""
        if self.estimate is None:
            return "not measured"
        e, scale = self.estimate, 100.0 if self.unit in ("%", "points") else 1.0
        digits = self._digits(scale)
        value, low, high = (_number(scale * v, digits) for v in (e.value, e.low, e.high))
        unit = f" {self.unit}" if self.unit else ""
        return f"{value}{unit} [{low}, {high}]"

    def _digits(self, scale: float) -> int:
        """Decimals with which both printed ends lie on their own side of the border: an interval
        that is decided never looks as if it touched it."""
        assert self.estimate is not None
        border, least = scale * self.border, 1 if self.unit else 3
        ends = scale * self.estimate.low, scale * self.estimate.high
        for digits in range(least, least + 8):
            low, high = (round(end, digits) for end in ends)
            if _sides((low, high), border) == _sides(ends, border):
                return digits
        return least


def _sides(values: tuple[float, float], border: float) -> tuple[int, ...]:
    """For each value whether it is below, at or above the border."""
    return tuple(int(v > border) - int(v < border) for v in values)


def _number(value: float, digits: int) -> str:
    """With a real minus sign, and never as minus zero."""
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def above(
    text: str, measure: str, estimate: Estimate | None, border: float, unit: str = ""
) -> Claim:
    """Claim that a value is larger than `border`."""
    holds = None
    if estimate is not None and estimate.low > border:
        holds = True
    elif estimate is not None and estimate.high <= border:
        holds = False
    return Claim(text, holds, measure, estimate, border, unit)


def below(
    text: str, measure: str, estimate: Estimate | None, border: float, unit: str = ""
) -> Claim:
    """Claim that a value is smaller than `border`."""
    flipped = above(text, measure, estimate, border, unit)
    holds = None
    if estimate is not None and estimate.high < border:
        holds = True
    elif estimate is not None and estimate.low >= border:
        holds = False
    return Claim(text, holds, flipped.measure, estimate, border, unit)

"""Regions drawn on a map: which points they hold, and as text that an address can carry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ood_core.errors import ConfigError, DataError
from ood_core.metrics.curves import thin

__all__ = ["Region", "inside"]

TOLERANCE = 2e-3
"""How far a simplified edge may leave the drawn one, as a share of the region's extent."""


@dataclass(frozen=True)
class Region:
    """A polygon in the plane of a map.

    Parameters
    ----------
    x, y : corners in order; the last joins the first.

    Raises
    ------
    DataError
        With fewer than three corners or unequal lists.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]

    def __post_init__(self) -> None:
        _check_corners(self.x, self.y)

    @classmethod
    def drawn(cls, x: Sequence[float], y: Sequence[float]) -> Region:
        """Region of a lasso's corners, or of two opposite corners of a box.

        A lasso has a corner for each move of the hand; those that its edge does not need are
        left out and the others rounded, within `TOLERANCE` of the width along x and of the
        height along y.

        Raises
        ------
        DataError
            When the corners are not finite or enclose no area.
        """
        if len(x) == len(y) == 2:
            x, y = (x[0], x[1], x[1], x[0]), (y[0], y[0], y[1], y[1])
        _check_corners(x, y)
        corners = np.column_stack([np.asarray(x, np.float64), np.asarray(y, np.float64)])
        if not np.isfinite(corners).all():
            raise DataError("the corners of a region must be finite numbers.")
        sides = np.ptp(corners, axis=0)
        if not (sides > 1e-300).all():
            raise DataError("a region must enclose an area; its corners lie on one line.")
        needed = _needed(corners / sides, 0.9 * TOLERANCE)
        if len(needed) < 3:
            raise DataError("a region must enclose an area; its corners lie on one line.")
        kept = [
            column[needed].round(5 - math.ceil(math.log10(side))).tolist()
            for column, side in zip(corners.T, sides, strict=True)
        ]
        return cls(tuple(kept[0]), tuple(kept[1]))

    @classmethod
    def parse(cls, text: str) -> Region:
        """Inverse of `str`.

        Raises
        ------
        ConfigError
            When the text is not at least three corners "x,y" with spaces between them.
        """
        try:
            corners = [tuple(float(v) for v in corner.split(",")) for corner in text.split()]
            if not np.isfinite(corners).all() or np.shape(corners)[1:] != (2,):
                raise ValueError
            return cls(*zip(*corners, strict=True))
        except (ValueError, TypeError):
            raise ConfigError(
                "a region is at least three corners x,y with spaces between them, "
                f"got {text[:60]!r}."
            ) from None

    def __str__(self) -> str:
        return " ".join(f"{x!r},{y!r}" for x, y in zip(self.x, self.y, strict=True))

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Rows of a map (columns `x` and `y`) that lie in the region."""
        return frame[inside(frame["x"].to_numpy(), frame["y"].to_numpy(), self.x, self.y)]


def inside(
    x: np.ndarray, y: np.ndarray, polygon_x: Sequence[float], polygon_y: Sequence[float]
) -> np.ndarray:
    """Which points lie inside a polygon (even-odd rule): what a lasso holds, drawn or not.

    Parameters
    ----------
    x, y : (n,) coordinates.
    polygon_x, polygon_y : corners in order; the last joins the first.

    Returns
    -------
    (n,) bool.

    Raises
    ------
    DataError
        When the polygon has fewer than three corners or unequal lists.

    Examples
    --------
    >>> square = [0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 1.0, 1.0]
    >>> inside(np.array([0.5, 1.5]), np.array([0.5, 0.5]), *square).tolist()
    [True, False]
    """
    _check_corners(polygon_x, polygon_y)
    px, py = np.asarray(polygon_x, np.float64), np.asarray(polygon_y, np.float64)
    held = np.zeros(len(x), bool)
    for x1, y1, x2, y2 in zip(px, py, np.roll(px, -1), np.roll(py, -1), strict=True):
        crosses = (y1 > y) != (y2 > y)
        if crosses.any():
            with np.errstate(divide="ignore", invalid="ignore"):
                at = (x2 - x1) * (y - y1) / (y2 - y1) + x1
            held ^= crosses & (x < at)
    return held


def _check_corners(x: Sequence[float], y: Sequence[float]) -> None:
    if len(x) != len(y) or len(x) < 3:
        raise DataError("a region needs at least three corners, with one x and one y each.")


def _needed(corners: np.ndarray, tolerance: float) -> np.ndarray:
    """Numbers of the corners that the edge needs; the closed line is cut at its first corner and
    at the one farthest from it."""
    far = int(np.hypot(*(corners - corners[0]).T).argmax())
    x, y = np.vstack([corners, corners[:1]]).T
    return thin(x, y, tolerance=tolerance, keep=[far])[:-1]

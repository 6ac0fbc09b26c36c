"""Drawn regions hold what lies in them, and survive as text."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ood_core.errors import ConfigError, DataError
from ood_core.views.regions import TOLERANCE, Region, inside


def test_inside_equals_a_slow_ray_cast() -> None:
    r = np.random.default_rng(1)
    x, y = r.uniform(-1, 1, (2, 300))
    angles = np.sort(r.uniform(0, 2 * np.pi, 9))
    radius = r.uniform(0.2, 1, 9)
    px, py = radius * np.cos(angles), radius * np.sin(angles)

    def slow(a: float, b: float) -> bool:
        hit = False
        for i in range(9):
            x1, y1, x2, y2 = px[i - 1], py[i - 1], px[i], py[i]
            if (y1 > b) != (y2 > b) and a < (x2 - x1) * (b - y1) / (y2 - y1) + x1:
                hit = not hit
        return hit

    expected = np.array([slow(a, b) for a, b in zip(x, y, strict=True)])
    assert 20 < expected.sum() < 280
    np.testing.assert_array_equal(inside(x, y, px.tolist(), py.tolist()), expected)


def test_inside_refuses_a_line() -> None:
    with pytest.raises(DataError, match="at least three corners"):
        inside(np.zeros(1), np.zeros(1), [0, 1], [0, 1])


def points(n: int = 4000) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(3).uniform(-4, 4, (n, 2)), columns=["x", "y"])


def lasso(corners: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """What a hand draws: many corners on a wavy loop."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    radius = 2 + 0.6 * np.sin(3 * angle) + np.random.default_rng(4).normal(0, 5e-4, corners)
    return radius * np.cos(angle) + 0.5, radius * np.sin(angle)


def test_a_box_is_its_four_corners() -> None:
    frame = points()
    held = Region.drawn([-1.0, 2.0], [3.0, -1.0]).rows(frame)
    slow = frame[frame["x"].between(-1, 2) & frame["y"].between(-1, 3)]
    assert len(held) > 300
    np.testing.assert_array_equal(held.index, slow.index)


@pytest.mark.parametrize("scale", [(1.0, 1.0), (1e4, 1.0), (1e-7, 30.0)])
def test_a_lasso_keeps_its_shape_with_few_corners(scale: tuple[float, float]) -> None:
    x, y = lasso()
    frame, region = points(), Region.drawn(scale[0] * x, scale[1] * y)
    assert 10 < len(region.x) < 120
    exact = inside(frame["x"].to_numpy(), frame["y"].to_numpy(), x, y)
    held = np.zeros(len(frame), bool)
    held[region.rows(frame * list(scale)).index] = True
    assert (held != exact).mean() < 0.002
    # Every drawn corner lies within the tolerance of the simplified edge.
    sides = np.ptp(x), np.ptp(y)
    edge = np.column_stack([np.array(region.x) / scale[0], np.array(region.y) / scale[1]]) / sides
    drawn = np.column_stack([x, y]) / sides
    away = [segment_distance(p, edge, np.roll(edge, -1, axis=0)) for p in drawn]
    assert max(away) <= TOLERANCE


def segment_distance(point: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> float:
    """Distance of a point from the nearest of many segments."""
    along = ends - starts
    share = ((point - starts) * along).sum(1) / (along**2).sum(1)
    nearest = starts + np.clip(share, 0, 1)[:, None] * along
    return float(np.hypot(*(point - nearest).T).min())


def test_corners_that_the_edge_does_not_need_are_left_out() -> None:
    x = [0, 1, 2, 3, 4, 4, 4, 2, 0, 0]
    y = [0, 0, 0, 0, 0, 1, 2, 2, 2, 1]
    region = Region.drawn(x, y)
    assert set(zip(region.x, region.y, strict=True)) == {(0, 0), (4, 0), (4, 2), (0, 2)}


@pytest.mark.parametrize("scale", [1e-6, 1.0, 3e5])
def test_text_gives_the_same_region_back(scale: float) -> None:
    x, y = lasso()
    region = Region.drawn(scale * x, scale * y)
    assert Region.parse(str(region)) == region
    assert len(str(region)) < 2000


_NO_REGIONS = ("", "1,2", "1,2 3,4", "1,2 3,4 5", "a,b c,d e,f", "1,2,3 4,5,6 7,8,9",
               "nan,1 2,3 4,5", "inf,1 2,3 4,5")  # fmt: skip


@pytest.mark.parametrize("text", _NO_REGIONS)
def test_text_that_is_no_region_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="at least three corners x,y"):
        Region.parse(text)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1, 1], [2, 2], "enclose an area"),
        ([0, 100], [3, 3], "enclose an area"),
        (np.linspace(0, 1, 50), np.linspace(0, 2, 50), "lie on one line"),
        ([0, 1, np.nan], [0, 1, 2], "finite"),
        ([0, 1, np.inf], [0, 1, 2], "finite"),
        ([1], [2], "at least three corners"),
    ],
)
def test_what_encloses_nothing_is_no_region(x: object, y: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Region.drawn(x, y)


def test_a_flat_box_keeps_its_height() -> None:
    region = Region.drawn([0, 100], [0, 0.004])
    assert sorted(set(region.y)) == [0, 0.004]

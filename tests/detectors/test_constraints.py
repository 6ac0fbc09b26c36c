"""Constraints: what they accept, and how they say what is allowed."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.detectors.constraints import LAYER, POOL, Choice, Flag, Number


@pytest.mark.parametrize(
    ("rule", "good", "bad", "text"),
    [
        (Number(low=0, high=100), [0, 100, 3.5, np.float32(2)], [-1, 101, "5", None, True, np.nan],
         "a number in [0, 100]"),
        (Number(low=0, open_low=True), [1e-9, np.inf], [0, -1], "a number above 0"),
        (Number(low=1, integer=True), [1, np.int64(9)], [0, 1.0, 2.5, np.inf],
         "a whole number of at least 1"),
        (Number(low=0, high=1, open_low=True, optional=True), [None, 1, 0.5], [0, 1.1],
         "a number in (0, 1] or None"),
        (Number(), [-1e9, 0], ["x"], "a number"),
        (Choice(options=("a", "b")), ["a"], ["c", 1, None], "one of 'a', 'b'"),
        (Flag(), [True, False], [0, "yes"], "True or False"),
        (LAYER, [None, "layer4"], ["", 3], "the name of a recorded layer or None"),
        (POOL, ["gap", "flat"], ["max"], "one of 'gap', 'flat'"),
    ],
)  # fmt: skip
def test_constraint(rule, good, bad, text):
    assert all(rule.accepts(value) for value in good)
    assert not any(rule.accepts(value) for value in [*bad, rule.wrong_value()])
    assert rule.describe() == text

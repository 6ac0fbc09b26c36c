"""Sets of neurons from a class, from OOD images, from text."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ood_core.errors import DataError
from ood_core.neurons import drop_set, excited_by_ood, parse_neurons, top_neurons

RNG = np.random.default_rng(6)


def test_strongest_of_a_class() -> None:
    contrib = RNG.normal(size=(3, 12))
    want = sorted(range(12), key=lambda j: -contrib[1, j])[:5]
    assert top_neurons(contrib, 1, 5).tolist() == want
    with pytest.raises(DataError, match="class 7 does not exist"):
        top_neurons(contrib, 7, 2)
    with pytest.raises(DataError, match="between 0 and 12, got 13"):
        top_neurons(contrib, 0, 13)


def test_excited_by_ood_compares_means_of_sets() -> None:
    means = pd.DataFrame(RNG.random((9, 3)), columns=["test", "near", "far"])
    excess = [(r.near + r.far) / 2 - r.test for r in means.itertuples()]
    want = sorted(range(9), key=lambda j: -excess[j])[:4]
    assert excited_by_ood(means, "test", ["near", "far"], 4).tolist() == want
    with pytest.raises(DataError, match="between 0 and 9, got -1"):
        excited_by_ood(means, "test", ["far"], -1)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("", []), ("3", [3]), ("3, 17;5 3", [3, 5, 17]), (" 4 - 6,9 ", [4, 5, 6, 9]), ("8–9", [8, 9])],
)
def test_text_becomes_numbers(text: str, numbers: list[int]) -> None:
    assert parse_neurons(text, 20).tolist() == numbers


@pytest.mark.parametrize("text", ["three", "1.5", "-3", "2-", "1e3", "3..7"])
def test_text_that_is_no_list_says_what_is(text: str) -> None:
    with pytest.raises(DataError, match="is no neuron: write numbers and ranges, as in 3, 17"):
        parse_neurons(text, 20)


@pytest.mark.parametrize("text", ["20", "5-20", "7-3", "999999999"])
def test_neurons_that_do_not_exist(text: str) -> None:
    with pytest.raises(DataError, match="there are neurons 0 to 19, low to high"):
        parse_neurons(text, 20)


def test_drop_set_keeps_or_drops() -> None:
    assert drop_set([5, 1, 5], 9).tolist() == [1, 5]
    assert drop_set([5, 1, 5], 9, keep=True).tolist() == [0, 2, 3, 4, 6, 7, 8]
    assert drop_set([], 9).tolist() == []
    with pytest.raises(DataError, match="numbers from 0 to 8, got 2-12"):
        drop_set([2, 12], 9)

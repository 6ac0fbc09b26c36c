"""Labels as arrays: what is clearly a class number is taken, everything else refused at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from ood_core import Activations, ClassifierHead, make_detector, metrics
from ood_core.data import class_numbers
from ood_core.errors import DataError
from ood_core.neurons import accuracy_effect
from ood_core.theory.hidden_classifier import measure_head, measure_tail

EXPECTED = [2, 0, 1, 0]
TAKEN: dict[str, Any] = {
    "list": EXPECTED,
    "tuple of numpy numbers": tuple(map(np.int8, EXPECTED)),
    "tensor": torch.tensor(EXPECTED),
    "tensor of halves": torch.tensor(EXPECTED).half(),
    "parameter": torch.nn.Parameter(torch.tensor(EXPECTED, dtype=torch.float32)),
    "list of tensors": [torch.tensor(c) for c in EXPECTED],
    "series": pd.Series(EXPECTED, index=list("abcd")),
    "nullable series": pd.Series(EXPECTED, dtype="Int16"),
    "categories": pd.Categorical(EXPECTED),
    "series of categories": pd.Series(EXPECTED, dtype="category"),
    "objects": np.array([2, 0.0, np.int64(1), False], dtype=object),
    "index": pd.Index(EXPECTED),
    "strided": np.array(EXPECTED).repeat(2)[::2],
} | {
    f"array of {dtype}": np.array(EXPECTED, dtype)
    for dtype in ("i1", "i2", "i4", "i8", "u1", "u8", ">i4", "f2", "f4", "f8", "longdouble")
}
REFUSED: dict[str, tuple[Any, str]] = {
    "column": (np.array(EXPECTED)[:, None], r"shape \(n,\), got \(4, 1\)\. For a column take lab"),
    "one-hot": (np.eye(3)[EXPECTED], r"got \(4, 3\)\. For one-hot rows .* labels\.argmax\(1\)"),
    "one-hot tensor": (torch.eye(3)[EXPECTED], r"got \(4, 3\)"),
    "frame": (pd.DataFrame({"label": EXPECTED}), r"got \(4, 1\)"),
    "one number": (3, r"got \(\)"),
    "a set": (set(EXPECTED), r"got \(\)"),
    "maps": (np.zeros((4, 2, 2), int), r"got \(4, 2, 2\)"),
    "ragged": ([[0], [1, 2], [0], [1]], "is no array of numbers"),
    "fraction": ([0.0, 0.5, 1.0, 0.5], r"0\.5 at place 1 \(2 of 4\) is no whole number"),
    "nan": ([0.0, 1.0, np.nan, 1.0], r"nan at place 2 \(1 of 4\) is no class; write -1"),
    "infinite": ([0.0, np.inf, 1.0, 1.0], r"inf at place 1"),
    "missing": ([0, None, 1, 0], r"None at place 1 \(1 of 4\) is no number; write -1"),
    "missing in pandas": (pd.Series([0, None, 1, 0], dtype="Int64"), r"(<NA>|nan) at place 1"),
    "masked": (np.ma.masked_equal(EXPECTED, 0), "has masked values"),
    "names": (["cat", "dog", "cat", "cow"], r"'cat' at place 0 \(4 of 4\) is a name; number nam"),
    "named categories": (pd.Categorical(["a", "b", "a", "b"]), "'a' at place 0 .* is a name"),
    "numbers as text": (["0", "1", "0", "1"], "'0' at place 0"),
    "bytes": (np.array([b"a"] * 4), "is a name"),
    "complex": (np.array([1j, 0, 0, 0]), "is no number"),
    "dates": (np.array(["2020-01-01"] * 4, "M8[D]"), "is no number"),
    "negative": ([0, -2, 1, -100], r"-2 at place 1 \(2 of 4\) is no class.*-1 where unknown"),
    "too large": (np.array([0, 2**64 - 1, 0, 0], np.uint64), "at place 1 .* is no class"),
    "far too large": ([0, 10**40, 0, 0], "too large for a class"),
    "float too large": ([0.0, 1e300, 0.0, 0.0], "at place 1 .* is no class"),
    "other length": ([0, 1, 2], "labels has 3 rows but features has 4"),
}


@pytest.mark.parametrize("given", TAKEN.values(), ids=TAKEN)
def test_what_is_clearly_a_class_number_is_taken(given: Any) -> None:
    found = class_numbers(given)
    assert (found.dtype, found.tolist()) == (np.int64, EXPECTED)
    acts = Activations.from_arrays(np.eye(4), labels=given)
    assert acts.labels.tolist() == EXPECTED
    assert not acts.labels.flags.writeable


def test_bools_unknowns_and_none_at_all() -> None:
    assert class_numbers([True, False]).tolist() == [1, 0]
    assert class_numbers(np.array([-1.0, 3.0])).tolist() == [-1, 3]
    assert class_numbers([]).shape == (0,)
    assert Activations.from_arrays(np.eye(2)).labels is None


def test_the_array_given_stays_the_users() -> None:
    own = np.array(EXPECTED)
    acts = Activations.from_arrays(np.eye(4), labels=own)
    own[:] = 9
    assert acts.labels.tolist() == EXPECTED


HEAD = ClassifierHead(np.eye(4)[:3])
FEATURES = np.eye(4, dtype=np.float32)
DOORS: dict[str, Callable[[Any], object]] = {
    "class_numbers": lambda y: class_numbers(y, n=4),
    "from_arrays": lambda y: Activations.from_arrays(FEATURES, labels=y),
    "constructor": lambda y: Activations(
        Activations.from_arrays(FEATURES).layers, labels=y, logits=None
    ),
    "measure_head": lambda y: measure_head(FEATURES, HEAD, y),
    "measure_tail": lambda y: measure_tail(
        torch.nn.Linear(4, 3).eval(), [(torch.from_numpy(FEATURES), y)]
    ),
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize(("given", "message"), REFUSED.values(), ids=REFUSED)
def test_everything_else_is_refused_at_every_door(
    given: Any, message: str, door: Callable[[Any], object]
) -> None:
    with pytest.raises(DataError, match=message):
        door(given)


@pytest.mark.parametrize("door", ["measure_head", "measure_tail"])
def test_where_the_classes_are_known_they_are_the_limit(door: str) -> None:
    DOORS[door]([0, 1, 2, -1])
    with pytest.raises(DataError, match=r"3 at place 3 .* There are 3 classes, 0 to 2\."):
        DOORS[door]([0, 1, 2, 3])


def test_labels_of_other_classes_than_the_heads() -> None:
    acts = Activations.from_arrays(FEATURES, labels=[0, 1, 2, 3], name="test")
    with pytest.raises(DataError, match=r"labels of 'test': 3 at place 3 .* There are 3 classes"):
        accuracy_effect(acts, HEAD, np.zeros(4, bool))
    with pytest.raises(DataError, match="label 3 does not fit 3 classes"):
        make_detector("mahalanobis").fit(acts, HEAD)


@pytest.mark.parametrize(
    "scores",
    [["high", "low"], [[1.0], [1.0, 2.0]], [None, "x"], [1j], torch.ones(2, requires_grad=True)],
)
def test_scores_that_are_no_numbers(scores: Sequence[Any]) -> None:
    with pytest.raises(DataError, match="ID scores are no array of numbers"):
        metrics.auroc(scores, [0.0])


def test_tensors_of_every_type_of_floats() -> None:
    for kind in (torch.bfloat16, torch.float16, torch.float32, torch.float64):
        assert class_numbers(torch.tensor([2, 0, -1]).to(kind)).tolist() == [2, 0, -1]

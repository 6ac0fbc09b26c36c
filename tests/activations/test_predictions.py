"""One rule for what the classifier predicts, and everything that shows a prediction follows it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from ood_core import scoring
from ood_core.activations import Activations, predict, predicted_classes
from ood_core.activations.predictions import accuracy
from ood_core.errors import DataError
from ood_core.metrics.counts import summarize
from ood_core.models import ClassifierHead
from ood_core.neurons import LineLab, accuracy_effect
from ood_core.scoring import gates
from ood_core.views.experiment_summary import Facts
from ood_core.views.galleries import describe

HEAD = ClassifierHead(np.eye(3), class_names=("ant", "bee", "cow"))
FEATURES = np.array([[3.0, 1, 0], [0, 2, 1], [1, 0, 4], [2, 2, 0], [0, 5, 5]])
"""The head's predictions: 0, 1, 2, and two ties, 0 and 1: the lower number."""
OF_FEATURES = np.array([0, 1, 2, 0, 1])
LOGITS = np.array([[0.0, 7, 7], [9, 0, 0], [0, 1, 0], [0, 0, 0], [-2, -1, -1]], np.float32)
OF_LOGITS = np.array([1, 0, 1, 0, 1])


def acts(logits: np.ndarray | None) -> Activations:
    """Five images whose labels are what the features predict."""
    return Activations.from_arrays(FEATURES, logits=logits, labels=OF_FEATURES, name="test")


def by_describe(a: Activations) -> np.ndarray:
    rows = pd.DataFrame({"set": "test", "index": [4, 2, 0, 1, 3], "score": 0.0})
    found = describe(rows, {"test": a}, HEAD, summarize(np.zeros(3)))
    return np.array(
        [HEAD.names.index(r["prediction"]) for r in sorted(found, key=lambda r: r["index"])]
    )


class Sets(dict):
    """As much of an `ActivationSet` as its users below look at."""

    head, fingerprint, layers = HEAD, "", ()
    skipped: ClassVar[dict] = {}
    experiment = SimpleNamespace(fit_set="fit", test_set="test", ood_sets=("far",), detectors={})


def by_verdicts(a: Activations) -> np.ndarray:
    scores = scoring.score(Sets(fit=a, test=a, far=a), "feature_norm")
    (found,) = scoring.verdicts([scores], a, HEAD)
    return np.array([HEAD.names.index(name) for name in found.predictions])


def by_line(a: Activations) -> np.ndarray:
    return LineLab(a, {"test": a, "far": a}, "test", ["far"], HEAD)._plain


SHOWN = [predicted_classes, by_describe, by_verdicts, by_line]


@pytest.mark.parametrize("shown", SHOWN, ids=lambda f: f.__name__)
@pytest.mark.parametrize(("logits", "expected"), [(LOGITS, OF_LOGITS), (None, OF_FEATURES)])
def test_everything_that_shows_predictions_follows_one_rule(shown, logits, expected) -> None:
    given = acts(logits)
    found = shown(given, HEAD) if shown is predicted_classes else shown(given)
    np.testing.assert_array_equal(found, expected)


def of_facts(a: Activations) -> float | None:
    return Facts.of(Sets(fit=a, test=a, far=a)).accuracy


def of_effect(a: Activations) -> float | None:
    frame = accuracy_effect(a, HEAD, np.array([], int))
    return float((frame["before"] * frame["n"]).sum() / frame["n"].sum())


def of_gate(a: Activations) -> float | None:
    return gates._accuracy_gate(a, HEAD, None).value


@pytest.mark.parametrize("share", [of_facts, of_effect, of_gate], ids=lambda f: f.__name__)
@pytest.mark.parametrize(("logits", "expected"), [(LOGITS, 2 / 5), (None, 1.0)])
def test_every_accuracy_follows_it(share, logits, expected) -> None:
    assert share(acts(logits)) == pytest.approx(expected, rel=1e-15)
    assert accuracy(acts(logits), HEAD) == expected


def test_without_logits_and_head_there_is_no_prediction() -> None:
    match = "predictions need logits, and the activations of 'test' have none: give logits to"
    for ask in (predict, predicted_classes, accuracy):
        with pytest.raises(DataError, match=match):
            ask(acts(None))


def test_probability_is_the_softmax_of_the_prediction() -> None:
    z = np.random.default_rng(0).normal(0, 300, (9, 4))
    found = predict(Activations.from_arrays(np.ones((9, 2)), logits=z))
    np.testing.assert_array_equal(found.classes, z.argmax(1))
    slow = [1 / sum(np.exp(other - max(row)) for other in row) for row in z]
    np.testing.assert_allclose(found.probability, slow, rtol=1e-14)


def test_pieces_change_nothing_and_no_images_give_none(monkeypatch) -> None:
    whole = predict(acts(LOGITS))
    monkeypatch.setattr("ood_core.activations.predictions.ROWS", 2)
    parts = predict(acts(LOGITS))
    np.testing.assert_array_equal(parts.classes, whole.classes)
    np.testing.assert_array_equal(parts.probability, whole.probability)
    assert len(predict(acts(LOGITS).take(slice(0, 0))).classes) == 0


def test_accuracy_counts_labelled_images_only() -> None:
    def of(labels: list[int] | None) -> float | None:
        return accuracy(Activations.from_arrays(np.eye(2)[[0, 1, 0, 1]], labels=labels), two)

    two = ClassifierHead(np.eye(2))
    assert of([0, 1, 1, -1]) == 2 / 3
    assert of([-1, -1, -1, -1]) is None
    assert of(None) is None

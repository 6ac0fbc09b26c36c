"""Networks without a head: activations without logits, stored and read back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ood_core.activations import extract, prepared
from ood_core.errors import DataError, ModelError
from ood_core.experiments import Experiment
from ood_core.models import PENULTIMATE, load_model, tail
from ood_core.scoring import score


@pytest.fixture
def headless(tiny: Experiment) -> Experiment:
    return dataclasses.replace(
        tiny, classifier=dataclasses.replace(tiny.classifier, num_classes=0, class_names=None)
    )


def test_features_are_those_of_the_network_with_its_head(
    tiny: Experiment, headless: Experiment
) -> None:
    whole, bare = extract(tiny), extract(headless)
    assert bare.head is None
    assert bare.model != whole.model
    assert [layer.name for layer in bare.layers] == [layer.name for layer in whole.layers]
    for name in whole:
        np.testing.assert_array_equal(bare[name].features, whole[name].features)
        assert bare[name].logits is None
        assert all(piece.logits is None for piece in bare[name].chunks(7))
    ours = score(bare, "negative_aware_norm").id_scores
    np.testing.assert_array_equal(ours, score(whole, "negative_aware_norm").id_scores)


def test_what_is_stored_is_opened_without_the_network(
    headless: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract(headless)
    monkeypatch.setattr("ood_core.activations.extraction.resident_model", None)
    again = prepared(headless)
    assert again is not None
    assert again.head is None
    assert again[headless.fit_set].logits is None


def test_what_needs_a_head_says_so(headless: Experiment) -> None:
    acts = extract(headless)
    with pytest.raises(DataError, match="has no head"):
        acts.need_head()
    with pytest.raises(DataError, match="it needs logits"):
        score(acts, "energy")
    with pytest.raises(ModelError, match="no head"):
        tail(load_model(headless), PENULTIMATE)

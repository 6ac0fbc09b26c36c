"""Captions, verdicts, receipts and neurons of features alone, against the arrays themselves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ood_core
from ood_core.activations import Activations
from ood_core.export import export
from ood_core.metrics.counts import summarize
from ood_core.models import ClassifierHead
from ood_core.neurons import activity, share_active
from ood_core.scoring import verdicts
from ood_core.views.galleries import describe, described
from ood_core.views.receipts import moments, unusual_neurons, wide

H = np.random.default_rng(0).normal(0.3, 1, (40, 6))


@pytest.fixture
def acts() -> dict[str, Activations]:
    labels = np.arange(40) % 3
    return {"test": Activations.from_arrays(H, labels=labels, name="test")}


def test_a_caption_names_what_an_image_is_and_no_predicted_class(acts: Any) -> None:
    rows = pd.DataFrame({"set": ["test"] * 2, "index": [4, 6], "score": [0.1, 0.2]})
    found = describe(rows, acts, None, summarize(np.arange(5.0)), ("a", "b", "c"))
    assert [row["label"] for row in found] == ["b", "a"]
    assert all("prediction" not in row for row in found)
    assert "prediction" not in described(rows, acts, None, summarize(np.arange(5.0)))
    head = ClassifierHead(np.eye(6)[:3], None, ("a", "b", "c"))
    named = describe(rows, acts, head, summarize(np.arange(5.0)))
    assert [row["prediction"] for row in named] == [
        "abc"[i] for i in (H[[4, 6]] @ np.eye(6)[:3].T).argmax(1)
    ]


def test_a_verdict_without_a_head_names_no_class(acts: Any) -> None:
    fitted = ood_core.make_detector("knn", k=3).fit(acts["test"])
    scores = SimpleNamespace(
        detector="knn", fitted=fitted, summary=lambda: summarize(np.linspace(-1.0, 0.0, 50))
    )
    (found,) = verdicts([scores], acts["test"], None)  # type: ignore[list-item]
    assert found.predictions is None
    assert next(found.records())["prediction"] is None
    assert "prediction" not in wide([found], "knn")
    logits = Activations.from_arrays(H, logits=H[:, :3])
    (known,) = verdicts([scores], logits, None)  # type: ignore[list-item]
    assert known.predictions == tuple(map(str, H[:, :3].argmax(1)))


def test_unusual_neurons_are_those_farthest_from_the_fit_set(acts: Any) -> None:
    mean, deviation = moments(acts["test"])
    np.testing.assert_allclose(mean, H.mean(0))
    np.testing.assert_allclose(deviation, H.std(0))
    deviation = np.where(np.arange(6) == 2, 0.0, deviation)  # a unit that never changes
    image = H.mean(0) + np.array([0.0, 3.0, 9.0, -5.0, 1.0, 0.5])
    found = unusual_neurons(mean, deviation, image, most=3)
    u = (image - H.mean(0)) / H.std(0)
    expected = sorted((j for j in range(6) if j != 2), key=lambda j: -abs(u[j]))[:3]
    assert found["neuron"].tolist() == expected
    np.testing.assert_allclose(found["unusual"], u[expected])


def test_what_a_neuron_does_needs_no_classes(acts: Any) -> None:
    shares = share_active(acts, ["test"])
    np.testing.assert_allclose(shares["test"], (H > 0).mean(0))
    found = activity(acts, ["test"], 2)
    assert found.histogram["count"].sum() == 40
    row = found.summary.iloc[0]
    assert row["mean"] == pytest.approx(H[:, 2].mean())
    assert row["active"] == pytest.approx((H[:, 2] > 0).mean())
    assert not len(found.by_class)


def test_a_network_without_a_head_is_exported(
    home_without_classes: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OOD_LENS_HOME", str(home_without_classes))
    acts: Any = ood_core.prepared(ood_core.load_experiment("headless"))
    made = export(acts, "mahalanobis", tmp_path / "detector.pt2")
    assert made.same_verdicts
    assert made.largest_difference < 1e-4

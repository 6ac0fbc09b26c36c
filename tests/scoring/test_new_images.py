"""Verdicts on new images."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ood_core import scoring
from ood_core.activations import Activations
from ood_core.errors import DataError
from ood_core.views.receipts import table


@pytest.fixture
def new(acts_set) -> Activations:
    return acts_set["near"].take(slice(0, 9))


@pytest.fixture
def score_sets(acts_set):
    return [scoring.score(acts_set, name) for name in ("nan", "energy", "line", "knn")]


def test_verdicts_equal_a_count_by_hand(acts_set, new, score_sets) -> None:
    rows_of_all = table(scoring.verdicts(score_sets, new, acts_set.head, tpr=0.9))
    assert len(rows_of_all) == 4 * 9
    for scores in score_sets:
        rows = rows_of_all[rows_of_all["detector"] == scores.detector]
        known = np.sort(scores.id_scores)
        for place, row in enumerate(rows.itertuples()):
            assert row.score == pytest.approx(scores.ood["near"][place], rel=1e-12)
            below = sum(v <= row.score for v in known)
            assert row.id_percentile == pytest.approx(100 * below / len(known))
            assert row.p_value == pytest.approx((1 + below) / (len(known) + 1))
            assert row.is_id == (row.score >= row.threshold)
        assert np.mean(known >= rows["threshold"].iloc[0]) >= 0.9


def test_a_given_threshold_wins(acts_set, new, score_sets) -> None:
    found = scoring.verdicts(score_sets, new, acts_set.head, thresholds={"nan": -1.0})
    (nan,) = (v for v in found if v.detector == "negative_aware_norm")
    assert nan.is_id.all()
    assert nan.threshold == -1.0


def test_verdicts_give_one_record_per_image(acts_set) -> None:
    s = scoring.score(acts_set, "nan")
    threshold = float(np.median(s.id_scores))
    far, head = acts_set["far"], acts_set.head
    (found,) = scoring.verdicts([s], far, head, thresholds={"nan": threshold})
    records = list(found.records())
    assert len(records) == 50
    first = records[0]
    assert list(first) == [
        "path", "prediction", "probability", "score", "threshold", "is_id", "id_percentile",
    ]  # fmt: skip
    z = np.asarray(acts_set["far"].logits[0], float)
    assert first["prediction"] == head.names[z.argmax()]
    assert first["probability"] == pytest.approx(np.exp(z).max() / np.exp(z).sum())
    assert first["score"] == s.ood["far"][0]
    assert first["is_id"] == (first["score"] >= threshold)
    assert first["id_percentile"] == pytest.approx(100 * np.mean(s.id_scores <= first["score"]))
    assert not any(math.isnan(r["probability"]) for r in records)


def test_verdicts_need_a_detector(acts_set, new) -> None:
    with pytest.raises(DataError, match="verdicts need at least one detector, got none"):
        scoring.verdicts([], new, acts_set.head)

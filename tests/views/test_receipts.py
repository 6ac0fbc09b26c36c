from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ood_core import scoring
from ood_core.activations import Activations
from ood_core.errors import DataError
from ood_core.views import receipts


@pytest.fixture
def new(acts_set) -> Activations:
    return acts_set["near"].take(slice(0, 9))


@pytest.fixture
def score_sets(acts_set):
    return [
        scoring.score(acts_set, name) for name in ("negative_aware_norm", "energy", "line", "knn")
    ]


def test_wide_has_one_row_per_image_and_counts_rejections(acts_set, new, score_sets) -> None:
    found = scoring.verdicts(score_sets, new, acts_set.head)
    verdicts, table = receipts.table(found), receipts.wide(found, "negative_aware_norm")
    own = verdicts[verdicts["detector"] == "negative_aware_norm"].reset_index(drop=True)
    for column in ("image", "score", "is_id", "id_percentile", "p_value"):
        pd.testing.assert_series_equal(table[column], own[column])
    assert list(table["prediction"]) == list(found[0].predictions)
    assert list(table["probability"]) == list(found[0].probability)
    assert list(table["image"]) == list(new.ids)
    assert len(json.dumps(receipts.records(table))) > 100
    for row in table.to_dict("records"):
        own = verdicts[verdicts["image"] == row["image"]]
        assert row["rejected_by"] == int((~own["is_id"]).sum())
        assert row["accepts_knn"] == own.set_index("detector").loc["knn", "is_id"]


def test_agreement_names_the_minority() -> None:
    rows = pd.DataFrame(
        {
            "image": "a",
            "detector": ["negative_aware_norm", "line", "knn"],
            "is_id": [True, False, True],
        }
    )
    assert receipts.agreement(rows, "a") == (
        "2 of 3 detectors accept it as ID. Rejected only by LINe."
    )
    same = rows.assign(is_id=False)
    assert receipts.agreement(same, "a") == "All 3 detectors reject it as OOD."


def test_nearest_equals_a_slow_search(acts_set, new) -> None:
    test = acts_set["test"]
    h = new.features[0].astype(float)
    found = receipts.nearest(test, h, k=5)

    def slow(row: np.ndarray) -> float:
        a, b = row / (np.linalg.norm(row) + 1e-10), h / (np.linalg.norm(h) + 1e-10)
        return float(np.sqrt(((a - b) ** 2).sum()))

    distances = sorted((slow(row.astype(float)), i) for i, row in enumerate(test.features))[:5]
    assert list(found["index"]) == [i for _, i in distances]
    np.testing.assert_allclose(found["score"], [d for d, _ in distances], atol=1e-12)
    with pytest.raises(DataError, match="one image has 8 features here"):
        receipts.nearest(test, np.zeros(3))


def test_top_neurons_names_what_line_does() -> None:
    neurons = pd.DataFrame(
        {
            "neuron": range(4),
            "before": [0.1, -3.0, 2.0, 1.0],
            "kept": [True, True, False, True],
            "clipped": [False, True, True, False],
        }
    )
    top = receipts.top_neurons(neurons, most=3)
    assert list(top["neuron"]) == [1, 2, 3]
    assert list(top["state"]) == ["clipped", "masked", "kept"]


def test_heat_is_the_mean_positive_part() -> None:
    maps = np.array([[[1.0, -2.0], [3.0, 0.0]], [[1.0, 4.0], [-9.0, 0.0]]])
    np.testing.assert_allclose(receipts.heat(maps), np.array([[1.0, 2.0], [1.5, 0.0]]) / 2)
    np.testing.assert_array_equal(receipts.heat(-np.ones((2, 3, 3))), np.zeros((3, 3)))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_overlay_keeps_the_shape_and_marks_only_active_places(mode: str) -> None:
    image = Image.new(mode, (40, 20), 128 if mode == "L" else (128,) * len(mode))
    heatmap = np.zeros((4, 8))
    heatmap[:, :4] = 1
    mixed = np.asarray(receipts.overlay(image, heatmap, 80)).astype(int)
    assert mixed.shape == (40, 80, 3)
    np.testing.assert_array_equal(mixed[20, 75], [128, 128, 128])
    assert mixed[20, 5, 0] > mixed[20, 5, 2] + 60


def test_infinite_scores_become_none_in_json() -> None:
    rows = receipts.records(pd.DataFrame({"score": [-np.inf, 1.5], "image": ["a", "b"]}))
    assert rows == [{"score": None, "image": "a"}, {"score": 1.5, "image": "b"}]


def test_figures_carry_every_neuron_and_detector(acts_set, new, score_sets) -> None:
    from ood_core.neurons.line_image import image_receipt
    from ood_core.plots.receipts import neuron_bars, percentile_dots

    line = next(s.fitted for s in score_sets if s.detector == "line")
    rows = receipts.top_neurons(image_receipt(line, acts_set.head, new.features[0]).neurons)
    bars = neuron_bars(rows, "2")
    assert sum(len(t.x) for t in bars.data) == len(rows)
    assert bars.layout.xaxis.title.text
    assert bars.layout.yaxis.title.text
    verdicts = receipts.table(scoring.verdicts(score_sets, new, acts_set.head))
    dots = percentile_dots(
        verdicts[verdicts["image"] == new.ids[0]], {"negative_aware_norm": "NAN"}
    )
    assert sum(len(t.x) for t in dots.data) == 4
    longest = max(len(name) for trace in dots.data for name in trace.y)
    assert dots.layout.margin.l >= 7 * longest, "names fit left of the marks"
    assert not any(t.cliponaxis for t in dots.data), "marks at 100 % are whole"

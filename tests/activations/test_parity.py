"""The DenseNet of DICE and LINe on real images, through extraction, detectors and metrics.

OOD_LENS_TEST_HOME names a folder that keeps the activations from one run to the next.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from ood_core import load_experiment, make_detector, metrics
from ood_core.activations import ActivationSet, extract

TABLE = Path(__file__).parents[1] / "golden" / "parity.csv"
CLOSE_AUROC = 0.05  # points
PARAMETERS = {"feature_norm": {"p": 1}, "line": {"p_w": 90, "clip": 1.0}, "knn": {"k": 50}}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parity")


@pytest.fixture
def acts(real_data: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> ActivationSet:
    monkeypatch.undo()  # the small shards of the other tests
    monkeypatch.setenv("OOD_LENS_DATA", str(real_data))
    monkeypatch.setenv("OOD_LENS_HOME", os.environ.get("OOD_LENS_TEST_HOME", str(home)))
    return extract(load_experiment("cifar10-jpeg-densenet"), layers=["penultimate"])


def _rows() -> list[dict[str, str]]:
    return list(csv.DictReader(TABLE.read_text().splitlines()))


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_accuracy_is_that_of_the_published_network(acts: ActivationSet) -> None:
    for name, accuracy in (("fit", 85.65), ("test", 82.70)):
        found = 100 * np.mean(acts[name].logits.argmax(1) == acts[name].labels)
        assert found == pytest.approx(accuracy, abs=0.005)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("row", _rows(), ids=lambda r: f"{r['detector']}-{r['p_a']}-{r['ood']}")
def test_row_of_the_table(acts: ActivationSet, row: dict[str, str]) -> None:
    params = dict(PARAMETERS.get(row["detector"], {}))
    if row["p_a"]:
        params["p_a"] = int(row["p_a"])
    detector = make_detector(row["detector"], **params).fit(acts["fit"], acts.head)
    scores, ood = detector.score_samples(acts["test"]), detector.score_samples(acts[row["ood"]])
    assert 100 * metrics.auroc(scores, ood) == pytest.approx(float(row["auroc"]), abs=CLOSE_AUROC)
    one_image = 100 / len(ood)
    assert 100 * metrics.fpr_at_tpr(scores, ood) == pytest.approx(
        float(row["fpr95"]), abs=one_image + 1e-9
    )

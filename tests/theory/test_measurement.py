"""The user's own network: measured where it is, kept, read back, written as a table."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest

import ood_core
from ood_core.commands import _main as cli
from ood_core.errors import ConfigError, ModelError, StoppedError
from ood_core.theory import background, measure_layer, measured_layer, measurement, theory_table
from ood_core.theory.hidden_classifier import HiddenClassifier, measure_head
from ood_core.theory.stored_measurements import Key, read_measured, write_measured


@pytest.fixture
def digits(digits_home, tmp_path, monkeypatch):
    """`digits` prepared; measurements are kept in a folder of this test."""
    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))
    monkeypatch.setattr("ood_core.theory.stored_measurements.home", lambda: tmp_path)
    return ood_core.prepared(ood_core.load_experiment("digits"))


def assert_same(a: HiddenClassifier, b: HiddenClassifier) -> None:
    for field in dataclasses.fields(HiddenClassifier):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, np.ndarray):
            np.testing.assert_array_equal(x, y, err_msg=field.name)
        else:
            assert x == y, field.name


def test_penultimate_layer_is_the_closed_form_of_stored_features(digits):
    found = measured_layer(digits)
    assert list(found) == ["test", *digits.experiment.ood_sets]
    test = digits["test"]
    assert_same(found["test"], measure_head(test.features, digits.head, test.labels))
    assert found["test"].accuracy.value > 0.9


def test_last_hidden_layer_by_autograd_equals_the_closed_form(digits, monkeypatch):
    """The same layer both ways: through the network's tail, and from the head's weights."""
    monkeypatch.setattr(measurement, "PENULTIMATE", "none")
    by_tail = measure_layer(digits, "penultimate", ["test"], per_set=60)["test"]
    rows = np.linspace(0, len(digits["test"]) - 1, 60).round().astype(int)
    closed = measure_head(digits["test"].features[rows], digits.head, digits["test"].labels[rows])
    for name in ("norm", "confidence", "prediction", "sign_difference", "bias"):
        np.testing.assert_allclose(
            getattr(by_tail, name), getattr(closed, name), rtol=1e-4, atol=1e-3, err_msg=name
        )


def test_a_layer_is_measured_once_and_kept(digits, monkeypatch):
    layer = digits.layers[-2].name
    assert measured_layer(digits, layer, per_set=20) is None
    first = measure_layer(digits, layer, ["test", "held-out"], per_set=20)
    assert len(first["test"]) == 20
    assert first["test"].violations == 0
    record = digits["test"].layer(layer)
    rows = measurement.rows_measured(digits["test"], layer, 20)
    np.testing.assert_allclose(first["test"].norm, record.l1[rows], rtol=1e-4)
    monkeypatch.setattr(measurement, "measure_tail", None)
    again = measure_layer(digits, layer, ["test", "held-out"], per_set=20)
    assert_same(first["test"], again["test"])
    assert measured_layer(digits, layer, ["test"], per_set=20) is not None
    assert measured_layer(digits, layer, ["test"], per_set=21) is None


def test_stop_keeps_finished_sets(digits):
    layer, calls = digits.layers[-2].name, []

    def stop() -> bool:
        calls.append(1)
        return measured_layer(digits, layer, ["test"], per_set=10) is not None

    with pytest.raises(StoppedError):
        measure_layer(digits, layer, ["test", "noise"], per_set=10, should_stop=stop)
    assert measured_layer(digits, layer, ["test"], per_set=10) is not None
    assert measured_layer(digits, layer, ["noise"], per_set=10) is None


def test_many_classes_are_measured_on_the_largest_logits(digits, monkeypatch):
    monkeypatch.setattr(measurement, "MOST_CLASSES", 4)
    monkeypatch.setattr(measurement, "TOP", 3)
    found = measure_layer(digits, digits.layers[-2].name, ["test"], per_set=10)["test"]
    assert (found.classes_used, found.n_classes) == (3, 8)


def test_errors(digits):
    with pytest.raises(ModelError, match="unknown layer 'block9'"):
        measure_layer(digits, "block9", per_set=4)
    with pytest.raises(ConfigError, match="no set 'rain'"):
        measure_layer(digits, sets=["rain"])
    with pytest.raises(ConfigError, match="per_set must be at least 1 image; got 0"):
        measure_layer(digits, per_set=0)


def test_kept_measurement_is_exact_and_a_damaged_one_is_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr("ood_core.theory.stored_measurements.home", lambda: tmp_path)
    rng = np.random.default_rng(0)
    value = measure_head(
        rng.normal(size=(9, 5)), head=ood_core.ClassifierHead(rng.normal(size=(3, 5)))
    )
    key = Key("model", "images", "layer", 9, None)
    path = write_measured(key, value)
    assert_same(read_measured(key), value)
    for other in (Key("model2", "images", "layer", 9, None), Key("model", "images", "layer", 9, 3)):
        assert read_measured(other) is None
    path.write_bytes(path.read_bytes()[:40])
    assert read_measured(key) is None
    assert not path.exists()


def test_old_measurements_are_pruned(tmp_path, monkeypatch):
    monkeypatch.setattr("ood_core.theory.stored_measurements.home", lambda: tmp_path)
    monkeypatch.setattr("ood_core.theory.stored_measurements._KEPT", 2)
    value = measure_head(np.ones((2, 3)), ood_core.ClassifierHead(np.ones((2, 3))))
    keys = [Key("model", "images", f"layer{i}", 1, None) for i in range(3)]
    for key in keys:
        write_measured(key, value)
        time.sleep(0.01)
    assert [read_measured(key) is not None for key in keys] == [False, True, True]


def test_table_and_command(digits, tmp_path, capsys):
    exp = digits.experiment
    table = theory_table(exp, sets=["test", "photos"])
    assert list(table["set"].unique()) == ["test", "photos"]
    assert table["id"].iloc[0] == digits["test"].ids[0]
    assert (table["feature_norm"] >= table["hidden_max_logit"] - 1e-9).all()
    out = tmp_path / "theory.csv"
    assert cli.main(["theory", "digits", "--out", str(out), "--quiet"]) == 0
    shown = capsys.readouterr()
    assert "test" in shown.out
    assert "violations 0" in shown.out
    assert out.read_text().startswith("set,id,layer,label,hidden_prediction,feature_norm")
    assert cli.main(["theory", "digits", "--sets", "test", "--json", "--quiet"]) == 0
    assert '"accuracy"' in capsys.readouterr().out
    assert cli.main(["theory", "digits", "--layer", "nope", "--quiet"]) == 1
    assert "unknown layer 'nope'" in capsys.readouterr().err


def test_jobs_run_once_stop_and_report(digits, monkeypatch):
    started = []

    def slow(acts, layer, progress, should_stop):
        started.append(layer)
        while not should_stop():
            time.sleep(0.01)
        raise StoppedError("stopped")

    monkeypatch.setattr(background, "measure_layer", slow)
    monkeypatch.setattr(background, "run_lab", lambda runs, report, stop: "trained")
    job = background.start_measurement(digits, "block1")
    assert background.start_measurement(digits, "block1") is job
    assert background.find_measurement(digits, "block1") is job
    waiting = background.start_lab()
    job.stop()
    assert job.wait(5)
    assert job.state == "stopped"
    assert waiting.wait(5)
    assert (waiting.state, waiting.result) == ("done", "trained")
    assert background.find_lab() is waiting
    assert started == ["block1"]


@pytest.mark.data
@pytest.mark.slow
def test_densenet_last_block(real_data, tmp_path, monkeypatch):
    """The real DenseNet at the input of its head and at its last block, a few images."""
    from ood_core.experiments import load_experiment

    monkeypatch.setenv("OOD_LENS_DATA", str(real_data))
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path))
    exp = dataclasses.replace(load_experiment("cifar10-jpeg-densenet"))
    exp = dataclasses.replace(
        exp,
        sets={"test": dataclasses.replace(exp.sets["test"], options={"limit": 24})},
        fit_set="test",
        ood_sets=(),
    )
    acts = ood_core.extract(exp, layers=["relu"])
    found = measure_layer(acts, "relu", per_set=24)["test"]
    closed = measure_layer(acts)["test"]
    assert found.violations == closed.violations == 0
    assert found.n_units == 342 * 8 * 8
    # Mean pooling: every position has the head's weight over 64, so the hidden classifier of
    # the map is the head's own, 64 times as large.
    np.testing.assert_allclose(found.confidence, 64 * closed.confidence, rtol=1e-4)
    np.testing.assert_array_equal(found.prediction, closed.prediction)

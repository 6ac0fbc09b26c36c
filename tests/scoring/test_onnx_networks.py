"""An experiment whose network is an ONNX file: every score is that of the same network in torch."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ood_core import all_detectors
from ood_core.activations import PENULTIMATE, extract, prepared
from ood_core.activations.resident_models import forget_models
from ood_core.commands._main import main
from ood_core.errors import ConfigError, ModelError
from ood_core.experiments import (
    ClassifierSpec,
    DataSpec,
    Experiment,
    Preprocessing,
    load_experiment,
)
from ood_core.export import export
from ood_core.models import load_model
from ood_core.scoring import run_gates, score
from ood_core.theory import measure_layer, not_measurable
from tests import onnx_networks as nets

SIZES = {"fit": 40, "test": 20, "noise": 12}


@pytest.fixture
def torch_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path / "home"))
    rng, sets = np.random.default_rng(0), {}
    for name, count in SIZES.items():
        for number in range(count):
            target = tmp_path / "images" / name / str(number % 4)
            target.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (16, 16), dtype=np.uint8)
            Image.fromarray(pixels).save(target / f"{number:03d}.png")
        sets[name] = DataSpec(name, "folder", str(tmp_path / "images" / name))
    forget_models()
    return Experiment(
        name="tiny",
        title="Tiny",
        classifier=ClassifierSpec("digits_cnn", random_weights=0, num_classes=4),
        preprocessing=Preprocessing(16, 16, (0.3,), (0.32,), mode="L"),
        sets=sets,
        ood_sets=("noise",),
    )


@pytest.fixture
def onnx_experiment(torch_experiment: Experiment, tmp_path: Path) -> Experiment:
    """The same network as a file."""
    module = load_model(torch_experiment).module
    path = nets.export(module, tmp_path / "net.onnx", shape=(1, 16, 16))
    spec = ClassifierSpec("onnx", checkpoint=path, num_classes=4)
    return dataclasses.replace(torch_experiment, classifier=spec)


def test_every_score_is_that_of_the_network(
    digits_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))
    digits = load_experiment("digits")
    module = load_model(digits).module
    path = nets.export(module, tmp_path / "net.onnx", shape=(1, 16, 16))
    spec = ClassifierSpec("onnx", checkpoint=path)
    known = extract(digits)
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path))
    ours = extract(dataclasses.replace(digits, classifier=spec, detectors={}))
    assert [layer.shape for layer in ours.layers] == [layer.shape for layer in known.layers]
    for detector, cls in all_detectors().items():
        if cls.unavailable_reason(known[digits.fit_set], known.head, model=True):
            continue
        wanted, got = score(known, detector), score(ours, detector)
        for name, other in {"": wanted.id_scores, **wanted.ood}.items():
            mine = got.ood[name] if name else got.id_scores
            scale = np.abs(other[np.isfinite(other)]).max()
            np.testing.assert_allclose(mine, other, 1e-5, 1e-5 * scale, err_msg=detector)
    for mine, other in zip(ours.layers, known.layers, strict=True):
        got, wanted = (a["noise"].layer(n.name) for a, n in ((ours, mine), (known, other)))
        np.testing.assert_allclose(got.pooled, wanted.pooled, rtol=1e-5, atol=1e-6)
    assert [gate.ok for gate in run_gates(ours)] == [gate.ok for gate in run_gates(known)]


def test_options_of_the_pass_change_nothing(
    onnx_experiment: Experiment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = extract(onnx_experiment)
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path / "other"))
    other = extract(onnx_experiment, amp=True, channels_last=True, compile=True, batch_size=3)
    np.testing.assert_allclose(
        other["noise"].features, plain["noise"].features, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(other["noise"].logits, plain["noise"].logits, rtol=1e-5, atol=1e-6)


def test_what_needs_gradients_says_why_there_are_none(
    onnx_experiment: Experiment, tmp_path: Path
) -> None:
    acts = extract(onnx_experiment)
    with pytest.raises(ModelError, match=r"ODIN with epsilon > 0 .* Set epsilon = 0"):
        score(acts, "odin", {"epsilon": 0.001})
    with pytest.raises(ModelError, match="not differentiated"):
        measure_layer(acts, acts.layers[0].name)
    with pytest.raises(ConfigError, match="no torch module"):
        export(acts, "energy", tmp_path / "detector.pt2")
    assert "not differentiated" in not_measurable(acts)
    assert measure_layer(acts, PENULTIMATE)


def test_without_a_head(onnx_experiment: Experiment) -> None:
    """The tensor of features goes by its own name, its operator's or its layer's."""
    whole = extract(onnx_experiment)
    spec = dataclasses.replace(onnx_experiment.classifier, num_classes=0, features="relu")
    acts = extract(dataclasses.replace(onnx_experiment, classifier=spec))
    assert acts.head is None
    np.testing.assert_allclose(
        acts["noise"].features, whole["noise"].features, rtol=1e-6, atol=1e-7
    )


def test_what_is_stored_needs_no_runtime(
    onnx_experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract(onnx_experiment)
    monkeypatch.setattr("ood_core.activations.extraction.resident_model", None)
    assert prepared(onnx_experiment) is not None


def test_a_file_without_an_architecture_is_benchmarked(
    onnx_experiment: Experiment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        '[classifier]\ncheckpoint = "net.onnx"\n'
        '[preprocessing]\nresize = 16\ncenter_crop = 16\nmean = [0.3]\nstd = [0.32]\nmode = "L"\n'
        '[id]\nfit = { folder = "images/fit" }\ntest = { folder = "images/test" }\n'
        '[[ood]]\nname = "noise"\nfolder = "images/noise"\n'
    )
    assert load_experiment(file).classifier.architecture == "onnx"
    out = tmp_path / "results.csv"
    assert (
        main(["benchmark", str(file), "--detectors", "energy,line", "--out", str(out), "--quiet"])
        == 0
    )
    assert "line" in out.read_text()
    resnet = file.read_text().replace("checkpoint", 'architecture = "resnet20"\ncheckpoint')
    file.write_text(resnet)
    assert main(["benchmark", str(file), "--detectors", "energy", "--quiet"]) == 1
    assert "leave architecture out" in capsys.readouterr().err

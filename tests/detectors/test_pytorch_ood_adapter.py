"""The adapter: sign, inputs, parameters and errors."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest

from ood_core.detectors import all_detectors, detector_class, discovery, make_detector
from ood_core.detectors.contract import check_detector
from ood_core.detectors.pytorch_ood_adapter import adapt
from ood_core.errors import ConfigError

pytest.importorskip("pytorch_ood")


def test_a_feature_detector_with_its_sign_turned(small):
    import torch
    from pytorch_ood.detector import RMD

    found = make_detector("pytorch_ood:RMD").fit(small.fit).score_samples(small.test)
    theirs = RMD(None).fit_features(
        torch.tensor(small.h_fit, dtype=torch.float32), torch.tensor(small.labels)
    )
    expected = -theirs.predict_features(torch.tensor(small.h, dtype=torch.float32))
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-6)


@pytest.mark.parametrize("name", ["GMM", "Entropy", "RMD", "NCI", "VRA"])
def test_adapted_detectors_pass_the_contract(name):
    assert [r for r in check_detector(f"pytorch_ood:{name}") if not r.passed] == []


def test_the_contract_finds_what_pytorch_ood_leaves_undefined():
    failed = {r.check: r.message for r in check_detector("pytorch_ood:SCALE") if not r.passed}
    assert "gave NaN for 1 of 61" in failed["scores are finite or -inf, for an all-zero image too"]


def test_parameters_are_those_of_the_wrapped_constructor(small):
    cls = detector_class("pytorch_ood:ViM")
    assert cls.defaults() == {"d": None}
    assert cls.needs == {"head", "fit", "labels"}
    with pytest.raises(ConfigError, match=r"parameter 'd' must be given"):
        cls().fit(small.fit, small.head)
    ours = make_detector("vim", dim=5).fit(small.fit, small.head).score_samples(small.test)
    theirs = cls(d=5).fit(small.fit, small.head).score_samples(small.test)
    np.testing.assert_allclose(theirs, ours, rtol=1e-4)


def test_an_adapted_detector_can_be_pickled(small):
    detector = make_detector("pytorch_ood:KNN", k=4).fit(small.fit)
    copy = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(
        copy.score_samples(small.test), detector.score_samples(small.test)
    )


@pytest.mark.parametrize("name", ["MCD", "Nothing", "odin_preprocessing"])
def test_what_needs_the_network_is_refused(name):
    with pytest.raises(ConfigError, match=r"works on features or logits. .*Available: ASH, DICE"):
        make_detector(f"pytorch_ood:{name}")


def test_without_pytorch_ood_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_ood.detector", None)
    adapt.cache_clear()
    with pytest.raises(ConfigError, match="needs pytorch-ood: pip install pytorch-ood"):
        make_detector("pytorch_ood:RMD")
    adapt.cache_clear()


def test_an_adapted_detector_can_be_a_plugin(tmp_path, monkeypatch):
    (tmp_path / "ood_rmd.py").write_text(
        "from ood_core.detectors.pytorch_ood_adapter import adapt\nRMD = adapt('RMD')\n"
    )
    info = tmp_path / "ood_rmd-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ood-rmd\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[ood_core.detectors]\nrmd = ood_rmd:RMD\n")
    monkeypatch.syspath_prepend(tmp_path)
    discovery.forget()
    try:
        assert all_detectors()["pytorch_ood:RMD"].title == "RMD (pytorch-ood)"
    finally:
        discovery.forget()

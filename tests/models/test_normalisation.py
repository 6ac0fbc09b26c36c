"""Means and stds of images that lie in a checkpoint are found, whatever they are called."""

from __future__ import annotations

import argparse
import math

import pytest
import torch
from torch import nn

from ood_core.models import nearest
from ood_core.models.fitting import load_weights, randomise
from ood_core.models.normalisation import stored_normalisations

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 3))


WEIGHTS = dict(randomise(network, 1).state_dict())


@pytest.fixture(autouse=True)
def few_architectures(monkeypatch):
    monkeypatch.setattr(nearest, "_names", lambda: ("digits_cnn",))


def image(values, factor=1.0):
    return (torch.tensor(values) * factor).view(1, 3, 1, 1)


def under(prefix):
    return {f"{prefix}{name}": tensor for name, tensor in WEIGHTS.items()}


STORED = {
    "mu beside the layers": lambda m, s: {"mu": m, "sigma": s, **WEIGHTS},
    "mu beside the network": lambda m, s: {"mu": m, "sigma": s, **under("model.")},
    "robustness": lambda m, s: {
        "model": {"module.normalizer.new_mean": m, "module.normalizer.new_std": s,
                  **under("module.model.")}
    },
    "a layer": lambda m, s: {"normalize.mean": m, "normalize.std": s, **under("net.")},
    "first of a sequence": lambda m, s: {"0.mean": m, "0.std": s, **under("1.")},
    "attribute names": lambda m, s: {"pixel_mean": m, "pixel_std": s, **under("backbone.")},
    "camel case": lambda m, s: {"imgMean": m, "imgStd": s, **under("net.")},
    "variance": lambda m, s: {"norm.mean": m, "norm.variance": s**2, **under("net.")},
    "beside the state dict": lambda m, s: {"state_dict": WEIGHTS, "mean": m, "std": s},
    "lists": lambda m, s: {
        "state_dict": WEIGHTS,
        "config": {"mean": m.flatten().tolist(), "std": tuple(s.flatten().tolist())},
    },
    "arguments": lambda m, s: {
        "state_dict": WEIGHTS,
        "args": argparse.Namespace(mean=m.flatten().tolist(), std=s.flatten().tolist()),
    },
    "half precision": lambda m, s: {"mu": m.half(), "sigma": s.half(), **under("model.")},
    "shape (3,)": lambda m, s: {"mean": m.flatten(), "std": s.flatten(), **under("model.")},
}  # fmt: skip


SCALED = [
    pytest.param(make, scale, id=f"{name}-{scale}")
    for name, make in STORED.items()
    for scale in (1, 255)
    if (name, scale) != ("half precision", 255)  # rounds to an eighth
]


@pytest.mark.parametrize(("make", "scale"), SCALED)
def test_constants_are_found_and_the_network_is_loaded(make, scale, tmp_path):
    path = tmp_path / "net.pth"
    content = make(image(MEAN, scale), image(STD, scale))
    torch.save(content, path)
    fresh = network()
    report = load_weights(fresh, path, "mine")
    assert torch.equal(fresh[0].weight, WEIGHTS["0.weight"])
    (found,) = report.normalisations
    assert found.mean == pytest.approx(MEAN, abs=2e-4)
    assert found.std == pytest.approx(STD, abs=2e-4)
    assert found.scale == scale
    assert report.left_out == ()
    for name in found.names:
        assert name in report.text


def test_values_are_those_that_were_typed(tmp_path):
    (found,) = stored_normalisations({"mean": torch.tensor(MEAN), "std": torch.tensor(STD)})
    assert (found.mean, found.std) == (MEAN, STD)


def test_one_value_is_for_every_channel():
    (found,) = stored_normalisations({"mu": torch.tensor([0.5]), "sigma": torch.tensor(0.25)})
    assert found.per_channel(3) == ((0.5,) * 3, (0.25,) * 3)
    assert found.per_channel(1) == ((0.5,), (0.25,))
    (three,) = stored_normalisations({"mean": list(MEAN), "std": [0.25]})
    assert three.per_channel(3) == (MEAN, (0.25,) * 3)
    assert three.per_channel(1) is None


def test_caffe_constants_are_for_bytes_and_in_another_order():
    (found,) = stored_normalisations({"mean": [103.53, 116.28, 123.675], "std": [1.0, 1.0, 1.0]})
    assert found.scale == 255
    assert found.std == pytest.approx((1 / 255,) * 3, rel=1e-5)
    assert found.bgr
    (usual,) = stored_normalisations({"mean": [0.485, 0.456, 0.406], "std": [0.2] * 3})
    assert not usual.bgr


NONE = {
    "batch norm": {"bn.running_mean": torch.ones(3), "bn.running_var": torch.ones(3)},
    "only a mean": {"mean": list(MEAN)},
    "nothing is changed": {"mean": [0.0] * 3, "std": [1.0] * 3},
    "bytes, nothing but the scale": {"mean": [0.0] * 3, "std": [255.0] * 3},
    "negative": {"mean": [-1.0, 0.5, 0.5], "std": [0.5] * 3},
    "no scale": {"mean": [1.5] * 3, "std": [0.5] * 3},
    "beyond bytes": {"mean": [300.0] * 3, "std": [60.0] * 3},
    "zero": {"mean": [0.5] * 3, "std": [0.0] * 3},
    "nan": {"mean": [math.nan] * 3, "std": [0.5] * 3},
    "other sizes": {"mean": torch.ones(7), "std": torch.ones(7)},
    "figures of a run": {"mean": 91.5, "std": 0.3},
    "text": {"mean": ["a", "b", "c"], "std": ["a", "b", "c"]},
    "unlike names": {"grad_mean": list(MEAN), "loss_std": list(STD)},
}


@pytest.mark.parametrize("content", NONE.values(), ids=NONE)
def test_what_is_no_normalisation(content):
    assert stored_normalisations(content) == ()


def test_what_the_network_applies_itself_is_no_matter(tmp_path):
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", image(MEAN))
            self.register_buffer("std", image(STD))
            self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

    torch.save({"model": Own().state_dict()}, tmp_path / "net.pth")
    report = load_weights(Own(), tmp_path / "net.pth", "mine")
    assert report.normalisations == ()


def test_two_different_pairs_are_both_named():
    content = {"a": {"mean": list(MEAN), "std": list(STD)}, "mu": [0.5] * 3, "sigma": [0.5] * 3}
    again = {"b": {"mean": list(MEAN), "std": list(STD)}}
    assert {p.names for p in stored_normalisations(content | again)} == {
        ("a.mean", "a.std"), ("mu", "sigma"),
    }  # fmt: skip

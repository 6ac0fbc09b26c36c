"""Streamed quantities against loops over an explicit C(x)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from ood_core.errors import ConfigError, DataError, StoppedError
from ood_core.models import ClassifierHead
from ood_core.theory.hidden_classifier import activation_entropy, measure_head, measure_tail
from tests.theory.written_out import coefficients


@pytest.fixture(scope="module", params=["relu", "signed", "gelu"])
def case(request):
    torch.manual_seed(3)
    act = nn.GELU if request.param == "gelu" else nn.ReLU
    tail = nn.Sequential(
        nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), act(), nn.Flatten(), nn.Linear(24, 5)
    ).double().eval()  # fmt: skip
    x = torch.randn(23, 4, 4, 4, dtype=torch.float64)
    if request.param == "relu":
        x = torch.relu(x)
        x[7] = 0
    labels = np.arange(23) % 5
    labels[2] = -1
    return tail, x, labels


def batches(x, labels, size=6):
    return [
        (x[i : i + size], None if labels is None else labels[i : i + size])
        for i in range(0, len(x), size)
    ]


def sign(v):
    return np.where(v > 0, 1.0, -1.0)


def slow(tail, x, labels, chosen=None):
    """Every quantity of one image at a time, from the definitions."""
    c, beta = coefficients(tail, x)
    rows = []
    for i, a in enumerate(x.flatten(1).numpy()):
        classes = range(c.shape[1]) if chosen is None else chosen[i]
        psi = {k: float(sign(c[i, k]) @ a) for k in classes}
        best = max(psi, key=lambda k: psi[k])
        p = np.exp([v - psi[best] for v in psi.values()])
        p /= p.sum()
        gap = {k: np.abs(a).sum() - v for k, v in psi.items()}
        differ = {k: np.abs(sign(a) - sign(c[i, k])).sum() for k in range(c.shape[1])}
        rows.append(
            {
                "norm": np.abs(a).sum(),
                "confidence": psi[best],
                "prediction": best,
                "entropy": -sum(v * math.log(v) for v in p if v > 0),
                "sign_difference": differ[labels[i]] if labels[i] >= 0 else np.nan,
                "sign_difference_predicted": differ[best],
                "bias": np.linalg.norm([beta[i, k] for k in classes]),
                "lower_slack": min(gap.values()),
                "upper_slack": min(np.abs(a).max() * differ[k] - gap[k] for k in classes),
                "approximation_error": np.abs(a).sum() - psi[best],
            }
        )
    return {k: np.array([r[k] for r in rows]) for k in rows[0]}


def assert_equal(got, want):
    for name, values in want.items():
        np.testing.assert_allclose(getattr(got, name), values, rtol=1e-9, atol=1e-9, err_msg=name)


def test_streamed_quantities_equal_the_definitions(case):
    tail, x, labels = case
    got = measure_tail(tail, batches(x, labels), layer="conv")
    assert_equal(got, slow(tail, x, labels))
    active = (x.flatten(1) > 0).double().mean(0).numpy()
    assert got.activation_entropy == pytest.approx(activation_entropy(active))
    assert (got.n_units, got.n_classes, got.classes_used) == (64, 5, 5)


def test_equation_5_is_never_violated_and_the_error_has_its_closed_form(case):
    tail, x, labels = case
    got = measure_tail(tail, batches(x, labels))
    assert got.violations == 0
    assert got.lower_slack.min() >= -1e-9
    assert got.upper_slack.min() >= -1e-9
    np.testing.assert_allclose(got.approximation_error, got.mismatch_mass, atol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_equation_5_on_random_networks_in_float32(seed):
    torch.manual_seed(seed)
    wide = int(torch.randint(2, 40, (1,)))
    tail = nn.Sequential(nn.Linear(wide, 16), nn.LeakyReLU(0.2), nn.Linear(16, 3)).eval()
    x = torch.randn(64, wide) * 10 ** float(torch.randint(-3, 4, (1,)))
    got = measure_tail(tail, [(torch.relu(x) if seed % 2 else x, None)])
    assert got.violations == 0


def test_class_subsets(case):
    tail, x, labels = case
    logits = tail(x).detach()
    top = logits.topk(2, dim=1).indices.numpy()
    assert_equal(measure_tail(tail, batches(x, labels), top=2), slow(tail, x, labels, top))
    fixed = [[3, 1]] * len(x)
    some = measure_tail(tail, batches(x, labels), classes=[3, 1])
    assert_equal(some, slow(tail, x, labels, fixed))
    assert (some.n_classes, some.classes_used) == (5, 2)
    without = measure_tail(tail, batches(x, None), top=2)
    assert np.isnan(without.sign_difference).all()
    np.testing.assert_allclose(without.confidence, slow(tail, x, labels, top)["confidence"])


def test_last_layer_in_closed_form_equals_autograd(case):
    _, x, labels = case
    fc = nn.Linear(64, 5).double()
    flat = x.flatten(1)
    head = ClassifierHead(fc.weight.detach().numpy(), fc.bias.detach().numpy())
    by_tail = measure_tail(fc, batches(flat, labels))
    by_head = measure_head(flat.numpy(), head, labels)
    for name in ("norm", "confidence", "entropy", "sign_difference", "upper_slack", "bias"):
        np.testing.assert_allclose(
            getattr(by_head, name), getattr(by_tail, name), rtol=1e-9, atol=1e-9, err_msg=name
        )
    np.testing.assert_array_equal(by_head.prediction, by_tail.prediction)
    np.testing.assert_allclose(by_head.mismatch_mass, by_head.approximation_error, atol=1e-9)
    assert by_head.activation_entropy == pytest.approx(by_tail.activation_entropy)


def test_batches_do_not_matter(case):
    tail, x, labels = case
    one, many = (measure_tail(tail, batches(x, labels, size)).frame() for size in (23, 1))
    np.testing.assert_allclose(one.iloc[:, 1:].astype(float), many.iloc[:, 1:].astype(float))


def test_a_caller_without_gradients_gets_the_same(case):
    tail, x, labels = case
    with torch.no_grad():
        got = measure_tail(tail, batches(x, labels))
    assert_equal(got, slow(tail, x, labels))


def test_activation_entropy_by_hand():
    expected = np.mean([0, 0, math.log(2), -0.25 * math.log(0.25) - 0.75 * math.log(0.75)])
    assert activation_entropy(np.array([0, 1, 0.5, 0.25])) == pytest.approx(expected)


def test_summary_and_frame_say_what_they_hold(case):
    tail, x, labels = case
    got = measure_tail(tail, batches(x, labels), layer="conv")
    row = got.summary()
    known = labels >= 0
    assert row["accuracy"] == pytest.approx((got.prediction == labels)[known].mean())
    assert row["accuracy_low"] < row["accuracy"] < row["accuracy_high"]
    assert row["correlation"] == pytest.approx(np.corrcoef(got.norm, got.confidence)[0, 1])
    assert row["relative_error"] == pytest.approx(got.relative_error.mean())
    table = got.frame([f"image {i}" for i in range(23)])
    assert list(table.columns[:3]) == ["id", "layer", "label"]
    assert len(table) == 23
    with pytest.raises(DataError, match="1 ids for 23 images"):
        got.frame(["only one"])


def test_all_zero_activation_gives_no_nan():
    got = measure_head(np.zeros((3, 4)), ClassifierHead(np.ones((2, 4))))
    assert got.relative_error.tolist() == [0, 0, 0]
    assert got.accuracy is None
    assert got.correlation is None
    assert got.violations == 0


def test_progress_and_stop(case):
    tail, x, labels = case
    seen: list[int] = []
    measure_tail(tail, batches(x, labels), on_batch=seen.append)
    assert seen == [6, 12, 18, 23]
    with pytest.raises(StoppedError):
        measure_tail(tail, batches(x, labels), should_stop=lambda: True)


def test_errors(case):
    tail, x, labels = case
    with pytest.raises(ConfigError, match="give `classes` or `top`, not both"):
        measure_tail(tail, batches(x, labels), classes=[1], top=1)
    with pytest.raises(ConfigError, match=r"classes must be some of 0 to 4, got \[5\]"):
        measure_tail(tail, batches(x, labels), classes=[5])
    with pytest.raises(ConfigError, match="top must be from 1 to the 5 classes, got 9"):
        measure_tail(tail, batches(x, labels), top=9)
    with pytest.raises(DataError, match="there were none"):
        measure_tail(tail, [])
    with pytest.raises(DataError, match="head takes 3 features"):
        measure_head(np.ones((2, 4)), ClassifierHead(np.ones((2, 3))))

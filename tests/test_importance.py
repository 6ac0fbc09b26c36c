"""Contributions against a slow version: one image, one backward pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ood_core.activations import Activations
from ood_core.errors import ConfigError, DataError
from ood_core.importance import (
    class_means,
    contributions,
    layer_contributions,
    tail_contributions,
)
from ood_core.models import ClassifierHead


def by_hand(tail, outputs, labels, n_classes, absolute=False):
    """Mean over images of Σ_positions a * grad, one backward pass an image."""
    rows = [[] for _ in range(n_classes)]
    for a, y in zip(outputs, labels, strict=True):
        a = a.detach().clone()[None].requires_grad_(True)
        tail(a)[0, int(y)].backward()
        s = (a * a.grad)[0].detach().numpy().astype(np.float64)
        s = s.reshape(len(s), -1).sum(1)
        rows[int(y)].append(np.abs(s) if absolute else s)
    return np.stack([np.mean(r, 0) for r in rows])


@pytest.fixture(scope="module")
def linear_case():
    rng = np.random.default_rng(0)
    features = np.maximum(rng.normal(size=(60, 7)), 0)
    features[3] = 0
    labels = np.arange(60) % 4
    head = ClassifierHead(rng.normal(size=(4, 7)), rng.normal(size=4))
    return Activations.from_arrays(features, labels=labels), head


def linear_tail(head):
    W, b = torch.tensor(head.weight), torch.tensor(head.bias)
    return lambda a: a @ W.T + b


@pytest.mark.parametrize("contrib", ["signed", "abs"])
def test_closed_form_equals_a_backward_pass_per_image(linear_case, contrib):
    acts, head = linear_case
    slow = by_hand(linear_tail(head), torch.tensor(acts.features), acts.labels, 4, contrib == "abs")
    np.testing.assert_allclose(contributions(acts, head, contrib), slow, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("contrib", ["signed", "abs"])
def test_batched_backward_pass_equals_the_closed_form(linear_case, contrib):
    acts, head = linear_case
    batches = [
        (torch.tensor(acts.features[i : i + 13]), acts.labels[i : i + 13]) for i in range(0, 60, 13)
    ]
    got = tail_contributions(linear_tail(head), batches, 4, contrib)
    np.testing.assert_allclose(got, contributions(acts, head, contrib), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("contrib", ["signed", "abs"])
def test_convolutional_layer_equals_a_backward_pass_per_image(contrib):
    torch.manual_seed(0)
    tail = nn.Sequential(
        nn.Conv2d(5, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(6, 3),
    ).double().eval()  # fmt: skip
    outputs = torch.relu(torch.randn(12, 5, 4, 4, dtype=torch.float64))
    labels = np.arange(12) % 3
    got = tail_contributions(
        tail, [(outputs[:5], labels[:5]), (outputs[5:], labels[5:])], 3, contrib
    )
    slow = by_hand(tail, outputs, labels, 3, contrib == "abs")
    assert got.shape == (3, 5)
    np.testing.assert_allclose(got, slow, rtol=1e-12, atol=1e-15)


def test_channels_before_pooling_get_what_pooled_features_get():
    torch.manual_seed(1)
    fc = nn.Linear(5, 3).double()
    maps = torch.relu(torch.randn(9, 5, 4, 4, dtype=torch.float64))
    labels = np.arange(9) % 3
    head = ClassifierHead(fc.weight.detach().numpy(), fc.bias.detach().numpy())
    acts = Activations.from_arrays(maps.mean((2, 3)).numpy(), labels=labels)
    got = tail_contributions(lambda a: fc(a.mean((2, 3))), [(maps, labels)], 3)
    np.testing.assert_allclose(got, contributions(acts, head), rtol=1e-12)


def test_channels_last():
    torch.manual_seed(2)
    fc = nn.Linear(5, 3).double()
    tokens = torch.randn(9, 4, 5, dtype=torch.float64)
    labels = np.arange(9) % 3

    def tail(a):
        return fc(torch.relu(a).mean(1))

    got = tail_contributions(tail, [(tokens, labels)], 3, channel_axis=1)
    turned = tail_contributions(
        lambda a: tail(a.movedim(1, 2)), [(tokens.movedim(2, 1), labels)], 3
    )
    np.testing.assert_allclose(got, turned, rtol=1e-12)
    last = tail_contributions(tail, [(tokens, labels)], 3, channel_axis=-1)
    np.testing.assert_array_equal(got, last)


def test_layers_of_a_real_network(digits_home, monkeypatch):
    """At the last block against one backward pass an image; at the head in closed form."""
    from ood_core import load_experiment, prepared
    from ood_core.activations.layer_outputs import layer_outputs
    from ood_core.activations.resident import resident_model
    from ood_core.models import tail

    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))
    acts = prepared(load_experiment("digits"))
    closed = layer_contributions(acts, "penultimate")
    np.testing.assert_allclose(closed, contributions(acts["fit"], acts.head))
    rows = np.arange(40)
    loaded, last = resident_model(acts.experiment), acts.layers[-2].name
    batches = list(layer_outputs(acts, loaded, last, "fit", rows, batch_size=16))
    got = tail_contributions(tail(loaded, last), batches, 8)
    outputs = torch.cat([output for output, _ in batches])
    labels = acts["fit"].labels[:40]
    slow = by_hand(tail(loaded, last), outputs, labels, 8)
    np.testing.assert_allclose(got, slow, rtol=1e-4, atol=1e-5)
    assert layer_contributions(acts, last).shape == (8, acts.layers[-2].channels)


def test_unlabelled_rows_are_left_out(linear_case):
    acts, head = linear_case
    features = np.vstack([acts.features, np.full((5, 7), 100.0)])
    labels = np.concatenate([acts.labels, np.full(5, -1)])
    more = Activations.from_arrays(features, labels=labels)
    np.testing.assert_allclose(contributions(more, head), contributions(acts, head), rtol=1e-12)
    got = tail_contributions(linear_tail(head), [(torch.tensor(features), labels)], 4)
    np.testing.assert_allclose(got, contributions(acts, head), rtol=1e-12)


def test_class_means_do_not_depend_on_chunks(monkeypatch):
    rng = np.random.default_rng(2)
    features, labels = rng.normal(size=(50, 3)), rng.integers(0, 4, 50)
    whole = class_means(features, labels, 4)
    monkeypatch.setattr("ood_core.importance._CHUNK", 7)
    np.testing.assert_allclose(class_means(features, labels, 4), whole, rtol=1e-12)
    np.testing.assert_allclose(whole[2], features[labels == 2].mean(0), rtol=1e-12)


def test_errors_say_what_to_do(linear_case):
    acts, head = linear_case
    with pytest.raises(ConfigError, match=r"unknown contrib 'sign'.*Did you mean 'signed'"):
        contributions(acts, head, "sign")
    with pytest.raises(DataError, match="labels are missing"):
        contributions(Activations.from_arrays(acts.features), head)
    with pytest.raises(DataError, match="head takes 3 features, the activations have 7"):
        contributions(acts, ClassifierHead(np.ones((4, 3))))
    five = ClassifierHead(np.ones((5, 7)), class_names=("a", "b", "c", "d", "e"))
    with pytest.raises(DataError, match=r"1 of 5 classes have no fit image: e\. Add images"):
        contributions(acts, five)
    with pytest.raises(DataError, match=r"class numbers 0 to 2 .*found 0 to 3"):
        class_means(acts.features, acts.labels, 3)
    with pytest.raises(DataError, match="true class of each fit image; there is none"):
        tail_contributions(linear_tail(head), [(torch.tensor(acts.features), None)], 4)
    with pytest.raises(DataError, match="there were none"):
        tail_contributions(linear_tail(head), [], 4)

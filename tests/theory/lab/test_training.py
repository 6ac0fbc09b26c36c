"""The lab's network and its training, on short runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ood_core.metrics import auroc
from ood_core.theory.lab.network import LabNetwork, augmented
from ood_core.theory.lab.observing import scores_of
from ood_core.theory.lab.plan import SCHEMES, Run
from ood_core.theory.lab.training import train_run
from ood_core.theory.lab.vectors import lab_images
from tests.theory.written_out import coefficients


@pytest.fixture(scope="module")
def short():
    return train_run(Run("supervised", 0), lab_images(), epochs=8, snapshots=(0, 4, 8))


def test_a_tail_continues_the_network_and_has_no_bias_part():
    generator = torch.Generator().manual_seed(0)
    network = LabNetwork((64, 10, 9, 8, 3), generator)
    x = torch.randn(5, 64, dtype=torch.float64)
    for depth, outputs in enumerate(network.activations(x)):
        tail = network.tail(depth)
        torch.testing.assert_close(tail(outputs), network(x))
        _, beta = coefficients(tail, outputs)
        assert np.abs(beta).max() < 1e-12


def test_the_same_run_gives_the_same_numbers(short):
    again = train_run(Run("supervised", 0), lab_images(), epochs=8, snapshots=(0, 4, 8))
    assert again.training == short.training
    assert again.separation == short.separation
    torch.manual_seed(123)
    other = train_run(Run("supervised", 1), lab_images(), epochs=1, snapshots=(1,))
    assert other.training[-1]["loss"] != short.training[-1]["loss"]


def test_every_machine_gets_these_numbers(short):
    """Written down once. In float32 training enlarges what processors round differently."""
    assert short.training[-1]["loss"] == pytest.approx(0.0063708810, abs=1e-9)
    area = {
        r["ood_set"]: r["auroc"]
        for r in short.separation
        if (r["epoch"], r["layer"], r["fold"], r["score"]) == (8, 4, "test", "negative_aware_norm")
    }
    assert area["rotated"] == pytest.approx(0.7766403, abs=1e-6)
    assert area["noise"] == pytest.approx(0.9237642, abs=1e-6)


def test_supervised_training_learns(short):
    assert [row["epoch"] for row in short.training] == [0, 4, 8]
    assert short.training[0]["accuracy"] < 0.4
    assert short.training[-1]["accuracy"] > 0.97


def test_rows_say_what_was_measured(short):
    last = [r for r in short.separation if r["epoch"] == 8]
    assert {r["layer"] for r in last} == {1, 2, 3, 4}
    assert {r["layer"] for r in short.separation if r["epoch"] == 4} == {4}
    assert {r["fold"] for r in last} == {"fit", "test"}
    assert all(0 <= r["auroc"] <= 1 for r in short.separation)
    hidden = [r for r in short.hidden if r["epoch"] == 8]
    assert {(r["layer"], r["set"]) for r in hidden} >= {(1, "test"), (4, "photos")}
    assert all(r["violations"] == 0 for r in hidden)
    assert all(r["bias_share"] < 1e-12 for r in hidden)
    assert {r["epoch"] for r in short.hidden} == {0, 8}


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_every_scheme_trains(scheme):
    epochs: list[int] = []
    seen = train_run(
        Run(scheme, 0, width=16), lab_images(), epochs.append, epochs=2, snapshots=(0, 2)
    )
    assert epochs == [1, 2]
    first, last = seen.training
    assert last["loss"] < first["loss"] + 0.2
    assert not seen.hidden, "only the comparison of schemes measures hidden classifiers"


def test_one_class_network_is_held_against_the_other_digits():
    seen = train_run(
        Run("instance_augmented", only_class=3), lab_images(), epochs=1, snapshots=(1,)
    )
    assert {r["ood_set"] for r in seen.separation} == {"other digits"}


def test_scores_by_hand():
    vectors = np.array([[1.0, 0, 2], [0, 0, 0], [0.5, 0.5, 0.5]])
    got = scores_of(vectors)
    np.testing.assert_allclose(got["norm"].values, [0, 1.5, 3])
    np.testing.assert_allclose(got["negative_aware_norm"].values, [0, 0.5, 1.5])
    np.testing.assert_allclose(got["sparsity"].values, [0, 1 / 3, 1 / 2])
    assert auroc(got["norm"], scores_of(vectors[1:2])["norm"]) == pytest.approx(5 / 6)


def test_augmented_images_are_like_the_originals_but_not_the_same():
    x = torch.from_numpy(lab_images().fit[:50])
    varied = augmented(x, torch.Generator().manual_seed(0))
    assert varied.shape == x.shape
    correlation = torch.nn.functional.cosine_similarity(x, varied).mean()
    assert 0.5 < float(correlation) < 0.99

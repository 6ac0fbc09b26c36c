"""Layer quantities and unit statistics against slow loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ood_core.activations import Activations, LayerRecord
from ood_core.errors import ConfigError, DataError
from ood_core.layers import (
    activation_entropy,
    active_units,
    entropy_by_layer,
    entropy_table,
    neuron_entropy,
    quantities,
)


def _record(n: int = 7, c: int = 5, side: int = 3, seed: int = 0) -> tuple[LayerRecord, np.ndarray]:
    """Record of a signed map and the map itself."""
    maps = np.random.default_rng(seed).normal(size=(n, c, side, side)).round(1)
    maps[0] = 0
    flat = maps.reshape(n, -1)
    record = LayerRecord(
        pooled=maps.mean((2, 3)),
        active_fraction=(maps > 0).mean((2, 3)),
        l1=np.abs(flat).sum(1),
        l2=np.sqrt((flat**2).sum(1)),
        l0=(flat > 0).sum(1),
        negatives=(flat < 0).sum(1),
        positions=side * side,
        active_counts=(flat > 0).sum(0),
    )
    return record, maps


@pytest.mark.parametrize("pool", ["gap", "flat"])
def test_quantities_equal_a_loop(pool: str) -> None:
    record, maps = _record()
    q = quantities(record, pool)
    for i, image in enumerate(maps):
        units = [ch.mean() for ch in image] if pool == "gap" else image.ravel().tolist()
        l1 = sum(abs(u) for u in units)
        l0 = sum(u > 0 for u in units)
        np.testing.assert_allclose(q.l1[i], l1, atol=1e-12)
        np.testing.assert_allclose(q.l2[i], math.sqrt(sum(u * u for u in units)), atol=1e-12)
        assert q.l0[i] == l0
        np.testing.assert_allclose(q.negative_aware_norm[i], l1 / l0 if l0 else 0.0, atol=1e-12)
        np.testing.assert_allclose(q.sparsity[i], 1 / l0 if l0 else 0.0, atol=1e-12)
    assert q.n_units == (5 if pool == "gap" else 45)


def test_quantities_do_not_depend_on_the_chunk() -> None:
    a = np.random.default_rng(1).normal(size=(20_000, 6)).astype(np.float32)
    whole = quantities(LayerRecord.from_vectors(a))
    np.testing.assert_array_equal(
        whole.negative_aware_norm[9000:9010],
        quantities(LayerRecord.from_vectors(a[9000:9010])).negative_aware_norm,
    )


def test_unknown_pool_lists_what_is_allowed() -> None:
    record, _ = _record()
    with pytest.raises(ConfigError, match=r"unknown pool 'gab'. Did you mean 'gap'\?"):
        quantities(record, "gab")


def test_entropy_of_known_probabilities() -> None:
    np.testing.assert_allclose(
        activation_entropy(np.array([0.0, 0.5, 1.0, 0.25])),
        [0, math.log(2), 0, -0.25 * math.log(0.25) - 0.75 * math.log(0.75)],
    )


@pytest.mark.parametrize("pool", ["gap", "flat"])
def test_neuron_entropy_equals_a_loop(pool: str) -> None:
    record, maps = _record(seed=3)
    got = neuron_entropy(record, pool)
    units = record.pooled if pool == "gap" else maps.reshape(len(maps), -1)
    assert got is not None
    for j in range(units.shape[1]):
        p = sum(units[:, j] > 0) / len(units)
        want = -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)
        np.testing.assert_allclose(got[j], want, atol=1e-12)


def test_entropy_table_has_a_row_for_each_unit() -> None:
    table = entropy_table({"test": np.array([0.1, 0.2]), "far": np.array([0.3, 0.4]), "flat": None})
    assert table.to_dict("list") == {"unit": [0, 1], "test": [0.1, 0.2], "far": [0.3, 0.4]}


def test_flat_entropy_needs_counts_per_position() -> None:
    record, _ = _record()
    assert neuron_entropy(record.take(slice(0, 3)), "flat") is None
    vectors = LayerRecord.from_vectors(np.eye(3)).take(slice(0, 3))
    np.testing.assert_allclose(neuron_entropy(vectors, "flat"), activation_entropy([1 / 3] * 3))


def test_entropy_by_layer_is_the_mean_and_leaves_out_unknown_rows() -> None:
    record, _ = _record()
    bare = record.take(slice(None))
    acts = Activations.from_arrays(np.ones((7, 2)), layers={"conv": record, "late": bare})
    frame = entropy_by_layer({"test": acts}, ["test"])
    assert list(zip(frame["layer"], frame["pool"], strict=True)) == [
        ("conv", "gap"), ("conv", "flat"), ("late", "gap"),
        ("penultimate", "gap"), ("penultimate", "flat"),
    ]  # fmt: skip
    np.testing.assert_allclose(frame["entropy"][1], neuron_entropy(record, "flat").mean())
    assert frame["depth"].tolist() == [1, 1, 2, 3, 3]


def _sets(seed: int = 0) -> dict[str, Activations]:
    rng = np.random.default_rng(seed)
    return {
        "test": Activations.from_arrays(np.maximum(rng.normal(size=(300, 40)), 0)),
        "ood": Activations.from_arrays(np.maximum(rng.normal(-0.4, 1, size=(200, 40)), 0)),
    }


@pytest.mark.parametrize("max_bins", [5, 60])
def test_active_units_counts_every_image(max_bins: int) -> None:
    acts = _sets()
    units = active_units(acts, ["test", "ood"], max_bins=max_bins)
    for name in acts:
        rows = units.histogram[units.histogram["set"] == name]
        assert len(rows) <= max_bins
        counts = (acts[name].features > 0).sum(1)
        for row in rows.itertuples():
            assert row.count == sum(row.left <= v < row.right for v in counts)
        assert rows["count"].sum() == len(counts)
        np.testing.assert_allclose(rows["share"].sum(), 1)
        row = units.summary[units.summary["set"] == name].iloc[0]
        np.testing.assert_allclose([row["mean"], row["sd"]], [counts.mean(), counts.std()])
    assert not units.steady
    assert units.n_units == 40


def test_active_units_says_when_the_number_hardly_varies() -> None:
    always_on = Activations.from_arrays(np.ones((10, 30)))
    assert active_units({"test": always_on}, ["test"]).steady
    off = Activations.from_arrays(np.zeros((4, 3)))
    assert active_units({"test": off}, ["test"]).summary["none_active"][0] == 4


def test_active_units_needs_a_set() -> None:
    with pytest.raises(DataError, match="at least one data set"):
        active_units({}, [])

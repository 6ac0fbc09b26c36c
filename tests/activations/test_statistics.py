from __future__ import annotations

import numpy as np
import pytest
import torch

from ood_core.activations.statistics import layer_statistics


def slow(units: np.ndarray) -> dict[str, np.ndarray]:
    a = units.astype(np.float64)
    flat = a.reshape(len(a), -1)
    return {
        "pooled": a.mean(2),
        "active": (a > 0).sum(2),
        "l1": np.abs(flat).sum(1),
        "l2": np.sqrt((flat**2).sum(1)),
        "l0": (flat > 0).sum(1),
        "negatives": (flat < 0).sum(1),
        "active_counts": (flat > 0).sum(0),
    }


SHAPES = {
    "map": (6, 5, 64),
    "odd map": (3, 7, 49),
    "one position": (4, 9, 1),
    "more positions than a byte counts": (2, 3, 2048 + 16),
    "large odd map": (2, 3, 112 * 112 + 1),
    "more images than a byte counts": (600, 2, 9),
    "one image": (1, 4, 16),
}


@pytest.mark.parametrize("layout", ["map", "tokens"])
@pytest.mark.parametrize("values", ["relu", "signed", "zeros", "positive"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_equals_the_obvious_computation(
    shape: tuple[int, int, int], values: str, layout: str
) -> None:
    units = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    if values != "signed":
        units = {"relu": np.maximum(units, 0), "zeros": units * 0, "positive": np.abs(units) + 1}[
            values
        ]
    tensor = torch.from_numpy(units)
    if layout == "tokens":  # (n, positions, channels) in memory
        tensor = tensor.transpose(1, 2).contiguous().transpose(1, 2)
    before = tensor.clone()
    found = layer_statistics(tensor)
    expected = slow(units)
    assert set(found) == set(expected)
    for name in ("active", "l0", "negatives", "active_counts"):
        np.testing.assert_array_equal(found[name].numpy(), expected[name], err_msg=name)
    for name in ("pooled", "l1", "l2"):
        np.testing.assert_allclose(
            found[name].numpy(), expected[name], rtol=1e-5, atol=1e-6, err_msg=name
        )
    assert found["pooled"].dtype == torch.float32
    assert found["l1"].dtype == found["l2"].dtype == torch.float64
    assert torch.equal(tensor, before)


def test_norms_are_exact_to_float32_rounding_of_one_channel() -> None:
    units = np.random.default_rng(1).random((2, 64, 56 * 56), np.float32)
    found, expected = layer_statistics(torch.from_numpy(units)), slow(units)
    np.testing.assert_allclose(found["l1"].numpy(), expected["l1"], rtol=1e-7)
    np.testing.assert_allclose(found["l2"].numpy(), expected["l2"], rtol=1e-7)


def test_half_precision_is_widened_first() -> None:
    units = torch.full((1, 2, 4096), 3.0, dtype=torch.float16)
    found = layer_statistics(units)
    assert found["l1"].item() == 3 * 2 * 4096
    assert found["pooled"].dtype == torch.float32


def test_the_last_batch_element_does_not_alias_the_network() -> None:
    vectors = torch.rand(3, 4, 1)
    found = layer_statistics(vectors)
    vectors.zero_()
    assert found["pooled"].min() > 0

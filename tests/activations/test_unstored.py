"""Activations of single images: as extraction gives them, and as maps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from ood_core.activations import activation_map, embed, extract, store
from ood_core.activations.engine import Runner
from ood_core.data import open_dataset
from ood_core.errors import DataError, ModelError
from ood_core.experiments import Experiment
from ood_core.models import load_model

Oracle = Callable[[Experiment, str], dict[str, np.ndarray]]


def test_embed_equals_extract(tiny: Experiment) -> None:
    acts = extract(tiny)["test"]
    source = open_dataset(tiny.sets["test"])
    images = [source.load(i) for i in range(len(source))]
    uploads = embed(tiny, images, source.ids)
    assert uploads.ids == acts.ids
    assert list(uploads.layers) == list(acts.layers)
    np.testing.assert_allclose(uploads.logits, acts.logits, rtol=1e-4, atol=1e-5)
    for name in uploads.layers:
        np.testing.assert_allclose(uploads.layer(name).l1, acts.layer(name).l1, rtol=1e-5)
        np.testing.assert_array_equal(
            uploads.layer(name).active_counts, acts.layer(name).active_counts
        )
    assert len(store.store_usage()) == 3 * (1 + len(acts.layers))


def test_embed_refuses_bad_input(tiny: Experiment) -> None:
    with pytest.raises(DataError, match="at least one image"):
        embed(tiny, [])
    with pytest.raises(DataError, match="2 names for 1 images"):
        embed(tiny, [Image.new("L", (16, 16))], ["a", "b"])


@pytest.mark.parametrize(("layer", "shape"), [("block2", (32, 8, 8)), ("penultimate", (256, 1, 1))])
def test_activation_map_is_the_layer_as_it_is(
    tiny: Experiment, slow_oracle: Oracle, layer: str, shape: tuple[int, ...]
) -> None:
    source = open_dataset(tiny.sets["test"])
    found = activation_map(tiny, source.load(4), layer)
    assert found.shape == shape
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found.reshape(shape[0], -1), slow_oracle(tiny, "test")[layer][4], rtol=1e-4, atol=1e-5
    )


def test_activation_map_names_the_layers_there_are(tiny: Experiment) -> None:
    with pytest.raises(ModelError, match=r"unknown layer 'blok2'. Did you mean 'block2'"):
        activation_map(tiny, Image.new("L", (16, 16)), "blok2")


def test_activation_map_of_tokens_is_a_grid_without_the_class_token(
    tiny: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ood_core.models import LayerInfo

    info = LayerInfo("encoder", (1 + 16, 6), "tokens", True, 1)
    tokens = torch.arange(17 * 6, dtype=torch.float32).reshape(1, 17, 6)
    monkeypatch.setattr(Runner, "raw", lambda *_: tokens)
    loaded = dataclasses.replace(load_model(tiny), layers=(info,))
    monkeypatch.setattr("ood_core.activations.unstored.resident_model", lambda _: loaded)
    found = activation_map(tiny, Image.new("L", (16, 16)), "encoder")
    assert found.shape == (6, 4, 4)
    np.testing.assert_array_equal(found[:, 0, 0], tokens[0, 1])
    np.testing.assert_array_equal(found[:, 3, 3], tokens[0, 16])

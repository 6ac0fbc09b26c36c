"""A small experiment over image files: three sets, a network with random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ood_core.activations import store
from ood_core.activations.capture import captured
from ood_core.activations.resident_models import forget_models
from ood_core.activations.stored import CACHE
from ood_core.data import Transform, open_dataset
from ood_core.experiments import ClassifierSpec, DataSpec, Experiment, Preprocessing
from ood_core.models import load_model, to_positions

SIZES = {"fit": 20, "test": 9, "noise": 6}


def write_images(folder: Path, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for number in range(count):
        target = folder / str(number % 4)
        target.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (16, 16), dtype=np.uint8)
        Image.fromarray(pixels).save(target / f"{number:03d}.png")


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(store, "SHARD_IMAGES", 8)
    CACHE.clear()
    yield
    forget_models()


@pytest.fixture
def tiny(tmp_path: Path) -> Experiment:
    sets = {}
    for seed, (name, count) in enumerate(SIZES.items()):
        write_images(tmp_path / "images" / name, count, seed)
        sets[name] = DataSpec(name, "folder", str(tmp_path / "images" / name))
    return Experiment(
        name="tiny",
        title="Tiny",
        classifier=ClassifierSpec("digits_cnn", random_weights=0, num_classes=4),
        preprocessing=Preprocessing(16, 16, (0.3,), (0.32,), mode="L"),
        sets=sets,
        ood_sets=("noise",),
    )


@pytest.fixture
def forwards(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that went through a network."""
    from ood_core.activations.engine import Runner

    seen: list[int] = []
    original: Callable[..., object] = Runner._run

    def counting(self: Runner, images: torch.Tensor) -> object:
        seen.append(len(images))
        return original(self, images)

    monkeypatch.setattr(Runner, "_run", counting)
    return seen


@pytest.fixture
def slow_oracle() -> Callable[[Experiment, str], dict[str, np.ndarray]]:
    """Every layer's maps of a set, kept whole."""

    def kept_whole(exp: Experiment, name: str) -> dict[str, np.ndarray]:
        """Every layer's maps of a set, kept whole: (n, channels, positions) float64, and logits."""
        loaded = load_model(exp)
        transform = Transform(loaded.preprocessing)
        source = open_dataset(exp.sets[name])
        maps: dict[str, list[np.ndarray]] = {}
        for number in range(len(source)):
            with (
                captured(loaded, loaded.layers, lambda tensor, _: tensor.clone()) as raw,
                torch.inference_mode(),
            ):
                logits = loaded.module(torch.from_numpy(transform(source.load(number))[None]))
                for layer in loaded.layers:
                    units = to_positions(raw[layer.name], layer).double().numpy()
                    maps.setdefault(layer.name, []).append(units)
                maps.setdefault("logits", []).append(logits.numpy())
        return {layer: np.concatenate(found) for layer, found in maps.items()}

    return kept_whole

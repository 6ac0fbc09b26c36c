"""A small experiment over image files: three sets, a network with random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ood_core.activations import store
from ood_core.activations.resident import forget_models
from ood_core.activations.stored import CACHE
from ood_core.experiments import ClassifierSpec, DataSpec, Experiment, Preprocessing

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

"""Small folders of images and small checkpoints to bring."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).parents[2]
CLASSES = ("cat", "dog", "horse")


def write_set(folder: Path, count: int, classes: tuple[str, ...] = CLASSES, seed: int = 0) -> Path:
    """`count` images of each class folder, or flat without classes."""
    rng = np.random.default_rng([seed, *folder.name.encode()])
    for name in classes or ("",):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((40, 40)).save(folder / name / f"{number:02d}.png")
    return folder


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, no data root and no package cache."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("OOD_LENS_HOME", str(home))
    for cache in ("TORCH_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(cache, str(home / "caches" / cache))
    monkeypatch.delenv("OOD_LENS_DATA", raising=False)
    return home


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """`photos/train`, `photos/test` in class folders, `drawings` flat: all a new user has."""
    root = tmp_path / "mine"
    write_set(root / "photos" / "train", 6)
    write_set(root / "photos" / "test", 4)
    write_set(root / "drawings", 9, ())
    return root


@pytest.fixture
def checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """Write a checkpoint of an architecture with weights of chance."""

    def make(architecture: str = "resnet20", classes: int = 3, name: str = "net.pth") -> Path:
        import torch

        from ood_core.models.architectures import build
        from ood_core.models.fitting import randomise

        path = tmp_path / name
        network = randomise(lambda: build(architecture, classes), 0)
        torch.save({"state_dict": network.state_dict()}, path)
        return path

    return make


@pytest.fixture
def page() -> AppTest:
    """The overview page with the wizard open."""
    st.cache_resource.clear()
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    at.query_params["wizard"] = "on"
    at.run()
    assert not at.exception
    return at

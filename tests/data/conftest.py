from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own and no data root, for every test here."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("OOD_LENS_HOME", str(home))
    monkeypatch.delenv("OOD_LENS_DATA", raising=False)
    return home


@pytest.fixture
def make_images(tmp_path: Path) -> Callable[..., Path]:
    """Write small PNGs, each of another grey, at the given paths below a folder."""

    def make(*names: str, root: str = "images") -> Path:
        folder = tmp_path / root
        for number, name in enumerate(names):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((4, 5, 3), number, np.uint8)).save(path)
        folder.mkdir(exist_ok=True)
        return folder

    return make


@pytest.fixture
def zipped() -> Callable[..., Path]:
    """Writes a folder into a zip beside it, each name after `prefix`."""

    def write(root: Path, prefix: str = "") -> Path:
        file = root.with_suffix(".zip")
        with zipfile.ZipFile(file, "w") as archive:
            for path in sorted(root.rglob("*")):
                archive.write(path, f"{prefix}{path.relative_to(root)}")
        return file

    return write

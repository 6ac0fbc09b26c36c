from __future__ import annotations

from pathlib import Path

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
def project(tmp_path: Path) -> Path:
    """A folder with images of two classes, an OOD folder, a list and a checkpoint."""
    for name in ("fit/cat/1", "fit/dog/2", "test/cat/3", "test/dog/4", "ood/5"):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path)
    (tmp_path / "list.txt").write_text("ood/5.png -1\n")
    (tmp_path / "table.csv").write_text("path\nood/5.png\n")
    (tmp_path / "net.pt").write_bytes(b"weights")
    (tmp_path / "empty").mkdir()
    return tmp_path

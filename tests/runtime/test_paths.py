"""Where things lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ood_core.runtime import paths


def test_everything_lies_below_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path / "new"))
    folders = (paths.experiments_dir(), paths.store_dir(), paths.weights_dir(), paths.data_dir())
    assert paths.home() == tmp_path / "new"
    assert len(set(folders)) == 4
    assert all(f.is_dir() and f.parent == paths.home() for f in folders)


def test_without_a_setting_the_platform_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import platformdirs

    monkeypatch.delenv("OOD_LENS_HOME", raising=False)
    monkeypatch.setattr(platformdirs, "user_data_dir", lambda *_, **__: str(tmp_path / "x"))
    assert paths.home() == tmp_path / "x"


def test_data_roots_are_searched_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path / "home"))
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (second, paths.data_dir()):
        (folder / "set").mkdir(parents=True)
    monkeypatch.setenv("OOD_LENS_DATA", f"{first}{os.pathsep}{second}")
    assert paths.data_roots() == (first, second, paths.data_dir())
    assert paths.find_data("set") == second / "set"
    monkeypatch.delenv("OOD_LENS_DATA")
    assert paths.find_data("set") == paths.data_dir() / "set"
    assert paths.find_data(str(second / "set")) == second / "set"
    assert paths.find_data("nowhere") is None

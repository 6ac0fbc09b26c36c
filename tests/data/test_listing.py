"""What lies below a folder: remembered while nothing changed, never out of date."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ood_core.experiments.listing import list_folder

Make = Callable[..., Path]


def long_ago(*folders: Path) -> None:
    """Make the folders look as if nothing had changed in them for years."""
    for folder in folders:
        os.utime(folder, (1e9, 1e9))


def test_it_is_read_once_and_again_when_it_changed(
    make_images: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_images("a/1.png", "a/2.png", "b/3.png")
    long_ago(root / "a", root / "b", root)
    assert set(list_folder(root).images) == {"a/1.png", "a/2.png", "b/3.png"}
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", lambda path: pytest.fail(f"{path} is read again"))
        assert set(list_folder(root).images) == {"a/1.png", "a/2.png", "b/3.png"}
    shutil.copy(root / "a" / "1.png", root / "a" / "new.png")
    (root / "a" / "2.png").unlink()
    for _ in range(2):
        assert set(list_folder(root).images) == {"a/1.png", "a/new.png", "b/3.png"}


def test_a_folder_that_changed_just_now_is_read_again(make_images: Make) -> None:
    root = make_images("a/1.png")
    assert set(list_folder(root).images) == {"a/1.png"}
    changed = os.stat(root / "a").st_mtime_ns
    shutil.copy(root / "a" / "1.png", root / "a" / "2.png")
    os.utime(root / "a", ns=(changed, changed))
    assert set(list_folder(root).images) == {"a/1.png", "a/2.png"}


def test_links_are_followed_anew(make_images: Make, tmp_path: Path) -> None:
    root, elsewhere = make_images("a/1.png"), tmp_path / "elsewhere"
    (root / "link").symlink_to(elsewhere)
    long_ago(root)
    assert set(list_folder(root).images) == {"a/1.png"}
    shutil.copytree(root / "a", elsewhere)
    assert set(list_folder(root).images) == {"a/1.png", "link/1.png"}

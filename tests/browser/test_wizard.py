"""Bring your own network and images, in a real browser: an empty home, a folder, no Python."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.driver import ROOT, Server, serve, settle
from ood_core import load_experiment
from ood_core.data import open_dataset


def _write(folder: Path, source: str, limit: int | None = None) -> None:
    """A set of the embedded experiment as image files: class folders where it has labels."""
    images = open_dataset(load_experiment("digits").sets[source])
    labels = images.labels
    for i in range(min(len(images), limit or len(images))):
        place = folder / str(labels[i]) if labels is not None else folder
        place.mkdir(parents=True, exist_ok=True)
        images.load(i).save(place / f"{i:04d}.png")


@pytest.fixture(scope="module")
def mine(digits_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a new user has: a trained checkpoint, class folders, two folders of something else."""
    folder = tmp_path_factory.mktemp("mine")
    _write(folder / "digits" / "train", "fit")
    _write(folder / "digits" / "test", "test")
    _write(folder / "letters", "held-out", 120)
    _write(folder / "photographs", "photos", 120)
    (weights,) = (digits_home / "weights").glob("digits_cnn-*.safetensors")
    shutil.copy(weights, folder / "best.safetensors")
    return folder


@pytest.fixture(scope="module")
def empty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A dashboard whose home is empty."""
    home = tmp_path_factory.mktemp("empty-home")
    with serve(ROOT / "app.py", home / "log.txt", OOD_LENS_HOME=str(home)) as running:
        yield running
    text = (home / "log.txt").read_text(errors="replace")
    assert "Traceback" not in text, text


def test_from_an_empty_home_to_the_leaderboard(empty_server, mine, open_page, shot, capsys) -> None:
    start = time.monotonic()
    marks: list[tuple[str, float]] = []

    def mark(what: str) -> None:
        marks.append((what, time.monotonic() - start))

    page = open_page(f"{empty_server.url}/")
    page.get_by_role("button", name="New experiment").click()
    page.locator(".st-key-new_folder input").fill(str(mine))
    page.get_by_role("button", name="Look through").click()
    page.get_by_text("Found 1 checkpoint, 1 pair of fit and test images and 2 other sets.").wait_for()
    page.locator(".checks").get_by_text(re.compile("digits_cnn: 8 classes")).wait_for()
    settle(page)
    mark("checks")
    shot(page, "wizard-checks")

    page.get_by_role("button", name="Run the gates").click()
    page.locator(".checks").get_by_text("The head explains the logits").wait_for(timeout=90_000)
    settle(page)
    mark("gates")
    shot(page, "wizard-gates")
    failed = page.locator(".checks .bad b").all_inner_texts()
    assert not failed, failed

    page.locator(".st-key-new_name input").fill("mine")
    page.keyboard.press("Tab")
    settle(page)
    page.get_by_role("button", name="Save experiment").click()
    page.get_by_text(re.compile("Saved as .*mine.toml")).wait_for()
    page.get_by_role("button", name="Prepare", exact=True).click()
    page.get_by_text("How well the scores tell ID from OOD").wait_for(timeout=90_000)
    settle(page)
    mark("prepared")
    shot(page, "wizard-prepared")

    page.get_by_role("link", name="Detectors", exact=True).first.click()
    page.locator(".st-key-leaderboard canvas").first.wait_for(timeout=60_000)
    settle(page)
    mark("leaderboard")
    shot(page, "wizard-leaderboard")
    assert "experiment=mine" in page.url
    with capsys.disabled():
        print("\n" + ", ".join(f"{what} {seconds:.1f} s" for what, seconds in marks))

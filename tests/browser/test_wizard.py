"""Bring your own network and images, in a real browser: an empty home, a folder, no Python."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.driver import ROOT, Server, serve, settle

HUES = {"red": (200, 40, 40), "green": (40, 190, 60), "blue": (50, 60, 210)}


def _write(folder: Path, count: int, hue: tuple[int, int, int] | None, seed: int) -> None:
    """Noisy images of one colour, or of no colour in particular."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        ground = rng.integers(0, 256, 3) if hue is None else np.array(hue)
        pixels = np.clip(ground + rng.normal(0, 40, (32, 32, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a new user has: a trained ResNet-20, class folders, two folders of something else."""
    folder = tmp_path_factory.mktemp("mine")
    for place, count in (("train", 60), ("test", 25)):
        for seed, (name, hue) in enumerate(HUES.items()):
            _write(folder / "colours" / place / name, count, hue, seed + 10 * count)
    _write(folder / "anything", 60, None, 7)
    _write(folder / "grey", 60, (128, 128, 128), 8)
    _train(folder)
    return folder


def _train(folder: Path) -> None:
    """A checkpoint as a training script saves it."""
    import torch

    from ood_core.models.architectures import build

    torch.manual_seed(0)
    network = build("resnet20", len(HUES))
    paths = sorted((folder / "colours" / "train").glob("*/*.png"))
    x = torch.stack([torch.from_numpy(np.asarray(Image.open(p)) / 255.0).float() for p in paths])
    x = (x.permute(0, 3, 1, 2) - 0.5) / 0.5
    y = torch.tensor([sorted(HUES).index(p.parent.name) for p in paths])
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    for _ in range(4):
        for rows in torch.randperm(len(x)).split(30):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
            optimiser.step()
    torch.save({"state_dict": network.state_dict(), "epoch": 4}, folder / "best.pth")


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
    marks: list[str] = []

    def mark(what: str) -> None:
        settle(page)
        marks.append(f"{what} {time.monotonic() - start:.1f} s")
        shot(page, f"wizard-{what}")

    page = open_page(f"{empty_server.url}/", height=1300)
    page.get_by_role("button", name="New experiment").click()
    page.locator(".st-key-new_folder input").fill(str(mine))
    page.get_by_role("button", name="Look through").click()
    found = "Found 1 checkpoint, 1 pair of fit and test images and 2 other sets."
    page.get_by_text(found).wait_for()
    page.get_by_text(re.compile("resnet20: 3 classes")).wait_for()
    mark("checks")

    page.get_by_role("button", name="Measure which one fits").click()
    page.get_by_text(re.compile("% of 75 right with|% of 100 right with")).first.wait_for()
    best = page.get_by_role("button", name="Use it")
    if best.count():
        best.click()
        settle(page)
    mark("measured")

    page.get_by_role("button", name="Run the gates").click()
    page.get_by_text("The head explains the logits").wait_for(timeout=90_000)
    mark("gates")
    failed = page.locator(".checks .bad b").all_inner_texts()
    assert not failed, failed

    page.locator(".st-key-new_name input").fill("mine")
    page.keyboard.press("Tab")
    settle(page)
    page.get_by_role("button", name="Save experiment").click()
    page.get_by_text(re.compile("Saved as .*mine.toml")).wait_for()
    page.get_by_role("button", name="Prepare", exact=True).click()
    page.get_by_text("How well the scores tell ID from OOD").wait_for(timeout=90_000)
    mark("prepared")

    page.get_by_role("link", name="Detectors", exact=True).first.click()
    page.locator("[data-testid=stDataFrame] canvas").first.wait_for(timeout=60_000)
    mark("leaderboard")
    page.wait_for_url(re.compile("/Detectors.*experiment=mine"))
    with capsys.disabled():
        print("\nfrom an empty home: " + ", ".join(marks))

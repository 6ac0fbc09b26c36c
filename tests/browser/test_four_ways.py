"""From the empty wizard to a saved experiment, whatever a user has; two ways on to Scores."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.driver import ROOT, Server, serve, settle


def _images(folder: Path) -> None:
    """Few images of two kinds in class folders, and some of nothing in particular."""
    rng = np.random.default_rng(0)
    for place, count in (("train/dark", 20), ("train/light", 20), ("test/dark", 6),
                         ("test/light", 6), ("noise", 12)):  # fmt: skip
        (folder / place).mkdir(parents=True)
        ground = {"dark": 60, "light": 190}.get(place.rpartition("/")[2], 128)
        for number in range(count):
            spread = 25 if "/" in place else 90
            pixels = np.clip(rng.normal(ground, spread, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / place / f"{number:02d}.png")


def _network(folder: Path) -> str:
    """A whole network in one file."""
    import torch

    from ood_core.models.architectures import build

    _images(folder)
    torch.manual_seed(0)
    program = torch.export.export(
        build("resnet20", 2).eval(),
        (torch.rand(2, 3, 32, 32),),
        dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
    )
    torch.export.save(program, folder / "net.pt2")
    return "torch.export: 2 classes"


def _encoder(folder: Path) -> str:
    import torch

    from ood_core.models.architectures import build

    _images(folder)
    torch.manual_seed(0)
    state = build("resnet20", 2).state_dict()
    torch.save({k: v for k, v in state.items() if "linear" not in k}, folder / "encoder.pt")
    return "resnet20: no head"


def _features(folder: Path) -> str:
    rng = np.random.default_rng(0)
    for name, n in (("fit", 80), ("test", 40), ("noise", 30)):
        y = np.arange(n) % 2
        h = np.abs(rng.normal(size=(n, 8))) + (5 * np.eye(8)[y] if name != "noise" else 0)
        labels = {"labels": y} if name != "noise" else {}
        np.savez(folder / f"{name}.npz", features=h.astype(np.float32), **labels)
    np.savez(folder / "head.npz", weight=np.eye(2, 8))
    return "8 features, 1 layer, 2 classes in the head"


def _hub(folder: Path) -> str:
    pytest.importorskip("transformers")
    from tests.models.huggingface_folders import saved

    _images(folder)
    saved(folder / "vit", "ViT", "ForImageClassification", labels=2)
    return "huggingface: 2 classes"


WAYS: dict[str, Callable[[Path], str]] = {
    "A network": _network,
    "Features I already have": _features,
    "An encoder without classes": _encoder,
    "A folder from a model hub": _hub,
}

TO_SCORES = ("A network", "Features I already have")
"""Ways that are followed further: after it is saved, the others are as any experiment."""


@pytest.fixture(scope="module")
def empty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A dashboard whose home is empty."""
    home = tmp_path_factory.mktemp("empty-home")
    with serve(ROOT / "app.py", home / "log.txt", OOD_LENS_HOME=str(home)) as running:
        yield running
    text = (home / "log.txt").read_text(errors="replace")
    assert "Traceback" not in text, text


@pytest.mark.parametrize("way", WAYS)
def test_from_what_one_has_to_an_experiment(
    way: str, empty_server: Server, open_page, shot, tmp_path: Path
) -> None:
    said = WAYS[way](tmp_path)
    name = way.rpartition(" ")[2]
    page = open_page(f"{empty_server.url}/", height=1300)
    page.get_by_role("button", name="New experiment").click()
    page.locator(".st-key-new_kind").get_by_text(way, exact=True).click()
    settle(page)
    page.locator(".st-key-new_folder input").fill(str(tmp_path))
    page.get_by_role("button", name="Look through").click()
    page.get_by_text(re.compile(re.escape(said))).wait_for(timeout=60_000)
    page.locator(".st-key-new_name input").fill(name)
    page.keyboard.press("Tab")
    settle(page)
    shot(page, f"way-{name}")
    assert not page.locator(".checks .bad b").all_inner_texts()
    page.get_by_role("button", name="Save experiment").click()
    page.get_by_text(re.compile(f"Saved as .*{name}.toml")).wait_for()
    if way not in TO_SCORES:
        return
    page.get_by_role("button", name="Prepare", exact=True).click()
    page.get_by_text("Sanity gates", exact=False).first.wait_for(timeout=90_000)
    page.get_by_role("link", name="Scores", exact=True).first.click()
    page.get_by_text("accepted as ID", exact=False).first.wait_for(
        timeout=60_000
    )  # the histogram's
    settle(page)
    shot(page, f"way-{name}-scores")
    page.wait_for_url(re.compile(f"/Scores.*experiment={name}"))

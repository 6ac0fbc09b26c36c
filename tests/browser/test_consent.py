"""Code of an experiment's own, in a real browser: seen, refused, agreed to, scored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.driver import ROOT, Server, serve, settle
from tests.commands.test_trust import FILE
from tests.models.test_own_networks import NET


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one experiment whose code waits; it leaves a file where it is run."""
    home = tmp_path_factory.mktemp("consent-home")
    folder = home / "experiments"
    folder.mkdir()
    (folder / "my_net.py").write_text(
        f'"""A small network."""\nopen({str(home / "ran")!r}, "w").close()\n{NET}'
    )
    (folder / "mine.toml").write_text(FILE)
    return home


@pytest.fixture(scope="module")
def waiting(home: Path) -> Iterator[Server]:
    with serve(ROOT / "app.py", home / "log.txt", OOD_LENS_HOME=str(home)) as running:
        yield running
    text = (home / "log.txt").read_text(errors="replace")
    assert "Traceback" not in text, text


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_code_is_shown_and_runs_once_agreed_to(waiting, home, open_page, shot, theme) -> None:
    page = open_page(f"{waiting.url}/Scores?experiment=mine", theme=theme)
    page.get_by_text("brings a network as Python code").wait_for()
    page.get_by_role("button", name="Look at the code").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text(str(home / "experiments" / "my_net.py")).wait_for()
    dialog.get_by_text("A small network.").wait_for()
    settle(page)
    shot(page, f"consent-{theme}")
    dialog.get_by_role("button", name="Cancel").click()
    dialog.wait_for(state="hidden")
    assert not (home / "ran").exists()
    if theme == "dark":
        return
    page.get_by_role("button", name="Look at the code").click()
    dialog.get_by_role("button", name="Run this code").click()
    page.get_by_role("button", name="Prepare", exact=True).click()
    page.get_by_text("AUROC").first.wait_for(timeout=90_000)
    assert (home / "ran").exists()
    assert not page.get_by_text("brings a network as Python code").count()

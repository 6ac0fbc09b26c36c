"""A network without a head, and one without labels, through every page in Chromium: no error, no
empty chart, no number that means nothing, and nothing that a screen reader cannot use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.driver import ROOT, Server, serve, settle
from tests.browser import accessibility

PAGES = ["", *sorted(p.stem.split("_", 1)[1] for p in (ROOT / "pages").glob("[0-9]*_*.py"))]
SENSELESS = re.compile(
    r"\b(nan|undefined|None|null|Infinity)\b %?|accuracy\s+0 %|predicted class 0"
    r"|has no head: what needs"
)
EMPTY = """() => [...document.querySelectorAll('.js-plotly-plot')].filter(
  plot => !plot.data.some(t => ['x', 'y', 'z'].some(a => t[a] && (t[a].length || t[a].bdata)))
).map(plot => plot.layout.title.text)"""


@pytest.fixture(scope="module")
def server(
    home_without_classes: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The dashboard in whose home nothing has both a head and labels."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with serve(ROOT / "app.py", log, OOD_LENS_HOME=str(home_without_classes)) as running:
        yield running
    text = log.read_text(errors="replace")
    assert "Traceback" not in text, text


@pytest.mark.parametrize(("experiment", "theme"), [("headless", "light"), ("unlabelled", "dark")])
@pytest.mark.parametrize("path", PAGES)
def test_page(open_page: Any, shot: Any, path: str, experiment: str, theme: str) -> None:
    other = "&other_experiment=bare" if path == "Compare" else ""
    page = open_page(f"{path}?experiment={experiment}{other}", theme=theme)
    page.wait_for_selector("h1.page-title", timeout=60_000)
    settle(page)
    page.wait_for_timeout(1500)
    if path == "Score_images":
        page.get_by_role("tab", name="Examples").click()
        page.get_by_role("button", name="Take examples").click()
        page.get_by_text("Receipt: ").first.wait_for(timeout=60_000)
        settle(page)
        page.wait_for_timeout(1000)
    shot(page, f"{path or 'Overview'}-{experiment}")
    body = page.locator("[data-testid=stMain]")
    assert page.locator("[data-testid=stException]").count() == 0
    assert page.locator("[data-testid=stAlertContentError]").count() == 0
    assert SENSELESS.findall(body.inner_text()) == []
    assert page.evaluate(EMPTY) == []
    assert body.evaluate("e => e.scrollWidth - e.clientWidth") <= 1, "the page scrolls sideways"
    assert accessibility.faults(page) == []


@pytest.mark.parametrize("path", ["", "Scores", "Detectors", "Export"])
def test_a_link_to_energy_comes_out_well(open_page: Any, path: str) -> None:
    page = open_page(f"{path}?experiment=headless&detector=energy")
    page.get_by_text("Energy cannot run here: it needs logits").first.wait_for(timeout=60_000)
    settle(page)
    page.wait_for_timeout(500)
    assert page.locator("[data-testid=stAlertContentError]").count() == 0
    assert "detector=energy" not in page.url
    assert "detector=negative_aware_norm" in page.url

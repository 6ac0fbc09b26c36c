"""Features from elsewhere in a real browser: every page that needs no pixels, without an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ood_core
from benchmarks.driver import ROOT, Server, serve, settle
from tests.features_experiments import write_text_only, write_with_head

PAGES = {
    "Scores": ".js-plotly-plot, iframe, [data-testid=stBidiComponentRegular], canvas, svg",
    "Detectors": "[data-testid=stDataFrame]",
    "Layers": ".js-plotly-plot",
    "Neurons": "canvas, svg, .js-plotly-plot",
    "Map": ".js-plotly-plot",
    "Compare": ".js-plotly-plot, [data-testid=stDataFrame]",
    "Export": "[data-testid=stCode]",
}
EMPTY_CHARTS = """() => [...document.querySelectorAll('.js-plotly-plot')]
  .filter(c => !(c.data || []).some(t => ['x', 'y', 'z', 'values', 'r'].some(k => {
    const v = t[k];
    return v && (v.length || v.bdata || v._inputArray);
  }))).map(c => c.outerHTML.slice(0, 200))"""


@pytest.fixture(scope="module")
def rows_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The dashboard with both experiments prepared."""
    folder = tmp_path_factory.mktemp("rows")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OOD_LENS_HOME", str(folder / "home"))
        for write in (write_with_head, write_text_only):
            ood_core.extract(ood_core.load_experiment(write(folder)))
    log = folder / "log.txt"
    with serve(ROOT / "app.py", log, OOD_LENS_HOME=str(folder / "home")) as running:
        yield running
    text = log.read_text(errors="replace")
    assert "Traceback" not in text, text


@pytest.mark.parametrize("name", ["with-head", "text-only"])
def test_every_page_without_pixels(
    open_page: Callable[..., Any], rows_server: Server, name: str
) -> None:
    page = open_page(f"{rows_server.url}/Scores?experiment={name}")
    for path, chart in PAGES.items():
        page.goto(f"{rows_server.url}/{path}?experiment={name}", wait_until="domcontentloaded")
        settle(page)
        page.locator(f"[data-testid=stMain] :is({chart})").first.wait_for(timeout=60_000)
        page.wait_for_timeout(300)
        said = page.locator("[data-testid=stAlertContentError], [data-testid=stException]")
        assert said.count() == 0, (path, said.all_inner_texts())
        assert page.evaluate(EMPTY_CHARTS) == [], path
        assert page.get_by_text("not readable").count() == 0, path


def test_rows_show_what_they_are_and_are_scored(
    open_page: Callable[..., Any], rows_server: Server
) -> None:
    page = open_page(f"{rows_server.url}/Scores?experiment=text-only")
    page.get_by_text("far sentence").or_(page.get_by_text("test sentence")).first.wait_for(
        timeout=60_000
    )
    page.goto(f"{rows_server.url}/Score_images?experiment=text-only")
    settle(page)
    page.get_by_role("tab", name="Examples").click()
    page.get_by_role("button", name="Take examples").click()
    page.get_by_text("Receipt: ").first.wait_for(timeout=60_000)
    assert page.locator("[data-testid=stException]").count() == 0

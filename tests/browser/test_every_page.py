"""Every page, light and dark, wide, narrow and on a phone: no console error, nothing cut off, no
fault of WCAG 2, level AA, outside Streamlit's own widgets, and a picture.

Everything that can be acted on has a name for a screen reader.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.driver import ROOT, settle
from tests.browser import accessibility

PAGES = sorted(p.stem.split("_", 1)[1] for p in (ROOT / "pages").glob("[0-9]*_*.py"))
SIZES = {"wide": 1440, "narrow": 900}
PHONE = {"width": 390, "height": 844}
UNNAMED = """() => {
  const found = [];
  const text = e => (e && e.textContent || '').trim();
  const look = root => {
    for (const e of root.querySelectorAll('*')) {
      if (e.shadowRoot) look(e.shadowRoot);
      if (!e.matches('button, input, select, textarea, a[href], [role=slider], [tabindex="0"]'))
        continue;
      const box = e.getBoundingClientRect();
      if (!box.width || !box.height) continue;
      const scope = e.getRootNode();
      const others = (e.getAttribute('aria-labelledby') || '').split(' ').filter(Boolean)
        .map(id => text(scope.getElementById(id)));
      const labels = e.labels ? [...e.labels].map(text) : [];
      const own = ['aria-label', 'title', 'placeholder'].map(a => e.getAttribute(a) || '');
      if (![...own, ...others, ...labels, text(e)].join('').trim()) found.push(e.outerHTML);
    }
  };
  look(document);
  return found.map(html => html.slice(0, 160));
}"""


def _click(role: str, name: str, until: str) -> Callable[[Any], None]:
    """Action: click what has this role and name, and wait for the selector `until`."""

    def act(page: Any) -> None:
        page.get_by_role(role, name=name).first.click()
        page.locator(until).first.wait_for()

    return act


def _open(address: str, until: str) -> Callable[[Any], None]:
    """Action: another view of the page, and wait for the selector `until`."""

    def act(page: Any) -> None:
        page.goto(f"{page.url.split('?')[0]}?{address}")
        page.locator(until).first.wait_for(timeout=60_000)

    return act


def _take_examples(page: Any) -> None:
    page.get_by_role("tab", name="Examples").click()
    page.get_by_role("button", name="Take examples").click()
    page.get_by_text("Receipt: ").first.wait_for(timeout=60_000)


BEYOND: dict[str, list[Callable[[Any], None]]] = {
    "": [
        lambda page: page.get_by_text("Sanity gates").click(),
        lambda page: page.locator("ul.checks").wait_for(timeout=60_000),
        _click("button", "New experiment", "[data-testid=stFileUploader], .stTextInput"),
    ],
    "Scores": [_open("detector=nothing&gallery=borderline", "[data-testid=stAlert]")],
    "Detectors": [_click("radio", "Two detectors", ".js-plotly-plot")],
    "Layers": [_click("radio", "Mean entropy over depth", ".js-plotly-plot")],
    "Neurons": [_click("radio", "One neuron", ".js-plotly-plot")],
    "Score_images": [_take_examples],
    "Why_it_works": [_open("experiment=cifar10-densenet", ".st-key-missing")],
    "Export": [_open("detector=nothing", "[data-testid=stAlert]")],
    "Map": [_click("radio", "verdict", ".js-plotly-plot")],
    "Compare": [_open("experiment=cifar10-densenet", ".st-key-missing")],
}
"""What to do on each page so that it shows what it does not show at first."""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
@pytest.mark.parametrize("path", ["", *PAGES])
def test_page(open_page, shot, path: str, size: str, theme: str) -> None:
    page = open_page(path, theme=theme, width=SIZES[size])
    page.wait_for_selector("h1.page-title", timeout=60_000)
    settle(page)
    page.wait_for_timeout(1500)
    title = page.locator("h1.page-title").inner_text()
    assert title == (path.replace("_", " ") or "Overview")
    assert page.locator("[data-testid=stException]").count() == 0
    body = page.locator("[data-testid=stMain]")
    assert body.evaluate("e => e.scrollWidth - e.clientWidth") <= 1, "the page scrolls sideways"
    assert page.evaluate(UNNAMED) == []
    background = page.locator("[data-testid=stApp]").evaluate(
        "e => getComputedStyle(e).backgroundColor"
    )
    light = sum(int(v) for v in background[4:-1].split(",")[:3]) > 380
    assert light == (theme == "light"), background
    shot(page, f"{path or 'Overview'}-{theme}-{size}")
    if size == "narrow":
        for phone in (False, True):
            if phone:
                page.set_viewport_size(PHONE)
                page.wait_for_timeout(1000)
            sideways = body.evaluate("e => e.scrollWidth - e.clientWidth")
            assert sideways <= 1, "the page scrolls sideways"
            assert accessibility.clipped(page) == []
        assert accessibility.faults(page) == []
        shot(page, f"{path or 'Overview'}-{theme}-phone")
    if size == "wide":
        assert accessibility.faults(page) == []
        assert accessibility.pale(page) == []
        for act in BEYOND[path]:
            act(page)
            settle(page)
        page.wait_for_timeout(500)
        assert accessibility.faults(page) == []
        assert accessibility.pale(page) == []

"""Every page, light and dark, wide and narrow: no console error, nothing cut off, a picture.

Everything that can be acted on has a name for a screen reader.
"""

from __future__ import annotations

import pytest

from benchmarks.driver import ROOT, settle

PAGES = sorted(p.stem.split("_", 1)[1] for p in (ROOT / "pages").glob("[0-9]*_*.py"))
SIZES = {"wide": 1440, "narrow": 900}
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

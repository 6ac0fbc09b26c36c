"""A real dashboard and a real Chromium for the browser suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.driver import ROOT, Server, chromium, chromium_path, serve, settle

ARTIFACTS = ROOT / "artifacts" / "browser"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.path).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def server(digits_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The dashboard with the `digits` experiment prepared."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with serve(ROOT / "app.py", log, OOD_LENS_HOME=str(digits_home)) as running:
        yield running
    text = log.read_text(errors="replace")
    assert "Traceback" not in text, text


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if chromium_path() is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with chromium() as running:
        yield running


@pytest.fixture
def open_page(browser: Any, server: Server) -> Iterator[Callable[..., Any]]:
    """Open a path of the dashboard, or an address.

    A console error, or a request to another machine, fails the test at its end.
    """
    contexts: list[Any] = []
    errors: list[str] = []

    def opener(
        path: str = "", *, theme: str = "light", width: int = 1440, height: int = 900
    ) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda m: errors.append(m.text) if _is_error(m) else None)
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.on("request", lambda r: None if _stays_here(r.url) else errors.append(r.url))
        address = path if path.startswith("http") else f"{server.url}/{path}"
        page.goto(address, wait_until="domcontentloaded")
        settle(page)
        return page

    yield opener
    for context in contexts:
        context.close()
    assert not errors, f"console errors, or requests to elsewhere: {errors}"


@pytest.fixture
def shot() -> Callable[[Any, str], None]:
    """Keep a screenshot among the artefacts."""

    def take(page: Any, name: str) -> None:
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=ARTIFACTS / f"{name}.png")

    return take


def _is_error(message: Any) -> bool:
    """Console errors count, but for Streamlit's own probing: on a deep link it first asks for
    its health address below the page's path, and that answers 404."""
    url = str((message.location or {}).get("url", ""))
    return message.type == "error" and not url.endswith(("_stcore/health", "_stcore/host-config"))


def _stays_here(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "data:", "blob:"))

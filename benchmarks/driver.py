"""Start a dashboard, drive it in Chromium and time what a user waits for.

Used by `benchmarks/dashboard.py` and by the browser tests, so that both measure the same thing.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]

# Every DOM change is stamped, shadow roots included, except Streamlit's own run indicator.
_WATCH = """() => {
  window.__lens = {last: 0, start: 0};
  const skip = n => n.closest && n.closest(
    '[data-testid=stStatusWidget],[data-testid=stToolbar],[data-testid=stHeader]');
  const note = records => {
    for (const r of records) {
      const n = r.target.nodeType === 1 ? r.target : r.target.parentElement;
      if (n && skip(n)) continue;
      if (n && n.dataset && n.dataset.testid === 'stApp') continue;
      window.__lens.last = performance.now();
    }
  };
  const options = {subtree: true, childList: true, characterData: true, attributes: true};
  const watch = root => {
    new MutationObserver(note).observe(root, options);
    for (const e of root.querySelectorAll('*')) if (e.shadowRoot) watch(e.shadowRoot);
  };
  watch(document.body);
}"""
_SETTLED = """quiet => {
  const app = document.querySelector('[data-testid=stApp]');
  const s = window.__lens;
  return app && app.getAttribute('data-test-script-state') === 'notRunning'
    && s.last > s.start && performance.now() - s.last > quiet;
}"""


@dataclass
class Server:
    """A running dashboard."""

    url: str
    process: subprocess.Popen
    log: Path


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@contextmanager
def serve(script: Path, log: Path, folder: Path = ROOT, **environment: str) -> Iterator[Server]:
    """Run a Streamlit script as `make run` does, on a free port, until the block ends.

    Streamlit takes its settings from `folder`: in any other than the project's it runs as it
    comes.
    """
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(script)]
    command += ["--server.address", "127.0.0.1", "--server.port", str(port)]
    command += ["--server.headless", "true", "--browser.gatherUsageStats", "false"]
    env = os.environ | environment
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=out)
    server = Server(f"http://127.0.0.1:{port}", process, log)
    try:
        _wait_until_healthy(server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _wait_until_healthy(server: Server, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the server did not answer:\n{server.log.read_text(errors='replace')}")


def chromium_path() -> str | None:
    """Path of the system's Chromium, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium driven by Playwright."""
    from playwright.sync_api import sync_playwright

    path = chromium_path()
    if path is None:
        raise RuntimeError("no Chromium on this machine (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


def settle(page: Any, timeout: int = 60_000) -> None:
    """Wait until the script run has ended and nothing is a skeleton."""
    page.wait_for_selector("[data-testid=stApp]", timeout=timeout)
    page.wait_for_function(
        """() => {
            const app = document.querySelector('[data-testid=stApp]');
            return app && app.getAttribute('data-test-script-state') === 'notRunning'
                && !document.querySelector('[data-testid=stAppSkeleton]');
        }""",
        timeout=timeout,
    )


def arm(page: Any) -> None:
    """Start the clock of this page; what changes from now on counts."""
    if not page.evaluate("!!window.__lens"):
        page.evaluate(_WATCH)
    page.evaluate("() => { window.__lens.start = window.__lens.last = performance.now(); }")


def elapsed(page: Any, quiet: int = 350) -> float:
    """Seconds from `arm` to the last change on the page, once it has been quiet."""
    page.wait_for_function(_SETTLED, arg=quiet, timeout=120_000)
    return float(page.evaluate("(window.__lens.last - window.__lens.start) / 1000"))


def round_trip(page: Any, action: Callable[[], None], quiet: int = 350) -> float:
    """Seconds from a user's action to the last change that it causes on the page."""
    arm(page)
    action()
    return elapsed(page, quiet)


def nudge(page: Any, key: str, step: str = "ArrowRight") -> Callable[[], None]:
    """Action: move the slider with this widget key by one step."""
    thumb = page.locator(f".st-key-{key} input[type=range]").first

    def act() -> None:
        thumb.focus()
        thumb.press(step)

    return act


def choose(page: Any, key: str, option: str) -> Callable[[], None]:
    """Action: pick an option of the select box with this widget key."""

    def act() -> None:
        page.locator(f".st-key-{key} input").first.click()
        page.get_by_role("option", name=option, exact=True).first.click()

    return act


def median(values: list[float]) -> float:
    return statistics.median(values)

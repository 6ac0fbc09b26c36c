"""Ten visitors at once, each on a page of their own: how long each waits, and whether they mix.

    python benchmarks/visitors.py [--visitors 10] [--rounds 5]

Prints the median and the slowest interaction. All visitors act at the same moment. Ends with an
error when something failed or the median is over one second.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.driver import arm, chromium, elapsed, median, serve, settle  # noqa: E402

LIMIT = 1.0
ADDRESSES = (
    ("Scores?detector=nan", "threshold"),
    ("Scores?detector=energy", "threshold"),
    ("Scores?detector=line", "threshold"),
    ("Scores?detector=knn", "threshold"),
    ("Scores?detector=msp", "threshold"),
    ("Export?detector=react", "threshold"),
    ("Export?detector=vim", "threshold"),
    ("Neurons", "line_p_a"),
    ("Neurons", "line_p_w"),
    ("Scores?detector=feature_norm", "threshold"),
)


def visit(browser: Any, url: str, visitors: int, rounds: int) -> tuple[list[float], list[str]]:
    """Seconds of every interaction, and errors seen in any browser's console."""
    errors: list[str] = []
    pages = []
    for i in range(visitors):
        address, key = ADDRESSES[i % len(ADDRESSES)]
        page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        page.set_default_timeout(120_000)
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.goto(f"{url}/{address}")
        page.locator(f".st-key-{key} input[type=range]").first.wait_for()
        pages.append((page, key))
    for page, _ in pages:
        settle(page, 120_000)
    seconds = []
    for turn in range(rounds):
        for page, key in pages:
            arm(page)
            thumb = page.locator(f".st-key-{key} input[type=range]").first
            thumb.focus()
            page.keyboard.press("ArrowRight" if turn % 2 else "ArrowLeft")
        seconds += [elapsed(page) for page, _ in pages]
    for page, _ in pages:
        if page.locator("[data-testid=stException]").count():
            errors.append(f"exception shown on {page.url}")
        page.context.close()
    return seconds, errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--visitors", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    import ood_core

    ood_core.extract(ood_core.load_experiment("digits"))
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(ROOT / "app.py", Path(folder) / "log", **os.environ) as server,
        chromium() as browser,
    ):
        seconds, errors = visit(browser, server.url, options.visitors, options.rounds)
        traces = server.log.read_text(errors="replace").count("Traceback")
    print(
        f"{options.visitors} visitors, {len(seconds)} interactions: median "
        f"{median(seconds):.2f} s, slowest {max(seconds):.2f} s, errors {len(errors) + traces}"
    )
    sys.exit(bool(errors or traces) or median(seconds) > LIMIT)


if __name__ == "__main__":
    main()

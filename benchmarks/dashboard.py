"""How long the dashboard takes to answer, beside a bare page and beside a naive one.

    python benchmarks/dashboard.py [--experiment digits|synthetic] [--repeats 7]

One report from one run: median round trips in Chromium from a user's action to the last change on
the page, as ratios to the bare page (one slider, two static charts, Streamlit as it comes), the
first chart on a warm cache, and the largest message that the server sent.
`benchmarks/synthetic.py` makes the large experiment first; `OOD_LENS_HOME` must be the same for
both. Ends with an error where a limit is passed: a slider 1.5 times the bare page, a switch 2
times (2.5 on a large experiment), a first chart in 5 s, a message of 250 KB, a frame of 32 ms
while the threshold is dragged.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.driver import choose, chromium, median, nudge, round_trip, serve, settle  # noqa: E402

LINE = ("line_p_a", "line_p_w", "line_clip")
"""Sliders of the Neurons page; on digits, where LINe itself takes no time."""
STARTS = 3
"""Servers started to measure the first chart."""
SWITCH = {"digits": 2.0}
"""Most that a switch of detector or layer may take, in round trips of the bare page."""


_FRAMES = """() => {
  window.__frames = [];
  window.addEventListener('pointermove', e => requestAnimationFrame(() =>
    setTimeout(() => window.__frames.push(performance.now() - e.timeStamp), 0)), true);
}"""
"""From each move of the pointer to the end of the frame that shows it, in milliseconds."""


class Traffic:
    """Sizes of the messages that a page receives."""

    def __init__(self, page: Any) -> None:
        self.sizes: list[int] = []
        page.on("websocket", lambda socket: socket.on("framereceived", self._note))

    def _note(self, payload: bytes | str) -> None:
        self.sizes.append(len(payload))

    def largest(self) -> int:
        return max(self.sizes, default=0)

    def clear(self) -> None:
        self.sizes.clear()


def measure_bare(browser: Any, folder: Path, repeats: int) -> dict[str, float]:
    with serve(ROOT / "benchmarks" / "bare_page.py", folder / "bare.log", folder) as server:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(server.url)
        page.wait_for_selector(".js-plotly-plot")
        settle(page)
        slider = [round_trip(page, nudge(page, "threshold")) for _ in range(repeats)]
        names = ("two", "one") * repeats
        switch = [round_trip(page, choose(page, "detector", n)) for n in names[:repeats]]
        page.close()
    return {"threshold": median(slider), "detector": median(switch)}


def measure_starts(browser: Any, folder: Path, experiment: str) -> dict[str, float]:
    """From the address to the histogram, each time with a server that has served nobody."""
    seconds = []
    for _ in range(STARTS):
        with serve(ROOT / "app.py", folder / "start.log") as server:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            start = time.perf_counter()
            page.goto(f"{server.url}/Scores?experiment={experiment}")
            page.wait_for_selector(".handle", timeout=120_000)
            seconds.append(time.perf_counter() - start)
            page.close()
    return {"first chart": median(seconds), "first chart, slowest": max(seconds)}


def measure_ours(browser: Any, folder: Path, experiment: str, repeats: int) -> dict[str, float]:
    found: dict[str, float] = {}
    with serve(ROOT / "app.py", folder / "ours.log") as server:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        traffic = Traffic(page)
        page.goto(f"{server.url}/Scores?experiment={experiment}")
        page.wait_for_selector(".handle", timeout=120_000)
        settle(page)
        time.sleep(1)
        found["first load, largest message"] = traffic.largest()
        traffic.clear()
        found["threshold"] = _median(page, lambda i: nudge(page, "threshold"), repeats)
        titles = ("Energy", "Negative-aware norm (NAN)")
        _warm(page, "detector", titles)
        found["detector"] = _median(
            page, lambda i: choose(page, "detector", titles[i % 2]), repeats
        )
        layers = _options(page, "layer")[-2:]
        _warm(page, "layer", layers)
        found["layer"] = _median(page, lambda i: choose(page, "layer", layers[i % 2]), repeats)
        if experiment == "digits":
            page.goto(f"{server.url}/Neurons?experiment={experiment}")
            page.wait_for_selector(".st-key-line_histogram svg")
            settle(page)
            time.sleep(1)
            for key in LINE:  # each step is a setting that was never computed
                round_trip(page, nudge(page, key, "ArrowLeft"))
                steps = [round_trip(page, nudge(page, key, "ArrowLeft")) for _ in range(repeats)]
                found[key] = median(steps)
        found["later, largest message"] = traffic.largest()
        page.close()
    return found


def measure_drag(browser: Any, folder: Path, experiment: str, steps: int) -> dict[str, float]:
    """Drag the threshold line: how long a frame takes, and whether its numbers are exact."""
    import ood_core
    from ood_core import scoring

    acts = ood_core.prepared(ood_core.load_experiment(experiment))
    scores = scoring.score(acts, "nan")
    ood = np.concatenate(list(scores.ood.values()))
    with serve(ROOT / "app.py", folder / "drag.log") as server:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{server.url}/Scores?experiment={experiment}&detector=nan")
        page.wait_for_selector(".handle", timeout=120_000)
        settle(page)
        box = page.locator(".handle .grab").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.evaluate(_FRAMES)
        wrong = 0
        for step in range(1, steps + 1):
            page.mouse.move(x + 4 * step, y)
            page.evaluate("() => new Promise(requestAnimationFrame)")
            threshold = float(page.locator(".handle").get_attribute("aria-valuenow"))
            shown = [
                int(
                    page.locator(f".readout [data-id={name}]")
                    .inner_text()
                    .split(" / ")[0]
                    .replace(",", "")
                )
                for name in ("id-count", "ood-count")
            ]
            wrong += shown != [int((v >= threshold).sum()) for v in (scores.id_scores, ood)]
        frames = sorted(page.evaluate("window.__frames"))
        page.mouse.up()
        page.close()
    return {
        "frame, median": median(frames),
        "frame, 95 %": frames[int(0.95 * (len(frames) - 1))],
        "frames with a wrong number": wrong,
        "scores": len(scores.id_scores) + len(ood),
    }


def measure_raw(browser: Any, folder: Path, experiment: str, repeats: int) -> dict[str, float]:
    with serve(ROOT / "benchmarks" / "raw_page.py", folder / "raw.log", folder) as server:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        traffic = Traffic(page)
        page.goto(f"{server.url}/?experiment={experiment}")
        page.wait_for_selector(".js-plotly-plot", timeout=120_000)
        settle(page, 120_000)
        time.sleep(2)
        found = {"threshold": _median(page, lambda i: nudge(page, "threshold"), min(3, repeats))}
        names = ("energy", "nan")
        pick = _median(page, lambda i: choose(page, "detector", names[i % 2]), min(3, repeats))
        page.close()
    return found | {"detector": pick, "later, largest message": traffic.largest()}


def _median(page: Any, action: Any, repeats: int) -> float:
    return median([round_trip(page, action(i)) for i in range(repeats)])


def _warm(page: Any, key: str, options: tuple[str, ...] | list[str]) -> None:
    for option in reversed(options):
        round_trip(page, choose(page, key, option))


def _options(page: Any, key: str) -> list[str]:
    page.locator(f".st-key-{key} input").first.click()
    names = page.get_by_role("option").all_inner_texts()
    page.keyboard.press("Escape")
    return names


def report(bare: dict, ours: dict, raw: dict | None) -> str:
    lines = ["what a user waits for             this page   bare page   ratio   raw points"]
    for name in (n for n in ("threshold", *LINE, "detector", "layer") if n in ours):
        yard = bare["detector" if name in ("detector", "layer") else "threshold"]
        naive = f"{1000 * raw[name]:8.0f} ms" if raw and name in raw else ""
        lines.append(
            f"{name + ' released or switched':32s} {1000 * ours[name]:7.0f} ms"
            f" {1000 * yard:8.0f} ms"
            f" {ours[name] / yard:7.2f} {naive}"
        )
    lines.append(
        f"{'first chart, warm store':32s} {ours['first chart']:7.2f} s median of {STARTS} fresh "
        f"servers, {ours['first chart, slowest']:.2f} s at most"
    )
    for name in ("first load, largest message", "later, largest message"):
        naive = f"{raw[name] / 1000:27.0f} KB" if raw and name in raw else ""
        lines.append(f"{name:32s} {ours[name] / 1000:7.0f} KB {naive}")
    if "frame, median" in ours:
        lines.append(
            f"{'threshold dragged, one frame':32s} {ours['frame, median']:7.0f} ms median, "
            f"{ours['frame, 95 %']:.0f} ms at most in 95 % of them; {ours['scores']:,} scores, "
            f"{ours['frames with a wrong number']} frames with a wrong number"
        )
    return "\n".join(lines)


def over_limits(experiment: str, bare: dict, ours: dict) -> list[str]:
    """What took longer or was larger than it may be, in words; empty when all holds."""
    switch = SWITCH.get(experiment, 2.5)
    limits = {
        **dict.fromkeys(("threshold", *LINE), 1.5 * bare["threshold"]),
        "detector": switch * bare["detector"],
        "layer": switch * bare["detector"],
        "first chart, slowest": 5.0,
        "first load, largest message": 250_000,
        "later, largest message": 250_000,
        "frame, 95 %": 32.0,
        "frames with a wrong number": 0,
    }
    measured = {k: v for k, v in limits.items() if k in ours}
    return [f"{k}: {ours[k]:.3g}, at most {v:.3g}" for k, v in measured.items() if ours[k] > v]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--experiment", default="digits")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--no-raw", action="store_true", help="leave out the naive page")
    options = parser.parse_args()
    import ood_core

    ood_core.extract(ood_core.load_experiment(options.experiment))
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        bare = measure_bare(browser, folder, options.repeats)
        ours = measure_starts(browser, folder, options.experiment)
        ours |= measure_ours(browser, folder, options.experiment, options.repeats)
        ours |= measure_drag(browser, folder, options.experiment, 40)
        raw = None
        if not options.no_raw:
            raw = measure_raw(browser, folder, options.experiment, options.repeats)
        again = measure_bare(browser, folder, options.repeats)
    bare = {key: (bare[key] + again[key]) / 2 for key in bare}
    print(f"{options.experiment}: medians of {options.repeats}; the bare page before and after")
    print(report(bare, ours, raw))
    if over := over_limits(options.experiment, bare, ours):
        sys.exit("over the limit: " + "; ".join(over))


if __name__ == "__main__":
    main()

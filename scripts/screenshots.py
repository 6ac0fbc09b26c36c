"""Take the pictures of README.md and docs/tour.md from a running dashboard.

    python scripts/screenshots.py docs/images [--home FOLDER] [--only scores,layers]

The `digits` experiment is prepared in a temporary home unless one is given, beside
`digits-untrained`, the same network before training, which the Compare page shows next to it.
Light theme, 1440 x 900. Every page file has a picture: a new one is visited at its plain address.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.driver import chromium, serve, settle  # noqa: E402

WIDTH, HEIGHT = 1440, 900
BUSY = "[data-testid=stSpinner], [data-testid=stProgress], [data-stale=true]"
UNTRAINED = "digits-untrained"


def scroll_to(selector: str, text: str = "") -> Callable[[Any], None]:
    """Action: bring an element near the top of the window, by scrolling the page's own pane."""

    def act(page: Any) -> None:
        element = page.locator(selector).filter(has_text=text).first
        element.wait_for()
        element.evaluate(
            "e => { document.querySelector('[data-testid=stMain]').scrollTop +="
            " e.getBoundingClientRect().top - 20; }"
        )

    return act


def take_examples(page: Any) -> None:
    """Action: score the page's example images."""
    page.get_by_role("tab", name="Examples").click()
    page.get_by_role("button", name="Take examples").click()
    page.get_by_text("Receipt: ").first.wait_for()


CLASS_3 = "Neurons?detector=line&neurons_class=3"
ADDRESSES: dict[str, tuple[str, Callable[[Any], None] | None]] = {
    "neurons": ("Neurons?detector=line", None),
    "score-images": ("Score_images?detector=line", take_examples),
    "compare": (f"Compare?other_experiment={UNTRAINED}", None),
    "tour-threshold": ("Scores?detector=ssd", None),
    "tour-taken-apart": ("Layers?ood_sets=shuffled", scroll_to("h2", "NAN taken apart")),
    "tour-neuron": (f"{CLASS_3}&neurons_view=one", scroll_to(".st-key-neurons_view")),
    "tour-without": (f"{CLASS_3}&neurons_view=without", scroll_to(".st-key-neurons_view")),
}
"""Pictures whose page is not visited at its plain address: address, and what to do there."""


def pictures() -> dict[str, tuple[str, Callable[[Any], None] | None]]:
    """Name of each picture -> address and action; one for every page file, and the tour's."""
    files = sorted((ROOT / "pages").glob("[0-9]*_*.py"))
    stems = [path.stem.split("_", 1)[1] for path in files]
    plain = {"overview": ("", None)}
    plain |= {stem.lower().replace("_", "-"): (stem, None) for stem in stems}
    return plain | ADDRESSES


def prepare(home: Path) -> None:
    """Extract and store `digits`, and the untrained twin, in `home`."""
    text = (ROOT / "ood_core/experiments/builtin/digits.toml").read_text(encoding="utf-8")
    text = text.replace('name = "digits"', f'name = "{UNTRAINED}"')
    text = text.replace('"Handwritten digits"', '"The same network, untrained"')
    text = text.replace('weights = "shipped"', "random_weights = 0")
    text = text.replace("expected_accuracy = 0.98\n", "")
    (home / "experiments").mkdir(parents=True, exist_ok=True)
    (home / "experiments" / f"{UNTRAINED}.toml").write_text(text, encoding="utf-8")
    for name in ("digits", UNTRAINED):
        command = [sys.executable, "-m", "ood_core", "extract", name]
        subprocess.run(command, cwd=ROOT, env=os.environ | {"OOD_LENS_HOME": str(home)}, check=True)


def still(page: Any, quiet: int = 1500, timeout: int = 180_000) -> None:
    """Wait until the script has ended, nothing works, and the page looks the same twice."""
    settle(page, timeout)
    before, after = b"", page.screenshot()
    for _ in range(timeout // quiet):
        page.wait_for_timeout(quiet)
        before, after = after, page.screenshot()
        if before == after and not page.locator(BUSY).count():
            return
    raise RuntimeError(f"{page.url} does not come to rest")


def take(browser: Any, address: str, action: Callable[[Any], None] | None, path: Path) -> None:
    """One picture, in a window of its own."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light", reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(address, wait_until="domcontentloaded")
    page.wait_for_selector("h1")
    still(page)
    if action is not None:
        action(page)
        still(page)
    if page.locator("[data-testid=stException]").count():
        raise RuntimeError(f"{address} shows an exception")
    keep(page.screenshot(), path)
    context.close()


def keep(png: bytes, path: Path) -> None:
    """Write a picture as lossless WebP: the same pixels in about half the bytes."""
    Image.open(io.BytesIO(png)).convert("RGB").save(path, lossless=True, quality=90, method=6)


@contextmanager
def home_folder(given: Path | None) -> Iterator[Path]:
    """The given folder, or a temporary one."""
    if given is not None:
        yield given.resolve()
    else:
        with tempfile.TemporaryDirectory(prefix="ood-lens-") as made:
            yield Path(made)


def main() -> None:
    """Take all pictures, or those named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--home", type=Path, help="OOD_LENS_HOME to use; default: a temporary one")
    parser.add_argument("--only", help="names of pictures, with commas; default: all")
    args = parser.parse_args()
    wanted = pictures()
    if args.only:
        names = args.only.split(",")
        unknown = sorted(set(names) - set(wanted))
        if unknown:
            parser.error(f"no picture {', '.join(unknown)}; there are {', '.join(wanted)}")
        wanted = {name: wanted[name] for name in names}
    args.folder.mkdir(parents=True, exist_ok=True)
    with home_folder(args.home) as home, tempfile.TemporaryDirectory() as logs:
        prepare(home)
        log = Path(logs) / "server.txt"
        with serve(ROOT / "app.py", log, OOD_LENS_HOME=str(home)) as server, chromium() as browser:
            for name, (path, action) in wanted.items():
                target = args.folder / f"{name}.webp"
                take(browser, f"{server.url}/{path}", action, target)
                size = target.stat().st_size / 1024
                sys.stdout.write(f"{target}  {size:.0f} KiB\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()

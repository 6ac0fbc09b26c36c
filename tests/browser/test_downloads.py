"""Every button that offers a file gives one, and it holds something."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.driver import settle

REGION = "region=-4,-4+4,-4+4,4+-4,4"
PAGES = {
    "Scores": 4,
    "Detectors": 3,
    "Detectors?tab=compare": 3,
    "Layers": 5,
    "Layers?layers_entropy=depth": 5,
    "Neurons": 5,
    "Neurons?neurons_view=one": 5,
    "Neurons?neurons_view=without": 5,
    "Neurons?neurons_view=image": 4,
    "Why_it_works": 1,
    "Export": 3,
    f"Map?{REGION}": 2,
}
"""Page -> least number of files that it offers."""


@pytest.mark.parametrize("path", PAGES)
def test_every_file_comes(open_page, path: str) -> None:
    page = open_page(path)
    page.wait_for_selector("h1.page-title", timeout=60_000)
    settle(page, 120_000)
    buttons = page.locator("[data-testid=stDownloadButton] button:visible, .save button:visible")
    buttons.nth(PAGES[path] - 1).wait_for(timeout=60_000)
    page.wait_for_timeout(1500)
    for number in range(buttons.count()):
        with page.expect_download(timeout=20_000) as caught:
            buttons.nth(number).click()
        file = Path(caught.value.path())
        assert file.stat().st_size > 50, caught.value.suggested_filename

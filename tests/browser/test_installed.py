"""The installed dashboard, started in a folder that has nothing to do with it."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator

import pytest

from benchmarks.driver import free_port
from tests.installing import ROOT, build, environment


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, digits_home) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("installed")
    made = environment(folder)
    made.pip("install", "--no-deps", "--no-index", str(build(folder)))
    shutil.copytree(digits_home, made.home)
    port = free_port()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [made.command, "--port", str(port)], cwd=made.elsewhere, env=made.environment,
            stdout=log, stderr=log,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(10)
    said = (folder / "log").read_text()
    assert said.startswith(f"OOD Lens: {url}")
    assert "Traceback" not in said


def _wait(url: str, process: subprocess.Popen) -> None:
    for _ in range(300):
        assert process.poll() is None
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the dashboard did not answer")


def test_pages_are_found_and_settings_apply(open_page, address: str) -> None:
    page = open_page(address)
    labels = [p.stem.split("_", 1)[1].replace("_", " ") for p in (ROOT / "pages").glob("[0-9]*.py")]
    for label in ["Overview", *labels]:
        page.get_by_role("link", name=label, exact=False).first.wait_for()
    font = page.evaluate("getComputedStyle(document.querySelector('.stApp')).fontFamily")
    assert font.startswith("system-ui")
    page = open_page(f"{address}/Score_images")
    page.get_by_text(re.compile(r"500\s?MB")).first.wait_for()
    page = open_page(f"{address}/Scores?detector=nan")
    page.get_by_text("AUROC").first.wait_for()
    assert page.title() == "Scores · OOD Lens"

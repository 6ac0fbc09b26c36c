"""The main job, in a real browser: from the first chart to the verdict on an uploaded image."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image

from benchmarks.driver import choose, nudge, settle


def _readout(page) -> dict[str, str]:
    """Numbers above the histogram: rates and counts at the threshold."""
    spoken = page.locator(".readout [data-id]")
    return dict(
        spoken.evaluate_all("es => es.map(e => [e.dataset.id, e.textContent])")
    )  # Playwright's selectors reach into open shadow roots


def _library(detector: str, layer: str | None = None):
    import ood_core
    from ood_core import scoring

    acts = ood_core.prepared(ood_core.load_experiment("digits"))
    return scoring.score(acts, detector, layer=layer)


@pytest.fixture(autouse=True)
def same_home(digits_home, monkeypatch):
    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))


def test_the_main_job(open_page, shot) -> None:
    page = open_page("Scores")
    page.wait_for_selector(".handle")
    first = _readout(page)
    scores = _library("nan")
    accepted = int((scores.id_scores >= np.sort(scores.id_scores)[::-1][456]).sum())
    assert first["id-count"] == f"{accepted} / 481"

    choose(page, "detector", "Energy")()
    page.get_by_text(re.compile("Energy score")).first.wait_for()
    settle(page)
    assert _readout(page) != first

    choose(page, "detector", "Negative-aware norm (NAN)")()
    settle(page)
    layers = page.locator(".st-key-layer input").first
    layers.click()
    names = page.get_by_role("option").all_inner_texts()
    page.keyboard.press("Escape")
    assert names[-1] == "penultimate"
    choose(page, "layer", names[0])()
    page.wait_for_url(re.compile(f"layer={names[0]}"))
    settle(page)
    own = _library("nan", names[0])
    shown = page.locator("table").first.inner_text()
    for name in own.ood:
        assert f"{100 * own.evaluate(name).auroc:.2f}" in shown, name
        assert f"{100 * own.evaluate(name).fpr95:.2f}" in shown, name

    nudge(page, "threshold", "PageUp")()
    page.wait_for_url(re.compile("threshold_mode=free"))
    settle(page)
    shot(page, "main-job-scores")

    page.goto(page.url.split("/Scores")[0] + "/Score_images")
    settle(page)
    noise = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "PNG")
    page.locator(".st-key-upload input[type=file]").set_input_files(
        {"name": "noise.png", "mimeType": "image/png", "buffer": out.getvalue()}
    )
    page.get_by_text("Receipt: noise.png").wait_for(timeout=60_000)
    verdict = page.get_by_text(re.compile(r"accepted as ID, \d+ rejected as OOD")).inner_text()
    assert re.search(r"[01] accepted as ID, [01] rejected as OOD", verdict)
    settle(page)
    shot(page, "main-job-verdict")


def test_dragging_the_line_gives_exact_numbers_at_every_stop(open_page) -> None:
    page = open_page("Scores")
    page.wait_for_selector(".handle")
    scores = _library("nan")
    handle = page.locator(".handle")
    box = page.locator(".handle .grab").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    seen = set()
    for step in range(1, 25):
        page.mouse.move(x + 6 * step, y)
        page.evaluate("() => new Promise(requestAnimationFrame)")
        threshold = float(handle.get_attribute("aria-valuenow"))
        found = _readout(page)
        count = int((scores.id_scores >= threshold).sum())
        ood = sum(int((v >= threshold).sum()) for v in scores.ood.values())
        assert found["id-count"].replace(",", "") == f"{count} / 481"
        assert found["ood-count"].replace(",", "").split(" / ")[0] == str(ood)
        seen.add(threshold)
    page.mouse.up()
    assert len(seen) > 10
    page.wait_for_url(re.compile("threshold_mode=free"))
    settle(page)
    slider = page.locator(".st-key-threshold input[type=range]").first
    released = float(handle.get_attribute("aria-valuenow"))
    assert float(slider.input_value()) == pytest.approx(released, abs=0.01)


def test_keys_move_the_line(open_page) -> None:
    page = open_page("Scores")
    page.wait_for_selector(".handle")
    handle = page.locator(".handle")
    before = float(handle.get_attribute("aria-valuenow"))
    handle.focus()
    page.keyboard.press("PageUp")
    page.wait_for_url(re.compile("threshold_mode=free"))
    assert float(handle.get_attribute("aria-valuenow")) > before
    assert "ID accepted" in handle.get_attribute("aria-valuetext")


def test_an_address_opens_the_same_view_elsewhere(open_page) -> None:
    page = open_page("Scores?detector=knn&ood_sets=photos&ood_sets=noise&threshold_mode=fpr")
    page.wait_for_selector(".handle")
    other = open_page(page.url.split("/", 3)[3])
    other.wait_for_selector(".handle")
    assert _readout(other) == _readout(page)
    assert other.locator("table tbody tr").count() == page.locator("table tbody tr").count()


def test_a_range_of_scores_is_marked_from_the_keyboard(open_page) -> None:
    page = open_page("Scores?gallery=most_id")
    page.wait_for_selector(".handle")
    scores = _library("nan")
    low, high = sorted(float(f"{v:.4f}") for v in np.quantile(scores.id_scores, [0.2, 0.6]))
    page.locator(".between input[name=from]").fill(str(low))
    page.keyboard.press("Tab")
    page.wait_for_url(re.compile("range="))
    page.locator(".between input[name=to]").fill(str(high))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(f"range={low}&range={high}"))
    settle(page)
    rows = [scores.id_scores, *scores.ood.values()]
    inside = sum(int(((v >= low) & (v <= high)).sum()) for v in rows)
    page.locator(".st-key-threshold_gallery").get_by_text(f"{inside:,}").first.wait_for()
    choose(page, "detector", "Energy")()
    page.wait_for_url(re.compile("detector=energy"))
    settle(page)
    assert "range=" not in page.url, "a range of one detector's scores says nothing of another's"
    assert page.locator(".between input[name=from]").input_value() == ""

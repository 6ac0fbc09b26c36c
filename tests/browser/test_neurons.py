"""The map of contributions in a real browser: read, look closer, take a neuron."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from benchmarks.driver import nudge, settle


@pytest.fixture
def order(digits_home, monkeypatch):
    """Contributions and their display order."""
    import ood_core
    from ood_core import neurons

    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))
    acts = ood_core.prepared(ood_core.load_experiment("digits"))
    exp = acts.experiment
    lab = neurons.LineLab(acts[exp.fit_set], acts, exp.test_set, exp.ood_sets, acts.head)
    return lab.contributions, neurons.seriate(lab.contributions, "class")


def test_the_map_is_read_with_keys_and_a_click_takes_a_neuron(open_page, order) -> None:
    contributions, shown = order
    page = open_page("Neurons")
    chart = page.locator(".st-key-contributions svg[role=application]")
    chart.wait_for()
    settle(page)
    chart.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    row, column = int(shown.classes[1]), int(shown.neurons[1])
    value = f"{contributions[row, column]:+.3f}".replace("-", "−")
    spoken = page.locator(".st-key-contributions .spoken").text_content()
    assert f"neuron {column}, class {row}, contribution {value}" in spoken

    box = page.locator(".st-key-contributions .frame").bounding_box()
    cell = box["width"] / len(shown.neurons)
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 10.5 * cell, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 29.5 * cell, y, steps=5)
    page.mouse.up()
    cell = box["width"] / 20
    page.mouse.click(box["x"] + 3.5 * cell, y)
    page.wait_for_url(re.compile(f"neuron={shown.neurons[13]}&.*neurons_view=one"))
    page.get_by_text(f"Neuron {shown.neurons[13]}: contribution by class").first.wait_for()
    settle(page)
    assert page.locator(".st-key-contributions .marked").count() == 1
    chart.dblclick(position={"x": 300, "y": 100})
    settle(page)
    assert f"neuron={shown.neurons[13]}" in page.url, "a double click only zooms back"


def test_a_slider_moves_rates_and_masks_but_not_energy(open_page) -> None:
    page = open_page("Neurons")
    panels = page.locator(".st-key-line_histogram .panels svg")
    panels.nth(1).wait_for()
    settle(page)
    before = [panels.nth(k).inner_html() for k in range(2)]
    chart = page.locator(".st-key-contributions image")
    picture = chart.get_attribute("href")
    for _ in range(5):
        nudge(page, "line_p_a", "ArrowLeft")()
    page.wait_for_url(re.compile(r"line_p_a=85\.0"))
    settle(page)
    after = [panels.nth(k).inner_html() for k in range(2)]
    assert after[0] != before[0]
    assert after[1] == before[1]
    expect(chart).to_have_count(1)  # the one before may still be there while it is replaced
    assert chart.get_attribute("href") != picture


def test_the_clip_slider_moves_the_line_on_the_mean_activations(open_page) -> None:
    page = open_page("Neurons")
    page.get_by_text("clip δ = 1", exact=True).wait_for()
    settle(page)
    for _ in range(3):
        nudge(page, "line_clip", "ArrowLeft")()
    page.wait_for_url(re.compile(r"line_clip=0\.7"))
    settle(page)
    assert page.get_by_text("clip δ = 1", exact=True).count() == 1, "out of sight, it waits"
    page.locator(".st-key-mean_activations").scroll_into_view_if_needed()
    page.get_by_text("clip δ = 0.7", exact=True).wait_for()
    page.reload()
    page.get_by_text("clip δ = 0.7", exact=True).wait_for()

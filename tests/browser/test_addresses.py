"""What a visitor did is in the address, and Back undoes it."""

from __future__ import annotations

import math
import re

import pytest

from benchmarks.driver import choose, nudge, settle


def test_a_page_of_a_gallery_opens_elsewhere(open_page) -> None:
    page = open_page("Scores?gallery=most_ood")
    page.wait_for_selector(".handle")
    page.get_by_role("button", name="Next page").first.click()
    page.wait_for_url(re.compile("threshold_gallery_page=1"))
    settle(page)
    where = page.locator(".where").first.inner_text()
    assert where.startswith("25 to 48")
    other = open_page(page.url.split("/", 3)[3])
    other.wait_for_selector(".handle")
    settle(other)
    assert other.locator(".where").first.inner_text() == where
    page.get_by_role("tab", name="Most ID").click()
    page.wait_for_url(re.compile("gallery=most_id"))
    settle(page)
    assert page.locator(".where").first.inner_text().startswith("1 to 24")


def test_a_lasso_opens_elsewhere_and_back_undoes_it(open_page) -> None:
    page = open_page("Map")
    page.wait_for_selector(".js-plotly-plot .nsewdrag")
    settle(page)
    page.wait_for_timeout(600)
    box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x + 100, y)
    page.mouse.down()
    for k in range(40):
        turn = 2 * math.pi * k / 40
        page.mouse.move(x + 100 * math.cos(turn), y + 80 * math.sin(turn))
    page.mouse.up()
    page.wait_for_url(re.compile("region="))
    count = page.get_by_text("images in the region").first.inner_text()
    assert int(count.split()[0].replace(",", "")) > 100
    settle(page)
    other = open_page(page.url.split("/", 3)[3])
    other.get_by_text(count, exact=True).first.wait_for()
    page.wait_for_timeout(600)
    page.go_back()
    page.get_by_text("Draw round a group").first.wait_for()
    settle(page)
    page.wait_for_function(
        "() => { const d = document.querySelector('.js-plotly-plot');"
        " return d && !(d.layout.selections || []).length; }"
    )


def test_back_undoes_a_choice(open_page) -> None:
    page = open_page("Layers")
    page.get_by_text("NAN is best at").first.wait_for()
    page.wait_for_timeout(600)
    page.get_by_role("radio", name="FPR95").or_(
        page.get_by_role("button", name="FPR95")
    ).first.click()
    page.wait_for_url(re.compile("layers_metric=fpr95"))
    settle(page)
    page.wait_for_timeout(600)
    page.go_back()
    page.wait_for_url(re.compile("Layers(?!.*layers_metric)"))
    page.get_by_text(re.compile(r"\(AUROC ")).first.wait_for()


def test_back_from_another_detector_with_a_free_threshold(open_page) -> None:
    page = open_page("Scores?threshold=0.7&threshold_mode=free")
    page.wait_for_selector(".handle")
    settle(page)
    before = page.locator(".readout").inner_text()
    page.wait_for_timeout(600)
    choose(page, "detector", "Energy")()
    page.wait_for_url(re.compile("detector=energy"))
    settle(page)
    page.wait_for_timeout(600)
    page.go_back()
    page.wait_for_url(re.compile("detector=negative_aware_norm"))
    settle(page)
    page.wait_for_timeout(800)
    assert page.locator(".readout").inner_text() == before
    assert page.locator(".handle").get_attribute("aria-valuenow") == "0.7"
    assert "threshold=0.7&" in page.url


def test_every_part_of_the_layers_page_follows_the_units(open_page) -> None:
    page = open_page("Layers?layer=block1")
    page.get_by_text("few active units").first.wait_for()
    settle(page)
    before = page.locator("table.figures").first.inner_text()
    page.get_by_text("Every position", exact=True).click()
    page.wait_for_url(re.compile("layers_pool=flat"))
    settle(page)
    after = page.locator("table.figures").first.inner_text()
    assert after != before
    page.reload()
    page.get_by_text("few active units").first.wait_for()
    settle(page)
    assert page.locator("table.figures").first.inner_text() == after


@pytest.mark.parametrize("detector", ["energy", "nan", "negative_aware_norm"])
def test_two_detectors_opens_for_any(open_page, detector: str) -> None:
    page = open_page(f"Detectors?tab=compare&detector={detector}")
    page.get_by_text("Each at its own threshold").wait_for()


def test_a_cell_of_a_sweep_is_adopted(open_page) -> None:
    page = open_page("Detectors?tab=sweep&sweep_detector=line")
    chart = page.locator(".js-plotly-plot").first
    chart.wait_for(timeout=90_000)
    settle(page)
    page.wait_for_timeout(1000)
    box = chart.locator(".nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.4)
    page.wait_for_timeout(300)
    page.mouse.click(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.4)
    page.get_by_role("button", name=re.compile("Use LINe with p_a = ")).click()
    page.wait_for_url(re.compile("detector=line"))


def _steps(page) -> int:
    return page.evaluate("history.length")


def _follow(page, label: str, address: str) -> None:
    page.locator("nav a", has_text=label).first.click()
    _arrived(page, label, address)


def _arrived(page, label: str, address: str) -> None:
    page.wait_for_url(re.compile(f"/{label}.*{address}"))
    page.get_by_role("heading", name=label or "Overview", exact=True).wait_for()
    settle(page)


def test_a_page_link_is_one_step_and_one_back_undoes_it(open_page) -> None:
    page = open_page("Scores?detector=energy&gallery=most_id&ood_sets=photos")
    page.wait_for_selector(".handle")
    settle(page)
    view = "detector=energy.*ood_sets=photos"
    first, steps = page.url, _steps(page)
    for label in ("Layers", "Map"):
        _follow(page, label, view)
        steps += 1
        assert _steps(page) == steps
    page.go_back()
    _arrived(page, "Layers", view)
    page.go_back()
    _arrived(page, "Scores", view)
    assert page.url == first
    page.get_by_role("tab", name="Most ID", selected=True).wait_for()
    page.go_forward()
    _arrived(page, "Layers", view)
    assert _steps(page) == steps, "nothing was written behind the visitor's back"


def test_back_reaches_the_first_page_of_another_experiment(open_page) -> None:
    view = "experiment=cifar10-densenet"
    page = open_page(f"Scores?{view}")
    _arrived(page, "Scores", view)
    first = page.url
    _follow(page, "Layers", view)
    page.go_back()
    _arrived(page, "Scores", view)
    assert page.url == first


def test_each_back_undoes_one_of_two_choices(open_page) -> None:
    page = open_page("Scores")
    page.wait_for_selector(".handle")
    settle(page)
    readouts = [page.locator(".readout").inner_text()]
    for option, name in (("Energy", "energy"), ("KNN", "knn")):
        choose(page, "detector", option)()
        page.wait_for_url(re.compile(f"detector={name}"))
        settle(page)
        readouts.append(page.locator(".readout").inner_text())
    assert len(set(readouts)) == 3
    for name, readout in zip(("energy", "negative_aware_norm"), readouts[1::-1], strict=True):
        page.go_back()
        page.wait_for_url(re.compile(f"detector={name}"))
        page.wait_for_function(
            "text => [...document.querySelectorAll('*')].some(e => e.shadowRoot"
            " && e.shadowRoot.querySelector('.readout')?.innerText === text)",
            arg=readout,
        )


@pytest.mark.parametrize(
    ("short", "whole"),
    [
        ("", "experiment=digits.*layer=penultimate"),
        ("Scores", "experiment=digits.*layer=penultimate"),
        ("Scores?experiment=digits", "detector=negative_aware_norm.*layer=penultimate"),
        ("Scores?detector=nan", "detector=negative_aware_norm.*layer=penultimate"),
        ("Scores?detector=nothing", "detector=negative_aware_norm.*layer=penultimate"),
        ("Layers?experiment=digits&layer=penultimate&detector=energy", "detector=energy"),
    ],
)
def test_an_address_however_short_is_one_step(open_page, short: str, whole: str) -> None:
    page = open_page()
    _arrived(page, "", "experiment=digits")
    start, steps = page.url, _steps(page)
    page.goto(f"{page.url.split('/?')[0]}/{short}")
    page.wait_for_url(re.compile(whole))
    settle(page)
    page.wait_for_timeout(1000)
    opened = page.url
    assert _steps(page) == steps + 1
    choose(page, "detector", "KNN")()
    page.wait_for_url(re.compile("detector=knn"))
    settle(page)
    chosen, steps = page.url, _steps(page)
    page.reload()
    settle(page)
    page.wait_for_timeout(1000)
    assert (page.url, _steps(page)) == (chosen, steps)
    page.go_back()
    page.wait_for_function("url => location.href === url", arg=opened)
    settle(page)
    page.go_forward()
    page.wait_for_function("url => location.href === url", arg=chosen)
    settle(page)
    page.go_back()
    page.go_back()
    page.wait_for_function("url => location.href === url", arg=start)
    _arrived(page, "", "experiment=digits")
    assert _steps(page) == steps, "nothing was written behind the visitor's back"


def test_a_link_followed_at_once_takes_the_newest_value_in_one_step(open_page) -> None:
    page = open_page("Neurons?detector=line")
    page.locator(".st-key-line_p_a input[type=range]").wait_for()
    settle(page)
    page.wait_for_timeout(600)
    nudge(page, "line_p_a", "ArrowLeft")()
    page.wait_for_url(re.compile("line_p_a="))
    settle(page)
    steps = _steps(page)
    nudge(page, "line_p_a", "ArrowLeft")()
    newest = page.locator(".st-key-line_p_a input[type=range]").input_value()
    page.locator("nav a", has_text="Layers").first.click()
    _arrived(page, "Layers", f"line_p_a={float(newest):g}")
    page.wait_for_timeout(1000)
    assert f"line_p_a={float(newest):g}" in page.url
    assert _steps(page) <= steps + 2, "the slider's and the link's"
    page.go_back()
    _arrived(page, "Neurons", "line_p_a")

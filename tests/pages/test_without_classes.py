"""Every page on a network without a head, and on images without labels."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import ood_core
from ood_core.scoring import run_gates
from tests.without_classes import ALONE, EXPERIMENTS, HALF

ROOT = Path(__file__).parents[2]
PAGES = ["app.py", *sorted(f"pages/{p.name}" for p in (ROOT / "pages").glob("[0-9]*_*.py"))]
SENSELESS = re.compile(
    r"has no head: what needs|\bnan\b|\bNone\b|inf %|accuracy 0|predicted class 0"
)


@pytest.fixture(autouse=True)
def home(home_without_classes: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OOD_LENS_HOME", str(home_without_classes))
    monkeypatch.delenv("OOD_LENS_DATA", raising=False)
    st.cache_resource.clear()
    return home_without_classes


def open_page(page: str, **query: str) -> AppTest:
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    if page != "app.py":
        at.switch_page(page)
    for name, value in query.items():
        at.query_params[name] = value
    return at.run()


def words(at: AppTest) -> str:
    """All that the page says, without tags."""
    told = [e.value for e in (*at.info, *at.warning, *at.error, *at.markdown, *at.caption)]
    html = [re.sub(r"<[^>]+>", " ", h.proto.body) for h in at.get("html")]
    return " ".join([*told, *(h for h in html if "--hue" not in h and "{" not in h)])


def empty_charts(at: AppTest) -> list[str]:
    specs = [json.loads(c.proto.spec) for c in at.get("plotly_chart")]
    return [
        spec["layout"]["title"]["text"]
        for spec in specs
        if not any(trace.get("x") or trace.get("y") or trace.get("z") for trace in spec["data"])
    ]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.parametrize("page", PAGES)
def test_page(page: str, experiment: str) -> None:
    at = open_page(page, experiment=experiment)
    assert not at.exception
    assert not at.error, [e.value for e in at.error]
    assert not at.warning or "Compare" in page or "Detectors" in page, [w.value for w in at.warning]
    assert SENSELESS.findall(words(at)) == []
    assert empty_charts(at) == []


@pytest.mark.parametrize("page", PAGES)
def test_page_without_an_ood_set(page: str) -> None:
    at = open_page(page, experiment=ALONE)
    assert not at.exception
    assert not at.error, [e.value for e in at.error]
    told = any("no OOD set" in i.value for i in at.info)
    assert told == (page == "app.py" or any(n in page for n in ("Detectors", "Layers", "Why")))


def test_another_experiment_with_a_fault_does_not_keep_from_comparing() -> None:
    at = open_page("pages/9_Compare.py", experiment="headless", other_experiment="faulty")
    assert not at.exception
    assert any("needs class folders or labels" in e.value for e in at.error)


@pytest.mark.parametrize("page", PAGES)
def test_a_link_to_a_detector_that_cannot_run_here(page: str) -> None:
    at = open_page(page, experiment="headless", detector="energy")
    assert not at.exception
    assert not at.error
    said = " ".join(w.value for w in at.warning)
    assert "Energy cannot run here: it needs logits" in said
    assert at.selectbox(key="detector").value == "negative_aware_norm"


def test_what_cannot_run_is_not_offered_and_what_can_is() -> None:
    for experiment, lost, kept in (
        ("headless", {"energy", "line", "vim"}, {"mahalanobis", "residual", "ssd", "knn"}),
        ("unlabelled", {"line", "she"}, {"energy", "vim", "mahalanobis"}),
        ("bare", {"line", "she", "energy"}, {"mahalanobis", "residual"}),
    ):
        at = open_page("pages/2_Detectors.py", experiment=experiment)
        offered = set(at.selectbox(key="detector").options)
        titles = ood_core.all_detectors()
        assert not {titles[n].title for n in lost} & offered
        assert {titles[n].title for n in kept} <= offered


@pytest.mark.parametrize("tab", ["board", "sweep", "compare"])
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_tab_of_detectors(tab: str, experiment: str) -> None:
    at = open_page("pages/2_Detectors.py", experiment=experiment, tab=tab)
    assert not at.exception
    assert not at.error
    asked = open_page(
        "pages/2_Detectors.py", experiment="headless", tab="compare", compare_detector="msp"
    )
    assert any("Max softmax" in w.value and "logits" in w.value for w in asked.warning)


@pytest.mark.parametrize("view", ["mean", "active", "one", "without", "image"])
def test_neurons_without_classes(view: str) -> None:
    at = open_page("pages/4_Neurons.py", experiment="headless", neurons_view=view)
    assert not at.exception
    assert not at.error
    assert any("head" in i.value for i in at.info)
    warned = " ".join(w.value for w in at.warning)
    assert ("That view is LINe's" in warned) == (view in ("without", "image"))
    if view == "one":
        assert at.number_input(key="neuron").value >= 0
        assert at.dataframe


@pytest.mark.parametrize("view", ["mean", "one", "without", "image"])
def test_neurons_where_the_test_set_alone_has_no_labels(view: str) -> None:
    at = open_page("pages/4_Neurons.py", experiment=HALF, neurons_view=view)
    assert not at.exception
    assert not at.error
    assert any("has no labels" in i.value for i in at.info) == (view == "without")


def test_map_by_predicted_class_is_not_offered_without_a_head() -> None:
    at = open_page("pages/8_Map.py", experiment="headless", map_colour="class")
    assert not at.error
    assert any("no head" in w.value for w in at.warning)
    assert at.session_state["map_colour"] == "set"


def test_new_images_get_a_verdict_and_no_class() -> None:
    at = open_page("pages/5_Score_images.py", experiment="headless")
    assert not at.exception
    at.button(key="take_examples").click().run()
    assert not at.exception
    assert not at.error
    (table,) = [d.value for d in at.dataframe if "verdict" in d.value]
    assert not {"prediction", "probability"} & set(table)
    assert {"ID", "OOD"} >= set(table["verdict"])
    assert "no account of a class" in words(at)


def test_compare_says_what_only_one_of_the_two_can_run() -> None:
    at = open_page("pages/9_Compare.py", experiment="unlabelled", other_experiment="headless",
                   detector="energy")  # fmt: skip
    assert not at.exception
    assert not at.error
    assert any("Energy cannot run here" in i.value for i in at.info)
    said = " ".join(c.value for c in at.caption)
    assert "Not compared, because of B: Energy" in said
    assert "Not compared, because of A: LINe" in said


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_gates_that_apply(experiment: str) -> None:
    acts: Any = ood_core.prepared(ood_core.load_experiment(experiment))
    outside = {g.name for g in run_gates(acts) if not g.applies}
    assert ("The head explains the logits" in outside) == (experiment != "unlabelled")
    assert "ID accuracy is as expected" in outside
    assert ("Every class has fit images" in outside) == (experiment != "headless")

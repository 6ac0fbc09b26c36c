"""The page Why it works in Streamlit's test runner."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import ood_core
from ood_core.models.network_files import onnx_files
from ood_core.runtime.progress import Progress
from ood_core.theory import background, lab, measure_layer, measurement
from ood_core.theory.claims import of_network, of_training

ROOT = Path(__file__).parents[2]


@pytest.fixture
def acts(digits_home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`digits` prepared, no lab and no job."""
    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))
    monkeypatch.setattr(lab, "finished", lambda runs=None: ())
    monkeypatch.setattr(background, "find_lab", lambda: None)
    st.cache_resource.clear()
    return ood_core.prepared(ood_core.load_experiment("digits"))


def open_page(**query: str) -> AppTest:
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    at.switch_page("pages/6_Why_it_works.py")
    for name, value in query.items():
        at.query_params[name] = value
    return at.run()


def shown(at: AppTest) -> str:
    html = [element.proto.body for element in at.get("html")]
    return " ".join([*html, *(e.value for e in (*at.markdown, *at.caption, *at.info, *at.error))])


def running(title: str) -> SimpleNamespace:
    return SimpleNamespace(
        state="running", active=True, error=None, stop=lambda: None,
        progress=Progress(title, 30, 120, 10.0, 9.0),
    )  # fmt: skip


def test_own_network_is_judged_by_the_numbers_of_ood_core(acts: Any) -> None:
    at = open_page()
    assert not at.exception
    text = shown(at)
    found = measure_layer(acts)
    for claim in of_network.claims_of_hidden(found, "test"):
        assert f"<strong>{claim.verdict.capitalize()}</strong>" in text
        assert claim.numbers in text
    for claim in of_network.claims_of_nan_here(acts, "penultimate", acts.experiment.ood_sets):
        assert claim.numbers in text
    assert len(at.get("plotly_chart")) == 2


def test_terms_are_explained_before_they_are_used(acts: Any) -> None:
    """Each term's first appearance in the running text is the bold one that explains it."""
    from pages.components.why.theory_words import INTRO, LAB, SECTIONS

    order = [
        "hidden",
        "nan",
        "layers",
        "training",
        "labels",
        "entropy",
        "depth",
        "width",
        "one_class",
    ]
    assert set(order) == set(SECTIONS)
    assert f"train {len(lab.full_plan())} small networks" in LAB
    parts = [INTRO, *(SECTIONS[n].text + SECTIONS[n].look for n in order[:2]), LAB]
    parts += [SECTIONS[n].text + SECTIONS[n].look for n in order[2:]]
    text = " ".join(parts)
    for term in (
        "in-distribution (ID)", "out-of-distribution (OOD)", "activation", "unit", "feature norm",
        "AUROC", "logit", "biases", "coefficient matrix", "hidden", "approximation error",
        "sparsity term", "negative-aware norm (NAN)", "ReLU", "Prediction entropy",
        "Activation entropy", "Relative error",
    ):  # fmt: skip
        first = text.find(term)
        assert first >= 0, term
        assert text[first - 2 : first] == "**", f"{term!r} is used before it is explained"


def test_a_layer_that_is_not_measured_offers_to_measure_it(acts: Any, monkeypatch: Any) -> None:
    layer = acts.layers[0].name
    monkeypatch.setattr("ood_core.theory.measured_layer", lambda acts, layer: None)
    started: list[str] = []
    monkeypatch.setattr(background, "start_measurement", lambda acts, layer: started.append(layer))
    at = open_page(layer=layer)
    assert not at.exception
    assert "is not measured yet" in shown(at)
    at.button(key="theory_measure").click().run()
    assert started == [layer]
    monkeypatch.setattr(
        background, "find_measurement", lambda acts, layer: running("Hidden classifier")
    )
    st.cache_resource.clear()
    at = open_page(layer=layer)
    assert "Stop" in [button.label for button in at.button]


def test_a_network_without_gradients_says_why_it_is_not_measured(
    acts: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(measurement, "network_no_gradients", lambda _: onnx_files.NO_GRADIENTS)
    at = open_page(layer=acts.layers[0].name)
    assert not at.exception
    assert onnx_files.NO_GRADIENTS in shown(at)
    assert at.button(key="theory_measure").disabled
    st.cache_resource.clear()
    at = open_page(layer="penultimate")
    assert onnx_files.NO_GRADIENTS not in shown(at), "the penultimate layer needs none"


def test_the_lab_starts_reports_and_goes_on(acts: Any, monkeypatch: Any) -> None:
    started: list[int] = []
    monkeypatch.setattr(background, "start_lab", lambda: started.append(1))
    at = open_page()
    button = at.button(key="theory_run_lab")
    assert button.label == "Train the networks"
    button.click().run()
    assert started == [1]
    monkeypatch.setattr(lab, "finished", lambda runs=None: lab.full_plan()[:5])
    at = open_page()
    assert at.button(key="theory_run_lab").label.startswith("Go on (5 of ")
    monkeypatch.setattr(background, "find_lab", lambda: running("Training lab: instance"))
    at = open_page()
    assert not at.exception
    assert "Stop" in [b.label for b in at.button]


def test_lab_sections_show_the_numbers_of_ood_core(acts: Any, monkeypatch: Any) -> None:
    spec = importlib.util.spec_from_file_location(
        "lab_tables", ROOT / "tests" / "theory" / "lab_tables.py"
    )
    assert spec is not None
    assert spec.loader is not None
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    results = tables.made_up()
    monkeypatch.setattr(lab, "finished", lambda runs=None: lab.full_plan())
    monkeypatch.setattr(lab, "load_results", lambda: results)
    for choice, against in (("mean of the six", None), ("photos", "photos")):
        at = open_page(lab_against=choice)
        assert not at.exception
        text = shown(at)
        assert len(at.get("plotly_chart")) == 2 + 8
        for claims in (
            of_training.claims_of_hidden_layers(results),
            of_training.claims_of_one_class(results),
            of_training.claims_of_training(results, against),
            of_training.claims_of_nan(results, against),
            of_training.claims_of_labels(results, against),
            of_training.claims_of_width(results, against),
            of_training.claims_of_depth(results, against),
            of_training.claims_of_entropy(results, against),
        ):
            for claim in claims:
                assert claim.numbers in text, claim
        assert "does not hold here".capitalize() in text

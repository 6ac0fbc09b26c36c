"""Addresses as version 956e8ce wrote them open with the same choices, and without a note."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import ood_core

ROOT = Path(__file__).parents[2]
ALWAYS = {"experiment": "digits", "layer": "penultimate"}


@pytest.fixture(autouse=True)
def prepared(digits_home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))
    monkeypatch.delenv("OOD_LENS_DATA", raising=False)
    st.cache_resource.clear()
    return ood_core.prepared(ood_core.load_experiment("digits"))


def opened(page: str, **url: str | list[str]) -> AppTest:
    """A page as the address opens it; nothing is noted, and nothing is wrong."""
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    if page != "app.py":
        at.switch_page(f"pages/{page}")
    for name, value in (ALWAYS | {"detector": "nan"} | url).items():
        at.query_params[name] = value
    at.run()
    assert not at.exception
    assert not [element.value for element in (*at.warning, *at.error) if "address" in element.value]
    return at


ADDRESSES: list[tuple[str, dict[str, str | list[str]], dict[str, Any]]] = [
    ("app.py", {"ood_sets": ["held-out", "noise"]}, {"ood_sets": ["held-out", "noise"]}),
    ("1_Scores.py", {"threshold": "0.7", "threshold_mode": "free"},
     {"threshold": 0.7, "threshold_mode": "free"}),
    ("1_Scores.py", {"threshold": "0.7"}, {"threshold": 0.7, "threshold_mode": "free"}),
    ("1_Scores.py", {"detector": "line", "line_p_a": "80.0", "line_clip": "0.8", "tpr": "90.0"},
     {"detector": "line", "line_p_a": 80.0, "line_clip": 0.8, "tpr": 90.0}),
    ("1_Scores.py", {"threshold_mode": "fpr", "fpr": "7.5", "curve": "pr_id", "scale": "log",
                     "sets": "pooled", "unit": "counts", "gallery": "most_ood",
                     "threshold_gallery_page": "1"},
     {"threshold_mode": "fpr", "fpr": 7.5, "curve": "pr_id", "scale": "log", "sets": "pooled",
      "unit": "counts", "gallery": "most_ood", "threshold_gallery_page": 1}),
    ("1_Scores.py", {"threshold_mode": "cost", "cost_ratio": "3.0", "prevalence": "20.0"},
     {"threshold_mode": "cost", "cost_ratio": 3.0, "prevalence": 20.0}),
    ("1_Scores.py", {"threshold_mode": "cost", "cost_ratio": "3.0"},
     {"threshold_mode": "cost", "cost_ratio": 3.0, "prevalence": 10.0}),
    ("1_Scores.py", {"threshold_mode": "conformal", "alpha": "2.5"}, {"alpha": 2.5}),
    ("1_Scores.py", {"params": "knn:k=7", "detector": "knn"}, {"detector": "knn"}),
    ("2_Detectors.py", {"board_metric": "fpr95", "board_intervals": "shown"},
     {"tab": "board", "board_metric": "fpr95", "board_intervals": "shown"}),
    ("2_Detectors.py", {"tab": "compare", "compare_detector": "knn", "compare_tpr": "90.0",
                        "compare_group": "both_reject"},
     {"compare_detector": "knn", "compare_tpr": 90.0, "compare_group": "both_reject"}),
    ("2_Detectors.py", {"tab": "sweep", "sweep_detector": "knn", "sweep_metric": "fpr95"},
     {"tab": "sweep", "sweep_detector": "knn", "sweep_metric": "fpr95"}),
    ("3_Layers.py", {"layer": "block1", "layers_metric": "fpr95", "layers_pool": "flat"},
     {"layer": "block1", "layers_metric": "fpr95", "layers_pool": "flat"}),
    ("4_Neurons.py", {"line_p_a": "70.0", "line_p_w": "85.0"},
     {"line_p_a": 70.0, "line_p_w": 85.0}),
    ("4_Neurons.py", {"neurons_view": "one", "neuron": "17", "neurons_veil": "off"},
     {"neurons_view": "one", "neuron": 17, "neurons_veil": "off"}),
    ("4_Neurons.py", {"neurons_view": "without", "neurons_mode": "keep", "neurons_count": "12"},
     {"neurons_view": "without", "neurons_mode": "keep", "neurons_count": 12}),
    ("4_Neurons.py", {"neurons_view": "image", "neurons_set": "noise", "neurons_image": "3"},
     {"neurons_view": "image", "neurons_set": "noise", "neurons_image": 3}),
    ("4_Neurons.py", {"neurons_against": "all"},
     {"neurons_view": "mean", "neurons_against": "all"}),
    ("5_Score_images.py", {"detector": "energy"}, {"detector": "energy"}),
    ("6_Why_it_works.py", {"layer": "block3"}, {"layer": "block3"}),
    ("7_Export.py", {"detector": "energy", "threshold_mode": "fpr", "fpr": "10.0"},
     {"detector": "energy", "threshold_mode": "fpr", "fpr": 10.0}),
    ("8_Map.py", {"map_colour": "verdict"}, {"map_method": "pca", "map_colour": "verdict"}),
    ("9_Compare.py", {"detector": "energy"}, {"detector": "energy"}),
]  # fmt: skip


@pytest.mark.parametrize(("page", "url", "expected"), ADDRESSES)
def test_an_old_address_opens_with_its_choices(
    page: str, url: dict[str, str | list[str]], expected: dict[str, Any]
) -> None:
    at = opened(page, **url)
    assert {name: at.session_state[name] for name in expected} == expected


def test_the_prevalence_is_in_every_new_address_of_a_cost() -> None:
    at = opened("1_Scores.py", threshold_mode="cost", prevalence="50.0")
    assert "50.0" in at.query_params["prevalence"]
    at = opened("1_Scores.py")
    at.selectbox(key="threshold_mode").set_value("cost").run()
    assert at.number_input(key="prevalence").value == 100 * ood_core.thresholds.PREVALENCE
    assert "50.0" in at.query_params["prevalence"]

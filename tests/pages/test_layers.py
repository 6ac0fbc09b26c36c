"""The Layers page in Streamlit's test runner: numbers, choices, addresses, nothing prepared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import ood_core
from ood_core import layers
from ood_core.activations import preparation

ROOT = Path(__file__).parents[2]


def open_layers(**query: str | list[str]) -> AppTest:
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    at.switch_page("pages/3_Layers.py")
    for name, value in query.items():
        at.query_params[name] = value
    return at.run()


def figure(at: AppTest, key: str) -> dict[str, Any]:
    """Specification of the chart with this key, as it went to the browser."""
    found = [c.proto for c in at.get("plotly_chart") if c.proto.id.endswith(key)]
    assert len(found) == 1, f"{len(found)} charts with key {key!r}"
    return dict(json.loads(found[0].spec))


def titles(at: AppTest) -> list[str]:
    specs = [json.loads(c.proto.spec) for c in at.get("plotly_chart")]
    return [spec["layout"]["title"]["text"].replace("<br>", " ") for spec in specs]


@pytest.fixture
def acts(digits_home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))
    st.cache_resource.clear()
    return ood_core.prepared(ood_core.load_experiment("digits"))


def test_headline_and_charts_say_what_the_core_says(acts: Any) -> None:
    at = open_layers()
    assert not at.exception
    sets = acts.experiment.ood_sets
    table = layers.layer_metrics(acts, acts.experiment.test_set, sets)
    best = layers.best_layers(layers.mean_over_sets(table)).best["negative_aware_norm"]
    text = " ".join(m.value for m in at.markdown)
    assert f"NAN is best at `{best[0]}` (AUROC {100 * best[1]:.2f} %)" in text
    shown = titles(at)
    assert len(shown) == 5
    assert "AUROC by layer: ID against mean over the OOD sets" in shown
    assert "Norm against active units at penultimate: ID against OOD" in shown
    for chart in at.get("plotly_chart"):
        assert len(chart.proto.spec) < 250_000


def test_choices_come_from_the_address(acts: Any) -> None:
    at = open_layers(
        layer="block3",
        layers_metric="fpr95",
        layers_pool="flat",
        layers_against="photos",
        layers_entropy="depth",
        ood_sets=["photos"],
    )
    assert not at.exception
    assert not at.warning
    table = layers.layer_metrics(acts, acts.experiment.test_set, ["photos"], "flat")
    best = layers.best_layers(table, "fpr95").best["l1"]
    text = " ".join(m.value for m in at.markdown)
    assert f"the L1 norm at `{best[0]}` ({100 * best[1]:.2f} %)" in text
    shown = titles(at)
    assert "FPR95 by layer: ID against photos" in shown
    assert "Active units per image at block3: ID against OOD" in shown
    assert "Mean activation entropy by layer: ID against OOD" in shown


def test_changing_the_measure_redraws_with_the_cores_numbers(acts: Any) -> None:
    at = open_layers()
    at.session_state["layers_metric"] = "fpr95"
    at.run()
    assert not at.exception
    assert "FPR95 by layer: ID against mean over the OOD sets" in titles(at)


def test_an_address_that_asks_for_nothing_known_is_a_note(acts: Any) -> None:
    at = open_layers(layer="block99", layers_against="mars", layers_pool="max")
    assert not at.exception
    notes = " ".join(w.value for w in at.warning)
    for bad in ("block99", "mars", "max"):
        assert bad in notes
    assert "AUROC by layer: ID against mean over the OOD sets" in titles(at)


def test_a_number_of_active_units_that_hardly_varies_is_pointed_out(
    acts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = layers.active_units
    monkeypatch.setattr(
        layers, "active_units",
        lambda *a, **k: layers.ActiveUnits(**vars(real(*a, **k)) | {"steady": True}),
    )  # fmt: skip
    at = open_layers()
    row = real(acts, [acts.experiment.test_set]).summary.iloc[0]
    want = f"{row['mean']:.0f} of 256 on average, varying by {100 * row['variation']:.1f} %"
    assert any(want in note.value for note in at.info)


def test_nothing_prepared_offers_to_prepare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path))
    monkeypatch.setattr(preparation, "prepare", lambda exp: None)
    st.cache_resource.clear()
    at = open_layers()
    assert not at.exception
    assert not at.get("plotly_chart")
    assert at.button(key="prepare")


def test_click_on_a_layer_goes_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from pages.components.kit import state
    from pages.components.layers import depth

    store: dict[str, Any] = {}
    for point in ({"customdata": "block2"}, {"customdata": ["block2"]}):
        event = SimpleNamespace(selection=SimpleNamespace(points=[point]))
        monkeypatch.setattr(depth.st, "session_state", {"depth_curves": event})
        monkeypatch.setattr(state, "put", store.__setitem__)
        depth._go("depth_curves")()
        assert store == {"layer": "block2"}
        store.clear()
    event = SimpleNamespace(selection=SimpleNamespace(points=[]))
    monkeypatch.setattr(depth.st, "session_state", {"depth_curves": event})
    depth._go("depth_curves")()
    assert not store

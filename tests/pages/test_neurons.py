"""The Neurons page in Streamlit's test runner: LINe's sliders, every view, unusable addresses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import ood_core
from ood_core import metrics, neurons
from ood_core.activations import preparation
from ood_core.errors import DataError

ROOT = Path(__file__).parents[2]


def open_neurons(**query: str | list[str]) -> AppTest:
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    at.switch_page("pages/4_Neurons.py")
    for name, value in query.items():
        at.query_params[name] = value
    return at.run()


def titles(at: AppTest) -> list[str]:
    specs = [json.loads(c.proto.spec) for c in at.get("plotly_chart")]
    charts = [spec["layout"]["title"]["text"].replace("<br>", " ") for spec in specs]
    ours = [json.loads(c.proto.json)[0] for c in at.get("bidi_component")]
    return charts + [data["title"] for data in ours if "title" in data]


def facts(at: AppTest) -> str:
    """Text of the page's HTML elements, without tags."""
    return re.sub(r"<[^>]+>", " ", " ".join(h.proto.body for h in at.get("html")))


@pytest.fixture
def acts(digits_home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))
    st.cache_resource.clear()
    return ood_core.prepared(ood_core.load_experiment("digits"))


def mean_auroc(acts: Any, detector: str, **params: float) -> float:
    exp = acts.experiment
    fitted = ood_core.make_detector(detector, **params).fit(acts[exp.fit_set], acts.head)
    inside = fitted.score_samples(acts[exp.test_set])
    return float(np.mean([
        metrics.auroc(inside, fitted.score_samples(acts[name])) for name in exp.ood_sets
    ]))  # fmt: skip


def test_sliders_move_the_rates_as_a_fresh_detector_would(acts: Any) -> None:
    at = open_neurons()
    assert not at.exception
    energy = f"{100 * mean_auroc(acts, 'energy'):.2f}"
    start = ood_core.make_detector("line").get_params() | acts.experiment.detectors.get("line", {})
    for slider, name, value in (
        (None, "", 0.0), ("line_p_a", "p_a", 10.0), ("line_p_w", "p_w", 50.0),
        ("line_clip", "clip", 0.5),
    ):  # fmt: skip
        if slider:
            at.slider(key=slider).set_value(value).run()
            start[name] = value
        assert not at.exception
        line = f"{100 * mean_auroc(acts, 'line', **start):.2f}"
        assert re.search(rf"{re.escape(line)}\s+\(energy {re.escape(energy)}\)", facts(at))


def histograms(at: AppTest) -> dict[str, Any]:
    """What the small histograms were given."""
    (found,) = [c.proto for c in at.get("bidi_component") if c.proto.id.endswith("line_histogram")]
    return dict(json.loads(found.json)[0])


def test_histograms_count_every_image_and_show_the_cut(acts: Any) -> None:
    at = open_neurons()
    line, energy = histograms(at)["panels"]
    assert (line["title"], energy["title"]) == ("LINe: ID against OOD", "Energy: ID against OOD")
    exp = acts.experiment
    for panel, name in ((line, "line"), (energy, "energy")):
        sizes = {s["name"]: sum(s["bins"]) for s in panel["sets"]}
        assert sizes == {f"{exp.test_set} (ID)": len(acts[exp.test_set])} | {
            n: len(acts[n]) for n in exp.ood_sets
        }
        fitted = ood_core.make_detector(name).fit(acts[exp.fit_set], acts.head)
        inside = np.sort(fitted.score_samples(acts[exp.test_set]))[::-1]
        cut = inside[int(np.ceil(0.95 * len(inside))) - 1]
        assert panel["cut_text"] == f"cut {cut:.4g}".replace("-", "−")
    at.slider(key="line_p_a").set_value(10.0).run()
    moved, same = histograms(at)["panels"]
    assert moved != line
    assert same == energy


def test_payloads_stay_small(acts: Any) -> None:
    at = open_neurons()
    for chart in at.get("plotly_chart"):
        assert len(chart.proto.spec) < 250_000
    for component in at.get("bidi_component"):
        assert len(component.proto.json) < 250_000


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ("mean", ["Mean activation of each neuron: ID against OOD"]),
        ("one", ["Neuron 7: contribution by class",
                 "Neuron 7: activation on ID against OOD images"]),
        ("without", ["AUROC with all neurons and without the dropped ones",
                     "Accuracy on ID test images with and without the neurons"]),
        ("image", ["Contributions to"]),
    ],
)  # fmt: skip
def test_every_view_opens_from_its_address(acts: Any, view: str, expected: list[str]) -> None:
    at = open_neurons(neurons_view=view, neuron="7")
    assert not at.exception
    assert not at.warning
    for title in expected:
        assert any(shown.startswith(title) for shown in titles(at)), titles(at)


def test_one_neuron_tells_what_happens_without_it(acts: Any) -> None:
    at = open_neurons(neurons_view="one", neuron="7")
    exp = acts.experiment
    lab = neurons.LineLab(acts[exp.fit_set], acts, exp.test_set, exp.ood_sets, acts.head)
    line = lab.rescore(90.0, 90.0, 1.0, drop=[7]).mean["auroc"]
    text = " ".join(m.value for m in at.markdown)
    assert f"Without neuron 7: LINe AUROC **{100 * line:.2f} % (" in text
    at.number_input(key="neuron").set_value(8).run()
    assert not at.exception
    assert "Neuron 8: contribution by class" in titles(at)


def test_dropping_a_class_is_counted(acts: Any) -> None:
    at = open_neurons(neurons_view="without", neurons_class="3", neurons_count="40")
    assert not at.exception
    assert "Without 40 of 256 neurons" in " ".join(m.value for m in at.markdown)
    at.session_state["neurons_mode"] = "keep"
    at.run()
    assert "Without 216 of 256 neurons" in " ".join(m.value for m in at.markdown)


def test_a_list_of_ones_own_and_what_is_wrong_with_it(acts: Any) -> None:
    at = open_neurons(neurons_view="without", neurons_from="list", neurons_list="3, 7, 40-42")
    assert not at.exception
    assert "Without 5 of 256 neurons" in " ".join(m.value for m in at.markdown)
    at.text_input(key="neurons_list").set_value("3, x").run()
    assert not at.exception
    assert any("'x' is no neuron: write numbers and ranges" in e.value for e in at.error)
    at.session_state["neurons_from"] = "ood"
    at.run()
    assert not at.exception
    assert "Without 16 of 256 neurons" in " ".join(m.value for m in at.markdown)


def test_a_slow_shape_shows_a_preview_with_its_size_and_progress(
    acts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pages.components.neurons import line_lab

    shown = []
    real = line_lab._show
    monkeypatch.setattr(neurons.LineLab, "is_slow", property(lambda self: True))
    monkeypatch.setattr(neurons.LineLab, "preview_size", property(lambda self: 20))
    monkeypatch.setattr(
        line_lab, "_show", lambda view, result, *a: (shown.append(result), real(view, result, *a))
    )
    at = open_neurons(neurons_view="one")
    assert not at.exception
    text = " ".join(m.value for m in at.markdown)
    assert f"Preview on 140 of {shown[0].n_total:,} images." in text
    assert [r.is_preview for r in shown] == [True, False]
    assert shown[0].n_scored == 20 * 7
    assert "Preview" in line_lab._headline(shown[0])
    assert f"140 of {shown[0].n_total:,} images" in line_lab._headline(shown[0])


def test_addresses_that_ask_for_nothing_known_are_notes(acts: Any) -> None:
    at = open_neurons(line_p_a="many", neuron="999", neurons_view="one", neurons_order="colour")
    assert not at.exception
    notes = " ".join(w.value for w in at.warning)
    assert "line_p_a = 'many', which is not a number" in notes
    assert "neuron = 999; allowed is 0 to 255" in notes
    assert "'colour'" in notes


def test_what_line_cannot_do_is_a_message(acts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise DataError("detector 'line' cannot run: it needs labels for the fit set.")

    monkeypatch.setattr(neurons, "LineLab", refuse)
    at = open_neurons()
    assert not at.exception
    assert any("needs labels for the fit set" in e.value for e in at.error)


def test_nothing_prepared_offers_to_prepare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path))
    monkeypatch.setattr(preparation, "prepare", lambda exp: None)
    st.cache_resource.clear()
    at = open_neurons()
    assert not at.exception
    assert not at.get("plotly_chart")
    assert at.button(key="prepare")

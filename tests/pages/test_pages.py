"""Every page in Streamlit's own test runner: prepared, nothing prepared, and unusable addresses."""

from __future__ import annotations

import dataclasses
import html
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import ood_core
from ood_core import metrics, scoring, thresholds
from ood_core.activations import preparation
from ood_core.experiments.listing import LeftOut
from ood_core.runtime.progress import Progress

ROOT = Path(__file__).parents[2]
OVERVIEW, SCORES = "app.py", "pages/1_Scores.py"
ALL_PAGES = [OVERVIEW, *sorted(f"pages/{p.name}" for p in (ROOT / "pages").glob("[0-9]*_*.py"))]


def open_page(page: str, **query: str | list[str]) -> AppTest:
    """Run one page as a deep link does."""
    at = AppTest.from_file(str(ROOT / OVERVIEW), default_timeout=120)
    if page != OVERVIEW:
        at.switch_page(page)
    for name, value in query.items():
        at.query_params[name] = value
    return at.run()


def messages(at: AppTest) -> str:
    return " | ".join(element.value for element in (*at.warning, *at.error))


def sent(at: AppTest, key: str) -> dict[str, Any]:
    """Data that the component with this key was given."""
    found = [c.proto for c in at.get("bidi_component") if c.proto.id.endswith(key)]
    assert len(found) == 1, f"{len(found)} components with key {key!r}"
    return dict(json.loads(found[0].json)[0])


@pytest.fixture
def prepared(digits_home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`digits` prepared; its activations."""
    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))
    monkeypatch.delenv("OOD_LENS_DATA", raising=False)
    st.cache_resource.clear()
    return ood_core.prepared(ood_core.load_experiment("digits"))


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which nothing is prepared, and jobs that never do anything."""
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path))
    st.cache_resource.clear()
    known: dict[str, SimpleNamespace] = {}

    def prepare(exp: Any) -> SimpleNamespace:
        waiting = SimpleNamespace(
            state="running", active=True, error=None, stop=lambda: None,
            progress=Progress("extracting test", 40, 100, 20.0, 3.0),
        )  # fmt: skip
        return known.setdefault(exp.name, waiting)

    monkeypatch.setattr(preparation, "prepare", prepare)
    monkeypatch.setattr(preparation, "find", lambda exp: known.get(exp.name))
    monkeypatch.setattr(preparation, "known", known, raising=False)
    return tmp_path


@pytest.mark.parametrize("page", ALL_PAGES)
def test_page_opens_prepared(page: str, prepared: Any) -> None:
    at = open_page(page)
    assert not at.exception
    assert not messages(at)


@pytest.mark.parametrize("page", ALL_PAGES)
def test_page_opens_with_nothing_prepared(page: str, empty: Path) -> None:
    at = open_page(page)
    assert not at.exception
    assert list(preparation.known) == ["digits"], "the embedded experiment prepares itself"
    assert "Stop" in [button.label for button in at.button]
    assert "extracting test · 40 of 100 · 20 per second · about 3 s left" in _texts(at)


@pytest.mark.parametrize("page", ALL_PAGES)
def test_unusable_address_gives_a_note_and_the_default(page: str, prepared: Any) -> None:
    at = open_page(
        page, experiment="digitz", detector="nam", layer="block9", ood_sets=["noise", "rain"],
        threshold="much", threshold_mode="best", range=["3", "1"], unit="metres",
    )  # fmt: skip
    assert not at.exception
    notes = messages(at)
    assert "asks for experiment 'digitz'" in notes
    assert "Did you mean 'digits'?" in notes
    assert "asks for detector 'nam'" in notes
    assert "asks for layer 'block9'" in notes
    assert "asks for ood_sets 'rain'" in notes
    assert at.selectbox(key="detector").value == "negative_aware_norm"
    assert at.selectbox(key="layer").value == "penultimate"
    assert at.multiselect(key="ood_sets").value == ["noise"]


@pytest.mark.parametrize(
    ("page", "old", "new"),
    [
        ("1_Scores", {"detector": "nan"}, {"detector": "negative_aware_norm"}),
        ("1_Scores", {"detector": "knn+nan", "params": "nan+knn:k=7"},
         {"detector": "negative_aware_norm+knn", "params": "negative_aware_norm+knn:k=7"}),
        ("2_Detectors", {"tab": "compare", "compare_detector": "nan", "detector": "msp"},
         {"compare_detector": "negative_aware_norm"}),
        ("2_Detectors", {"tab": "sweep", "sweep_detector": "nan+react"},
         {"sweep_detector": "negative_aware_norm+react"}),
        ("3_Layers", {"layers_heat": "nan"}, {"layers_heat": "negative_aware_norm"}),
    ],
)  # fmt: skip
def test_an_old_address_opens_and_gets_the_names_of_today(
    page: str, old: dict[str, str], new: dict[str, str], prepared: Any
) -> None:
    at = open_page(f"pages/{page}.py", **old)
    assert not at.exception
    assert "The address" not in messages(at)
    for name, value in new.items():
        choices = at.session_state["_choices"]
        assert choices.url[name] == [value], "the address that the browser is sent"
        assert choices.kept[name] == value, "no longer the text of the address"


def test_parameters_in_an_old_address_are_the_detectors(prepared: Any) -> None:
    """The figures are those of k = 7, not of the default."""
    at = open_page("pages/7_Export.py", detector="nan+knn", params="knn+nan:k=7")
    assert not at.exception
    assert any("k = 7" in code.value for code in at.code)


@pytest.mark.parametrize("titles", [("Twins", "Twins"), ("Twins", "Twins", "Twins (a)")])
def test_experiments_of_one_title_are_told_apart(
    prepared: Any, titles: tuple[str, ...], monkeypatch: Any
) -> None:
    """A list that shows one text twice would choose the first of the two."""
    named = zip("abc", titles, strict=False)
    made = [dataclasses.replace(prepared.experiment, name=n, title=t) for n, t in named]
    monkeypatch.setattr("pages.components.kit.cache.list_experiments", lambda: made)
    st.cache_resource.clear()
    at = open_page("pages/2_Detectors.py", experiment="b")
    shown = at.selectbox(key="experiment")
    assert len(set(shown.options)) == len(made)
    assert shown.options[1] == "Twins (b)"
    at.run()
    assert at.selectbox(key="experiment").value == "b"


def test_an_experiment_that_names_a_detector_twice_is_listed_as_broken(
    prepared: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    twice = dataclasses.replace(
        prepared.experiment, name="twice", path=tmp_path / "twice.toml",
        detectors={"nan": {}, "negative_aware_norm": {"pool": "flat"}},
    )  # fmt: skip
    both = [prepared.experiment, twice]
    monkeypatch.setattr("pages.components.kit.cache.list_experiments", lambda: both)
    st.cache_resource.clear()
    at = open_page("pages/1_Scores.py", experiment="twice")
    assert not at.exception
    assert "asks for experiment 'twice'" in messages(at)
    assert "keep one of them" in messages(open_page(OVERVIEW))


def test_overview_shows_the_numbers_of_ood_core(prepared: Any) -> None:
    shown = _texts(open_page(OVERVIEW))
    for detector in ("feature_norm", "negative_aware_norm", "line", "energy"):
        scores = scoring.score(prepared, detector)
        for name in scores.ood:
            e = scores.evaluate(name)
            assert f">{100 * e.auroc:.2f}</span>" in shown
            assert f">{100 * e.fpr95:.2f}</span>" in shown
    logits, labels = prepared["test"].logits, prepared["test"].labels
    assert f"{100 * np.mean(logits.argmax(1) == labels):.2f} %" in shown
    assert f"{len(prepared['fit']):,} images" in shown


def test_overview_says_what_is_left_out_and_assumed(
    prepared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Left out" not in _texts(open_page(OVERVIEW))
    monkeypatch.setitem(prepared.left_out, "test", (LeftOut("<b>.txt", "not an image by name"),))
    monkeypatch.setattr("pages.components.kit.view.View.acts", property(lambda view: prepared))
    shown = _texts(open_page(OVERVIEW))
    assert "test: Left out: 1 not an image by name (&lt;b&gt;.txt)." in shown


def test_overview_holds_every_gate_and_the_closed_bar_says_how_many_hold(prepared: Any) -> None:
    at = open_page(OVERVIEW)
    gates = scoring.run_gates(prepared)
    shown = _texts(at)
    for line in gates:
        assert line.name in shown
        assert html.escape(line.text) in shown
    assert f"Sanity gates: {scoring.gates_in_words(gates)}" in [e.label for e in at.expander]


def test_failing_gates_are_named_while_the_bar_is_closed(prepared: Any, monkeypatch: Any) -> None:
    bad = scoring.GateResult("Fit and test are apart", False, 9.0, 0.0, "9 images", "Do it.", 3)
    known = scoring.run_gates(prepared)
    monkeypatch.setattr("ood_core.scoring.run_gates", lambda acts: (*known, bad))
    st.cache_resource.clear()
    said = '"Fit and test are apart" does not hold (9 images)'
    labels = [e.label for e in open_page(OVERVIEW).expander]
    assert any(said in label for label in labels)
    assert said in messages(open_page("pages/2_Detectors.py"))
    report = _texts(open_page("pages/7_Export.py")) + messages(open_page("pages/7_Export.py"))
    assert said in report
    st.cache_resource.clear()


def test_overview_lists_experiments_and_what_they_lack(prepared: Any) -> None:
    shown = _texts(open_page(OVERVIEW))
    for experiment in ood_core.list_experiments():
        assert experiment.title in shown
    assert "href='?experiment=cifar10-densenet'" in shown
    assert "on this machine" in shown
    assert "9 of 9 missing" in shown


def test_guide_is_dismissed(prepared: Any) -> None:
    at = open_page(OVERVIEW)
    assert "New here?" in _texts(at)
    at.button(key="guide_off").click().run()
    assert "New here?" not in _texts(at)
    assert at.query_params["guide"] == "off"


def test_other_experiments_are_prepared_on_click(empty: Path) -> None:
    text = (ROOT / "ood_core/experiments/builtin/digits.toml").read_text()
    other = text.replace('name = "digits"', 'name = "mine"', 1).replace(
        'fit = { builtin = "digits:fit" }', f'fit = {{ folder = "{empty}" }}'
    )
    (empty / "experiments").mkdir(exist_ok=True)
    (empty / "experiments" / "mine.toml").write_text(other)
    (empty / "one.png").write_bytes(b"")
    at = open_page(OVERVIEW, experiment="mine")
    assert not at.exception
    assert "mine" not in preparation.known
    at.button(key="prepare").click().run()
    assert "mine" in preparation.known


def test_failed_and_stopped_jobs_say_so(empty: Path) -> None:
    at = open_page(SCORES)
    job = preparation.known["digits"]
    job.state, job.active, job.error = "failed", False, "the disk is full."
    at.run()
    assert "the disk is full." in messages(at)
    assert at.button(key="prepare").label == "Prepare again"
    job.state, job.error = "stopped", None
    at.run()
    assert "goes on from there" in " ".join(info.value for info in at.info)


def test_broken_experiment_file_is_listed_not_fatal(prepared: Any, digits_home: Path) -> None:
    file = digits_home / "experiments" / "broken.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text('name = "broken"\nclassifierr = 3\n')
    try:
        at = open_page(OVERVIEW)
    finally:
        file.unlink()
    assert not at.exception
    assert "broken.toml" in messages(at)


def test_choices_follow_from_page_to_page_and_into_the_address(prepared: Any) -> None:
    at = open_page(OVERVIEW)
    at.selectbox(key="detector").set_value("energy").run()
    at.multiselect(key="ood_sets").set_value(["noise", "photos"]).run()
    assert at.query_params["detector"] == "energy"
    at.query_params.clear()
    at.switch_page(SCORES).run()
    assert at.selectbox(key="detector").value == "energy"
    assert at.multiselect(key="ood_sets").value == ["photos", "noise"]
    assert at.query_params["ood_sets"] == ["photos", "noise"]


MODES: dict[str, tuple[dict[str, str], Callable[[Any], Any]]] = {
    "tpr": ({"tpr": "90.0"}, lambda s: thresholds.at_tpr(s.sample(), tpr=0.9)),
    "fpr": ({"fpr": "10.0"}, lambda s: thresholds.at_fpr(s.sample(), fpr=0.1)),
    "cost": (
        {"cost_ratio": "3.0", "prevalence": "20.0"},
        lambda s: thresholds.at_cost(s.sample(), cost_ratio=3.0, prevalence=0.2),
    ),
    "conformal": (
        {"alpha": "10.0"},
        lambda s: thresholds.conformal(s.sample(), alpha=0.1),
    ),
    "free": ({"threshold": "0.7"}, lambda s: thresholds.at_threshold(s.sample(), threshold=0.7)),
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_scores_counts_what_ood_core_counts(mode: str, prepared: Any) -> None:
    query, rule = MODES[mode]
    at = open_page(SCORES, threshold_mode=mode, **query)
    assert not at.exception
    assert not messages(at)
    scores = scoring.score(prepared, "nan")
    point = rule(scores)
    table = sent(at, "threshold_table")
    assert table["accepted"] == [point.id.count, *(a.count for a in point.ood.values())]
    assert table["threshold"] == pytest.approx(point.threshold, abs=0, rel=1e-12)
    assert table["how"].startswith(point.how[:40])
    for row, (name, e) in zip(
        table["rows"][1:], ((n, scores.evaluate(n)) for n in scores.ood), strict=True
    ):
        assert row["name"] == name
        assert row["fixed"][0][0] == f"{100 * e.auroc:.2f}"
        assert row["fixed"][1][0] == f"{100 * e.fpr95:.2f}"


def test_the_browser_counts_from_exact_counts(prepared: Any) -> None:
    data = sent(open_page(SCORES), "threshold_histogram")
    scores = scoring.score(prepared, "nan")
    grid = np.array(data["grid"])
    for entry, values in zip(data["sets"], (scores.id_scores, *scores.ood.values()), strict=True):
        assert sum(entry["bins"]) == entry["n"] == len(values)
        np.testing.assert_array_equal(entry["accepted"], (values[:, None] >= grid).sum(0))


def test_payloads_are_small(prepared: Any) -> None:
    at = open_page(SCORES)
    for component in at.get("bidi_component"):
        assert component.proto.ByteSize() <= 250_000
    assert not at.get("plotly_chart")


def test_the_curves_are_exact_vertices_with_their_areas(prepared: Any) -> None:
    curves = sent(open_page(SCORES), "threshold_curves")
    scores = scoring.score(prepared, "nan")
    known = scores.summary()
    for place, name in enumerate(scores.ood):
        other = scores.summary(name)
        roc = metrics.roc_curve(known, other, 100_000)
        drawn = {"roc": (roc.fpr, roc.tpr, metrics.auroc(known, other))}
        for positive, area in (("id", metrics.aupr_in), ("ood", metrics.aupr_out)):
            pr = metrics.pr_curve(known, other, 100_000, positive)
            drawn[f"pr_{positive}"] = (pr.recall, pr.precision, area(known, other))
        for kind, (x, y, area) in drawn.items():
            shown = curves["curves"][kind][place]
            exact = set(zip((100 * x).round(3), (100 * y).round(3), strict=True))
            assert set(zip(shown["x"], shown["y"], strict=True)) <= exact
            assert 2 <= len(shown["x"]) <= 160
            assert curves["areas"][kind][place] == f"{100 * area:.2f}"


def test_moving_the_slider_sets_free_mode_and_the_address(prepared: Any) -> None:
    at = open_page(SCORES)
    at.slider(key="threshold").set_value(0.8).run()
    assert at.selectbox(key="threshold_mode").value == "free"
    assert at.query_params["threshold"] == "0.8"
    at.selectbox(key="threshold_mode").set_value("tpr").run()
    assert "threshold" not in at.query_params


def test_a_free_threshold_keeps_its_id_acceptance_when_the_detector_changes(prepared: Any) -> None:
    at = open_page(SCORES, threshold_mode="free", threshold="0.7")
    before = sent(at, "threshold_table")["accepted"][0]
    at.selectbox(key="detector").set_value("energy").run()
    assert not at.exception
    assert sent(at, "threshold_table")["accepted"][0] == before
    assert at.selectbox(key="threshold_mode").value == "free"


def test_galleries_show_what_the_threshold_judges_wrongly(prepared: Any) -> None:
    at = open_page(SCORES, threshold_mode="free", threshold="0.7", gallery="false_rejects")
    shown = sent(at, "threshold_gallery")
    ids = np.array(prepared["test"].ids)
    scores = scoring.score(prepared, "nan").id_scores
    wrong = ids[np.argsort(scores, kind="stable")][: int((scores < 0.7).sum())]
    assert [item["id"] for item in shown["items"]] == list(wrong[:24])
    assert {tab[0]: tab[2] for tab in shown["tabs"]}["false_rejects"] == f"{len(wrong):,}"
    assert all(item["uri"].startswith("data:image/webp;base64,") for item in shown["items"])


def test_a_range_of_scores_filters_the_galleries(prepared: Any) -> None:
    at = open_page(SCORES, range=["0.5", "0.6"], gallery="most_id")
    assert sent(at, "threshold_histogram")["range"] == [0.5, 0.6]
    items = sent(at, "threshold_gallery")["items"]
    assert items
    assert all(0.5 <= float(item["score"]) <= 0.6 for item in items)


def test_a_detector_that_cannot_run_is_a_message(
    prepared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise ood_core.OODLensError("detector 'nan' cannot run: it needs labels.")

    monkeypatch.setattr(scoring, "score", refuse)
    at = open_page(SCORES)
    assert not at.exception
    assert "it needs labels" in messages(at)


def test_the_dashboard_does_not_import_torch(prepared: Any) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from streamlit.testing.v1 import AppTest;"
        f"at = AppTest.from_file({str(ROOT / OVERVIEW)!r}, default_timeout=60);"
        f"at.switch_page({SCORES!r}); at.run(); assert not at.exception, at.exception;"
        "assert at.get('bidi_component');"
        "heavy = {'torch', 'torchvision', 'timm'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def _texts(at: AppTest) -> str:
    """Everything that the page says in text and HTML."""
    parts = [e.value for kind in (at.markdown, at.caption) for e in kind]
    parts += [e.proto.body for e in at.get("html")]
    parts += [e.proto.text for e in at.get("progress")]
    return "\n".join(str(p) for p in parts)


def _number(path: str) -> int:
    """Number of a page file, 0 for the overview: pages are listed by it."""
    found = re.match(r"\d+", Path(path).name)
    return int(found[0]) if found else 0


def test_the_page_list_has_every_page_with_its_choices(prepared: Any) -> None:
    at = open_page(SCORES, detector="energy", curve="pr_ood")
    links = sent(at, "page_list")["pages"]
    assert [link["path"] for link in links] == sorted(ALL_PAGES, key=_number)
    for link in links:
        for kind in ("href", "whole"):
            assert "detector=energy" in link[kind], link
        assert "curve" not in link["href"], "a new tab takes the shared choices"
        assert ("curve=pr_ood" in link["whole"]) == (link["label"] == "Scores"), link

"""What went wrong once: errors of a view, figures that ties changed, thumbnails of another set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

import ood_core
from ood_core import scoring
from ood_core.errors import DataError
from pages.components.charts import gallery
from pages.components.detectors import leaderboard as page
from pages.components.kit import cache

ROOT = Path(__file__).parents[2]
SCORING = {
    "app.py": {},
    "pages/1_Scores.py": {},
    "pages/2_Detectors.py": {"tab": "compare"},
    "pages/7_Export.py": {},
    "pages/8_Map.py": {"map_colour": "score"},
}
"""Pages that ask a view for scores, with an address at which they do."""


@pytest.fixture
def prepared(digits_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))
    monkeypatch.delenv("OOD_LENS_DATA", raising=False)
    st.cache_resource.clear()
    yield ood_core.prepared(ood_core.load_experiment("digits"))
    st.cache_resource.clear()


@pytest.mark.parametrize("where", SCORING)
def test_a_detector_that_cannot_run_is_a_message(
    where: str, prepared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object) -> None:
        raise DataError("these images cannot be scored.")

    monkeypatch.setattr(scoring, "score", broken)
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    if where != "app.py":
        at.switch_page(where)
    for name, value in SCORING[where].items():
        at.query_params[name] = value
    at.run()
    assert not at.exception
    assert "these images cannot be scored." in [error.value for error in at.error]


def test_a_view_raises_and_stops_nothing(prepared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from pages.components.kit.view import View

    def broken(*_args: object) -> None:
        raise DataError("these images cannot be scored.")

    monkeypatch.setattr(scoring, "score", broken)
    exp = prepared.experiment
    view = View(exp, prepared, "penultimate", exp.ood_sets, "energy")
    with pytest.raises(DataError, match="cannot be scored"):
        view.scores()
    assert view.attempt("energy") == (None, "these images cannot be scored.")


def test_a_view_of_nothing_prepared_says_so_where_activations_are_read() -> None:
    from pages.components.kit.view import View

    exp = ood_core.load_experiment("digits")
    view = View(exp, None, "penultimate", exp.ood_sets, "energy")
    assert view.stored is None
    with pytest.raises(DataError, match=r"'digits' is not prepared.*Overview"):
        _ = view.acts
    assert view.attempt("energy")[0] is None


def test_the_leaderboard_shows_true_figures_where_some_are_equal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cache, "detector_titles", dict)
    table = pd.DataFrame({
        "detector": ["a", "b", "c"], "mean": [90.0, 90.0, 80.0], "params": "", "layer": "",
        "near": [90.0, 90.0, 80.0], "near (low)": [88.0, 70.0, 75.0],
        "near (high)": [92.0, 99.0, 85.0], "seconds": [1.0, 2.0, 3.0],
    })  # fmt: skip
    view: Any = SimpleNamespace(ood_sets=("near",))
    before = table.copy(deep=True)
    styler = page._styled(view, table, "auroc", True)
    pd.testing.assert_frame_equal(table, before)
    assert styler.data["near"].tolist() == [90.0, 90.0, 80.0]

    def drawn() -> None:
        import streamlit as st

        st.dataframe(st.session_state["styler"], hide_index=True)

    at = AppTest.from_function(drawn)
    at.session_state["styler"] = styler
    at.run()
    assert not at.exception
    found = at.dataframe[0]
    assert found.value["near"].dtype == float
    assert found.value["near"].tolist() == [90.0, 90.0, 80.0]
    from streamlit.dataframe_util import convert_arrow_bytes_to_pandas_df

    texts = convert_arrow_bytes_to_pandas_df(found.proto.arrow_data.styler.display_values)
    assert texts["near"].tolist() == [
        "● 90.00 [88.0, 92.0]", "● 90.00 [70.0, 99.0]", "80.00 [75.0, 85.0]",
    ]  # fmt: skip


def test_a_thumbnail_is_found_by_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def image_set(key: str, spec: str) -> Any:
        opened.append(spec)
        grey = {"'dark'": 0, "'light'": 255}[key]
        return SimpleNamespace(load=lambda _index: Image.new("L", (8, 8), grey))

    monkeypatch.setattr(cache, "image_set", image_set)
    gallery._THUMBNAILS.clear()
    rows = SimpleNamespace(index=[0, 1])

    def view(fingerprint: str, spec: str) -> Any:
        exp = SimpleNamespace(sets={"set": spec})
        return SimpleNamespace(fingerprint=fingerprint, acts={"set": rows}, experiment=exp)

    dark = gallery.thumbnail_uri(view("one", "dark"), "set", 0)
    assert gallery.thumbnail_uri(view("one", "dark"), "set", 0) == dark
    assert opened == ["dark"]
    assert gallery.thumbnail_uri(view("two", "light"), "set", 0) != dark
    assert opened == ["dark", "light"]
    gallery._THUMBNAILS.clear()


def test_broken_experiment_files_are_told_by_their_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path))
    st.cache_resource.clear()
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "mine.toml").write_text("name = 'mine'\n", encoding="utf-8")
    names = [e.name for e in cache.experiments()]
    assert "mine" in names
    assert list(cache.usable()) == [name for name in names if name != "mine"]
    st.cache_resource.clear()

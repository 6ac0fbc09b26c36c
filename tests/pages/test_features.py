"""Every page on features from elsewhere: nothing asks for a network, and pixels are not missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import ood_core
from ood_core.activations import preparation
from tests.features_experiments import write_text_only, write_with_head

ROOT = Path(__file__).parents[2]
PAGES = ("1_Scores", "2_Detectors", "3_Layers", "4_Neurons", "5_Score_images", "6_Why_it_works",
         "7_Export", "8_Map", "9_Compare")  # fmt: skip
Opener = Callable[..., AppTest]


@pytest.fixture(params=[write_with_head, write_text_only], ids=["with head", "text only"])
def open_page(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Opener]:
    name = request.param(tmp_path)
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path / "home"))
    st.cache_resource.clear()  # the list of experiments is that of another home
    ood_core.extract(ood_core.load_experiment(name))

    def no_network(*_args: object, **_options: object) -> None:
        raise AssertionError("a page asks for a network")

    for place in ("activations.unstored", "theory.measurement"):
        monkeypatch.setattr(f"ood_core.{place}.resident_model", no_network)
    monkeypatch.setattr("ood_core.export.program.load_model", no_network)

    def opener(page: str, **address: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
        app.query_params["experiment"] = name
        for key, value in address.items():
            app.query_params[key] = value
        if page:
            app.switch_page(f"pages/{page}.py")
        app.run()
        assert not app.exception, [e.value for e in app.exception]
        assert not app.error, [e.value for e in app.error]
        return app

    yield opener
    for job in preparation.LANE.jobs():  # Compare prepares digits, in this test's home
        job.stop()
        job.wait(60)
        preparation.LANE.forget(job)


@pytest.mark.parametrize("page", ["", *PAGES])
def test_every_page_opens(open_page: Opener, page: str) -> None:
    open_page(page)


def test_rows_are_scored_in_place_of_images(open_page: Opener) -> None:
    app = open_page("5_Score_images")
    assert any("rows of features" in c.value for c in app.caption)
    app.button(key="take_examples").click().run()
    assert not app.exception, [e.value for e in app.exception]
    assert not app.error, [e.value for e in app.error]
    table = app.dataframe[0].value
    assert len(table) == 4
    assert app.slider(key="upload_tpr").value == 95
    app.button(key="clear_rows").click().run()
    assert not app.dataframe


def test_a_file_on_this_machine_is_scored_or_refused(open_page: Opener, tmp_path: Path) -> None:
    app = open_page("5_Score_images")
    file = next(p for p in (tmp_path / "far.npz", tmp_path / "far.parquet") if p.exists())
    app.text_input(key="row_path_0").set_value(str(file)).run()
    assert not app.error, [e.value for e in app.error]
    assert len(app.dataframe[0].value) == 90
    for wrong, said in ((tmp_path / "none.npz", "does not exist"), (ROOT / "README.md", "a text")):
        app.text_input(key="row_path_0").set_value(str(wrong)).run()
        assert not app.exception, [e.value for e in app.exception]
        assert said in app.error[0].value


def test_examples_of_a_set_of_one_row_with_an_id_that_is_no_unicode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = write_with_head(tmp_path)
    for one in ("test", "far"):
        with np.load(tmp_path / f"{one}.npz") as found:
            row = {k: found[k][:1] for k in found.files} | {"ids": ["\ud800 <b>x</b>\n"]}
        np.savez(tmp_path / f"{one}.npz", **row)
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path / "home"))
    st.cache_resource.clear()
    ood_core.extract(ood_core.load_experiment(name))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    app.query_params["experiment"] = name
    app.switch_page("pages/5_Score_images.py").run()
    app.button(key="take_examples").click().run()
    assert not app.exception, [e.value for e in app.exception]
    assert len(app.dataframe[0].value) == 3

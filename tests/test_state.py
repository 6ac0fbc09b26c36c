"""Choices that follow when what can be chosen changes."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def page() -> None:
    import streamlit as st

    from pages.components import state

    state.begin("page")
    sets = {"one": ["near", "photos", "far"], "two": ["photos", "textures"]}
    experiment = state.choose("experiment", list(sets), "one")
    st.selectbox("Experiment", list(sets), key="experiment")
    options = sets[experiment]
    state.choose_many("ood_sets", options, options)
    st.multiselect("OOD sets", options, key="ood_sets")
    state.publish()


def test_all_sets_of_one_experiment_become_all_of_the_other() -> None:
    at = AppTest.from_function(page).run()
    assert at.multiselect(key="ood_sets").value == ["near", "photos", "far"]
    at.selectbox(key="experiment").set_value("two").run()
    assert at.multiselect(key="ood_sets").value == ["photos", "textures"]
    at.selectbox(key="experiment").set_value("one").run()
    assert at.multiselect(key="ood_sets").value == ["near", "photos", "far"]


def test_some_sets_stay_as_far_as_the_other_experiment_has_them() -> None:
    at = AppTest.from_function(page).run()
    at.multiselect(key="ood_sets").set_value(["photos", "far"]).run()
    at.selectbox(key="experiment").set_value("two").run()
    assert at.multiselect(key="ood_sets").value == ["photos"]

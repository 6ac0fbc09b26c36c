"""Choices that follow when what can be chosen changes."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from pages.components.kit import address


def page() -> None:
    import streamlit as st

    from pages.components.kit import state

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


def walk_to(at: AppTest, **url: str) -> AppTest:
    """What the browser does on Back: another address, then a run of which it says so."""
    at.query_params.clear()
    for name, value in url.items():
        at.query_params[name] = value
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(address, "walked", lambda: True)
        return at.run()


def test_back_undoes_a_choice_that_began_at_its_default() -> None:
    at = AppTest.from_function(page).run()
    first = {"experiment": "one"}
    at.multiselect(key="ood_sets").set_value(["far"]).run()
    assert "far" in at.query_params["ood_sets"]
    walk_to(at, **first)
    assert at.multiselect(key="ood_sets").value == ["near", "photos", "far"]
    assert "ood_sets" not in at.query_params


def test_an_interaction_under_way_does_not_undo_the_one_before() -> None:
    at = AppTest.from_function(page).run()
    at.multiselect(key="ood_sets").set_value(["far"]).run()
    del at.query_params["ood_sets"]  # the browser sent it before it knew of the new address
    at.run()
    assert at.multiselect(key="ood_sets").value == ["far"]


def test_no_set_at_all_is_told() -> None:
    at = AppTest.from_function(page).run()
    at.multiselect(key="ood_sets").set_value([]).run()
    assert at.multiselect(key="ood_sets").value == ["near", "photos", "far"]
    assert at.session_state["_choices"].notes == [
        "At least one of the OOD sets is needed: all are chosen again."
    ]


def numbers_page() -> None:
    import streamlit as st

    from pages.components.kit import state

    state.begin("page")
    st.session_state["adopted_now"] = [state.adopted(), state.adopted()]
    state.number("share", 0.0, 100.0, 95.0)
    state.notes()
    state.publish()


def test_a_number_out_of_range_says_what_is_used() -> None:
    at = AppTest.from_function(numbers_page)
    at.query_params["share"] = "500"
    at.run()
    assert [w.value for w in at.warning] == [
        "The address gives share = 500; allowed is 0 to 100. Using 100."
    ]


def test_an_address_is_adopted_once() -> None:
    at = AppTest.from_function(numbers_page)
    at.query_params["share"] = "50"
    at.run()
    assert at.session_state["adopted_now"] == [True, False]
    at.run()
    assert at.session_state["adopted_now"] == [False, False]
    walk_to(at, share="60")
    assert at.session_state["adopted_now"] == [True, False]

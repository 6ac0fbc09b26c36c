"""Which address a run believes: by what the browser says of it, never by the time that passed."""

from __future__ import annotations

import inspect

import pytest
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_run_context import ScriptRunContext

from pages.components.kit import address
from pages.components.kit.address import Texts
from pages.components.kit.choices import Choices


@pytest.fixture
def layers() -> Choices:
    """The Layers page is open, with one choice of its own, and was published."""
    url = {"detector": ["energy"], "layers_metric": ["fpr95"]}
    return Choices(
        kept={"detector": "energy", "layers_metric": "fpr95", "gallery": "most_id"},
        page="Layers",
        shown={"Layers": {"detector", "layers_metric"}, "Scores": {"detector", "gallery"}},
        url=url,
    )


def test_the_first_address_of_a_session_is_believed() -> None:
    mine = Choices()
    assert mine.arrive("Layers", {"detector": ["knn"]}, walked=False) == {"detector"}
    assert mine.kept == {"detector": Texts(["knn"])}
    assert mine.adopted


@pytest.mark.parametrize("behind", [{}, {"detector": ["nan"]}, {"detector": ["nan"], "x": ["1"]}])
def test_an_interaction_never_brings_an_address(layers: Choices, behind) -> None:
    before = dict(layers.kept)
    assert layers.arrive("Layers", behind, walked=False) == set()
    assert layers.kept == before
    assert not layers.adopted
    assert layers.url == behind, "so that the next publish writes the newer one again"


def test_walked_to_what_it_does_not_name_is_at_its_default(layers: Choices) -> None:
    changed = layers.arrive("Layers", {"detector": ["nan"]}, walked=True)
    assert changed == {"detector", "layers_metric"}
    assert layers.kept == {"detector": Texts(["nan"]), "gallery": "most_id"}, "of another page"


def test_walked_to_another_page_its_own_choices_follow(layers: Choices) -> None:
    assert layers.arrive("Scores", {"detector": ["energy"]}, walked=True) >= {"gallery"}
    assert layers.kept["layers_metric"] == "fpr95"
    assert "gallery" not in layers.kept


def test_a_page_that_is_entered_keeps_what_its_address_does_not_name(layers: Choices) -> None:
    assert layers.arrive("Scores", {"detector": ["energy"]}, walked=False) == set()
    assert layers.kept["detector"] == "energy", "known already: nothing is read again"
    assert layers.kept["gallery"] == "most_id"
    assert layers.forced == {"detector", "layers_metric", "gallery"}


def test_a_choice_at_its_default_stays_out_of_the_address() -> None:
    mine = Choices(
        kept={"layer": "last", "unit": "density", "scale": "log"},
        defaults={"layer": "last", "unit": "density", "scale": "linear"},
    )
    assert mine.params(["unit", "scale", "layer", "none"]) == {"layer": ["last"], "scale": ["log"]}


def test_streamlit_tells_of_back_and_forward() -> None:
    assert "is_history_navigation" in inspect.signature(ScriptRunContext.reset).parameters
    assert get_script_run_ctx(suppress_warning=True) is None
    assert address.walked() is False


def test_texts_that_are_no_choice_give_a_note_and_the_default() -> None:
    values, note = address.options("detector", ["enrgy"], ["nan", "energy"], ["nan"])
    assert values == ["nan"]
    assert "detector 'enrgy', which does not exist here" in note
    assert "energy" in note
    assert note.endswith("Using nan.")
    assert address.options("d", ["nan"], ["nan"], ["nan"]) == (["nan"], "")


@pytest.mark.parametrize("found", [["1"], ["2", "1"], ["a", "b"], ["8", "9"], ["nan", "nan"]])
def test_texts_that_are_no_range_give_a_note(found: list[str]) -> None:
    value, note = address.span("range", found, 0.0, 7.0)
    assert value is None
    assert "two numbers, lowest first, that reach into 0 to 7" in note


@pytest.mark.parametrize(
    ("found", "value", "says"),
    [("7", 7.0, ""), ("-1", 0.0, "allowed is 0 to 10"), ("inf", 5.0, "Using 5"),
     ("x", None, "not a number")],
)  # fmt: skip
def test_a_number_is_brought_into_its_range(found, value, says) -> None:
    read, note = address.number("n", [found], 0.0, 10.0, 5.0)
    assert (read and read[0]) == value
    assert says in note
    assert bool(note) == bool(says)


def test_only_defaults_complete_an_address() -> None:
    mine = Choices(page="Scores", url={"experiment": ["digits"]})
    mine.defaults = {"experiment": "digits", "layer": "penultimate", "detector": "nan"}
    whole = {"experiment": ["digits"], "layer": ["penultimate"], "detector": ["nan"]}
    assert mine.completes(whole)
    assert not mine.completes(whole | {"detector": ["knn"]}), "somebody chose it"
    assert not mine.completes({"layer": ["penultimate"]}), "something was undone"


def test_what_the_first_run_makes_of_an_address_is_no_step() -> None:
    mine = Choices()
    mine.arrive("Scores", {"detector": ["old-name"]}, walked=False)
    assert mine.completes({"detector": ["name"], "layer": ["block1"]})
    mine.arrive("Scores", {"detector": ["name"]}, walked=False)
    assert not mine.completes({"detector": ["knn"]})


def test_a_link_that_is_behind_brings_nothing_old() -> None:
    mine = Choices(kept={"line_p_a": 80}, page="Neurons", url={"line_p_a": ["80"]}, followed=True)
    assert mine.arrive("Layers", {"line_p_a": ["90"], "layer": ["block1"]}, walked=False) == set()
    assert mine.kept == {"line_p_a": 80}
    assert mine.forced == {"line_p_a"}
    assert mine.completes({"line_p_a": ["80"]}), "in place of the link's own address"
    mine.arrive("Scores", {"line_p_a": ["70"]}, walked=False)
    assert mine.kept["line_p_a"] == Texts(["70"])

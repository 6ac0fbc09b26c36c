"""What the visitor chose on the Neurons page: LINe's settings, a class, a neuron."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.components.kit import state
from pages.components.kit.redraw import redraw

if TYPE_CHECKING:
    from ood_core.neurons import LineLab

__all__ = ["LAB", "VIEWS", "Settings", "class_of", "neuron_of", "redraw_all", "settings"]

LAB, VIEWS = "neuron_lab", "neuron_views"
"""Keys of the page's two fragments: what the sliders move, and the views below."""


Settings = tuple[float, float, float]
"""LINe's p_a, p_w and clip."""


def settings() -> Settings:
    """LINe's parameters as `draw` found them."""
    p_a, p_w, clip = (float(state.kept(name)) for name in ("line_p_a", "line_p_w", "line_clip"))
    return p_a, p_w, clip


def redraw_all() -> None:
    """Redraw the sliders' part and the views below it; from a callback."""
    redraw(LAB, VIEWS)


def class_of(lab: LineLab) -> int:
    """Number of the class whose neurons are looked at."""
    names = list(lab.head.names)
    return names.index(state.choose("neurons_class", names, names[0]))


def neuron_of(lab: LineLab) -> int:
    """Number of the chosen neuron; at first the strongest of the chosen class."""
    from ood_core.neurons import top_neurons

    strongest = int(top_neurons(lab.contributions, class_of(lab), 1)[0])
    neuron = int(state.number("neuron", 0, lab.head.n_features - 1, strongest))
    st.session_state["neuron"] = neuron  # a whole number, as its widget wants it
    return neuron

"""Experiment wizard on the overview page: bring a network and images, without Python.

`draw(view)` draws the buttons that open it, or the wizard itself, and returns whether the wizard
fills the page. Everything that was chosen is one `ood_core.wizard.Draft` in the session.
"""

from __future__ import annotations

import streamlit as st

from pages.components.kit import state
from pages.components.kit.view import View
from pages.components.wizard import (
    checks,
    classifier,
    drafting,
    finish,
    head,
    images,
    kinds,
    preprocessing,
    samples,
    start,
)

__all__ = ["draw"]


def draw(view: View) -> bool:
    """Draw the way in, or the wizard; True when the wizard fills the page."""
    on = state.choose("wizard", ["off", "on"], "off") == "on"
    drafting.flash(stay=on)
    if not on:
        start.buttons(view)
        return False
    start.header()
    kinds.draw()
    left, right = st.columns([3, 2], gap="large")
    with left:
        if drafting.current().kind == "features":
            images.draw()
            head.draw()
        else:
            classifier.draw()
            images.draw()
            preprocessing.draw()
    with right:
        lines = checks.draw()
        finish.draw(lines)
    samples.draw()
    state.publish()
    return True

"""Redraw parts of a page, from a callback."""

from __future__ import annotations

import contextlib

import streamlit as st
from streamlit.errors import StreamlitAPIException

__all__ = ["redraw"]


def redraw(*fragments: str) -> None:
    """Redraw the fragments with these keys and nothing else."""
    # While the page is being drawn as a whole there is no such fragment, and no need for one.
    with contextlib.suppress(StreamlitAPIException):
        st.rerun(list(fragments))

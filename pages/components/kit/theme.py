"""The theme that the visitor sees, for the few things that have to know it on the server."""

from __future__ import annotations

import streamlit as st

__all__ = ["is_dark", "style"]

_DARK = """
.stApp button[data-testid="stBaseButton-primary"]:enabled,
.stApp button[kind="primary"]:enabled { color: #14171a; }
"""
"""Its accent is light enough to be read on a dark page, so what stands on it is dark; a button that
is off does not have it."""


def is_dark() -> bool:
    """Whether the page is drawn dark; Streamlit runs it again when the visitor changes that."""
    return st.context.theme.type == "dark"


def style() -> str:
    """Rules of this theme alone."""
    return _DARK if is_dark() else ""

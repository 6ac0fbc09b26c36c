"""What a visitor can act on is a message where it happened, never a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from ood_core.errors import OODLensError
from pages.components.kit.plain import plain

__all__ = ["told"]


@contextmanager
def told() -> Iterator[None]:
    """Draw an `OODLensError` as a message in place of the rest.

    `with told():` round what a page draws, `@told()` on a function. A fragment needs its own,
    below `@st.fragment`: Streamlit draws what a fragment raises itself.
    """
    try:
        yield
    except OODLensError as error:
        st.error(plain(error, keep="\n"), icon=":material/block:")

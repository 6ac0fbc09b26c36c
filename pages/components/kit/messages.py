"""What a visitor can act on is a message where it happened, never a traceback."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import streamlit as st

from ood_core.errors import OODLensError

__all__ = ["told"]


def told(draw: Callable[..., Any]) -> Callable[..., Any]:
    """Draw an `OODLensError` as a message. Below `@st.fragment`: it catches errors itself."""

    @functools.wraps(draw)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return draw(*args, **kwargs)
        except OODLensError as error:
            st.error(str(error), icon=":material/block:")
            return None

    return wrapped

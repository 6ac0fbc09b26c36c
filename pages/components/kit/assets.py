"""Streamlit v2 components from plain files: no build step, nothing fetched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

__all__ = ["component", "on_trigger"]


def component(folder: Path, name: str, *shared: str) -> Any:
    """Component made of `name`.html, .css and .js in `folder`.

    The .css and .js files of each name in `shared` are put in front. The script finds the `data`
    that the component is drawn with in `component.data[0]`.
    """

    def text(suffix: str) -> str:
        files = [folder / f"{part}.{suffix}" for part in (*shared, name)]
        return "".join(file.read_text(encoding="utf-8") for file in files)

    html = (folder / f"{name}.html").read_text(encoding="utf-8")
    made = st.components.v2.component(f"ood_lens_{name}", html=html, css=text("css"), js=text("js"))

    def mount(*, data: dict[str, Any], **rest: Any) -> Any:
        # Streamlit looks for data frames in each value of a dict, and imports pandas to do so.
        return made(data=[data], **rest)

    return mount


def on_trigger(key: str, name: str, action: Callable[[Any], None]) -> Callable[[], None]:
    """Callback that hands the value of trigger `name` of the component `key` to `action`."""
    return lambda: action(st.session_state[key][name])

"""Streamlit v2 components from plain files: no build step, nothing fetched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import streamlit as st

if TYPE_CHECKING:
    from streamlit.components.v2.bidi_component.state import ComponentResult

__all__ = ["Json", "JsonObject", "component", "on_trigger"]

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""What goes to a component in the browser."""
JsonObject: TypeAlias = dict[str, Json]


class Mount(Protocol):
    """Draws a component with its data; `on_<trigger>_change` are callbacks."""

    def __call__(
        self, *, key: str, data: JsonObject, **callbacks: Callable[[], None]
    ) -> ComponentResult: ...


def component(folder: Path, name: str, *shared: str) -> Mount:
    """Component made of `name`.html, .css and .js in `folder`.

    The .css and .js files of each name in `shared` are put in front. The script finds the `data`
    that the component is drawn with in `component.data[0]`.
    """

    def text(suffix: str) -> str:
        files = [folder / f"{part}.{suffix}" for part in (*shared, name)]
        return "".join(file.read_text(encoding="utf-8") for file in files)

    html = (folder / f"{name}.html").read_text(encoding="utf-8")
    made = st.components.v2.component(f"ood_lens_{name}", html=html, css=text("css"), js=text("js"))

    def mount(*, key: str, data: JsonObject, **callbacks: Callable[[], None]) -> ComponentResult:
        # Streamlit looks for data frames in each value of a dict, and imports pandas to do so.
        # Its defaults are given too: a checker holds callbacks against what is left open.
        return made(
            key=key, data=[data], default=None, width="stretch", height="content", **callbacks
        )

    return mount


def on_trigger(key: str, name: str, action: Callable[[Any], None]) -> Callable[[], None]:
    """Callback that hands the value of trigger `name` of the component `key` to `action`.

    The value is what the component's script sent: only the script knows its type.
    """
    return lambda: action(st.session_state[key][name])

"""Images as they are stored and as the network sees them."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from ood_core import wizard
from ood_core.data import thumbnail_bytes
from ood_core.errors import OODLensError
from pages.components.kit import cache
from pages.components.wizard import drafting

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["draw"]


def draw() -> None:
    """A row of images for each set that can be read."""
    draft = drafting.current()
    if (
        draft.kind == "features"
        or not draft.architecture
        or not (draft.fit.source or draft.test.source or draft.ood)
    ):
        return
    st.html("<h2 class='section'>What the network sees</h2>")
    rows = []
    for name in (name for name, chosen in draft.sets().items() if chosen.source):
        try:
            key = ("looks", repr(draft), name)
            rows.append((name, cache.once(key, partial(wizard.look_at, draft, name))))
        except OODLensError:
            continue  # its line among the checks says why
    if not rows:
        st.caption("Shown once images can be read.")
        return
    st.html(f"<div class='looks'>{''.join(_row(name, looks) for name, looks in rows)}</div>")
    st.caption("Above as stored, below after resizing and cropping, before it becomes numbers.")


def _row(name: str, looks: Sequence[wizard.Look]) -> str:
    cells = "".join(
        f"<figure><img src='{_uri(one.before)}' alt='stored'><img src='{_uri(one.after)}' "
        f"alt='as the network sees it'><figcaption title='{html.escape(one.name, quote=True)}, "
        f"{one.size[0]} x {one.size[1]} pixels'>{html.escape(one.label) or '&nbsp;'}"
        "</figcaption></figure>"
        for one in looks
    )
    return f"<section><h3>{html.escape(name)}</h3><div>{cells}</div></section>"


def _uri(image: Image.Image) -> str:
    return f"data:image/png;base64,{base64.b64encode(thumbnail_bytes(image)).decode()}"

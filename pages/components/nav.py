"""The page list: every file in `pages/`, in its own order, with our names and icons."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.components import state

__all__ = ["SHARED", "page_links", "pages"]

ROOT = Path(__file__).resolve().parents[2]
SHARED = (
    "experiment",
    "layer",
    "ood_sets",
    "detector",
    "params",
    "line_p_a",
    "line_p_w",
    "line_clip",
)
"""Choices that go along from page to page."""

_ICONS = {
    "Scores": "area_chart",
    "Detectors": "leaderboard",
    "Layers": "layers",
    "Neurons": "hub",
    "Score images": "image_search",
    "Why it works": "school",
    "Export": "ios_share",
    "Map": "scatter_plot",
    "Compare": "compare",
}


def pages() -> list[tuple[str, str, str]]:
    """(path, label, icon) of each page. A new file in `pages/` appears by itself."""
    found = [("app.py", "Overview", ":material/home:")]
    for file in sorted((ROOT / "pages").glob("[0-9]*_*.py"), key=_order):
        label = file.stem.split("_", 1)[1].replace("_", " ")
        found.append((f"pages/{file.name}", label, f":material/{_ICONS.get(label, 'article')}:"))
    return found


def page_links() -> None:
    """Draw the list. The links carry the shared choices, so they work in a new tab too."""
    params = state.link_params(*SHARED)
    with st.container(key="page_list", gap=None):
        for path, label, icon in pages():
            st.page_link(path, label=label, icon=icon, query_params=params, width="stretch")


def _order(file: Path) -> int:
    return int(file.stem.split("_", 1)[0])

"""The page list: every file in `pages/`, in its own order, with our names and icons."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlencode

import streamlit as st

from pages.components.kit import state
from pages.components.kit.address import Address
from pages.components.kit.assets import component, on_trigger

__all__ = ["SHARED", "page_links", "pages"]

ROOT = Path(__file__).resolve().parents[3]
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

_LIST = component(Path(__file__).parent, "nav")
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


def page_links(current: str) -> None:
    """Draw the list; `current` is the page's title.

    One element instead of a `st.page_link` for each page: ten of those were a third of what the
    browser does when the detector is switched. The links carry the shared choices, so they open
    the same view in a new tab; in this one they carry the page's own as well, so that its address
    is whole before it is drawn: one step in the history.
    """
    query = urlencode(state.link_params(*SHARED), doseq=True)
    links = [
        {
            "path": path,
            "label": label,
            "icon": icon[10:-1],
            "href": f"{_address(path)}?{query}",
            "whole": f"{_address(path)}?{urlencode(_whole(label), doseq=True)}",
        }
        for path, label, icon in pages()
    ]
    _LIST(
        key="page_list",
        data={"pages": links, "current": current},
        on_go_change=on_trigger("page_list", "go", _go),
    )


def _address(path: str) -> str:
    """Address of a page, relative to any other page."""
    return "./" + (Path(path).stem.split("_", 1)[1] if path.startswith("pages/") else "")


def _whole(label: str) -> Address:
    """Choices in the address of a page that is about to be entered."""
    return state.page_params(label, *SHARED)


def _go(to: dict[str, str]) -> None:
    """Go where the browser is already; a choice made since the list was drawn goes along."""
    for path, _, _ in pages():
        if path == to["path"]:
            state.followed()
            st.switch_page(path, query_params=parse_qs(to["query"]))


def _order(file: Path) -> int:
    return int(file.stem.split("_", 1)[0])

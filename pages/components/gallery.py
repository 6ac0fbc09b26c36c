"""Images with score, prediction and percentile, paged; thumbnails only."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable
from typing import Any

import streamlit as st

from pages.components import cache
from pages.components.view import View

__all__ = ["first_page", "grid", "show", "thumbnail_uri"]

PAGE = 24
_PAGE_KEY = "_gallery_page"


@st.fragment
def show(
    view: View,
    rows: Any,
    key: str,
    *,
    per_page: int = PAGE,
    detail: Callable[[Any], list[dict[str, Any]]] | None = None,
    empty: str = "No images.",
) -> None:
    """Paged grid of images; turning a page redraws only the grid.

    Parameters
    ----------
    view : the page's view.
    rows : data frame with one row per image, in the order to show: columns `set` (data set
        name) and `index` (row in `view.acts[set]`); optional `score`, `prediction`, `label`,
        `percentile` (0 to 100), `id`. Only the page shown is read, so 100,000 rows are fine.
    key : unique on the page; the page number is kept under it.
    detail : turns the rows of one page into dicts with more columns, where adding them to all
        rows would be slow.
    empty : what to say when there are no rows.
    """
    if not len(rows):
        st.caption(empty)
        return
    last = (len(rows) - 1) // per_page
    page = min(max(int(st.session_state.get(key + _PAGE_KEY, 0)), 0), last)
    shown = rows.iloc[page * per_page : (page + 1) * per_page]
    st.html(grid(view, detail(shown) if detail else shown.to_dict("records")))
    if last:
        _pager(key, page, last, per_page, len(rows))


def first_page() -> None:
    """Turn every gallery back to its first page: for callbacks that change what is shown."""
    for key in list(st.session_state):
        if str(key).endswith(_PAGE_KEY):
            st.session_state[key] = 0


def grid(view: View, rows: list[dict[str, Any]]) -> str:
    """HTML of one page of images: one element, whatever the number of images."""
    items = [_figure(view, row) for row in rows]
    return f"<ul class='gallery'>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def thumbnail_uri(view: View, name: str, index: int, size: int = 96) -> str:
    """Thumbnail of row `index` of `view.acts[name]` as a data URI; empty where it is unreadable."""
    spec = view.experiment.sets[name]
    image = int(view.acts[name].index[int(index)])  # rows of unreadable images are missing
    return _thumbnail(repr(spec), image, size, spec)


@st.cache_resource(max_entries=5000, show_spinner=False)
def _thumbnail(key: str, index: int, size: int, _spec: Any) -> str:
    from ood_core.data import thumbnail_bytes
    from ood_core.errors import OODLensError

    try:
        image = cache.image_set(key, _spec).load(index)
        data = thumbnail_bytes(image, size, "WEBP")
    except (OODLensError, OSError):
        return ""
    return "data:image/webp;base64," + base64.b64encode(data).decode()


def _figure(view: View, row: dict[str, Any]) -> str:
    name = str(row["set"])
    uri = thumbnail_uri(view, name, int(row["index"]))
    ident = html.escape(str(row.get("id") or f"{name}/{row['index']}"), quote=True)
    image = f"<img src='{uri}' alt='{ident}'>" if uri else "<small>not readable</small>"
    chip = f"<i class='chip' style='background:{view.colour(name)}'></i>"
    lines = [f"<span class='quiet'>{chip}{html.escape(name)}</span>"]
    if "score" in row:
        lines.insert(0, f"<span><b>{row['score']:.5g}</b>{_percentile(row)}</span>")
    if "prediction" in row:
        lines.insert(1, f"<span>{_prediction(row)}</span>")
    return (
        f"<figure title='{ident}'><div class='frame'>{image}</div>"
        f"<figcaption>{''.join(lines)}</figcaption></figure>"
    )


def _prediction(row: dict[str, Any]) -> str:
    text = f"→ {html.escape(str(row['prediction']))}"
    label = str(row.get("label") or "")
    if label and label != str(row["prediction"]):
        text += f" <i class='quiet'>is {html.escape(label)}</i>"
    return text


def _percentile(row: dict[str, Any]) -> str:
    if "percentile" not in row:
        return ""
    title = "share of ID test images that score no higher"
    return f" <i class='quiet' title='{title}'>P{row['percentile']:.1f}</i>"


def _pager(key: str, page: int, last: int, per_page: int, total: int) -> None:
    def go(to: int) -> None:
        st.session_state[key + _PAGE_KEY] = to

    first = page * per_page
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "",
            key=f"{key}_previous",
            icon=":material/chevron_left:",
            help="Previous page",
            disabled=page == 0,
            on_click=go,
            args=(page - 1,),
        )
        st.button(
            "",
            key=f"{key}_next",
            icon=":material/chevron_right:",
            help="Next page",
            disabled=page == last,
            on_click=go,
            args=(page + 1,),
        )
        st.caption(f"{first + 1:,} to {min(first + per_page, total):,} of {total:,}")

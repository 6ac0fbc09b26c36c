"""Images with score, prediction and percentile, paged; thumbnails only."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import streamlit as st

from ood_core.data import thumbnail_bytes
from ood_core.errors import OODLensError
from ood_core.runtime.bounded import Bounded
from ood_core.runtime.names import shown
from pages.components.kit import cache, state
from pages.components.kit.assets import component, on_trigger
from pages.components.kit.messages import told
from pages.components.kit.view import View

if TYPE_CHECKING:
    import pandas as pd

    from ood_core.experiments import DataSpec
    from pages.components.kit.assets import JsonObject

__all__ = ["first_page", "in_place_of_picture", "show", "thumbnail_uri"]

Row: TypeAlias = Mapping[str, Any]
"""One image: the columns of `show`'s data frame, each of its own type."""
PAGE = 24
_PAGE_KEY = "_page"
_GALLERY = component(Path(__file__).parent, "gallery")


@st.fragment
@told()
def show(
    view: View,
    rows: pd.DataFrame,
    key: str,
    *,
    per_page: int = PAGE,
    detail: Callable[[pd.DataFrame], Sequence[Row]] | None = None,
    empty: str = "No images.",
    tabs: list[tuple[str, str, str]] | None = None,
    tab: str = "",
    on_tab: Callable[[str], None] | None = None,
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
    tabs : (value, title, count) of several galleries in one; `tab` is the chosen value, and
        `on_tab` is called with another one.
    """
    last = max(0, (len(rows) - 1) // per_page)
    page = int(state.number(key + _PAGE_KEY, 0, max(last, 0), 0))
    state.notes()
    first = page * per_page
    turned = rows.iloc[first : first + per_page]
    records = detail(turned) if detail else _plain(turned)
    data: JsonObject = {
        "items": [_item(view, record) for record in records],
        "page": page,
        "last": last,
        "where": f"{first + 1:,} to {first + len(turned):,} of {len(rows):,}",
        "empty": empty,
        "tabs": tabs or [],
        "tab": tab,
    }
    _GALLERY(
        key=key,
        data=data,
        on_turned_change=on_trigger(key, "turned", lambda to: _turn(key, to)),
        on_chosen_change=on_trigger(key, "chosen", on_tab or (lambda _: None)),
    )
    state.publish()


def first_page() -> None:
    """Turn every gallery back to its first page: for callbacks that change what is shown."""
    for key in list(st.session_state):
        if str(key).endswith(_PAGE_KEY) and not str(key).startswith("_"):
            state.put(str(key), 0)


_THUMBNAILS: Bounded[tuple[str, str, int, int], str] = Bounded(8192)
"""Thumbnails as data URIs, by fingerprint of the activations, set, image and size."""


def thumbnail_uri(view: View, name: str, index: int, size: int = 96) -> str:
    """Thumbnail of row `index` of `view.acts[name]` as a data URI; empty where it is unreadable."""
    image = int(view.acts[name].index[int(index)])  # rows of unreadable images are missing
    spec = view.experiment.sets[name]
    return _THUMBNAILS.get(
        (view.fingerprint, name, image, size), lambda: _thumbnail(spec, image, size)
    )


def _thumbnail(spec: DataSpec, index: int, size: int) -> str:
    try:
        image = cache.image_set(repr(spec), spec).load(index)
        data = thumbnail_bytes(image, size, "WEBP")
    except (OODLensError, OSError):
        return ""
    return "data:image/webp;base64," + base64.b64encode(data).decode()


def in_place_of_picture(view: View, name: str, index: int) -> str:
    """What stands where row `index` of `view.acts[name]` has no thumbnail: its text, else its id
    where the set has features instead of images."""
    spec = view.experiment.sets[name]
    images = cache.image_set(repr(spec), spec)
    text = images.text(int(view.acts[name].index[int(index)]))
    return shown(text or ("not readable" if images.has_images else view.acts[name].ids[index]))


def _plain(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(column): v for column, v in row.items()} for row in rows.to_dict("records")]


def _item(view: View, row: Row) -> dict[str, str]:
    """What the browser shows of one image, as text."""
    name = str(row["set"])
    uri = thumbnail_uri(view, name, int(row["index"]))
    item = {
        "uri": uri,
        "text": "" if uri else in_place_of_picture(view, name, int(row["index"])),
        "id": str(row.get("id") or f"{name}/{row['index']}"),
        "set": name,
        "colour": view.colour(name),
    }
    if "score" in row:
        item["score"] = f"{row['score']:.5g}".replace("-", "−")
    if "percentile" in row:
        item["percentile"] = f"≥ {row['percentile']:.1f} % of ID"
    if "prediction" in row:
        item["prediction"] = f"→ {row['prediction']}"
    if label := str(row.get("label") or ""):
        item["label"] = f"is {label}" if label != str(row.get("prediction")) else ""
    return item


def _turn(key: str, page: float) -> None:
    state.put(key + _PAGE_KEY, int(page))

"""A figure with its downloads: print-quality SVG from the chart, its numbers as CSV."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal, TypeAlias, overload

import streamlit as st

from ood_core.export.csv_file import csv_text
from ood_core.plots.framing import in_lines, resized
from ood_core.plots.theme import DIVERGING, DIVERGING_DARK
from pages.components.kit import theme

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    from streamlit.typing import PlotlyState

    from pages.components.kit.assets import JsonObject

__all__ = ["CONFIG", "csv_button", "diverging", "show"]

Data: TypeAlias = "pd.DataFrame | Callable[[], pd.DataFrame]"
"""A data frame, or what makes one when it is asked for."""
Mode: TypeAlias = Literal["points", "box", "lasso"]
MODES: tuple[Mode, ...] = ("points", "box", "lasso")
CONFIG: JsonObject = {
    "displaylogo": False,
    "displayModeBar": "hover",
    "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
}


@overload
def show(
    fig: go.Figure,
    key: str,
    *,
    data: Data | None = ...,
    name: str | None = ...,
    alt: str | None = ...,
    height: int | None = ...,
) -> None: ...


@overload
def show(
    fig: go.Figure,
    key: str,
    *,
    data: Data | None = ...,
    name: str | None = ...,
    alt: str | None = ...,
    height: int | None = ...,
    on_select: Literal["rerun"] | Callable[[], None],
    selection_mode: Mode | Iterable[Mode] = ...,
) -> PlotlyState: ...


def show(
    fig: go.Figure,
    key: str,
    *,
    data: Data | None = None,
    name: str | None = None,
    alt: str | None = None,
    height: int | None = None,
    on_select: Literal["rerun"] | Callable[[], None] | None = None,
    selection_mode: Mode | Iterable[Mode] = MODES,
) -> PlotlyState | None:
    """Draw a Plotly figure as wide as its container, with its downloads.

    Parameters
    ----------
    fig : figure from `ood_core.plots`.
    key : element key, unique on the page.
    data : data frame (or a callable that makes one) offered as CSV.
    name : file name without ending; the key when None.
    alt : what the figure shows, for screen readers; its title when None.
    height : pixels; the figure's own when None.
    on_select, selection_mode : as for `st.plotly_chart`.

    Returns the chart's event when `on_select` is given.
    """
    name = name or key
    if height:
        resized(fig, height)
    in_lines(fig)
    fig.update_traces(colorscale=diverging(), selector=_around_zero)
    config = CONFIG | {"toImageButtonOptions": {"format": "svg", "filename": name}}
    alt = alt or html.unescape((fig.layout.title.text or name).replace("<br>", " "))
    event = None
    if on_select is None:
        st.plotly_chart(fig, key=key, config=config, alt=alt)
    else:
        config = config | {"modeBarButtonsToRemove": ["autoScale2d", "zoomIn2d", "zoomOut2d"]}
        event = st.plotly_chart(
            fig, key=key, config=config, alt=alt,
            on_select=on_select, selection_mode=selection_mode,
        )  # fmt: skip
    if data is not None:
        csv_button(data, name, key=f"{key}_csv")
    return event


def diverging() -> list[list[float | str]]:
    """Colours round zero of the theme that the visitor sees."""
    return DIVERGING_DARK if theme.is_dark() else DIVERGING


def _around_zero(trace: object) -> bool:
    """Whether a trace is drawn in the colours of either theme: a figure may come from the cache."""
    scale = [list(step) for step in getattr(trace, "colorscale", None) or ()]
    return scale in (DIVERGING, DIVERGING_DARK)


def csv_button(data: Data, name: str, key: str) -> None:
    """Small download button; the CSV is written when it is pressed."""

    def write() -> str:
        return csv_text(data() if callable(data) else data)

    st.download_button(
        "CSV",
        write,
        file_name=f"{name}.csv",
        mime="text/csv",
        key=key,
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
        help="The numbers of this figure. The figure itself: camera in its corner (SVG).",
    )

"""A figure with its downloads: print-quality SVG from the chart, its numbers as CSV."""

from __future__ import annotations

from typing import Any

import streamlit as st

__all__ = ["CONFIG", "show"]

CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "displayModeBar": "hover",
    "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
}


def show(
    fig: Any,
    key: str,
    *,
    data: Any = None,
    name: str | None = None,
    alt: str | None = None,
    height: int | None = None,
    **select: Any,
) -> Any:
    """Draw a Plotly figure as wide as its container, with its downloads.

    Parameters
    ----------
    fig : figure from `ood_core.plots`.
    key : element key, unique on the page.
    data : data frame (or a callable that makes one) offered as CSV.
    name : file name without ending; the key when None.
    alt : what the figure shows, for screen readers; its title when None.
    height : pixels; the figure's own when None.
    select : `on_select` and `selection_mode`, as for `st.plotly_chart`.

    Returns the chart's event when `on_select` is given.
    """
    name = name or key
    if height:
        fig.update_layout(height=height)
    config = CONFIG | {"toImageButtonOptions": {"format": "svg", "filename": name}}
    if select.get("on_select"):
        config = config | {"modeBarButtonsToRemove": ["autoScale2d", "zoomIn2d", "zoomOut2d"]}
    alt = alt or getattr(fig.layout.title, "text", None) or name
    event = st.plotly_chart(fig, key=key, config=config, alt=alt, **select)
    if data is not None:
        csv_button(data, name, key=f"{key}_csv")
    return event


def csv_button(data: Any, name: str, key: str) -> None:
    """Small download button; the CSV is written when it is pressed."""

    def write() -> str:
        from ood_core.export.csv_file import csv_text

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

"""Figures of one image's receipt."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from ood_core.plots.theme import ID_COLOUR, OOD_COLOURS, base_layout
from ood_core.runtime.names import in_plotly

__all__ = ["neuron_bars", "percentile_dots", "unusual_bars"]

_PATTERNS = {"kept": "", "clipped": "/", "masked": "x"}


def neuron_bars(rows: pd.DataFrame, class_name: str) -> go.Figure:
    """Contributions of the strongest neurons to the predicted class, with what LINe does to them.

    `rows` comes from `receipts.top_neurons`. Kept neurons are solid, clipped ones hatched,
    masked ones crossed, so that the figure reads without colour.
    """
    figure = go.Figure()
    order = [f"n{n}" for n in rows["neuron"]][::-1]
    for state, pattern in _PATTERNS.items():
        part = rows[rows["state"] == state]
        if not len(part):
            continue
        figure.add_bar(
            x=part["before"],
            y=[f"n{n}" for n in part["neuron"]],
            orientation="h",
            name=state,
            marker={
                "color": [ID_COLOUR if v >= 0 else OOD_COLOURS[0] for v in part["before"]],
                "pattern": {"shape": pattern},
                "opacity": 0.45 if state == "masked" else 1.0,
            },
            customdata=part[["activation", "clipped_to", "after"]],
            hovertemplate="neuron %{y}<br>contribution %{x:.4g}<br>activation %{customdata[0]:.4g}"
            "<br>clipped to %{customdata[1]:.4g}<br>contribution after LINe %{customdata[2]:.4g}"
            "<extra></extra>",
        )
    figure.update_layout(
        **base_layout(
            title={
                "text": f"Neurons for class {in_plotly(class_name)}, before LINe",
                "font": {"size": 14},
            },
            height=90 + 19 * max(4, len(rows)),
            bargap=0.25,
            showlegend=True,  # one kind alone has a pattern that asks what it means
            legend={"orientation": "h", "y": -0.22, "yanchor": "top", "x": 0},
            margin={"l": 48, "r": 12, "t": 40, "b": 70},
        )
    )
    figure.update_xaxes(title="contribution to the logit (W · h)", zeroline=True)
    figure.update_yaxes(title="neuron", categoryorder="array", categoryarray=order)
    return figure


def unusual_bars(rows: pd.DataFrame) -> go.Figure:
    """The neurons in which an image lies farthest from the fit set.

    `rows` comes from `receipts.unusual_neurons`.
    """
    names = [f"n{n}" for n in rows["neuron"]]
    figure = go.Figure(
        go.Bar(
            x=rows["unusual"],
            y=names,
            orientation="h",
            marker={"color": [ID_COLOUR if v >= 0 else OOD_COLOURS[0] for v in rows["unusual"]]},
            customdata=rows[["activation", "mean", "deviation"]],
            hovertemplate="neuron %{y}<br>activation %{customdata[0]:.4g}<br>fit set "
            "%{customdata[1]:.4g} ± %{customdata[2]:.4g}<extra></extra>",
        )
    )
    figure.update_layout(
        **base_layout(
            title={"text": "Neurons in which it is least usual", "font": {"size": 14}},
            height=90 + 19 * max(4, len(rows)),
            bargap=0.25,
            margin={"l": 48, "r": 12, "t": 40, "b": 50},
        )
    )
    figure.update_xaxes(title="standard deviations from the mean of the fit set", zeroline=True)
    figure.update_yaxes(title="neuron", categoryorder="array", categoryarray=names[::-1])
    return figure


def percentile_dots(rows: pd.DataFrame, titles: dict[str, str]) -> go.Figure:
    """Where each detector puts one image among the ID test images, in percent.

    `rows` are one image's rows of `receipts.table`. Filled marks accept it, open ones reject it.
    """
    ordered = rows.sort_values("id_percentile")
    names = [titles.get(d, d) for d in ordered["detector"]]
    longest = max((len(name) for name in names), default=0)
    figure = go.Figure()
    for verdict, name, symbol, colour in (
        (True, "accepts as ID", "circle", ID_COLOUR),
        (False, "rejects as OOD", "diamond-open", OOD_COLOURS[0]),
    ):
        part = ordered[ordered["is_id"] == verdict]
        figure.add_scatter(
            x=part["id_percentile"],
            y=[titles.get(d, d) for d in part["detector"]],
            mode="markers",
            name=name,
            marker={"symbol": symbol, "size": 10, "color": colour, "line": {"width": 2}},
            customdata=part[["score", "threshold", "p_value"]],
            cliponaxis=False,
            hovertemplate="%{y}<br>above %{x:.2f} % of ID<br>score %{customdata[0]:.5g}, threshold "
            "%{customdata[1]:.5g}<br>conformal p-value %{customdata[2]:.3g}<extra></extra>",
        )
    figure.update_layout(
        **base_layout(
            title={"text": "ID images scoring no higher", "font": {"size": 14}},
            height=110 + 20 * max(4, len(rows)),
            showlegend=True,
            legend={"orientation": "h", "y": -0.16, "yanchor": "top", "x": 0},
            margin={"l": 16 + 7 * longest, "r": 16, "t": 40, "b": 70},
        )
    )
    figure.update_xaxes(title="ID percentile, %", range=[-3, 103])
    figure.update_yaxes(categoryorder="array", categoryarray=names, automargin=True)
    return figure

"""What a detector gains over another on each OOD set, with paired intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ood_core.plots.framing import GREY, framed
from ood_core.scoring.gains import Gain

__all__ = ["gains_figure"]

ROOM = 0.18
"""Beside the outermost interval, as a share of the scale: its label stays in its own panel."""


def gains_figure(
    found: Sequence[Gain], colours: Mapping[str, str], titles: Mapping[str, str]
) -> go.Figure:
    """One panel per gain on a common scale, one line per OOD set; right of zero is better.

    Parameters
    ----------
    found : gains on the same OOD sets.
    colours : OOD set -> its colour.
    titles : detector -> what to call it; short, because three stand side by side on a phone.
    """
    sets = list(found[0].differences)
    heads = [f"<b>{titles[g.detector]}</b> against<br>{titles[g.against]}" for g in found]
    figure = make_subplots(
        1, len(found), shared_yaxes=True, horizontal_spacing=0.05, subplot_titles=heads
    )
    largest = max(abs(d.value) for one in found for d in one.differences.values())
    edges = [100 * x for one in found for d in one.differences.values() for x in (0.0, *d)]
    apart = ROOM * (max(edges) - min(edges) or 1)
    for column, one in enumerate(found, 1):
        _add_sets(figure, one, colours, column, largest)
    layout = framed("Gain in AUROC on each OOD set", 140 + 36 * len(sets), left=sets)
    figure.update_layout(layout)
    figure.update_layout(margin={"t": 76})
    figure.update_xaxes(
        range=[min(edges) - apart, max(edges) + apart], zeroline=True, zerolinecolor=GREY,
        zerolinewidth=1.5, ticksuffix=" ", nticks=4, tickangle=0, showline=True, linecolor=GREY,
    )  # fmt: skip
    middle = (len(found) + 1) // 2
    figure.update_xaxes(
        title="percentage points of AUROC, 95 % interval of the pair; right of 0: better",
        col=middle,
    )
    figure.update_yaxes(type="category", range=[len(sets) - 0.4, -0.6])
    figure.update_annotations(font={"size": 12})
    return figure


def _add_sets(
    figure: go.Figure, one: Gain, colours: Mapping[str, str], column: int, largest: float
) -> None:
    """One panel; `largest` is the largest difference of all, which sets their common scale."""
    for name, d in one.differences.items():
        value, low, high = (100 * x for x in d)
        shown = f"{100 * one.auroc_against[name]:.2f} → {100 * one.auroc[name]:.2f} %"
        figure.add_scatter(
            x=[value],
            y=[name],
            error_x={"array": [high - value], "arrayminus": [value - low], "thickness": 1.5},
            mode="markers+text",
            marker={"color": colours[name], "size": 10},
            text=[f"{value:+.1f}".replace("-", "−")],
            textposition=_beside_zero(value, 100 * largest),
            textfont={"size": 11},
            cliponaxis=False,
            name=name,
            hovertemplate=f"{name}: {value:+.2f} [{low:+.2f}, {high:+.2f}]<br>{shown}"
            "<extra></extra>",
            row=1,
            col=column,
        )


def _beside_zero(value: float, largest: float) -> str:
    """Where a point's label stands: above it, but not across the line at zero."""
    if abs(value) > 0.6 * largest:
        return "top center"
    return "top right" if value >= 0 else "top left"

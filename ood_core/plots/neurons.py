"""Figures of the Neurons page: contributions, mean activations, one neuron, one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ood_core.neurons import ContributionView, ImageReceipt, LineResult, NeuronDrill
from ood_core.plots.distributions import histogram
from ood_core.plots.framing import GREY, framed
from ood_core.plots.theme import DIVERGING

__all__ = [
    "accuracy_figure",
    "activation_histogram",
    "contribution_bars",
    "contribution_heatmap",
    "effect_figure",
    "image_figure",
    "mean_activation_figure",
    "score_figure",
]

_NEGATIVE, _POSITIVE = DIVERGING[0][1], DIVERGING[-1][1]
_VEIL = [[0, "rgba(189,189,189,0)"], [1, "rgba(189,189,189,0.85)"]]
_BARS = 24


def contribution_heatmap(view: ContributionView, chosen: int | None = None) -> go.Figure:
    """Class x neuron contributions; what LINe removes is veiled in the colour of zero.

    `chosen` is the number of a neuron to mark. Every cell tells class, neuron and value.
    """
    labels = [_span(columns) for columns in view.columns]
    heat = {"x": labels, "y": _distinct(view.labels), "ygap": 0.5 if len(view.rows) <= 40 else 0}
    what = "strongest of the cell" if view.per_cell > 1 else "contribution"
    figure = go.Figure()
    figure.add_heatmap(
        z=view.values,
        colorscale=DIVERGING,
        zmin=-view.limit,
        zmax=view.limit,
        colorbar={"title": {"text": "contribution, logit units", "side": "right"}, "thickness": 10},
        hovertemplate=f"neuron %{{x}}<br>class %{{y}}<br>{what} %{{z:+.3f}}<extra></extra>",
        **heat,
    )
    if view.removed is not None:
        share = np.round(100 * view.removed).astype(np.uint8)
        veil = {"zmin": 0, "zmax": 100, "colorscale": _VEIL, "showscale": False}
        figure.add_heatmap(z=share, hoverinfo="skip", **veil, **heat)
    masks = ", veiled where LINe removes it" if view.removed is not None else ""
    figure.update_layout(
        framed(
            f"Contribution of each neuron to each class{masks}",
            430,
            xaxis={"title": _place_title(view), "type": "category", "nticks": 24,
                   "showgrid": False},
            yaxis={"title": "class", "type": "category", "autorange": "reversed",
                   "automargin": True, "showgrid": False},
        )
    )  # fmt: skip
    place = next(
        (i for i, c in enumerate(view.columns) if chosen is not None and chosen in c), None
    )
    if place is not None:
        figure.add_vrect(place - 0.5, place + 0.5, line={"color": GREY, "width": 1.5})
    return figure


def score_figure(
    result: LineResult, score: str, id_name: str, colours: Mapping[str, str]
) -> go.Figure:
    """Small histogram of the "line" or the "energy" score with the cut that accepts 95 % of ID."""
    title = {"line": "LINe", "energy": "Energy"}[score]
    sets = dict(getattr(result, score))
    inside = sets.pop(id_name)
    figure = histogram(
        inside,
        sets,
        threshold=result.thresholds[score],
        colours=colours,
        bins=50,
        score_name=f"{title} score",
        id_name=id_name,
    )
    figure.update_layout(framed(f"{title}: ID against OOD", 205))
    figure.update_annotations(text=f"cut {result.thresholds[score]:.4g}")
    figure.update_xaxes(title=f"{title} score, higher is more ID")
    figure.update_yaxes(title="density")
    return figure


def mean_activation_figure(
    means: pd.DataFrame, colours: Mapping[str, str], clip: float | None = None, most: int = 3000
) -> go.Figure:
    """Mean activation of each neuron, ID against OOD, neurons ordered by the ID mean.

    The first name of `colours` is the ID set. Above `most` neurons, evenly spaced places are drawn.
    """
    first = next(iter(colours))
    ordered = means.sort_values(first, ascending=False, kind="stable").reset_index(drop=True)
    if len(ordered) > most:
        ordered = ordered.iloc[np.linspace(0, len(ordered) - 1, most).astype(int)]
    figure = go.Figure()
    for name in [*list(colours)[1:], first]:
        figure.add_scatter(
            x=ordered.index.to_numpy(np.int32),
            y=ordered[name].to_numpy(np.float32),
            customdata=ordered["neuron"].to_numpy(np.int32),
            name=name,
            mode="lines",
            line={"color": colours[name], "width": 2.5 if name == first else 1.2, "shape": "hvh"},
            hovertemplate="neuron %{customdata}: %{y:.3f}<extra>" + name + "</extra>",
        )
    if clip is not None and clip <= 2 * float(means[list(colours)].to_numpy().max()):
        figure.add_hline(
            clip,
            line={"color": GREY, "width": 1, "dash": "dash"},
            annotation={"text": f"clip δ = {clip:g}", "font": {"size": 11}},
        )
    figure.update_layout(
        framed(
            "Mean activation of each neuron: ID against OOD",
            360,
            len(colours),
            xaxis={"title": "neurons, strongest on ID first (place in that order)"},
            yaxis={"title": "mean activation", "rangemode": "tozero"},
        )
    )
    return figure


def contribution_bars(drill: NeuronDrill) -> go.Figure:
    """Contribution of one neuron to each class; the strongest classes where there are many."""
    frame = drill.by_class
    shown = frame.loc[frame["contribution"].abs().nlargest(_BARS).index]
    shown = shown.sort_values("contribution")
    cut = f" (the {_BARS} strongest of {len(frame):,} classes)" if len(frame) > _BARS else ""
    figure = go.Figure(
        go.Bar(
            x=shown["contribution"],
            y=shown["class"],
            orientation="h",
            marker={"color": [_POSITIVE if v >= 0 else _NEGATIVE for v in shown["contribution"]]},
            customdata=shown[["weight", "mean_activation"]],
            hovertemplate="%{y}: %{x:+.3f} = weight %{customdata[0]:+.3f} × "
            "mean activation %{customdata[1]:.3f}<extra></extra>",
        )
    )
    figure.update_layout(
        framed(
            f"Neuron {drill.neuron}: contribution by class{cut}",
            320,
            xaxis={"title": "mean contribution on the fit set, logit units", "zeroline": True},
            yaxis={"title": "class", "type": "category", "automargin": True},
        )
    )
    return figure


def activation_histogram(
    drill: NeuronDrill, colours: Mapping[str, str], clip: float | None = None
) -> go.Figure:
    """Activation of one neuron, ID against OOD, with LINe's clipping value."""
    figure = go.Figure()
    for name, colour in colours.items():
        rows = drill.histogram[drill.histogram["set"] == name]
        edges = np.append(rows["left"].to_numpy(), rows["right"].to_numpy()[-1])
        share = 100 * rows["share"].to_numpy()
        figure.add_scatter(
            x=np.repeat(edges, 2),
            y=np.concatenate([[0.0], np.repeat(share, 2), [0.0]]),
            name=name,
            mode="lines",
            line={"color": colour, "width": 2},
            hovertemplate="activation %{x:.3g}: %{y:.1f} % of images<extra>" + name + "</extra>",
        )
    if clip is not None and clip <= float(drill.histogram["right"].max()):
        figure.add_vline(clip, line={"color": GREY, "width": 1, "dash": "dash"})
    figure.update_layout(
        framed(
            f"Neuron {drill.neuron}: activation on ID against OOD images",
            320,
            len(colours),
            xaxis={"title": "activation"},
            yaxis={"title": "share of images, % (log)", "type": "log", "dtick": 1},
        )
    )
    return figure


def image_figure(receipt: ImageReceipt, names: Sequence[str], most: int = 60) -> go.Figure:
    """Contributions of an image's neurons to its class before and after LINe, strongest first."""
    frame = receipt.neurons
    shown = frame.loc[frame["before"].abs().nlargest(most).index]
    fates = np.where(shown["kept"], np.where(shown["clipped"], "kept, clipped", "kept"), "pruned")
    told = np.column_stack([fates.astype(object), shown["activation"]])
    common = {"x": [str(n) for n in shown["neuron"]], "customdata": told}
    figure = go.Figure()
    for column, name, colour in (
        ("before", "before", GREY),
        ("after", "after LINe", _POSITIVE),
    ):
        figure.add_bar(
            y=shown[column],
            name=name,
            marker={"color": colour, "opacity": 0.45 if column == "before" else 1},
            hovertemplate="neuron %{x}, %{customdata[0]}<br>activation %{customdata[1]:.3f}"
            "<br>contribution %{y:+.3f}<extra>" + name + "</extra>",
            **common,
        )
    cut = f"the {len(shown)} strongest of {len(frame):,} neurons"
    figure.update_layout(
        framed(
            f"Contributions to “{names[receipt.routed]}” before and after LINe: {cut}",
            340,
            2,
            xaxis={"title": "neuron number, strongest contribution first", "type": "category"},
            yaxis={"title": "contribution, logit units"},
            barmode="overlay",
            bargap=0.15,
        )
    )
    return figure


def effect_figure(before: LineResult, after: LineResult) -> go.Figure:
    """AUROC of LINe and energy against each OOD set, with all neurons and without some."""
    figure = go.Figure()
    for column, name, colour in (("auroc", "LINe", _POSITIVE), ("energy_auroc", "energy", GREY)):
        a, b = 100 * before.rates[column], 100 * after.rates[column]
        figure.add_scatter(
            x=np.column_stack([a, b, np.full(len(a), np.nan)]).ravel(),
            y=np.repeat(before.rates["ood_set"].to_numpy(), 3),
            mode="lines",
            line={"color": colour, "width": 2},
            showlegend=False,
            hoverinfo="skip",
        )
        for x, fill, when in ((a, "rgba(0,0,0,0)", "all neurons"), (b, colour, "without")):
            figure.add_scatter(
                x=x,
                y=before.rates["ood_set"],
                mode="markers",
                name=f"{name}, {when}",
                marker={"size": 10, "color": fill, "line": {"color": colour, "width": 2}},
                hovertemplate="%{y}: %{x:.2f} %<extra>" + f"{name}, {when}</extra>",
            )
    figure.update_layout(
        framed(
            "AUROC with all neurons and without the dropped ones",
            320,
            4,
            xaxis={"title": "AUROC, % (ID against the OOD set)"},
            yaxis={"title": "OOD set", "type": "category", "autorange": "reversed",
                   "automargin": True},
        )
    )  # fmt: skip
    return figure


def accuracy_figure(accuracy: pd.DataFrame) -> go.Figure:
    """Accuracy of each class before and after; the classes that lose most where there are many."""
    loss = (accuracy["before"] - accuracy["after"]).abs()
    shown = accuracy.loc[loss.nlargest(_BARS).index].sort_index()
    cut = f" (the {_BARS} that change most)" if len(accuracy) > _BARS else ""
    figure = go.Figure()
    for column, name, colour in (("before", "all neurons", GREY), ("after", "without", _POSITIVE)):
        figure.add_bar(
            x=shown["class"],
            y=100 * shown[column],
            name=name,
            marker={"color": colour},
            customdata=shown["n"],
            hovertemplate="%{x}: %{y:.1f} % of %{customdata:,} images<extra>" + name + "</extra>",
        )
    figure.update_layout(
        framed(
            f"Accuracy on ID test images with and without the neurons{cut}",
            320,
            2,
            xaxis={"title": "class", "type": "category"},
            yaxis={"title": "classified right, %", "range": [0, 100]},
            barmode="group",
        )
    )
    return figure


def _span(columns: np.ndarray) -> str:
    shown = ", ".join(str(n) for n in columns[:6])
    return shown if len(columns) <= 6 else f"{shown} and {len(columns) - 6} more"


def _distinct(labels: Sequence[str]) -> list[str]:
    """Labels as categories: a repeated one gets its place, or its rows would fall together."""
    seen = {label for label in labels if list(labels).count(label) > 1} if len(labels) < 999 else ()
    return [f"{label} ({i})" if label in seen else label for i, label in enumerate(labels)]


def _place_title(view: ContributionView) -> str:
    n = sum(map(len, view.columns))
    binned = f", {len(view.columns[0])} to a column" if len(view.columns[0]) > 1 else ""
    return f"neuron number, {n:,} neurons in display order{binned}"

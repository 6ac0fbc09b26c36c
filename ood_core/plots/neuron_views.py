"""Figures of one neuron, of one image, and of the network without some neurons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ood_core.neurons import ImageReceipt, LineResult, NeuronDrill
from ood_core.plots.framing import GREY, framed
from ood_core.plots.theme import DIVERGING
from ood_core.runtime.names import in_plotly

__all__ = [
    "accuracy_figure",
    "activation_histogram",
    "contribution_bars",
    "effect_figure",
    "image_figure",
]

_NEGATIVE, _POSITIVE = DIVERGING[0][1], DIVERGING[-1][1]
_BARS = 24


def _tall(bars: int) -> int:
    """Height at which each bar has a label of its own."""
    return max(320, 110 + 15 * bars)


def contribution_bars(drill: NeuronDrill) -> go.Figure:
    """Contribution of one neuron to each class; the strongest classes where there are many."""
    frame = drill.by_class
    shown = frame.loc[frame["contribution"].abs().nlargest(_BARS).index]
    shown = shown.sort_values("contribution")
    cut = f" (the {_BARS} strongest of {len(frame):,} classes)" if len(frame) > _BARS else ""
    figure = go.Figure(
        go.Bar(
            x=shown["contribution"],
            y=shown["class"].map(in_plotly),
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
            _tall(len(shown)),
            left=shown["class"],
            xaxis={"title": "mean contribution on the fit set, logit units", "zeroline": True},
            yaxis={"title": "class", "type": "category", "dtick": 1},
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
            f"Contributions to “{in_plotly(names[receipt.routed])}” before and after LINe: {cut}",
            340,
            2,
            xaxis={
                "title": "neuron number, strongest contribution first",
                "type": "category",
                "nticks": 24,
                "tickangle": 0,
            },
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
            6,  # long names: two rows
            left=before.rates["ood_set"],
            xaxis={"title": "AUROC, % (ID against the OOD set)"},
            yaxis={"title": "OOD set", "type": "category", "autorange": "reversed"},
        )
    )  # fmt: skip
    return figure


def accuracy_figure(accuracy: pd.DataFrame) -> go.Figure:
    """Accuracy of each class before and after; those that change most where there are many."""
    change = (accuracy["before"] - accuracy["after"]).abs()
    shown, cut = accuracy, ""
    if len(accuracy) > _BARS:
        changed = int((change > 0).sum())
        shown = accuracy.loc[change.nlargest(min(_BARS, changed or _BARS)).index].sort_index()
        some = f"{min(_BARS, changed)} of {changed:,} classes that differ"
        cut = f" ({some if changed else f'no class differs; {_BARS} of {len(accuracy):,} classes'})"
    figure = go.Figure()
    for column, name, colour in (("before", "all neurons", GREY), ("after", "without", _POSITIVE)):
        figure.add_bar(
            x=100 * shown[column],
            y=shown["class"].map(in_plotly),
            orientation="h",
            name=name,
            marker={"color": colour},
            customdata=shown["n"],
            hovertemplate="%{y}: %{x:.1f} % of %{customdata:,} images<extra>" + name + "</extra>",
        )
    figure.update_layout(
        framed(
            f"Accuracy on ID test images with and without the neurons{cut}",
            _tall(len(shown)),
            2,
            left=shown["class"],
            xaxis={"title": "classified right, %", "range": [0, 100]},
            yaxis={"title": "class", "type": "category", "autorange": "reversed", "dtick": 1},
            barmode="group",
        )
    )
    return figure

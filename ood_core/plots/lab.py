"""Figures of the lab's networks over training, depth and width, on the page Why it works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ood_core.plots.hidden_classifier import LEGEND_BELOW, SCORE_LINES
from ood_core.plots.theme import ACCENT, GREY, ID_COLOUR, OOD_COLOURS, base_layout

__all__ = [
    "SCHEME_COLOURS",
    "depth_figure",
    "entropy_scatter",
    "norm_over_training",
    "one_class_figure",
    "separation_over_training",
    "width_figure",
]

SCHEME_COLOURS = {
    "supervised": ACCENT,
    "instance": "#009E73",
    "instance_augmented": "#56B4E9",
    "random_binary": "#D55E00",
    "one_label": "#CC79A7",
}


def norm_over_training(sets: pd.DataFrame, ood_sets: Sequence[str]) -> go.Figure:
    """Mean norm of ID and OOD images over epochs, mean over seeds, of supervised networks."""
    figure = go.Figure()
    groups = {
        "ID, trained on": (["fit"], ID_COLOUR, "solid"),
        "ID, new": (["test"], ID_COLOUR, "dash"),
        "OOD": (list(ood_sets), OOD_COLOURS[0], "solid"),
    }
    for name, (members, colour, dash) in groups.items():
        means = sets[sets["set"].isin(members)].groupby("epoch")["norm"].mean()
        figure.add_scatter(
            x=_squeezed(means.index), y=means, name=name, mode="lines+markers",
            customdata=means.index, line={"color": colour, "dash": dash, "width": 2},
            hovertemplate="epoch %{customdata}: %{y:.1f}<extra>" + name + "</extra>",
        )  # fmt: skip
    figure.update_layout(
        base_layout(
            title="Mean norm of the last hidden layer",
            xaxis=_epochs(sets["epoch"]),
            yaxis={"title": "mean feature norm", "rangemode": "tozero", "zeroline": False},
            legend=LEGEND_BELOW,
            margin={"l": 56, "r": 12, "t": 40, "b": 88},
            height=360,
        )
    )
    return figure


def separation_over_training(
    rows: pd.DataFrame, titles: Mapping[str, str], *, what: str, against: str
) -> go.Figure:
    """AUROC over epochs, training fold on the left and test fold on the right, a line a scheme.

    Parameters
    ----------
    rows : rows of the lab's table `separation` for one score: scheme, fold, epoch, seed, auroc.
    titles : scheme -> title, in the order of the legend.
    what, against : score and OOD set, for the title.
    """
    figure = make_subplots(
        1, 2, shared_yaxes=True, horizontal_spacing=0.04,
        subplot_titles=["images it was trained on", "new images"],
    )  # fmt: skip
    for column, fold in enumerate(("fit", "test"), 1):
        for scheme, title in titles.items():
            chosen = rows[(rows["fold"] == fold) & (rows["scheme"] == scheme)]
            per_seed = chosen.groupby(["epoch", "seed"])["auroc"].mean().unstack("seed")
            _band(figure, per_seed, title, SCHEME_COLOURS[scheme], column)
        figure.add_hline(50, line={"color": GREY, "width": 1, "dash": "dot"}, row=1, col=column)
        figure.update_xaxes(_epochs(rows["epoch"]), row=1, col=column)
    figure.update_yaxes(title="AUROC, % (50 is a coin)", row=1, col=1)
    figure.update_yaxes(range=[0, 102], zeroline=False)
    figure.update_annotations(font={"size": 12})
    figure.update_layout(
        base_layout(
            title=f"AUROC of {what} over training: ID against {against}",
            legend=LEGEND_BELOW,
            margin={"l": 56, "r": 12, "t": 64, "b": 96},
            height=420,
        )
    )
    return figure


def entropy_scatter(points: pd.DataFrame, titles: Mapping[str, str]) -> go.Figure:
    """Activation entropy of ID images against AUROC of the norm, one point a network and epoch."""
    figure = go.Figure()
    for scheme, title in titles.items():
        rows = points[points["scheme"] == scheme]
        figure.add_scatter(
            x=rows["activation_entropy"], y=100 * rows["auroc"], mode="markers", name=title,
            customdata=rows["epoch"],
            marker={"color": SCHEME_COLOURS[scheme], "size": 7, "opacity": 0.7},
            hovertemplate="entropy %{x:.3f}, AUROC %{y:.1f} %, epoch %{customdata}"
            f"<extra>{title}</extra>",
        )  # fmt: skip
    figure.update_layout(
        base_layout(
            title="Activation entropy against AUROC of the norm",
            xaxis={"title": "activation entropy, nats (at most 0.693)", "zeroline": False},
            yaxis={"title": "AUROC, %", "zeroline": False},
            legend=LEGEND_BELOW,
            margin={"l": 56, "r": 12, "t": 40, "b": 96},
            height=400,
        )
    )
    return figure


def depth_figure(rows: pd.DataFrame, sets: pd.DataFrame, against: str) -> go.Figure:
    """AUROC by layer on the left, share of active units by layer on the right.

    Parameters
    ----------
    rows : layer, score, seed, auroc of trained networks.
    sets : layer, group ("ID" or "OOD"), active_share.
    """
    figure = make_subplots(1, 2, horizontal_spacing=0.12)
    for score, (label, colour, dash, symbol) in SCORE_LINES.items():
        means = 100 * rows[rows["score"] == score].groupby("layer")["auroc"].mean()
        figure.add_scatter(
            x=means.index, y=means, name=label, mode="lines+markers",
            line={"color": colour, "dash": dash, "width": 2}, marker={"symbol": symbol, "size": 8},
            hovertemplate="layer %{x}: %{y:.1f} %<extra>" + label + "</extra>", row=1, col=1,
        )  # fmt: skip
    for group, colour in (("ID", ID_COLOUR), ("OOD", OOD_COLOURS[0])):
        means = 100 * sets[sets["group"] == group].groupby("layer")["active_share"].mean()
        figure.add_scatter(
            x=means.index, y=means, name=f"active, {group}", mode="lines+markers",
            line={"color": colour, "width": 2}, row=1, col=2,
            hovertemplate="layer %{x}: %{y:.1f} % on<extra>" + group + "</extra>",
        )  # fmt: skip
    figure.update_xaxes(title="hidden layer", dtick=1)
    figure.update_yaxes(title="AUROC, %", zeroline=False, row=1, col=1)
    figure.update_yaxes(title="units that are on, %", rangemode="tozero", row=1, col=2)
    figure.update_layout(
        base_layout(
            title=f"Layer by layer: ID against {against}",
            legend=LEGEND_BELOW | {"y": -0.25},
            margin={"l": 56, "r": 12, "t": 40, "b": 88},
            height=360,
        )
    )
    return figure


def width_figure(points: pd.DataFrame, against: str) -> go.Figure:
    """AUROC against the width of the last hidden layer, band = range over seeds."""
    figure = go.Figure()
    for score in ("norm", "negative_aware_norm"):
        label, colour, dash, _ = SCORE_LINES[score]
        per_seed = points[points["score"] == score].pivot_table("auroc", "width", "seed")
        _band(figure, per_seed, label, colour, None, dash, x=[float(w) for w in per_seed.index])
    widths = sorted(points["width"].unique())
    figure.update_layout(
        base_layout(
            title=f"Width of the last hidden layer: ID against {against}",
            xaxis={"title": "units of the last hidden layer, d_L", "type": "log",
                   "tickvals": widths, "ticktext": [str(w) for w in widths], "zeroline": False},
            yaxis={"title": "AUROC, %", "zeroline": False},
            legend=LEGEND_BELOW,
            margin={"l": 56, "r": 12, "t": 40, "b": 88},
            height=360,
        )
    )  # fmt: skip
    return figure


def one_class_figure(points: pd.DataFrame) -> go.Figure:
    """AUROC of networks that saw one digit only, one column a digit."""
    figure = go.Figure()
    for score in ("norm", "negative_aware_norm"):
        label, colour, _, symbol = SCORE_LINES[score]
        means = 100 * points[points["score"] == score].groupby("only_class")["auroc"].mean()
        figure.add_scatter(
            x=[f"{digit:.0f}" for digit in means.index], y=means, mode="markers", name=label,
            marker={"color": colour, "symbol": symbol, "size": 10},
            hovertemplate="digit %{x}: %{y:.1f} %<extra>" + label + "</extra>",
        )  # fmt: skip
    figure.add_hline(50, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.update_layout(
        base_layout(
            title="One digit against the others",
            xaxis={"title": "the one digit", "type": "category"},
            yaxis={"title": "AUROC, % (50 is a coin)", "range": [0, 102], "zeroline": False},
            legend=LEGEND_BELOW,
            margin={"l": 56, "r": 12, "t": 40, "b": 88},
            height=340,
        )
    )
    return figure


def _band(
    figure: go.Figure,
    per_seed: pd.DataFrame,
    name: str,
    colour: str,
    column: int | None,
    dash: str = "solid",
    x: list[float] | None = None,
) -> None:
    """Mean over seeds as a line, smallest to largest seed as a band behind it."""
    place = {} if column is None else {"row": 1, "col": column}
    along = list(_squeezed(per_seed.index)) if x is None else x
    low, high = 100 * per_seed.min(axis=1), 100 * per_seed.max(axis=1)
    figure.add_scatter(
        x=[*along, *along[::-1]], y=[*high, *low[::-1]], fill="toself", mode="none",
        fillcolor=_veil(colour), hoverinfo="skip", showlegend=False, legendgroup=name, **place,
    )  # fmt: skip
    figure.add_scatter(
        x=along, y=100 * per_seed.mean(axis=1), name=name, legendgroup=name,
        showlegend=column in (None, 1), mode="lines+markers", customdata=list(per_seed.index),
        line={"color": colour, "width": 2, "dash": dash}, marker={"size": 5},
        hovertemplate="%{customdata}: %{y:.1f} %<extra>" + name + "</extra>", **place,
    )  # fmt: skip


def _veil(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"


def _squeezed(epochs: pd.Index | np.ndarray) -> np.ndarray:
    """Position on an axis that gives the first epochs room: log₂(1 + epoch)."""
    return np.log2(1 + np.asarray(epochs, dtype=np.float64))


def _epochs(epochs: pd.Series) -> dict[str, object]:
    known = sorted(int(e) for e in epochs.unique())
    return {
        "title": "epoch (0 = untrained)",
        "zeroline": False,
        "tickvals": list(_squeezed(np.array(known))),
        "ticktext": [str(e) for e in known],
    }

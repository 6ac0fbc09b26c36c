"""ROC and precision-recall curves with the operating point: exact vertices, thinned here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from ood_core import metrics
from ood_core.metrics.counts import ScoreSummary
from ood_core.plots.theme import base_layout, ood_colour
from ood_core.thresholds.operating_point import OperatingPoint

__all__ = ["pr", "roc"]


def roc(
    id_scores: ScoreSummary,
    ood: Mapping[str, ScoreSummary],
    *,
    point: OperatingPoint | None = None,
    colours: Mapping[str, str] | None = None,
    max_points: int = 400,
) -> go.Figure:
    """ROC of ID against each OOD set, ID positive, in percent.

    Parameters
    ----------
    point : operating point, drawn on each curve: rates counted on the images it names.
    colours : OOD set name -> colour; in the theme's order where absent.
    max_points : vertices kept per curve.
    """
    hues = _hues(ood, colours)
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 100], y=[0, 100], mode="lines", hoverinfo="skip", showlegend=False,
        line={"color": "#7F7F7F", "width": 1, "dash": "dot"},
    )  # fmt: skip
    for name, scores in ood.items():
        curve = metrics.roc_curve(id_scores, scores, max_points)
        area = metrics.auroc(id_scores, scores)
        figure.add_scatter(
            x=100 * curve.fpr,
            y=100 * curve.tpr,
            customdata=curve.thresholds,
            name=f"{name} {100 * area:.2f}",
            mode="lines",
            line={"color": hues[name], "width": 2},
            hovertemplate=f"OOD accepted %{{x:.2f}} %<br>ID accepted %{{y:.2f}} %"
            f"<br>score ≥ %{{customdata:.5g}}<extra>{name}</extra>",
        )
    if point is not None:
        shown = [name for name in ood if name in point.ood]
        figure.add_scatter(
            **_points(
                shown,
                hues,
                [100 * point.ood[n].rate for n in shown],
                [100 * point.tpr] * len(shown),
            )
        )
    figure.update_layout(
        _square(
            "ROC: ID against each OOD set (AUROC, %)",
            "OOD accepted (FPR), %",
            "ID accepted (TPR), %",
        )
    )
    return figure


def pr(
    id_scores: ScoreSummary,
    ood: Mapping[str, ScoreSummary],
    *,
    positive: str = "id",
    point: OperatingPoint | None = None,
    colours: Mapping[str, str] | None = None,
    max_points: int = 400,
) -> go.Figure:
    """Precision against recall for each OOD set, in percent; `positive` is "id" or "ood"."""
    hues = _hues(ood, colours)
    average = metrics.aupr_in if positive == "id" else metrics.aupr_out
    figure = go.Figure()
    for name, scores in ood.items():
        curve = metrics.pr_curve(id_scores, scores, max_points, positive)
        figure.add_scatter(
            x=100 * curve.recall,
            y=100 * curve.precision,
            customdata=curve.thresholds,
            name=f"{name} {100 * average(id_scores, scores):.2f}",
            mode="lines",
            line={"color": hues[name], "width": 2},
            hovertemplate=f"recall %{{x:.2f}} %<br>precision %{{y:.2f}} %"
            f"<br>threshold %{{customdata:.5g}}<extra>{name}</extra>",
        )
    if point is not None:
        _add_pr_points(figure, point, [n for n in ood if n in point.ood], hues, positive)
    what = "ID" if positive == "id" else "OOD"
    figure.update_layout(
        _square(
            f"Precision and recall, {what} positive (average precision, %)",
            f"recall of {what}, %",
            f"precision of {what}, %",
        )
    )
    return figure


def _add_pr_points(
    figure: go.Figure,
    point: OperatingPoint,
    names: list[str],
    hues: Mapping[str, str],
    positive: str,
) -> None:
    """The operating point against each set; left out where nothing is on the positive side."""
    shown, recall, precision = [], [], []
    for name in names:
        known, other = point.id, point.ood[name]
        right, wrong = (
            (known.count, other.count) if positive == "id" else (other.rejected, known.rejected)
        )
        if right + wrong:
            shown.append(name)
            recall.append(100 * right / (known.n if positive == "id" else other.n))
            precision.append(100 * right / (right + wrong))
    figure.add_scatter(**_points(shown, hues, recall, precision))


def _points(
    names: list[str], hues: Mapping[str, str], x: list[float], y: list[float]
) -> dict[str, Any]:
    return {
        "x": x,
        "y": y,
        "text": names,
        "mode": "markers",
        "name": "operating point",
        "showlegend": False,
        "marker": {
            "size": 10,
            "color": [hues[name] for name in names],
            "line": {"color": "#FFFFFF", "width": 1.5},
        },
        "hovertemplate": "operating point, %{text}<br>%{x:.2f} %, %{y:.2f} %<extra></extra>",
    }


def _hues(ood: Mapping[str, Any], colours: Mapping[str, str] | None) -> dict[str, str]:
    return {name: ood_colour(i) for i, name in enumerate(ood)} | dict(colours or {})


def _square(title: str, x_title: str, y_title: str) -> dict[str, Any]:
    return base_layout(
        title=title,
        xaxis={"title": x_title, "range": [-1, 101], "zeroline": False},
        yaxis={"title": y_title, "range": [-1, 101], "zeroline": False},
        legend={"x": 1, "xanchor": "right", "y": 0.02, "yanchor": "bottom"},
        height=380,
    )

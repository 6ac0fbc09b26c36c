"""The map of features: every image a point in the plane of `ood_core.views.projection`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ood_core.errors import DataError
from ood_core.plots.theme import GREY, ID_COLOUR, OOD_COLOURS, SEQUENTIAL, base_layout, ood_colour
from ood_core.runtime.names import in_plotly
from ood_core.views.projection import subsample
from ood_core.views.regions import Region

__all__ = ["MOST_POINTS", "drawn_rows", "feature_map", "outline"]

MOST_POINTS = 11_000
"""Points drawn at most: position and colour of these keep the figure below 250 KB. What a lasso
holds is decided for every point by `Region.rows`, drawn or not."""
MOST_CLASSES, FREQUENT = 24, 15
"""Classes that each have a hue and symbol; where there are more, only the most frequent do."""
_SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up", "star", "hexagon", "x")


def drawn_rows(frame: pd.DataFrame, most: int = MOST_POINTS) -> pd.DataFrame:
    """Rows to draw: all when they are few, else an even share of every set."""
    if len(frame) <= most:
        return frame
    share = most / len(frame)
    parts = [
        g.iloc[subsample(len(g), int(share * len(g)))] for _, g in frame.groupby("set", sort=False)
    ]
    return pd.concat(parts)


def feature_map(
    frame: pd.DataFrame,
    *,
    id_set: str,
    ood_order: Sequence[str],
    colour: str = "set",
    values: pd.Series | None = None,
    class_names: Mapping[int, str] | None = None,
    titles: tuple[str, str] = ("component 1", "component 2"),
    title: str = "",
) -> go.Figure:
    """Scatter of the projected images.

    Parameters
    ----------
    frame : columns `set`, `x`, `y` from `projection.project`.
    id_set : name of the ID test set, drawn below the OOD sets in the ID colour.
    ood_order : the experiment's OOD sets in order; fixes their colours.
    colour : "set", "class", "score" or "verdict". What is not "set" reads `values`.
    values : per row of `frame`: class number, score, or True for accepted as ID.
    class_names : class number -> name for the legend.
    titles : axis titles.
    """
    shown = drawn_rows(frame)
    figure = go.Figure()
    if colour == "set":
        _by_set(figure, shown, id_set, ood_order)
    elif values is None:
        raise DataError(f"colouring the map by {colour} needs `values`: one per row of the frame.")
    elif colour == "score":
        _by_score(figure, shown, values.loc[shown.index], id_set)
    elif colour == "verdict":
        _by_verdict(figure, shown, values.loc[shown.index].astype(bool))
    else:
        _by_class(figure, shown, values.loc[shown.index].astype(int), class_names or {})
    figure.update_layout(
        **base_layout(
            title={"text": title, "font": {"size": 14}},
            height=560,
            dragmode="lasso",
            legend={
                "orientation": "h",
                "y": -0.14,
                "yanchor": "top",
                "x": 0,
                "itemsizing": "constant",
            },
            margin={"l": 56, "r": 12, "t": 40, "b": 96},
        )
    )
    figure.update_xaxes(title=titles[0], zeroline=False)
    figure.update_yaxes(title=titles[1], zeroline=False)
    return figure


def _axis(values: pd.Series) -> np.ndarray:
    """32-bit floats: half the bytes, far finer than a pixel."""
    return values.to_numpy(np.float32)


def _points(
    rows: pd.DataFrame, name: str, marker: dict[str, object], **more: object
) -> go.Scattergl:
    size = 5 if len(rows) < 4000 else 3
    return go.Scattergl(
        x=_axis(rows["x"]),
        y=_axis(rows["y"]),
        mode="markers",
        name=name,
        marker={"size": size, "opacity": 0.6, **marker},
        hovertemplate=f"{name}<br>x %{{x:.2f}}<br>y %{{y:.2f}}<extra></extra>",
        **more,
    )


def outline(figure: go.Figure, region: Region) -> None:
    """Draw a region's edge."""
    path = "L".join(f"{a:.6g},{b:.6g}" for a, b in zip(region.x, region.y, strict=True))
    figure.add_shape(type="path", path=f"M{path}Z", line={"color": GREY, "width": 2, "dash": "dot"})


def _by_set(figure: go.Figure, rows: pd.DataFrame, id_set: str, order: Sequence[str]) -> None:
    places = {name: i for i, name in enumerate(order)}
    for name, group in rows.groupby("set", sort=False):
        is_id = name == id_set
        tint = ID_COLOUR if is_id else ood_colour(places.get(str(name), 0))
        symbol = "circle" if is_id else _SYMBOLS[1 + places.get(str(name), 0) % 7]
        label = f"ID ({name})" if is_id else str(name)
        figure.add_trace(_points(group, label, {"color": tint, "symbol": symbol}))


def _by_verdict(figure: go.Figure, rows: pd.DataFrame, accepted: pd.Series) -> None:
    for verdict, label, tint, symbol in (
        (True, "accepted as ID", ID_COLOUR, "circle"),
        (False, "rejected as OOD", OOD_COLOURS[0], "diamond"),
    ):
        group = rows[accepted.to_numpy() == verdict]
        figure.add_trace(_points(group, label, {"color": tint, "symbol": symbol}))


def _by_score(figure: go.Figure, rows: pd.DataFrame, scores: pd.Series, id_set: str) -> None:
    finite = scores.replace([-np.inf, np.inf], np.nan)
    low, high = np.nanpercentile(finite, [1, 99])
    for is_id, label, symbol in ((True, "ID", "circle"), (False, "OOD", "diamond")):
        mask = (rows["set"] == id_set).to_numpy() == is_id
        marker = {
            "color": finite[mask].fillna(low).to_numpy(np.float32),
            "cmin": float(low),
            "cmax": float(high),
            "colorscale": SEQUENTIAL,
            "symbol": symbol,
            "showscale": bool(is_id),
            "colorbar": {"title": {"text": "score"}, "thickness": 12},
        }
        figure.add_trace(_points(rows[mask], label, marker))


def _by_class(
    figure: go.Figure, rows: pd.DataFrame, classes: pd.Series, names: Mapping[int, str]
) -> None:
    """One hue and symbol per class; of more than `MOST_CLASSES` the most frequent, the rest grey.

    A scale over class numbers would make neighbours of classes that are not.
    """
    order = classes.value_counts().index.tolist()
    shown = sorted(order if len(order) <= MOST_CLASSES else order[:FREQUENT])
    rest = len(order) - len(shown)
    if rest:
        others = rows[~classes.isin(shown).to_numpy()]
        figure.add_trace(
            _points(others, f"{rest:,} other classes", {"color": GREY, "opacity": 0.3})
        )
    palette = (ID_COLOUR, *OOD_COLOURS)
    for place, number in enumerate(shown):
        group = rows[classes.to_numpy() == number]
        marker: dict[str, object] = {
            "color": palette[place % len(palette)],
            "symbol": _SYMBOLS[(place // len(palette)) % len(_SYMBOLS)],
        }
        figure.add_trace(_points(group, in_plotly(names.get(number, f"class {number}")), marker))

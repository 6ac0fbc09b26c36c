"""The leaderboard: every detector against every OOD set, with intervals, ties and the papers'."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from ood_core import papers
from ood_core.detectors import broken_plugins
from ood_core.scoring import tables
from ood_core.scoring.gate_result import CAUTION, gates_in_words, worst
from ood_core.scoring.leaderboard import METRICS, leaderboard, of_metric, ties
from pages.components.charts import figures
from pages.components.kit import cache, state, words
from pages.components.kit.messages import told
from pages.components.kit.plain import plain
from pages.components.kit.view import View

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    import pandas as pd
    from pandas.io.formats.style import Styler
    from streamlit.elements.lib.column_types import ColumnConfig

    from ood_core.scoring import ScoreSet

__all__ = ["draw", "score_everything"]


def score_everything(view: View) -> tuple[list[ScoreSet], dict[str, str]]:
    """Score sets of every detector that can run, and why the others cannot.

    While some are new a bar says how far it is; what is known costs nothing.
    """
    names = list(cache.detector_titles())
    bar, start = st.empty(), time.monotonic()
    found, reasons = [], {}
    for place, name in enumerate(names):
        if time.monotonic() - start > 0.3:
            bar.progress(place / len(names), text=f"Scoring {place} of {len(names)}: {name}")
        scores, reason = view.attempt(name)
        if scores is None:
            reasons[name] = reason
        else:
            found.append(scores)
    bar.empty()
    return found, reasons


_WITH_INTERVAL = 168
"""Pixels of a column with intervals: a table that had them hidden keeps its narrow columns."""


@st.fragment
@told()
def draw(view: View, found: list[ScoreSet], reasons: dict[str, str]) -> None:
    """Metric choice, table, downloads, published figures."""
    labels = {name: metric.label for name, metric in METRICS.items()}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        metric = state.choose("board_metric", list(labels), "auroc")
        st.selectbox(
            "Metric", list(labels), key="board_metric", format_func=labels.__getitem__, width=330
        )
        state.choose("board_intervals", ["shown", "hidden"], "hidden")
        st.segmented_control(
            "95 % intervals", ["shown", "hidden"], key="board_intervals", required=True
        )
        words.metric("AUROC", "FPR95", "interval")
    state.publish()
    state.notes()
    board = leaderboard(found, view.experiment.near, (metric,), intervals=True)
    table = of_metric(board, metric)
    intervals = st.session_state["board_intervals"]
    st.dataframe(
        _styled(view, table, metric, intervals == "shown"),
        hide_index=True,
        height=min(36 * (len(table) + 1) + 3, 640),
        column_config=_columns(table, intervals == "shown"),
        key=f"leaderboard_{metric}_{intervals}",  # a new table measures its columns anew
    )
    bad = worst(view.gates())
    if bad is not None and bad.weight > CAUTION:
        failing = gates_in_words(view.gates())
        st.warning(f"{failing} The overview says more.", icon=":material/warning:")
    st.caption(
        "● best, ○ within the best one's 95 % interval (no difference shown by these images). "
        "Click a heading to sort. Means are unweighted over the OOD sets." + _where(view)
    )
    _downloads(found, view)
    _left_out(reasons)
    _published(view)


def _where(view: View) -> str:
    if view.layer == "penultimate":
        return ""
    return f" Norm, sparsity and NAN at {view.layer}; the others read the penultimate features."


class _Printed(float):
    """A figure with the text of its cell: a Styler finds texts by value, and equal figures may
    have different intervals and marks."""

    text: str

    def __new__(cls, value: float, text: str) -> _Printed:
        made = super().__new__(cls, value)
        made.text = text
        return made


def _styled(view: View, table: pd.DataFrame, metric: str, intervals: bool) -> Styler:
    import pandas as pd

    titles = cache.detector_titles()
    sets = [s for s in view.ood_sets if s in table]
    means = [c for c in ("mean", "near-OOD", "far-OOD") if c in table]
    shown = table[["detector", *means, *sets, "seconds"]].copy()
    shown["detector"] = [titles.get(d, d) for d in shown["detector"]]
    marked = (*means[:1], *sets)
    for column in [*means, *sets]:
        marks = ties(table, column, metric) if column in marked else [""] * len(table)
        rows = zip(table.to_dict("records"), marks, strict=True)
        cells = [_Printed(row[column], _text(row, column, mark, intervals)) for row, mark in rows]
        shown[column] = pd.Series(cells, shown.index, dtype=object)
    printed = {c: lambda figure: figure.text for c in [*means, *sets]}
    styler = shown.style.format(printed | {"seconds": "{:.2f}"})
    higher = METRICS[metric].higher
    for column in [*means, *sets]:
        styler = styler.apply(_heat, higher=higher, subset=[column])
    return styler


def _text(row: Mapping[Hashable, Any], column: str, mark: str, intervals: bool) -> str:
    """One cell: its mark, the figure and, where there is one and it is shown, the interval."""
    symbol = {"best": "● ", "tie": "○ ", "": ""}[mark]
    ends = ""
    if intervals and f"{column} (low)" in row:
        ends = f" [{row[f'{column} (low)']:.1f}, {row[f'{column} (high)']:.1f}]"
    return f"{symbol}{row[column]:.2f}{ends}"


def _heat(column: pd.Series, higher: bool) -> list[str]:
    """Blue, the stronger the better within the column; pale enough for dark and light text."""
    low, high = column.min(), column.max()
    span = (high - low) or 1.0
    share = (column - low) / span if higher else (high - column) / span
    return [f"background-color: rgba(0, 114, 178, {0.05 + 0.42 * s:.2f})" for s in share]


def _columns(table: pd.DataFrame, intervals: bool) -> dict[str, ColumnConfig]:
    wide = {c: _WITH_INTERVAL for c in map(str, table) if intervals and f"{c} (low)" in table}
    config = {c: st.column_config.NumberColumn(width=w) for c, w in wide.items()} | {
        "detector": st.column_config.TextColumn("Detector", pinned=True, width=190),
        "mean": st.column_config.NumberColumn("Mean"),
        "near-OOD": st.column_config.NumberColumn("Near-OOD"),
        "far-OOD": st.column_config.NumberColumn("Far-OOD"),
        "seconds": st.column_config.NumberColumn("Seconds", help="Fitting and scoring every set."),
    }
    return {k: v for k, v in config.items() if k in table}


def _downloads(found: list[ScoreSet], view: View) -> None:
    near = view.experiment.near
    with st.container(horizontal=True):
        figures.csv_button(lambda: tables.tidy(found), "results", key="results_csv")
        for name, write, mime in (
            ("Markdown", tables.markdown, "text/markdown"),
            ("LaTeX", tables.latex, "text/plain"),
        ):
            st.download_button(
                name,
                partial(_written, write, found, near),
                f"leaderboard.{'md' if name == 'Markdown' else 'tex'}",
                mime,
                key=f"board_{name.lower()}",
                on_click="ignore",
                type="tertiary",
                icon=":material/download:",
            )


def _written(
    write: Callable[[pd.DataFrame], str], found: list[ScoreSet], near: Sequence[str]
) -> str:
    return write(leaderboard(found, near))


def _left_out(reasons: dict[str, str]) -> None:
    broken = broken_plugins()
    if not reasons and not broken:
        return
    with st.expander(f"{len(reasons) + len(broken)} detectors cannot run here"):
        titles = cache.detector_titles()
        for name, reason in {**reasons, **broken}.items():
            st.markdown(f":gray[**{titles.get(name, name)}**: {plain(reason)}]")


def _published(view: View) -> None:
    match = papers.matching(view.experiment.name)
    box = st.expander(
        "Figures of the papers", expanded=bool(match), key="board_papers", on_change="rerun"
    )
    if not box.open:  # six more tables would double what the browser has to draw
        return
    with box:
        if not match:
            st.caption(
                "No published table has this classifier and these image sets, so nothing here is "
                "comparable with ours. The papers' tables, as printed:"
            )
        for table in match or papers.TABLES:
            st.markdown(f"**{table.title}, the paper's own figures**")
            st.caption(f"{table.setting} Percent; FPR95 with ID positive. {table.differs}")
            st.dataframe(papers.read(table), hide_index=True)

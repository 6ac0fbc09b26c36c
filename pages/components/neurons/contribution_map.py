"""The contribution map of the Neurons page: class x neuron, faded where LINe removes cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.components.charts import figures
from pages.components.charts.neuron_map import map_data, neuron_map
from pages.components.kit import cache, state, words
from pages.components.kit.view import View
from pages.components.neurons.selection import Settings, neuron_of, redraw_all

if TYPE_CHECKING:
    import pandas as pd

    from ood_core.neurons import LineLab

__all__ = ["draw"]

ORDER_NAMES = {"class": "By class", "clustered": "By likeness", "index": "By number"}


_READING = (
    "A row is a class, a column a neuron of the penultimate layer. Blue: over the fit set's images "
    "of the class the neuron raises its logit; red: it lowers it; pale: no effect. LINe sets a "
    "faded cell to zero when that class is predicted: the neuron is not among the class's most "
    "important ones (p_a), or its weight to the class is pruned (p_w). Where a cell stands for "
    "several neurons or classes it shows the strongest that LINe keeps, and is faded where it "
    "keeps none; look closer until one cell is one neuron. Ordered by class, the blue cells "
    "form a staircase: each step holds the neurons that speak most for one class. Click a cell to "
    "look at its neuron, drag to look closer, double-click to come back. The sliders are for "
    "understanding: choosing them by the rates on this page tunes LINe on the very OOD sets that "
    "it is judged on."
)


def draw(view: View, lab: LineLab, chosen: Settings) -> None:
    """Class x neuron contributions, faded where LINe removes them."""
    from ood_core.neurons import CELLS, contribution_view, seriate

    c, d = lab.contributions.shape
    how = state.choose("neurons_order", list(ORDER_NAMES), "class")
    veil = state.choose("neurons_veil", ["on", "off"], "on") == "on"
    order = cache.once(
        ("neuron_order", view.fingerprint, how), lambda: seriate(lab.contributions, how)
    )
    large = c * d > CELLS
    start, stop = _window("neurons_window", d) if large else (0, d)
    first, last = _window("neurons_classes", c) if large else (0, c)
    shown = contribution_view(
        lab.contributions,
        order,
        lab.head.names,
        lab.removed(*chosen[:2]) if veil else None,
        start,
        stop,
        order.classes[first:last],
    )
    marked = neuron_of(lab) if state.kept("neurons_view") == "one" else None
    identity = f"{view.fingerprint} {how} {start}-{stop} {first}-{last}"
    looked = state.span("neurons_look", 0, len(shown.columns))
    inside = (int(looked[0]), int(looked[1])) if looked and looked[0] < looked[1] else None
    data = map_data(shown, identity, marked, 400 + 27 * len(view.ood_sets), inside)
    neuron_map("contributions", data, shown, on_picked=_pick, on_looked=_look)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.segmented_control("Order", list(ORDER_NAMES), key="neurons_order", required=True,
                             format_func=ORDER_NAMES.__getitem__, label_visibility="collapsed",
                             on_change=state.forget, args=("neurons_look",))  # fmt: skip
        st.segmented_control("Masks", ["on", "off"], key="neurons_veil", required=True,
                             format_func={"on": "LINe's masks", "off": "No masks"}.__getitem__,
                             label_visibility="collapsed")  # fmt: skip
        figures.csv_button(lambda: _frame(lab), "contributions", "contributions_csv")
        words.words(
            _READING, equation=r"\mathrm{contrib}[c]_j=W_{cj}\cdot\mathrm{mean}(h_j\mid y=c)"
        )
    state.notes()
    if large:
        _slider("neurons_window", "Neurons shown, by their place in this order", d, (start, stop))
        _slider("neurons_classes", "Classes shown, by their place in this order", c, (first, last))


def _look(columns: list[int]) -> None:
    """Keep the part of the map that is looked at."""
    if columns:
        state.remember("neurons_look", [int(c) for c in columns])
    else:
        state.forget("neurons_look")


def _pick(neuron: int) -> None:
    """Look at the neuron that was clicked."""
    state.put("neuron", neuron)
    state.put("neurons_view", "one")
    redraw_all()


def _window(name: str, most: int) -> tuple[int, int]:
    """Places from and to that are shown, at least one."""
    kept = state.span(name, 0, most)
    if not kept:
        return 0, most
    low = min(int(kept[0]), most - 1)
    return low, min(max(int(kept[1]), low + 1), most)


def _slider(name: str, label: str, most: int, now: tuple[int, int]) -> None:
    def keep() -> None:
        low, high = st.session_state[f"{name}_slider"]
        if (low, high) == (0, most):
            state.forget(name)
        else:
            state.remember(name, [float(low), float(max(high, low + 1))])

    st.session_state[f"{name}_slider"] = now
    st.slider(label, 0, most, key=f"{name}_slider", on_change=keep)


def _frame(lab: LineLab) -> pd.DataFrame:
    from ood_core.neurons import contribution_table

    return contribution_table(lab.contributions, lab.head.names)

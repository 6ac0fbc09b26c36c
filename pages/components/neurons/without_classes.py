"""The Neurons page where LINe cannot run: what neurons do on ID and on OOD images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.components.charts import figures, gallery, threshold
from pages.components.kit import cache, state
from pages.components.kit.messages import told
from pages.components.kit.plain import plain
from pages.components.kit.view import View

if TYPE_CHECKING:
    import pandas as pd

    from pages.components.kit.assets import JsonObject

__all__ = ["draw"]

VIEWS = {"mean": "Mean activation", "active": "How often active", "one": "One neuron"}
_ELSEWHERE = ("without", "image")


@st.fragment
@told()
def draw(view: View) -> None:
    """Why there is no LINe here, and the views that need no classes."""
    head = view.acts.head is not None
    st.info(f"{plain(view.lacking['line'])} {_LABELS if head else _HEAD}", icon=":material/info:")
    lacking = dict.fromkeys(_ELSEWHERE, f"That view is LINe's. {view.lacking['line']}")
    kind = state.choose("neurons_view", list(VIEWS), "mean", lacking=lacking)
    st.segmented_control("View", list(VIEWS), key="neurons_view", required=True,
                         format_func=VIEWS.__getitem__, label_visibility="collapsed")  # fmt: skip
    if kind == "one":
        _one(view)
    else:
        _steps(view, kind)
    state.notes()
    state.publish()


def _sets(view: View) -> tuple[str, ...]:
    return (view.experiment.test_set, *view.ood_sets)


def _steps(view: View, kind: str) -> None:
    """Mean activation, or the share of images on which it is active, of every neuron."""
    from ood_core.neurons import mean_activations, share_active

    sets = _sets(view)
    measure = share_active if kind == "active" else mean_activations
    table = cache.once(("neurons", kind, view.fingerprint, sets), lambda: measure(view.acts, sets))
    chosen = sets
    if len(view.ood_sets) > 1:
        options = ["all", *view.ood_sets]
        one = state.choose("neurons_against", options, view.ood_sets[0])
        st.selectbox("Against", options, key="neurons_against", width=220,
                     format_func=lambda n: "all chosen OOD sets" if n == "all" else n)  # fmt: skip
        chosen = sets if one == "all" else (sets[0], one)
    name = "share_active" if kind == "active" else "mean_activations"
    threshold.steps(name, _data(view, table, chosen, name))
    figures.csv_button(table, name, key=f"{name}_csv")
    st.caption(_ACTIVE if kind == "active" else _MEAN)


def _data(view: View, table: pd.DataFrame, sets: tuple[str, ...], name: str) -> JsonObject:
    from ood_core.neurons import strongest_first

    shown, share = strongest_first(table, sets[0]), name == "share_active"
    what, scale = ("share of images on which it is active, %", 100) if share else (
        "mean activation", 1)  # fmt: skip
    return {
        "name": name,
        "height": 340,
        "title": "How often each neuron is active: ID against OOD"
        if share
        else "Mean activation of each neuron: ID against OOD",
        "x_title": f"neurons, {'most often active' if share else 'strongest'} on ID first "
        "(place in that order)",
        "y_title": what,
        "what": "neuron",
        "labels": shown["neuron"].tolist(),
        "places": len(table),
        "sets": [
            {
                "name": view.label(one),
                "colour": view.colour(one),
                "id": one == sets[0],
                "values": (scale * shown[one]).round(5).tolist(),
            }
            for one in sets
        ],
    }


def _one(view: View) -> None:
    """One neuron: its activation by set, and the images that excite it most."""
    from ood_core.neurons import activity, mean_activations, strongest_first, top_images
    from ood_core.plots.neuron_views import activation_histogram

    sets, test = _sets(view), view.experiment.test_set
    means = cache.once(
        ("neurons", "mean", view.fingerprint, sets), lambda: mean_activations(view.acts, sets)
    )
    strongest = strongest_first(means, test)["neuron"].tolist()
    neuron = int(state.number("neuron", 0, len(means) - 1, int(strongest[0])))
    st.session_state["neuron"] = neuron  # a whole number, as its widget wants it
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.number_input("Neuron", 0, len(means) - 1, key="neuron", width=130)
        for j in strongest[:8]:
            st.button(str(j), key=f"pick_{j}", on_click=state.put, args=("neuron", int(j)),
                      type="primary" if j == neuron else "secondary",
                      help="Among the strongest on ID images")  # fmt: skip
    found = activity(view.acts, sets, neuron)
    with st.container(key="neuron_bench"):
        left, right = st.columns([3, 2], gap="medium")
    with left:
        fig = activation_histogram(found, {name: view.colour(name) for name in sets})
        figures.show(fig, "neuron_activation", data=found.histogram)
    with right:
        shown = found.summary.drop(columns="above_clip")
        shown["active"] = 100 * shown["active"]
        number = st.column_config.NumberColumn
        st.dataframe(shown, hide_index=True, column_config={
            "set": "Images", "n": "n", "mean": number("Mean", format="%.3g"),
            "sd": number("SD", format="%.3g"), "active": number("Active", format="%.1f %%"),
        })  # fmt: skip
    rows = top_images(view.acts, sets, neuron, k=12)
    for title, part in (
        ("ID images", rows[rows.set == test]),
        ("OOD images", rows[rows.set != test]),
    ):
        st.caption(f"{title} that excite neuron {neuron} most (number: its activation)")
        best = part.sort_values("activation", ascending=False, kind="stable").head(12)
        gallery.show(view, best.rename(columns={"activation": "score"}), f"neuron_{title[:2]}")


_HEAD = (
    "Nothing says which class a neuron speaks for, so there are no contributions to a class to "
    "show and none to prune. What the neurons do on ID and on OOD images is below; add the head to "
    "the experiment for the rest."
)
_LABELS = (
    "Contributions to a class are means over labelled images of the class. Sort the fit images "
    "into class folders, or list them with labels, for LINe's views; what the neurons do on ID and "
    "on OOD images is below."
)
_MEAN = (
    "A neuron that is stronger on OOD images than on ID images raises their norm. Where most "
    "neurons are weaker on OOD images, the norm tells the two apart."
)
_ACTIVE = (
    "Sparsity and NAN count which neurons are on. Known images switch many off: where OOD images "
    "have more neurons on, NAN adds to what the norm knows."
)

"""Lower half of the Neurons page: mean activations, one neuron, without neurons, one image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from pages.components.charts import figures, gallery, threshold
from pages.components.kit import cache, state, words
from pages.components.kit.plain import without_directives
from pages.components.kit.view import View
from pages.components.neurons.line_lab import level_of
from pages.components.neurons.selection import Settings, class_of, neuron_of, redraw_all

if TYPE_CHECKING:
    import pandas as pd

    from ood_core.neurons import LineLab, LineResult
    from pages.components.kit.assets import JsonObject

__all__ = ["choose", "draw"]

VIEWS = {
    "mean": "Mean activation",
    "one": "One neuron",
    "without": "Without some neurons",
    "image": "One image, before and after",
}
SOURCES = {
    "class": "strongest for a class",
    "ood": "most excited by OOD, against ID",
    "list": "a list of my own",
}


def choose() -> str:
    """The visitor's choice of view; above the views the map marks the neuron of one of them."""
    return state.choose("neurons_view", list(VIEWS), "mean")


def draw(view: View, lab: LineLab, chosen: Settings) -> None:
    """The chosen view of the neurons; the others cost nothing."""
    kind = choose()
    st.segmented_control("View", list(VIEWS), key="neurons_view", required=True,
                         format_func=VIEWS.__getitem__, label_visibility="collapsed",
                         on_change=redraw_all)  # fmt: skip
    {"mean": _mean, "one": _one, "without": _without, "image": _image}[kind](view, lab, chosen)


def _hues(view: View) -> dict[str, str]:
    return {name: view.colour(name) for name in (view.experiment.test_set, *view.ood_sets)}


def _mean(view: View, lab: LineLab, chosen: Settings) -> None:
    table = _means(view, tuple(_hues(view)))
    hues = _hues(view)
    if len(view.ood_sets) > 1:
        one = state.choose("neurons_against", ["all", *view.ood_sets], view.ood_sets[0])
        st.selectbox("Against", ["all", *view.ood_sets], key="neurons_against", width=220,
                     format_func=lambda n: "all chosen OOD sets" if n == "all" else n)  # fmt: skip
        hues = hues if one == "all" else {n: hues[n] for n in (view.experiment.test_set, one)}
    state.notes()
    key = ("mean_steps", view.fingerprint, tuple(hues))
    data = cache.once(key, lambda: _mean_steps(view, table, hues))
    threshold.steps("mean_activations", data | level_of(chosen))
    figures.csv_button(table, "mean_activations", key="mean_activations_csv")
    st.caption(
        "The LINe paper's picture: on OOD images some neurons answer as strongly as on ID images, "
        "or more. Clipping bounds them, and pruning leaves out those that do not speak for the "
        "predicted class."
    )


def _mean_steps(view: View, table: pd.DataFrame, hues: dict[str, str]) -> JsonObject:
    from ood_core.neurons import strongest_first

    first = next(iter(hues))
    shown = strongest_first(table, first)
    return {
        "name": "mean_activations",
        "height": 340,
        "title": "Mean activation of each neuron: ID against OOD",
        "x_title": "neurons, strongest on ID first (place in that order)",
        "y_title": "mean activation",
        "what": "neuron",
        "labels": shown["neuron"].tolist(),
        "places": len(table),
        "sets": [
            {
                "name": view.label(name),
                "colour": hue,
                "id": name == first,
                "values": shown[name].round(5).tolist(),
            }
            for name, hue in hues.items()
        ],
    }


def _means(view: View, sets: tuple[str, ...]) -> pd.DataFrame:
    from ood_core.neurons import mean_activations

    return cache.once(
        ("mean_activations", view.fingerprint, sets), lambda: mean_activations(view.acts, sets)
    )


def _one(view: View, lab: LineLab, chosen: Settings) -> None:
    from ood_core.neurons import drill, top_images
    from ood_core.plots.neuron_views import activation_histogram, contribution_bars

    neuron = _pick_neuron(view, lab)
    sets = tuple(_hues(view))
    found = drill(view.acts, sets, lab.contributions, lab.class_means, lab.head, neuron, chosen[2])
    st.markdown(_effect(f"neuron {neuron}", *_compared(lab, chosen, [neuron])))
    with st.container(key="neuron_bench"):
        left, right = st.columns(2, gap="medium")
    with left:
        figures.show(contribution_bars(found), "neuron_classes", data=found.by_class)
    with right:
        fig = activation_histogram(found, _hues(view), chosen[2])
        figures.show(fig, "neuron_activation", data=found.histogram)
    rows = top_images(view.acts, sets, neuron, k=12)
    test = view.experiment.test_set
    for title, part in (
        ("ID images", rows[rows.set == test]),
        ("OOD images", rows[rows.set != test]),
    ):
        st.caption(f"{title} that excite neuron {neuron} most (number: its activation)")
        best = part.sort_values("activation", ascending=False, kind="stable").head(12)
        gallery.show(view, best.rename(columns={"activation": "score"}), f"neuron_{title[:2]}")


def _pick_neuron(view: View, lab: LineLab) -> int:
    """Number of the neuron: typed, or one of the strongest of a class."""
    from ood_core.neurons import top_neurons

    names, d = list(lab.head.names), lab.head.n_features
    klass, neuron = class_of(lab), neuron_of(lab)
    strongest = [int(j) for j in top_neurons(lab.contributions, klass, min(8, d))]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.number_input("Neuron", 0, d - 1, key="neuron", width=130, on_change=redraw_all)
        st.selectbox("Strongest for class", names, key="neurons_class", width=200,
                     on_change=redraw_all)  # fmt: skip
        for j in strongest:
            st.button(str(j), key=f"pick_{j}", on_click=_pick, args=(j,),
                      type="primary" if j == neuron else "secondary",
                      help=f"contribution {lab.contributions[klass, j]:+.3f}")  # fmt: skip
    state.notes()
    return neuron


def _pick(neuron: int) -> None:
    state.put("neuron", neuron)
    redraw_all()


def _compared(lab: LineLab, chosen: Settings, drop: Sequence[int]) -> tuple[LineResult, LineResult]:
    """Results with all neurons and without some; of a preview where all images take seconds."""
    limit = lab.preview_size if lab.is_slow else None
    return lab.rescore(*chosen, limit=limit), lab.rescore(*chosen, limit=limit, drop=drop)


def _effect(what: str, before: LineResult, after: LineResult) -> str:
    a, b = before.mean, after.mean

    def change(column: str) -> str:
        points = round(100 * (b[column] - a[column]), 2) + 0.0  # never "−0.00"
        moved = f"{points:+.2f}".replace("-", "−")
        return f"{100 * b[column]:.2f} % ({moved})"

    part = (
        f" Preview on {after.n_scored:,} of {after.n_total:,} images." if after.is_preview else ""
    )
    of = "mean of the OOD sets" if len(after.rates) > 1 else f"on {after.rates.ood_set.iloc[0]}"
    return (
        f"Without {what}: LINe AUROC **{change('auroc')}**, FPR95 **{change('fpr95')}**; "
        f"energy AUROC {change('energy_auroc')}, FPR95 {change('energy_fpr95')}; {of}, "
        f"change in points.{part}"
    )


def _without(view: View, lab: LineLab, chosen: Settings) -> None:
    from ood_core.neurons import accuracy_effect, drop_set
    from ood_core.plots.neuron_views import accuracy_figure, effect_figure

    d = lab.head.n_features
    mode = state.choose("neurons_mode", ["drop", "keep"], "drop")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.segmented_control("Set", ["drop", "keep"], key="neurons_mode", required=True,
                             format_func={"drop": "Drop", "keep": "Keep only"}.__getitem__,
                             label_visibility="collapsed")  # fmt: skip
        picked = _pick_set(view, lab)
        words.words(_WITHOUT, equation=r"h'_j=0\ \text{for dropped } j,\qquad z'=Wh'+b")
    state.notes()
    drop = drop_set(picked, d, keep=mode == "keep")
    before, after = _compared(lab, chosen, drop.tolist())
    st.markdown(_effect(f"{len(drop):,} of {d:,} neurons", before, after))
    with st.container(key="neuron_bench"):
        left, right = st.columns(2, gap="medium")
    with left:
        figures.show(effect_figure(before, after), "without_rates", data=after.rates)
    with right:
        accuracy = accuracy_effect(view.acts[view.experiment.test_set], lab.head, drop)
        figures.show(accuracy_figure(accuracy), "without_accuracy", data=accuracy)


def _pick_set(view: View, lab: LineLab) -> list[int]:
    """Numbers of the neurons to drop or to keep."""
    from ood_core.neurons import excited_by_ood, parse_neurons, top_neurons

    d, names = lab.head.n_features, list(lab.head.names)
    source = state.choose("neurons_from", list(SOURCES), "class")
    st.selectbox("Which neurons", list(SOURCES), key="neurons_from", width=260,
                 format_func=SOURCES.__getitem__)  # fmt: skip
    if source == "list":
        listed = state.text("neurons_list") or "0-9"
        st.session_state["neurons_list"] = listed
        state.remember("neurons_list", listed)
        st.text_input("Numbers and ranges", key="neurons_list", width=300)
        return [int(j) for j in parse_neurons(listed, d)]
    start = max(1, round(d / lab.head.n_classes / 2))
    count = int(state.number("neurons_count", 1, d, start))
    st.session_state["neurons_count"] = count
    klass = class_of(lab)
    if source == "class":
        st.selectbox("Class", names, key="neurons_class", width=160)
    st.slider("How many", 1, d, key="neurons_count", width=260)
    if source == "class":
        return [int(j) for j in top_neurons(lab.contributions, klass, count)]
    means = _means(view, tuple(_hues(view)))
    excited = excited_by_ood(means, view.experiment.test_set, view.ood_sets, count)
    return [int(j) for j in excited]


def _image(view: View, lab: LineLab, chosen: Settings) -> None:
    from ood_core.neurons import image_receipt, summary_of_receipt
    from ood_core.plots.neuron_views import image_figure

    sets = list(_hues(view))
    name = state.choose("neurons_set", sets, sets[-1])
    last = len(view.acts[name]) - 1
    index = int(state.number("neurons_image", 0, last, 0))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.selectbox("Image set", sets, key="neurons_set", width=200)
        st.number_input("Image number", 0, last, key="neurons_image", width=150)
        words.words(_IMAGE)
    state.notes()
    receipt = image_receipt(lab.detector(*chosen), lab.head, view.acts[name].features[index])
    picture, told = st.columns([1, 7], gap="small", vertical_alignment="center")
    with picture:
        uri = gallery.thumbnail_uri(view, name, index, 192)
        st.html(f"<img src='{uri}' alt='image {index} of {name}' width='110'>")
    told.markdown(without_directives(summary_of_receipt(receipt, lab.head.names)))
    fig = image_figure(receipt, lab.head.names)
    figures.show(fig, "image_neurons", data=receipt.neurons, name=f"line_{name}_{index}")


_WITHOUT = (
    "The chosen neurons give zero for every image; nothing is trained or fitted again. LINe keeps "
    "the masks that it was fitted with. The bars say how AUROC and FPR95 move for each OOD set, "
    "and which classes the network can no longer tell."
)
_IMAGE = (
    "Grey: what each neuron adds to the logit of the class that LINe routes by. Blue: what is left "
    "after clipping, pruning neurons and pruning weights. A neuron that shows only grey was "
    "pruned; one whose blue bar is shorter was clipped."
)

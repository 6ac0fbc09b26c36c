"""The classifier and its preprocessing."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

import streamlit as st

from ood_core import wizard
from ood_core.errors import OODLensError
from ood_core.experiments import Preprocessing
from ood_core.experiments.parsing import LARGEST_SIDE, parse_preprocessing
from pages.components.kit import cache, jobs
from pages.components.kit.plain import plain
from pages.components.wizard import drafting

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

__all__ = ["draw", "preprocessing"]

_SOURCES = {"file": "A checkpoint file", "published": "Published weights", "random": "Random"}
_FAMILIES = ("built in", "torchvision", "timm")
_VALUES = ("new_resize", "new_crop", "new_method", "new_mode", "new_mean", "new_std")
_METHODS = ("nearest", "bilinear", "bicubic", "box", "lanczos")


def draw() -> None:
    """Weights, architecture, classes."""
    drafting.heading("Classifier")
    source = _source()
    if source == "file":
        _checkpoint()
    if source != "file" or drafting.current().checkpoint:
        _architecture(source)
    if source == "published":
        _weights()
    with st.expander("Classes and expected accuracy"):
        _classes()


def _source() -> str:
    draft = drafting.current()
    kept = "published" if draft.weights else "random" if draft.random_weights is not None else ""
    shown = kept or st.session_state.get("_new_source", "file")
    chosen = st.segmented_control(
        "Weights", list(_SOURCES), key=drafting.seed("new_source", shown),
        format_func=lambda s: _SOURCES[s], required=True,
    )  # fmt: skip
    chosen = chosen or shown
    if chosen != shown:
        drafting.change(
            checkpoint="", part="", weights="", random_weights=0 if chosen == "random" else None,
            architecture="", num_classes=None, preprocessing=None,
        )  # fmt: skip
    st.session_state["_new_source"] = chosen
    return str(chosen)


def _checkpoint() -> None:
    draft = drafting.current()
    survey = drafting.found()
    ranked = st.session_state.get("_new_ranked", {})  # of a folder or pattern that was typed
    why = {**survey.why, **ranked}
    known = list(dict.fromkeys([*ranked, *map(str, survey.checkpoints)]))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        value = drafting.path(
            "Checkpoint", "new_checkpoint", draft.checkpoint, known,
            placeholder="A path such as /data/mine/best.pth",
            help="A .safetensors file, or what torch.save(model.state_dict()) wrote, in whatever "
            "wrapper; or a folder or a pattern such as runs/*.pt, of which the likeliest is "
            "taken. Nothing in it is executed.",
        )  # fmt: skip
        with st.popover("Upload", icon=":material/upload:"):
            given = st.file_uploader("Checkpoint to upload", key="new_checkpoint_file")
            if given is not None and st.button("Use this checkpoint", key="new_checkpoint_use"):
                try:
                    value = str(wizard.keep_upload(given.name, given))
                except OODLensError as error:
                    st.error(plain(error, keep="\n"))
    if len(known) > 1 and (reason := why.get(draft.checkpoint)):
        st.caption(f"One of {len(known)} found: {reason}. The list beside it has the others.")
    if value != draft.checkpoint:
        with contextlib.suppress(OODLensError):  # the checks say it
            # What a folder or pattern stands for; completing the draft takes the first.
            several = wizard.checkpoints_at(value)
            if several:
                st.session_state["_new_ranked"] = {str(path): reason for path, reason in several}
        drafting.change(
            checkpoint=value, part="", architecture="", num_classes=None, preprocessing=None
        )
        st.rerun()


def _architecture(source: str) -> None:
    draft = drafting.current()
    prefix = draft.architecture.partition(":")[0] if ":" in draft.architecture else "built in"
    shown = prefix if draft.architecture else st.session_state.get("_new_family", "built in")
    families = _FAMILIES[1:] if source == "published" else _FAMILIES
    shown = shown if shown in families else families[0]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        family = st.segmented_control(
            "Architecture", families, key=drafting.seed("new_family", shown), required=True
        )
        family = str(family or shown)
        st.session_state["_new_family"] = family
        if family != shown and source == "file":  # the file says what it is until one is chosen
            drafting.hold("new_family")
        elif family != shown:
            drafting.change(architecture="", weights="", preprocessing=None)
            draft = drafting.current()
        try:
            with st.spinner("Looking up architectures …", show_time=False):
                names = cache.once(("architectures", family), lambda: _names(family))
        except OODLensError as error:
            st.error(plain(error, keep="\n"), icon=":material/error:")
            return
        value = draft.architecture if draft.architecture in names else None
        st.selectbox(
            "Name of the architecture", names, key=drafting.seed("new_architecture", value),
            index=None, placeholder="Choose", label_visibility="collapsed",
            format_func=lambda name: name.rpartition(":")[2],
        )  # fmt: skip
    if draft.architecture and value is None:
        st.caption(f"Until another is chosen here: {plain(draft.architecture)}.")
    chosen = st.session_state["new_architecture"] or ""
    if chosen and chosen != draft.architecture:
        weights = {"weights": ""} if source == "published" else {}
        drafting.change(architecture=chosen, preprocessing=None, **weights)


def _names(family: str) -> tuple[str, ...]:
    return wizard.architecture_names(family)


def _weights() -> None:
    draft = drafting.current()
    if not draft.architecture:
        return
    try:
        key = ("weight names", draft.architecture)
        names = cache.once(key, lambda: wizard.weight_names(draft.architecture))
    except OODLensError as error:
        st.error(plain(error, keep="\n"), icon=":material/error:")
        return
    value = draft.weights or (names[-1] if names else None)
    st.selectbox("Published weights", names, key=drafting.seed("new_weights", value))
    drafting.change(weights=st.session_state["new_weights"] or "")


def _classes() -> None:
    draft = drafting.current()
    left, right = st.columns(2)
    number = left.number_input(
        "Number of classes", 2, value=None, key=drafting.seed("new_num_classes", draft.num_classes),
        help="Empty: from the weights, or from the class folders.",
    )  # fmt: skip
    expected = right.number_input(
        "Expected ID accuracy, %", 0.0, 100.0, None, step=0.1,
        key=drafting.seed("new_expected", _percent(draft.expected_accuracy)),
        help="What the network reached on this test set; the checks hold it against it.",
    )  # fmt: skip
    names = st.text_input(
        "Class names, in the network's order",
        key=drafting.seed("new_class_names", ", ".join(draft.class_names)),
        placeholder="cat, dog, horse; empty: the sorted class folders of the fit images",
    )
    chosen = tuple(n.strip() for n in (names or "").split(",") if n.strip())
    share = None if expected is None else expected / 100
    if (number, share, chosen) != (draft.num_classes, draft.expected_accuracy, draft.class_names):
        drafting.change(num_classes=number, expected_accuracy=share, class_names=chosen)


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 4)


def preprocessing() -> None:
    """How images become the network's input: proposals, own values, a measurement."""
    draft = drafting.current()
    drafting.heading("Preprocessing")
    if not draft.architecture:
        st.caption("Known once the architecture is.")
        return
    proposals = _proposals(draft)
    labels = [p.label for p in proposals]
    by_value = {p.preprocessing: p.label for p in proposals}
    shown = by_value.get(draft.preprocessing or proposals[0].preprocessing, "my own values")
    chosen = st.selectbox(
        "Preprocessing", [*labels, "my own values"], key=drafting.seed("new_preprocessing", shown),
        label_visibility="collapsed",
    )  # fmt: skip
    if chosen != shown and chosen in labels:
        drafting.change(preprocessing=proposals[labels.index(chosen)].preprocessing)
    if chosen != shown and chosen not in labels:
        drafting.hold("new_preprocessing")
        st.session_state["new_values"] = True
    st.session_state.setdefault("new_values", chosen not in labels)
    with st.expander("Values", key="new_values", on_change="rerun"):
        _values(drafting.current().preprocessing or proposals[0].preprocessing)
    if len(proposals) > 1:
        _measure(drafting.current(), proposals[0].preprocessing)


def _proposals(draft: wizard.Draft) -> tuple[wizard.Proposal, ...]:
    key = ("proposals", draft.architecture, draft.weights, draft.num_classes)
    return cache.once(key, lambda: wizard.preprocessings(draft))


def _values(p: Preprocessing) -> None:
    a, b, c, d = st.columns(4)
    values: dict[str, str | int | list[float] | list[int] | None] = {
        "resize": _resize(a, p.resize),
        "center_crop": _side(b, "Centre crop", "new_crop", p.center_crop),
        "interpolation": c.selectbox(
            "Interpolation", _METHODS, key=drafting.seed("new_method", p.interpolation)
        ),
        "mode": d.selectbox("Colours", ("RGB", "L"), key=drafting.seed("new_mode", p.mode)),
    }
    a, b = st.columns(2)
    for column, field in ((a, "mean"), (b, "std")):
        shown = ", ".join(map(repr, getattr(p, field)))
        typed = column.text_input(field.capitalize(), key=drafting.seed(f"new_{field}", shown))
        try:
            values[field] = [float(part) for part in (typed or "").split(",")]
        except ValueError:
            drafting.hold(*_VALUES)
            st.error(plain(f"{field} must be numbers with commas between them, got {typed!r}."))
            return
    try:
        chosen = parse_preprocessing({k: v for k, v in values.items() if v is not None}, "Values")
    except OODLensError as error:
        drafting.hold(*_VALUES)
        st.error(f"{plain(error)} The last usable values are kept.", icon=":material/error:")
        return
    if chosen != p:
        drafting.change(preprocessing=chosen)


def _resize(column: DeltaGenerator, value: int | tuple[int, int] | None) -> int | list[int] | None:
    """The shorter side, or both sides of what is resized to a square whatever its shape."""
    if value is None or isinstance(value, int):
        return _side(column, "Shorter side", "new_resize", value)
    if value[0] != value[1]:
        column.caption(f"Resized to {value[0]} x {value[1]}.")
        return list(value)
    side = _side(column, "Both sides", "new_resize_both", value[0])
    return None if side is None else [side, side]


def _side(column: DeltaGenerator, label: str, key: str, value: int | None) -> int | None:
    """Pixels, or None where the field is empty."""
    side: int | None = column.number_input(
        label, 1, LARGEST_SIDE, None, key=drafting.seed(key, value),
        help=f"1 to {LARGEST_SIDE} pixels; empty: left as it is.",
    )  # fmt: skip
    return side


def _measure(draft: wizard.Draft, default: Preprocessing) -> None:
    """Accuracy with each proposal, on request; `default` is what a draft without one has."""
    bare = dataclasses.replace(draft, preprocessing=None)
    key = ("measure", repr(bare))
    asked = st.session_state.get("_new_measured")
    if asked != key:
        st.button(
            "Measure which one fits", key="new_measure", icon=":material/straighten:",
            on_click=_ask, args=(key,),
            help="Accuracy on 100 labelled ID test images with each proposal: a wrong mean or std "
            "costs points.",
        )  # fmt: skip
        return
    ranked = jobs.result(key, lambda *_: wizard.measure(bare), "Measuring on ID test images …")
    for place, m in enumerate(ranked or ()):
        with st.container(horizontal=True, vertical_alignment="center"):
            share = f"**{100 * m.accuracy:.0f} %**" if place == 0 else f"{100 * m.accuracy:.0f} %"
            st.markdown(f"{share} of {m.images} right with {plain(m.proposal.label)}")
            if place == 0 and m.proposal.preprocessing != (draft.preprocessing or default):
                st.button("Use it", key="new_measured_use", on_click=drafting.change,
                          kwargs={"preprocessing": m.proposal.preprocessing})  # fmt: skip


def _ask(key: tuple[str, str]) -> None:
    st.session_state["_new_measured"] = key

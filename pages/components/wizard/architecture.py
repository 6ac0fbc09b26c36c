"""Which network the weights belong to: a known one by name, or code of one's own."""

from __future__ import annotations

import streamlit as st

from ood_core import wizard
from ood_core.errors import OODLensError
from ood_core.experiments.own_code import is_own_code
from pages.components.kit import cache
from pages.components.kit.plain import plain
from pages.components.wizard import drafting

__all__ = ["draw"]

_OWN = "my own code"
_FAMILIES = ("built in", "torchvision", "timm")


def draw(source: str) -> None:
    """The family, and the name in it; `source` is where the weights come from."""
    family = _family(source)
    if family == _OWN:
        _own_code()
    else:
        _known(family, source)


def _family(source: str) -> str:
    draft = drafting.current()
    prefix = draft.architecture.partition(":")[0] if ":" in draft.architecture else "built in"
    prefix = _OWN if is_own_code(draft.architecture) else prefix
    shown = prefix if draft.architecture else st.session_state.get("_new_family", "built in")
    families = _FAMILIES[1:] if source == "published" else (*_FAMILIES, _OWN)
    shown = shown if shown in families else families[0]
    chosen = st.segmented_control(
        "Architecture", families, key=drafting.seed("new_family", shown), required=True
    )
    family = str(chosen or shown)
    st.session_state["_new_family"] = family
    if family != shown and source == "file":  # the file says what it is until one is chosen
        drafting.hold("new_family")
    elif family != shown:
        drafting.change(weights="", **_fields(wizard.with_architecture(draft, "")))
    return family


def _known(family: str, source: str) -> None:
    draft = drafting.current()
    try:
        with st.spinner("Looking up architectures …", show_time=False):
            names = cache.once(("architectures", family), lambda: wizard.architecture_names(family))
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
        drafting.change(**weights, **_fields(wizard.with_architecture(draft, chosen)))


def _own_code() -> None:
    """The name of a class or function, and what it is called with."""
    draft = drafting.current()
    shown = draft.architecture if is_own_code(draft.architecture) else ""
    typed = st.text_input(
        "Class or function that makes the network", key=drafting.seed("new_own_code", shown),
        placeholder="nets/my_net.py:MyNet, or my_package.nets:MyNet",
        help="The path of a Python file, or a module, and after a colon the name in it. It is "
        "code: it does not run before you have read it and agreed.",
    ).strip()  # fmt: skip
    text = st.text_area(
        "Its arguments", key=drafting.seed("new_arguments", wizard.arguments_text(draft.arguments)),
        placeholder="depth = 40\nwidths = [16, 32]", height=90,
        help="A line for each, as name = value, or a JSON object. Empty: none.",
    )  # fmt: skip
    try:
        arguments = wizard.arguments_from(text or "")
    except OODLensError as error:
        drafting.hold("new_arguments")
        st.error(plain(error), icon=":material/error:")
        return
    if not typed:
        drafting.hold("new_arguments")
    elif (typed, arguments) != (draft.architecture, draft.arguments):
        drafting.change(**_fields(wizard.with_architecture(draft, typed, arguments)))


def _fields(draft: wizard.Draft) -> dict[str, object]:
    """What `with_architecture` changes."""
    names = ("architecture", "arguments", "trust", "preprocessing")
    return {name: getattr(draft, name) for name in names}

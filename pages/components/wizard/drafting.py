"""The draft in the session, and widgets that hold its fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from ood_core.errors import OODLensError
from ood_core.wizard import Draft, Survey, keep_upload
from pages.components.kit import state
from pages.components.kit.plain import plain

__all__ = [
    "adopt",
    "change",
    "current",
    "flash",
    "forget",
    "found",
    "heading",
    "hold",
    "note",
    "path",
    "seed",
    "short",
    "start",
    "stop",
    "text",
    "upload",
]

_DRAFT, _FOUND, _SEEN, _HELD = "_draft", "_draft_found", "_draft_seen", "_draft_held"
_FLASH, _TOLD = "_draft_flash", "_draft_told"


STEPS = ("Classifier", "Images", "Preprocessing", "Checks", "Save")
"""What is done one after the other; their numbers follow from their places."""
_FEATURES = ("Features", "Head and classes", "Checks", "Save")
"""The same for features that are there already."""
_SHOWN = {"encoder": {"Classifier": "Encoder"}, "hub": {"Classifier": "Network"}}
"""What a step is called where it is about something else."""


def heading(step: str) -> None:
    """Heading of a step, with its number."""
    kind = current().kind
    number = (_FEATURES if kind == "features" else STEPS).index(step) + 1
    st.html(f"<h2 class='section'>{number} · {_SHOWN.get(kind, {}).get(step, step)}</h2>")


def current() -> Draft:
    """The draft so far."""
    draft: Draft = st.session_state.setdefault(_DRAFT, Draft())
    return draft


def change(**fields: Any) -> None:
    """Change fields of the draft; widgets that hold them follow."""
    st.session_state[_DRAFT] = dataclasses.replace(current(), **fields)


def adopt(before: Draft, after: Draft) -> None:
    """Change those fields in which `after` differs from `before`; the others may have moved on."""
    found = {field: value for field, value in vars(after).items() if value != vars(before)[field]}
    change(**found)


def start(draft: Draft) -> None:
    """Open the wizard on a draft."""
    st.session_state[_DRAFT] = draft
    st.session_state[_SEEN] = {}
    forget(_TOLD, "_new_head_kind", "_new_source", "_new_family")
    state.put("wizard", "on")


def forget(*keys: str) -> None:
    """Forget what is kept between runs beside the draft, such as a choice without a value yet."""
    for key in keys:
        st.session_state.pop(key, None)


def stop() -> None:
    """Close the wizard; the draft is kept until another one is started."""
    state.put("wizard", "off")


def found(survey: Survey | None = None) -> Survey:
    """What the last look through a folder found; with an argument, remember it."""
    if survey is not None:
        st.session_state[_FOUND] = survey
    kept: Survey = st.session_state.get(_FOUND, Survey())
    return kept


def note(text: str, kind: str = "error") -> None:
    """A message for the next run, "error" or "success"."""
    st.session_state.setdefault(_FLASH, []).append((kind, text))


def flash(stay: bool) -> None:
    """Draw the messages of the last action; with `stay` until a field is changed."""
    new = st.session_state.pop(_FLASH, ())
    old = st.session_state.get(_TOLD, ()) if stay and not _entered() else ()
    told = st.session_state[_TOLD] = new or old
    for kind, text in told:
        if kind == "error":
            st.error(plain(text), icon=":material/error:")
        else:
            st.success(text, icon=":material/check_circle:")


def _entered() -> bool:
    """Whether the visitor entered something since the last run."""
    seen = st.session_state.get(_SEEN, {})
    return any(st.session_state.get(key, shown) != shown for key, (_, shown) in seen.items())


def seed(key: str, value: object) -> str:
    """Give the widget with this key the draft's value; returns the key.

    What the visitor entered since the last run stays, and what `hold` named. Call it before the
    widget is drawn.
    """
    seen = st.session_state.setdefault(_SEEN, {})
    before, shown = seen.get(key, (None, None))
    held = st.session_state.setdefault(_HELD, set())
    new = key not in st.session_state or key not in seen
    if new or (st.session_state[key] == shown and not (key in held and value == before)):
        st.session_state[key] = value
    held.discard(key)
    seen[key] = value, st.session_state[key]
    return key


def hold(*keys: str) -> None:
    """Keep in the next run what these widgets show, although the draft has not taken it over."""
    st.session_state.setdefault(_HELD, set()).update(keys)


def text(label: str, field: str, *, placeholder: str) -> str:
    """Text field of the draft."""
    st.text_input(
        label, key=seed(f"new_{field}", getattr(current(), field)), placeholder=placeholder
    )
    value = (st.session_state[f"new_{field}"] or "").strip()
    if value != getattr(current(), field):
        change(**{field: value})
    return value


def path(
    label: str, key: str, value: str, known: Sequence[str], *, placeholder: str, help: str
) -> str:
    """A path, typed; where others were found, a list beside it fills the field."""
    st.text_input(label, key=seed(key, value), placeholder=placeholder, help=help)
    typed = (st.session_state[key] or "").strip()
    others = [p for p in known if p != typed]
    if others:
        st.selectbox(
            f"{label.partition(':')[0]}: {len(others)} more found", others, index=None,
            key=f"{key}_found", width=220, placeholder="Choose", format_func=short,
            on_change=_fill, args=(key,),
        )  # fmt: skip
    return typed


def _fill(key: str) -> None:
    """Put the found path that was chosen into its field."""
    chosen = st.session_state[f"{key}_found"]
    if chosen:
        st.session_state[key] = chosen
    st.session_state[f"{key}_found"] = None


def upload(what: str, key: str, kinds: Sequence[str] | None = None) -> str:
    """Path of an uploaded file that is to be used; "" without one."""
    with st.popover("Upload", icon=":material/upload:", key=f"{key}_popover"):
        given = st.file_uploader(
            f"{what} to upload", type=list(kinds) if kinds else None, key=f"{key}_file"
        )
        if given is not None and st.button(f"Use this {what.lower()}", key=f"{key}_use"):
            try:
                return str(keep_upload(given.name, given))
            except OODLensError as error:
                st.error(plain(error, keep="\n"), icon=":material/error:")
    return ""


def short(source: str) -> str:
    """The last two parts of a path."""
    parts = Path(source).parts
    return source if len(parts) < 3 else f"…/{'/'.join(parts[-2:])}"

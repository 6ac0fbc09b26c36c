"""The address: choices as texts of its parameters, and whether a run is to believe it.

Pure but for the last functions. What a text is not usable for comes back as a note, never as
an error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ood_core.errors import did_you_mean

__all__ = [
    "Address",
    "Numbers",
    "Options",
    "Texts",
    "Value",
    "complete",
    "current",
    "number",
    "of_fragment",
    "options",
    "span",
    "texts",
    "walked",
    "write",
]

_REPLACE = """(before, after) => {
  const own = new URLSearchParams(location.search), ours = new URLSearchParams(after)
  for (const [name, text] of [...own])
    if (name.toLowerCase().startsWith("embed")) (own.delete(name), ours.append(name, text))
  const same = (a, b) => String([...a].map(String).sort()) === String([...b].map(String).sort())
  if (same(own, new URLSearchParams(before))) history.replaceState(history.state, "", "?" + ours)
}"""
"""What the browser does with the address that it had and the one that says the same in full."""

Value = str | float | Sequence[str] | Sequence[float] | None
"""What a choice can hold: a text, a number, several of them, or nothing."""
Address = dict[str, list[str]]
"""Parameters of the URL: name -> texts, in their order."""


class Texts(list[str]):
    """Texts from the URL that no widget has read yet."""


class Options(NamedTuple):
    """What the texts of a choice among options say, and the note about those that say nothing."""

    values: list[str]
    note: str


class Numbers(NamedTuple):
    """What the texts of a number or a range say (None: nothing usable), and the note."""

    value: tuple[float, ...] | None
    note: str


def texts(value: Value) -> list[str]:
    """A choice as texts of its parameter.

    >>> texts(0.5), texts(["near", "far"]), texts(None)
    (['0.5'], ['near', 'far'], [])
    """
    if value is None:
        return []
    parts = value if isinstance(value, list | tuple) else [value]
    return [repr(part) if isinstance(part, float) else str(part) for part in parts]


def options(
    name: str, found: Sequence[str], allowed: Sequence[str], default: Sequence[str]
) -> Options:
    """The texts that are allowed, or the default where none is."""
    bad = [t for t in found if t not in allowed]
    values = [t for t in found if t in allowed] or list(default)
    if not bad:
        return Options(values, "")

    shown = ", ".join(repr(t[:60]) for t in bad)
    return Options(
        values,
        f"The address asks for {name} {shown}, which does not exist here. "
        f"{did_you_mean(bad[0], allowed)} Using {', '.join(default)}.",
    )


def number(name: str, found: Sequence[str], low: float, high: float, default: float) -> Numbers:
    """The number that the last text says, brought into [low, high].

    >>> number("share", ["500"], 0, 100, 95)
    Numbers(value=(100.0,), note='The address gives share = 500; allowed is 0 to 100. Using 100.')
    """
    text = found[-1]
    try:
        value = float(text)
    except ValueError:
        said = f"The address gives {name} = {text!r}, which is not a number. Using {default:g}."
        return Numbers(None, said)
    if low <= value <= high:
        return Numbers((value,), "")
    used = float(min(max(value, low), high)) if math.isfinite(value) else float(default)
    said = f"The address gives {name} = {text}; allowed is {low:g} to {high:g}. Using {used:g}."
    return Numbers((used,), said)


def span(name: str, found: Sequence[str], low: float, high: float) -> Numbers:
    """The range (from, to) that two texts say, when it reaches into [low, high]."""
    try:
        a, b = (float(text) for text in found)
    except ValueError:
        a, b = math.nan, math.nan
    if a <= b and a <= high and b >= low:
        return Numbers((a, b), "")
    return Numbers(
        None,
        f"The address gives {name} = {', '.join(found)}; it takes two numbers, lowest "
        f"first, that reach into {low:g} to {high:g}. Nothing is selected.",
    )


def current() -> Address:
    """The address that the browser sent with this run; it can be older than the last written."""
    return {name: st.query_params.get_all(name) for name in st.query_params}


def walked() -> bool:
    """Whether Back or Forward caused this run: the browser says so, so no clock has to guess.

    An interaction can carry an address that was replaced meanwhile; this one is never behind.
    """
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def of_fragment() -> bool:
    """Whether this run redraws fragments alone."""
    context = get_script_run_ctx()
    return context is not None and bool(context.fragment_ids_this_run)


def complete(address: Mapping[str, Sequence[str]]) -> None:
    """Have the browser's address name what it shows, in place of the step that is there.

    Streamlit makes a step of each address that it sends, so the browser gets this one from a
    script of ours and tells it with its next run; the session knows it from now on. The script
    does nothing when it runs again later, and the visitor is elsewhere.
    """
    context = get_script_run_ctx()
    if context is None:
        return
    before = _query(current())
    with context.session_state.query_params() as known:
        known.clear_with_no_forward_msg(preserve_embed=True)
        for name, found in address.items():
            known.set_with_no_forward_msg(name, list(found))
    context.query_string = _query(address)
    # Nothing in an encoded query ends a text of a script, or the script.
    script = f"<script>({_REPLACE})('{before}', '{_query(address)}')</script>"
    st.html(script, unsafe_allow_javascript=True)


def _query(address: Mapping[str, Sequence[str]]) -> str:
    return urlencode(address, doseq=True).replace("'", "%27")


def write(address: Mapping[str, Sequence[str]]) -> None:
    """Send the browser another address: one more step in its history, unless it is there already.

    In a run that Back or Forward caused, the browser replaces the step that it went to.
    """
    st.query_params.from_dict(address)

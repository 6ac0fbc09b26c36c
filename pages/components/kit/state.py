"""What the visitor chose: one store behind the widgets, kept across pages and in the URL.

Streamlit forgets a widget's value when its page is left. Here each choice has a name, which is
both its widget key and its URL parameter, and a place in a store that outlives the page. A URL
that was pasted or walked back to wins over the store; a value in it that is not usable gives a
note on the page and the default, never an error.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

__all__ = [
    "adopted",
    "begin",
    "choose",
    "choose_many",
    "kept",
    "link_params",
    "note",
    "notes",
    "number",
    "pasted",
    "publish",
    "remember",
    "text",
]

_KEPT, _URL, _SHOWN, _NOTES, _DEFAULTS = "_kept", "_url", "_shown", "_notes", "_defaults"
_FORCED, _PAGE, _BEFORE, _ADOPTED = "_forced", "_page", "_before", "_adopted"
_UNDER_WAY = 0.5
"""Seconds in which an interaction may still carry the address that was replaced meanwhile."""
_ALWAYS = ("experiment", "layer", "detector", "prevalence")
"""In the URL also when they are the default, so that a pasted address names what it shows."""


def begin(page: str) -> None:
    """Start a run of `page`: adopt the URL when it is not the one that this session wrote."""
    store = st.session_state.setdefault(_KEPT, {})
    st.session_state.setdefault(_SHOWN, set())
    st.session_state[_NOTES] = []
    st.session_state[_ADOPTED] = False
    url = {name: st.query_params.get_all(name) for name in st.query_params}
    if st.session_state.get(_PAGE) != page:
        # Widgets of another page are other widgets: each gets its value again.
        st.session_state[_PAGE] = page
        st.session_state[_FORCED] = set(store)
        st.session_state[_SHOWN] = set()
    elif url == st.session_state.get(_URL) or _overtaken(url):
        return
    else:  # walked back to, or pasted over: what it does not name is at its default
        for name in st.session_state.get(_URL, {}).keys() - url.keys():
            store.pop(name, None)
            st.session_state.pop(name, None)
    if url != st.session_state.get(_URL):
        for name, values in url.items():
            store[name] = _Raw(values)
            st.session_state.pop(name, None)
        st.session_state[_URL] = url
        st.session_state[_ADOPTED] = True
    # Names from the URL that nothing on this page has read yet stay in it until something does.
    st.session_state[_SHOWN] |= set(url)


def _overtaken(url: dict[str, list[str]]) -> bool:
    """Whether the browser sent this address before it knew the one that was written just now."""
    before, when = st.session_state.get(_BEFORE, (None, 0.0))
    return url == before and time.monotonic() - when < _UNDER_WAY


def choose(
    name: str,
    options: Sequence[str],
    default: str,
    *,
    renamed: Callable[[str], str] | None = None,
) -> str:
    """Value of the single choice `name`, ready in `st.session_state` for its widget.

    Call it before the widget is drawn, then draw the widget with `key=name` and without a
    default of its own. `renamed` turns what an address may still call an option into its name.
    """
    value = _current(name)
    if isinstance(value, _Raw):
        given = [t if t in options or renamed is None else renamed(t) for t in value[-1:]]
        value = _from_url(name, given, options, [default])[0]
    if value not in options:
        value = default
    return _hold(name, value, default)


def choose_many(name: str, options: Sequence[str], default: Sequence[str]) -> list[str]:
    """Values of the multiple choice `name`, in the order of `options`; see `choose`.

    Who had chosen the default gets the new one when it changes: all sets of another experiment.
    """
    value, before = _current(name), st.session_state.get(_DEFAULTS, {}).get(name)
    if isinstance(value, _Raw):
        value = _from_url(name, value, options, list(default))
    elif before is not None and value == before != list(default):
        value = None
    elif value == []:
        what = {"ood_sets": "OOD sets"}.get(name, name)
        _note(f"At least one of the {what} is needed: all are chosen again.")
    value = [o for o in options if o in (value or ())]
    return _hold(name, value or list(default), list(default))


def number(name: str, low: float, high: float, default: float) -> float:
    """Value of the number `name` within [low, high], whole where the default is; see `choose`."""
    value = _current(name)
    if isinstance(value, _Raw):
        text, value = value[-1], None
        try:
            value = float(text)
        except ValueError:
            _note(f"The address gives {name} = {text!r}, which is not a number. Using {default:g}.")
        if value is not None and not low <= value <= high:
            used = min(max(value, low), high) if math.isfinite(value) else default
            _note(
                f"The address gives {name} = {text}; allowed is {low:g} to {high:g}. "
                f"Using {used:g}."
            )
    if not isinstance(value, int | float) or not math.isfinite(value):
        value = default
    value = min(max(value, low), high)
    return _hold(name, int(value) if isinstance(default, int) else value, default)


def span(name: str, low: float, high: float) -> tuple[float, float] | None:
    """Range (from, to) that a selection holds, or None."""
    value = st.session_state.get(_KEPT, {}).get(name)
    if isinstance(value, _Raw):
        try:
            a, b = (float(text) for text in value)
        except ValueError:
            a, b = math.nan, math.nan
        if not (a <= b and a <= high and b >= low):
            _note(
                f"The address gives {name} = {', '.join(value)}; it takes two numbers, lowest "
                f"first, that reach into {low:g} to {high:g}. Nothing is selected."
            )
            forget(name)
            return None
        value = [a, b]
    if not value:
        return None
    remember(name, list(value))
    return float(value[0]), float(value[1])


def put(name: str, value: Any) -> None:
    """Set a choice from a callback, whether or not a widget shows it."""
    st.session_state[name] = value
    st.session_state.setdefault(_FORCED, set()).add(name)
    remember(name, value)


def kept(name: str, default: Any = None) -> Any:
    """Last known value of `name`, also of a choice whose widget is on another page."""
    value = st.session_state.get(_KEPT, {}).get(name, default)
    return default if isinstance(value, _Raw) else value


def text(name: str) -> str:
    """Free text of `name` from the URL or an earlier choice; "" when there is none."""
    value = _current(name)
    if isinstance(value, _Raw):
        value = str(value[-1]) if value else ""
    if value:
        remember(name, value)
    return str(value or "")


def note(message: str) -> None:
    """Tell the visitor about an unusable value in the URL, at the top of the page."""
    _note(message)


def known(name: str) -> bool:
    """Whether the visitor, or the URL, ever gave `name` a value."""
    return name in st.session_state.get(_KEPT, {})


def pasted(name: str) -> bool:
    """Whether the address gave `name` a value that nothing has read yet."""
    return isinstance(st.session_state.get(_KEPT, {}).get(name), _Raw)


def adopted() -> bool:
    """Whether this run took its choices from an address that was pasted or walked back to.

    Asked once: a fragment that is redrawn later must not take it for its own.
    """
    return bool(st.session_state.pop(_ADOPTED, False))


def remember(name: str, value: Any) -> None:
    """Keep a value that no widget holds (a selection, a page number) and put it in the URL."""
    st.session_state.setdefault(_KEPT, {})[name] = value
    st.session_state.setdefault(_SHOWN, set()).add(name)


def forget(name: str) -> None:
    """Drop a value that no longer means anything; it leaves the URL too."""
    st.session_state.get(_KEPT, {}).pop(name, None)
    st.session_state.get(_SHOWN, set()).discard(name)


def publish() -> None:
    """Write the choices shown on this page into the URL. Call it after the widgets."""
    url = link_params(*st.session_state.get(_SHOWN, ()))
    if url != st.session_state.get(_URL):
        st.session_state[_BEFORE] = (st.session_state.get(_URL), time.monotonic())
        st.session_state[_URL] = url
        st.query_params.from_dict(url)


def link_params(*names: str) -> dict[str, list[str]]:
    """Named choices as URL parameters: what `st.page_link(query_params=…)` takes.

    A choice that is at its default is left out, so that addresses stay short.
    """
    store, defaults = st.session_state.get(_KEPT, {}), st.session_state.get(_DEFAULTS, {})
    url = {}
    for name in sorted(set(names) & set(store)):
        if name in _ALWAYS or name not in defaults or store[name] != defaults[name]:
            url[name] = _texts(store[name])
    return {name: texts for name, texts in url.items() if texts}


def notes() -> None:
    """Draw the notes about unusable values in the URL that were not drawn yet.

    `open_page` does it for its own choices; call it after yours.
    """
    for text in st.session_state.get(_NOTES, ()):
        st.warning(text, icon=":material/link_off:")
    st.session_state[_NOTES] = []


class _Raw(list[str]):
    """Texts from the URL that no widget has read yet."""


def _current(name: str) -> Any:
    if name in st.session_state:
        return st.session_state[name]
    return st.session_state.setdefault(_KEPT, {}).get(name)


def _hold(name: str, value: Any, default: Any) -> Any:
    st.session_state.setdefault(_DEFAULTS, {})[name] = default
    forced = st.session_state.get(_FORCED, set())
    if name in forced or name not in st.session_state or st.session_state[name] != value:
        # Assigned in the run that draws the widget: what a callback assigned before another
        # fragment's rerun would not reach the browser.
        st.session_state[name] = value
        forced.discard(name)
    remember(name, value)
    return value


def _from_url(name: str, texts: list[str], options: Sequence[str], default: list[str]) -> list[str]:
    bad = [t for t in texts if t not in options]
    if bad:
        from ood_core.errors import did_you_mean

        shown = ", ".join(repr(t[:60]) for t in bad)
        _note(
            f"The address asks for {name} {shown}, which does not exist here. "
            f"{did_you_mean(bad[0], options)} Using {', '.join(default)}."
        )
    return [t for t in texts if t in options] or default


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return [repr(v) if isinstance(v, float) else str(v) for v in value]
    return [repr(value) if isinstance(value, float) else str(value)]


def _note(text: str) -> None:
    st.session_state.setdefault(_NOTES, []).append(text)

"""What the visitor chose: one store behind the widgets, kept across pages and in the URL.

Streamlit forgets a widget's value when its page is left. Here each choice has a name, which is
both its widget key and its URL parameter, and a place in a store that outlives the page. The
address is believed when a session begins, when a page is entered and after Back or Forward, of
which the browser tells; with any other run it can only be behind the store. A value in it that is
not usable gives a note on the page and the default, never an error.

Streamlit 1.67 has a binding of its own (`bind="query-params"`, `persist_state="session"`). Tried in
Chromium with a select box, a slider in a fragment and a multiselect on two pages, it lacks:

* Back: a choice replaces the step in the history (`replaceState`), so after two choices one Back
  left the dashboard; one page link made four steps, and Back through them lost two choices.
* Defaults that follow: all sets of one experiment, never chosen, became those that the other has
  too, not all of the other's.
* Notes: unusable values left the address without a word, and a number out of range became the
  default instead of the nearest.
* Names that stay in the address at their default (the experiment), and beside it values that no
  widget holds: a bound parameter is not to be set by `st.query_params`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import streamlit as st

from pages.components.kit import address
from pages.components.kit.address import Address, Texts, Value
from pages.components.kit.choices import Choices
from pages.components.kit.plain import plain

__all__ = [
    "adopted",
    "begin",
    "choose",
    "choose_many",
    "followed",
    "forget",
    "kept",
    "known",
    "link_params",
    "note",
    "notes",
    "number",
    "page_params",
    "pasted",
    "publish",
    "put",
    "remember",
    "span",
    "text",
]

_T = TypeVar("_T", bound=Value)


def begin(page: str) -> None:
    """Start a run of `page`: adopt the address where it is to be believed."""
    for name in _mine().arrive(page, address.current(), address.walked()):
        st.session_state.pop(name, None)


def choose(
    name: str,
    options: Sequence[str],
    default: str,
    *,
    renamed: Callable[[str], str] | None = None,
    lacking: Mapping[str, str] | None = None,
) -> str:
    """Value of the single choice `name`, ready in `st.session_state` for its widget.

    Call it before the widget is drawn, then draw the widget with `key=name` and without a
    default of its own. `renamed` turns what an address may still call an option into its name.
    `lacking` says of options that other experiments have why this one has not.
    """
    value = _current(name)
    asked = value[-1] if isinstance(value, Texts) and value else value
    asked = renamed(asked) if renamed and isinstance(asked, str) else asked
    if lacking and isinstance(asked, str) and asked in lacking:
        note(f"{lacking[asked]} Using {default} in place of {asked}.")
        value = default
    if isinstance(value, Texts):
        given = [t if t in options or renamed is None else renamed(t) for t in value[-1:]]
        value = _noted(address.options(name, given, options, [default]))[0]
    if value not in options:
        value = default
    return _hold(name, cast("str", value), default)


def choose_many(name: str, options: Sequence[str], default: Sequence[str]) -> list[str]:
    """Values of the multiple choice `name`, in the order of `options`; see `choose`.

    Who had chosen the default gets the new one when it changes: all sets of another experiment.
    """
    value, before = _current(name), _mine().defaults.get(name)
    if isinstance(value, Texts):
        value = _noted(address.options(name, value, options, default))
    elif before is not None and value == before != list(default):
        value = None
    elif value == []:
        what = {"ood_sets": "OOD sets"}.get(name, name)
        note(f"At least one of the {what} is needed: all are chosen again.")
    chosen = value if isinstance(value, list | tuple) else ()
    return _hold(name, [o for o in options if o in chosen] or list(default), list(default))


def number(name: str, low: float, high: float, default: float) -> float:
    """Value of the number `name` within [low, high], whole where the default is; see `choose`."""
    value = _current(name)
    if isinstance(value, Texts):
        read, said = address.number(name, value, low, high, default)
        value = read[0] if read else None
        note(said)
    if not isinstance(value, int | float) or not math.isfinite(value):
        value = default
    value = min(max(value, low), high)
    return _hold(name, int(value) if isinstance(default, int) else value, default)


def span(name: str, low: float, high: float) -> tuple[float, float] | None:
    """Range (from, to) that a selection holds, or None."""
    value = _mine().kept.get(name)
    if isinstance(value, Texts):
        read, said = address.span(name, value, low, high)
        note(said)
        if read is None:
            forget(name)
        value = read
    if not isinstance(value, list | tuple) or not value:
        return None
    a, b = float(value[0]), float(value[1])
    remember(name, [a, b])
    return a, b


def text(name: str) -> str:
    """Free text of `name` from the URL or an earlier choice; "" when there is none."""
    value = _current(name)
    if isinstance(value, Texts):
        value = value[-1] if value else ""
    if value:
        remember(name, value)
    return str(value or "")


def put(name: str, value: Value) -> None:
    """Set a choice from a callback, whether or not a widget shows it."""
    st.session_state[name] = value
    _mine().forced.add(name)
    remember(name, value)


def remember(name: str, value: Value) -> None:
    """Keep a value that no widget holds (a selection, a page number) and put it in the URL."""
    _mine().kept[name] = value
    _mine().here().add(name)


def forget(name: str) -> None:
    """Drop a value that no longer means anything; it leaves the URL too."""
    _mine().kept.pop(name, None)
    _mine().here().discard(name)


def kept(name: str, default: Any = None) -> Any:
    """Last known value of `name`, also of a choice whose widget is on another page.

    Its type is what was kept under that name: the caller knows it.
    """
    value = _mine().kept.get(name, default)
    return default if isinstance(value, Texts) else value


def known(name: str) -> bool:
    """Whether the visitor, or the URL, ever gave `name` a value."""
    return name in _mine().kept


def pasted(name: str) -> bool:
    """Whether the address gave `name` a value that nothing has read yet."""
    return isinstance(_mine().kept.get(name), Texts)


def adopted() -> bool:
    """Whether this run took its choices from an address that was pasted or walked back to.

    Asked once: a fragment that is redrawn later must not take it for its own.
    """
    mine = _mine()
    told, mine.adopted = mine.adopted, False
    return told


def followed() -> None:
    """Tell that a link of ours is followed: call it before the page is switched."""
    _mine().followed = True


def publish() -> None:
    """Write the choices shown on this page into the URL. Call it after the widgets.

    One step in the browser's history, but where nobody chose anything.
    """
    mine = _mine()
    url = page_params(mine.page)
    if url != mine.url:
        mine.first = mine.first and not address.of_fragment()
        said = mine.completes(url)
        mine.url = url
        (address.complete if said else address.write)(url)


def page_params(page: str, *also: str) -> Address:
    """Choices in the address of `page` when it was last open, and those named, as parameters."""
    return link_params(*_mine().shown.get(page, ()), *also)


def link_params(*names: str) -> Address:
    """Named choices as URL parameters: what `st.page_link(query_params=…)` takes.

    A choice that is at its default is left out, so that addresses stay short.
    """
    return _mine().params(names)


def note(message: str) -> None:
    """Tell the visitor about an unusable value in the URL, at the top of the page."""
    if message:
        _mine().notes.append(message)


def notes() -> None:
    """Draw the notes about unusable values in the URL that were not drawn yet.

    `open_page` does it for its own choices; call it after yours.
    """
    mine = _mine()
    for message in mine.notes:
        st.warning(plain(message), icon=":material/link_off:")
    mine.notes = []


def _mine() -> Choices:
    if "_choices" not in st.session_state:
        st.session_state["_choices"] = Choices()
    return cast("Choices", st.session_state["_choices"])


def _current(name: str) -> Value | Texts:
    """What the widget of this name holds, else what is kept."""
    if name in st.session_state:
        return cast("Value", st.session_state[name])
    return _mine().kept.get(name)


def _noted(read: address.Options) -> list[str]:
    note(read.note)
    return read.values


def _hold(name: str, value: _T, default: _T) -> _T:
    """Keep a value and give it to the widget that is about to be drawn."""
    mine = _mine()
    mine.defaults[name] = default
    if name in mine.forced or name not in st.session_state or st.session_state[name] != value:
        # Assigned in the run that draws the widget: what a callback assigned before another
        # fragment's rerun would not reach the browser.
        st.session_state[name] = value
        mine.forced.discard(name)
    remember(name, value)
    return value

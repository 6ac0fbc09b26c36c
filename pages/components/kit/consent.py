"""A network that is somebody's Python: shown before it runs, and run once a visitor agrees."""

from __future__ import annotations

import ipaddress
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING

import streamlit as st

from ood_core.errors import OODLensError
from ood_core.models import code_request, only_command_line_consents, trust_code
from pages.components.kit import cache
from pages.components.kit.plain import plain

if TYPE_CHECKING:
    from ood_core.experiments import Experiment
    from ood_core.models import CodeRequest

__all__ = ["ask", "panel", "tell_who_is_served"]

MOST_FILES = 8
"""Files that the dialog names."""
_PROBLEM = "_consent_problem"


def tell_who_is_served() -> None:
    """Tell the library whether others than this machine's user may be looking at the dashboard."""
    address = st.get_option("server.address")
    local = address == "localhost"
    with suppress(ValueError):  # a name, a socket, or nothing: then it listens everywhere
        local = local or ipaddress.ip_address(address).is_loopback
    only_command_line_consents(not local)


def panel(experiment: Experiment) -> bool:
    """Say that the experiment's code waits for consent, with a button that shows it; False when
    nothing waits."""
    try:
        request = code_request(experiment)
    except OODLensError as error:
        st.error(plain(error, keep="\n"), icon=":material/error:")
        return True
    if request is None:
        return False
    if problem := st.session_state.pop(_PROBLEM, ""):
        st.error(plain(problem, keep="\n"), icon=":material/error:")
    with st.container(border=True, key=f"consent_{experiment.name}"):
        st.markdown(
            f"**{plain(experiment.title)}** brings a network as Python code "
            f"({plain(request.path.name)}), which has not run on this machine in this form."
        )
        st.caption(
            "Code can do anything that you can. It is run once you have seen it and agreed; what "
            "was computed before can be looked at without."
        )
        if st.button("Look at the code", key=f"consent_show_{experiment.name}",
                     icon=":material/code:"):  # fmt: skip
            ask(experiment, request)
    return True


@st.dialog("Run this code?", width="large")
def ask(experiment: Experiment, request: CodeRequest) -> None:
    """Path, hash and first lines, then yes or no."""
    arguments = ", ".join(f"{name} = {value!r}" for name, value in request.arguments)
    st.markdown(f"**{plain(request.name)}** ({plain(arguments or 'no arguments')}) in")
    st.code(str(request.path), language=None, wrap_lines=True)
    st.caption(f"SHA-256 of {_count(request)}:")
    st.code(request.digest, language=None, wrap_lines=True)
    if len(request.files) > 1:
        named = [plain(file.name) for file in request.files[:MOST_FILES]]
        more = ", …" if len(request.files) > MOST_FILES else ""
        st.caption(f"With it: {', '.join(named[1:])}{more}.")
    st.caption("It begins:")
    st.code("\n".join(request.first_lines) or "(nothing)", language="python")
    st.markdown(
        "Once run, it can read, change and send whatever you can. Agree only if you wrote it or "
        "have read all of it. Changed code is asked for again."
    )
    if request.only_operator:
        st.warning(
            "This dashboard may serve others than its operator, so nobody can agree here. The "
            "operator can, on the command line:",
            icon=":material/lock:",
        )
        st.code(f"python -m ood_core extract {shlex.quote(experiment.name)} --trust", "bash",
                wrap_lines=True)  # fmt: skip
    _answer(experiment, request)


def _answer(experiment: Experiment, request: CodeRequest) -> None:
    with st.container(horizontal=True):
        agreed = not request.only_operator and st.button(
            "Run this code", key="consent_run", type="primary", icon=":material/play_arrow:",
            on_click=_agree, args=(experiment, request),
        )  # fmt: skip
        if st.button("Cancel", key="consent_cancel") or agreed:
            st.rerun()


def _agree(experiment: Experiment, request: CodeRequest) -> None:
    try:
        trust_code(experiment, request.digest, by="page")
    except OODLensError as error:
        st.session_state[_PROBLEM] = str(error)
    cache.refresh()


def _count(request: CodeRequest) -> str:
    more = len(request.files) - 1
    return "its content" if not more else f"its content and that of {more} more files"

"""One line of the checks, and one change that would help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ood_core.wizard.draft import Draft

__all__ = ["Check", "Fix"]


@dataclass(frozen=True)
class Fix:
    """One change that would help, offered as one click."""

    label: str
    draft: Draft


@dataclass(frozen=True)
class Check:
    """One line of the checks.

    Parameters
    ----------
    part : what it belongs to: "classifier", "preprocessing", the name of a set, or "gate".
    name : what is checked.
    ok : True, False, or None where it cannot be checked, or not before a download.
    text : what was found.
    remedy : what to do when it is not ok; "" where `text` says it.
    fixes : changes to the draft that would help.
    fetch : "weights" or "data" when a download would help.
    given : whether something was chosen that could be right or wrong.
    """

    part: str
    name: str
    ok: bool | None
    text: str
    remedy: str = ""
    fixes: tuple[Fix, ...] = ()
    fetch: Literal["", "weights", "data"] = ""
    given: bool = True

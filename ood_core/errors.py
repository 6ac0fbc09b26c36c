"""Errors that a user can act on: each says what was wrong, what is allowed and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ConfigError",
    "DataError",
    "ModelError",
    "NotFittedError",
    "OODLensError",
    "StoppedError",
    "did_you_mean",
]


class OODLensError(ValueError):
    """Base of every error caused by what a user gave. Front ends show its message as it is."""


class ConfigError(OODLensError):
    """An experiment, an option or a parameter is not usable."""


class DataError(OODLensError):
    """Images, lists, folders or arrays are not usable."""


class ModelError(OODLensError):
    """A classifier, a checkpoint or a layer is not usable."""


class NotFittedError(OODLensError):
    """`score_samples` was called before `fit`."""


class StoppedError(Exception):
    """Long work was stopped on request. What was finished is kept."""


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """Sentence that lists what is allowed, the closest name first when one is close.

    Of more than 100 names it lists the ten that are most like the given one.

    >>> did_you_mean("nam", ["nan", "knn"])
    "Did you mean 'nan'? Available: knn, nan."
    """
    names = sorted(allowed)
    close = difflib.get_close_matches(given, names, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    if len(names) <= 100:
        return f"{hint}Available: {', '.join(names) or '(none)'}."
    nearest = difflib.get_close_matches(given, names, n=10, cutoff=0.0)
    return f"{hint}{len(names):,} are available, among them {', '.join(nearest)}."

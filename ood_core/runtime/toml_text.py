"""TOML from plain values: what experiment files and recipes are written with."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from ood_core.errors import ConfigError

__all__ = ["toml_text"]


def toml_text(values: Mapping[str, Any]) -> str:
    """Text of a TOML file from which `tomllib` reads these values again, floats bit by bit.

    Parameters
    ----------
    values : key -> text, path, bool, number (also NumPy's), date or time, or a list, tuple or
        mapping of these.
        A key whose value is None is left out, because TOML has no null. Paths are read as text,
        tuples as lists.

    Raises
    ------
    ConfigError
        For a value that TOML cannot hold, and for text that UTF-8 cannot: a lone surrogate, as
        in the name of a file that is not UTF-8.

    Examples
    --------
    >>> print(toml_text({"name": "mine", "seed": None, "id": {"folder": Path("photos")}}), end="")
    name = "mine"
    <BLANKLINE>
    [id]
    folder = "photos"
    """
    return tomli_w.dumps(_table(values, ""))


def _table(values: Mapping[Any, Any], where: str) -> dict[str, Any]:
    return {_text(str(k)): _plain(v, f"{where}{k}") for k, v in values.items() if v is not None}


def _plain(value: Any, where: str) -> Any:
    """The value in types that tomli_w writes; `where` is its dotted key."""
    if isinstance(value, bool | int | float | datetime.date | datetime.time):
        return value
    if isinstance(value, str | Path):
        return _text(str(value))
    if isinstance(value, Mapping):
        return _table(value, f"{where}.")
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        return value.item()
    if isinstance(value, Iterable):
        return [_plain(v, f"{where}[{i}]") for i, v in enumerate(value)]
    raise ConfigError(
        f"{where} = {value!r} cannot be written to a TOML file, which holds text, numbers, true "
        f"and false, lists and tables; got {type(value).__name__}. Give one of these."
    )


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{text!r} cannot be written to a TOML file, which is UTF-8: character "
            f"{error.start + 1} is half of a surrogate pair. Rename the file or correct the text."
        ) from None
    return text

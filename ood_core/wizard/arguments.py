"""What code of one's own is called with, as people write it down."""

from __future__ import annotations

import ast
import contextlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from ood_core.errors import ConfigError
from ood_core.runtime.toml_text import toml_text

__all__ = ["arguments_from", "arguments_text"]

_NEXT = re.compile(r"\n|[,;]\s*(?=[A-Za-z_]\w*\s*=)")
"""What stands between two arguments."""


def arguments_from(text: str) -> dict[str, Any]:
    """Keyword arguments from TOML, a JSON object, or `name = value` on lines or after commas.

    Raises
    ------
    ConfigError
        When it is none of these, with what could not be read.

    Examples
    --------
    >>> arguments_from("depth = 40\\nwidths = [16, 32]\\nnorm = batch")
    {'depth': 40, 'widths': [16, 32], 'norm': 'batch'}
    >>> arguments_from('{"depth": 40, "stem": null}')
    Traceback (most recent call last):
        ...
    ood_core.errors.ConfigError: arguments: stem is null, which an experiment file cannot hold. \
Leave it out.
    """
    text = text.strip()
    if text.startswith("{"):
        return _json(text)
    for form in (text, f"inline = {{ {text} }}"):
        with contextlib.suppress(tomllib.TOMLDecodeError):
            found = tomllib.loads(form)
            return found if form == text else found["inline"]
    if text.startswith("["):
        raise ConfigError(f"arguments: not TOML, got {text.splitlines()[0]!r}.")
    return _named(pair for pair in _NEXT.split(text) if pair.strip())


def _named(pairs: Iterable[str]) -> dict[str, Any]:
    """Keyword arguments from `name=value` each; a value is one of TOML or Python, else text.

    Raises
    ------
    ConfigError
        When one is not `name=value`, or comes twice.

    Examples
    --------
    >>> _named(["depth=40", "bias=False", "widths=(16, 32)", "norm=batch", "name=a=b"])
    {'depth': 40, 'bias': False, 'widths': [16, 32], 'norm': 'batch', 'name': 'a=b'}
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not (name.isidentifier() and equals and value):
            raise ConfigError(f"arguments must read name = value, got {pair.strip()!r}.")
        if name in found:
            raise ConfigError(f"the argument {name!r} is given twice: leave one out.")
        found[name] = _value(name, value)
    return found


def arguments_text(arguments: Mapping[str, Any]) -> str:
    """Arguments as TOML, which `arguments_from` reads.

    >>> print(arguments_text({"depth": 40, "norm": "batch"}), end="")
    depth = 40
    norm = "batch"
    """
    return toml_text(arguments)


def _value(name: str, text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        pass
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return _plain(name, value)


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"arguments: not a JSON object ({error}).") from error
    return {key: _plain(key, value) for key, value in found.items()}


def _plain(name: str, value: Any) -> Any:
    """The value in what an experiment file holds."""
    if value is None:
        raise ConfigError(
            f"arguments: {name} is null, which an experiment file cannot hold. Leave it out."
        )
    if isinstance(value, Mapping):
        return {str(k): _plain(f"{name}.{k}", v) for k, v in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(name, v) for v in value]
    return value

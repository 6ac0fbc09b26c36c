"""What code of one's own is called with, as people write it down."""

from __future__ import annotations

import ast
import json
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from ood_core.errors import ConfigError
from ood_core.runtime.toml_text import toml_text

__all__ = ["arguments_from", "arguments_text", "named_arguments"]


def arguments_from(text: str) -> dict[str, Any]:
    """Keyword arguments from TOML, from a JSON object, or from lines of `name = value`.

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
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        if any(line.lstrip().startswith("[") for line in text.splitlines()):
            raise ConfigError(f"arguments: not TOML ({error}).") from error
    return named_arguments(line for line in text.splitlines() if line.strip())


def named_arguments(pairs: Iterable[str]) -> dict[str, Any]:
    """Keyword arguments from `name=value` each; a value is one of TOML or Python, else text.

    Raises
    ------
    ConfigError
        When one is not `name=value`, or comes twice.

    Examples
    --------
    >>> named_arguments(["depth=40", "bias=False", "widths=(16, 32)", "norm=batch", "name=a=b"])
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

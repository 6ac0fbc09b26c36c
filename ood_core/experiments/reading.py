"""Strict reading of one TOML table: each value is checked, each error names key and value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ood_core.errors import ConfigError, did_you_mean

__all__ = ["Table"]

_MISSING = object()


class Table:
    """One table of an experiment file.

    Parameters
    ----------
    values : what the file says.
    where : how messages name the table, for example "mine.toml [classifier]".
    allowed : keys that may appear.

    Raises
    ------
    ConfigError
        When the value is not a table, or on unknown keys, with the closest known one.
    """

    def __init__(self, values: Any, where: str, allowed: Iterable[str]) -> None:
        if not isinstance(values, Mapping):
            raise ConfigError(f"{where} must be a table, got {_shown(values)}.")
        self.values = values
        self.where = where
        allowed = tuple(allowed)
        for key in values:
            if key not in allowed:
                raise ConfigError(f"{where}: unknown key {key!r}. {did_you_mean(key, allowed)}")

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def error(self, key: str, wanted: str) -> ConfigError:
        """The error for a value that is not what was wanted."""
        return ConfigError(f"{self.where}: {key} must be {wanted}, got {_shown(self.values[key])}.")

    def table(self, key: str, allowed: Iterable[str]) -> Table:
        """The required table under `key`."""
        return Table(self._required(key), f"{self.where} [{key}]", allowed)

    def text(self, key: str) -> str | None:
        """A non-empty string, or None where the key is absent."""
        value = self.values.get(key, _MISSING)
        if value is _MISSING:
            return None
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, "a non-empty string in quotes")
        return value

    def required_text(self, key: str) -> str:
        """A non-empty string that must be there."""
        self._required(key)
        return self.text(key) or ""

    def choice(self, key: str, allowed: Iterable[str], default: str) -> str:
        """One of the allowed strings."""
        value = self.values.get(key, default)
        allowed = tuple(allowed)
        if value not in allowed:
            hint = did_you_mean(str(value), allowed)
            raise ConfigError(f"{self.where}: {key} = {_shown(value)} is not known. {hint}")
        return str(value)

    def whole(self, key: str, minimum: int = 1) -> int | None:
        """A whole number of at least `minimum`, or None."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise self.error(key, f"a whole number of at least {minimum}")
        return value

    def share(self, key: str) -> float | None:
        """A number between 0 and 1, or None."""
        value = self.values.get(key)
        if value is None:
            return None
        if not _is_number(value) or not 0 <= value <= 1:
            raise self.error(key, "a number between 0 and 1")
        return float(value)

    def flag(self, key: str) -> bool:
        """True or false; false where the key is absent."""
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            raise self.error(key, "true or false")
        return value

    def numbers(self, key: str) -> tuple[float, ...] | None:
        """A list of numbers, or None."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not value or not all(_is_number(v) for v in value):
            raise self.error(key, "a list of numbers, one for each channel")
        return tuple(float(v) for v in value)

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of different strings, or None."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
            raise self.error(key, "a list of one or more strings in quotes")
        twice = sorted({v for v in value if value.count(v) > 1})
        if twice:
            raise ConfigError(f"{self.where}: {key} names {', '.join(twice)} more than once.")
        return tuple(value)

    def _required(self, key: str) -> Any:
        if key not in self.values:
            raise ConfigError(f"{self.where}: {key} is missing; it is required.")
        return self.values[key]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."

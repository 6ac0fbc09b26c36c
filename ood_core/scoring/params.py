"""Parameters of detectors: an experiment's own, and as one line of text.

>>> params_from(params_text({"p_a": 90, "clip": 0.8}))
{'p_a': 90, 'clip': 0.8}
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ood_core.detectors import by_canonical_name, canonical_name, make_detector
from ood_core.errors import ConfigError

if TYPE_CHECKING:
    from ood_core.detectors import Detector
    from ood_core.experiments import Experiment

__all__ = [
    "given_params",
    "grid_from",
    "own_params",
    "params_from",
    "params_text",
    "rows_of",
    "settings",
]


def own_params(experiment: Experiment, detector: str) -> dict[str, Any]:
    """Parameters that the experiment gives a detector, under whichever of its names."""
    return dict(given_params(experiment).get(canonical_name(detector), {}))


def given_params(experiment: Experiment) -> dict[str, Mapping[str, Any]]:
    """Parameters that the experiment gives, by canonical name of the detector.

    Raises
    ------
    ConfigError
        When it names one detector twice, as [detectors.nan] and [detectors.negative_aware_norm].
    """
    try:
        return by_canonical_name(experiment.detectors)
    except ConfigError as error:
        raise ConfigError(f"experiment {experiment.name!r}, [detectors]: {error}") from None


def params_text(params: Mapping[str, Any]) -> str:
    """Parameters in one cell: `p_w=90;p_a=90;clip=1.0`.

    Examples
    --------
    >>> params_text({"p_w": 90, "clip": 1.0})
    'p_w=90;clip=1.0'
    """
    return ";".join(f"{name}={value}" for name, value in params.items())


def params_from(text: str) -> dict[str, Any]:
    """Inverse of `params_text`: whole numbers, numbers, True, False, None and words.

    Raises
    ------
    ConfigError
        When a part is not `name=value`.

    Examples
    --------
    >>> params_from("p_w=90;clip=1.0;layer=None")
    {'p_w': 90, 'clip': 1.0, 'layer': None}
    """
    found: dict[str, Any] = {}
    for part in filter(None, text.split(";")):
        name, equals, value = part.partition("=")
        if not (name.isidentifier() and equals and value):
            raise ConfigError(f"parameters must read name=value;name=value, got {part!r}.")
        if name in found:
            raise ConfigError(f"parameter {name!r} is given twice in {text!r}: leave one out.")
        found[name] = _value(value)
    return found


def grid_from(text: str) -> dict[str, list[Any]]:
    """Several values of each parameter, in the words of `params_from`; repeated ones count once.

    Raises
    ------
    ConfigError
        When a part is not `name=value,value`, a parameter comes twice, or there is none.

    Examples
    --------
    >>> grid_from("k=10,50;squared=True,False")
    {'k': [10, 50], 'squared': [True, False]}
    """
    found: dict[str, list[Any]] = {}
    for part in filter(None, text.split(";")):
        name, equals, values = part.partition("=")
        texts = [value.strip() for value in values.split(",")]
        if not (name.isidentifier() and equals and all(texts)):
            raise ConfigError(f"a grid must read name=value,value;name=value, got {part!r}.")
        if name in found:
            raise ConfigError(f"the grid gives {name!r} twice: write all its values at one place.")
        found[name] = list({repr(v): v for v in map(_value, texts)}.values())
    if not found:
        raise ConfigError(f"a grid must read name=value,value;name=value, got {text!r}.")
    return found


def settings(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of a grid's values, the last parameter's changing first.

    >>> settings({"k": [10, 50], "squared": [True]})
    [{'k': 10, 'squared': True}, {'k': 50, 'squared': True}]
    """
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def rows_of(
    name: str, given: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]
) -> list[tuple[Detector, dict[str, Any]]]:
    """The detector and its parameters for each row of a benchmark: `given`, and a grid's values.

    Raises
    ------
    ConfigError
        For a parameter that it does not have or that may not have such a value, that is in both,
        or that has no values.
    """
    both = sorted(set(given) & set(grid))
    if both:
        raise ConfigError(
            f"detector {name!r}: parameter {both[0]!r} has a value and is in the grid; leave one "
            "out."
        )
    for parameter, values in grid.items():
        if not len(values):
            raise ConfigError(f"the grid gives no values for {parameter!r} of {name!r}.")
    rows = [{**given, **setting} for setting in settings(grid)]
    return [(make_detector(name, **row), row) for row in rows]


def _value(text: str) -> Any:
    words: dict[str, Any] = {"True": True, "False": False, "None": None}
    if text in words:
        return words[text]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text

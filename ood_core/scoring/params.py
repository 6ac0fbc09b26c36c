"""Parameters of detectors: an experiment's own, and as one line of text.

>>> params_from(params_text({"p_a": 90, "clip": 0.8}))
{'p_a': 90, 'clip': 0.8}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ood_core.detectors import by_canonical_name, canonical_name
from ood_core.errors import ConfigError

if TYPE_CHECKING:
    from ood_core.experiments import Experiment

__all__ = ["given_params", "own_params", "params_from", "params_text"]


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
    words: dict[str, Any] = {"True": True, "False": False, "None": None}
    found: dict[str, Any] = {}
    for part in filter(None, text.split(";")):
        name, equals, value = part.partition("=")
        if not (name.isidentifier() and equals and value):
            raise ConfigError(f"parameters must read name=value;name=value, got {part!r}.")
        if value in words:
            found[name] = words[value]
            continue
        try:
            found[name] = int(value)
        except ValueError:
            try:
                found[name] = float(value)
            except ValueError:
                found[name] = value
    return found

"""Hyper-parameter sweeps: how much a detector depends on its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ood_core.detectors import make_detector
from ood_core.errors import ConfigError, OODLensError, did_you_mean
from ood_core.runtime.progress import Meter, ProgressCallback, StopCheck
from ood_core.scoring import score
from ood_core.scoring.params import settings

if TYPE_CHECKING:
    from ood_core.activations import ActivationSet

__all__ = ["TUNED", "axes", "setting", "sweep"]

TUNED = (
    "A setting picked from these numbers is tuned on the OOD sets shown. Its figures here are "
    "optimistic; report them on OOD sets that took no part in the choice, or keep the default."
)


def axes(detector: str) -> dict[str, tuple[Any, ...]]:
    """Parameters of a detector worth sweeping, each with its values; empty when there are none."""
    made = make_detector(detector)
    return {name: tuple(values) for name, values in type(made).sweep.items()}


def sweep(
    acts_set: ActivationSet,
    detector: str,
    over: Mapping[str, Sequence[Any]],
    params: Mapping[str, Any] | None = None,
    layer: str | None = None,
    ood_sets: Sequence[str] | None = None,
    progress: ProgressCallback | None = None,
    should_stop: StopCheck | None = None,
) -> pd.DataFrame:
    """Score a detector at every combination of values.

    Parameters
    ----------
    over : parameter name -> values; at most three parameters.
    params : other parameters, held fixed.
    layer, ood_sets : as for `scoring.score`.

    Returns
    -------
    DataFrame, one row per combination: the parameters of `over`, `auroc` and `fpr95` (unweighted
    means over the OOD sets, rates in 0 to 1, ID positive), `error` (why a combination cannot run,
    such as `dim` above the number of features; "" otherwise).

    Raises
    ------
    ConfigError
        For an unknown parameter, no values, or more than three parameters.
    """
    _check(detector, over)
    names = list(over)
    cells = settings(over)
    meter = Meter(f"sweeping {detector}", len(cells), progress, should_stop)
    rows = []
    for cell in cells:
        meter.check(force=True)
        row = dict(cell)
        try:
            found = score(acts_set, detector, {**(params or {}), **cell}, layer, ood_sets)
            each = [found.evaluate(name) for name in found.ood]
            row |= {"auroc": np.mean([e.auroc for e in each]), "error": ""}
            row |= {"fpr95": np.mean([e.fpr95 for e in each])}
        except OODLensError as error:
            row |= {"auroc": np.nan, "fpr95": np.nan, "error": str(error)}
        rows.append(row)
        meter.advance(1)
    return pd.DataFrame(rows, columns=[*names, "auroc", "fpr95", "error"])


def _check(detector: str, over: Mapping[str, Sequence[Any]]) -> None:
    if not 1 <= len(over) <= 3:
        raise ConfigError(f"a sweep takes one to three parameters, got {len(over)}.")
    allowed = type(make_detector(detector)).defaults()
    for name, values in over.items():
        if name not in allowed:
            raise ConfigError(
                f"detector {detector!r} has no parameter {name!r}. {did_you_mean(name, allowed)}"
            )
        if not len(values):
            raise ConfigError(f"the sweep gives no values for {name!r}.")


def setting(table: pd.DataFrame, names: Sequence[str], texts: Sequence[str]) -> dict[str, Any]:
    """Values of the swept parameters whose printed form was clicked, in their own types.

    Raises
    ------
    ConfigError
        When the table has no such value.
    """
    found: dict[str, Any] = {}
    for name, text in zip(names, texts, strict=False):
        known = {str(value): value for value in table[name]}
        if text not in known:
            raise ConfigError(f"the sweep has no {name} = {text}; it has {', '.join(known)}.")
        value = known[text]
        found[name] = value.item() if isinstance(value, np.generic) else value
    return found

"""Models kept in memory: one load per process, whoever asks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ood_core.models import WeightsMissingError, load_model, model_fingerprint
from ood_core.runtime.bounded import Bounded

if TYPE_CHECKING:
    from ood_core.experiments import Experiment
    from ood_core.models import LoadedModel

__all__ = ["forget_models", "resident_model"]

_models: Bounded[str, LoadedModel] = Bounded(2)
_lock = threading.Lock()
"""Held while a model is loaded: whoever else asks for it waits instead of loading it too."""


def resident_model(exp: Experiment) -> LoadedModel:
    """The experiment's model, loaded at most once while it is among the last two used.

    Raises
    ------
    ModelError
        As `load_model`.
    """
    with _lock:
        try:
            key = f"{model_fingerprint(exp)} {exp.preprocessing} {exp.classifier.class_names}"
        except WeightsMissingError:
            key = ""
        held = _models.find(key)
        if held is not None:
            return held
        loaded = load_model(exp)
        key = f"{loaded.fingerprint} {exp.preprocessing} {exp.classifier.class_names}"
        _models.put(key, loaded)
        return loaded


def forget_models() -> None:
    """Drop every kept model."""
    with _lock:
        _models.clear()

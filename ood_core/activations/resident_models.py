"""Models kept in memory: one load per process, whoever asks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ood_core.experiments import Experiment
    from ood_core.models import LoadedModel

__all__ = ["forget_models", "resident_model"]

_KEPT = 2
_models: OrderedDict[str, LoadedModel] = OrderedDict()
_lock = threading.Lock()


def resident_model(exp: Experiment) -> LoadedModel:
    """The experiment's model, loaded at most once while it is among the last two used.

    Raises
    ------
    ModelError
        As `load_model`.
    """
    from ood_core.models import WeightsMissingError, load_model, model_fingerprint

    with _lock:
        try:
            key = f"{model_fingerprint(exp)} {exp.preprocessing} {exp.classifier.class_names}"
        except WeightsMissingError:
            key = ""
        if key not in _models:
            loaded = load_model(exp)
            key = f"{loaded.fingerprint} {exp.preprocessing} {exp.classifier.class_names}"
            _models[key] = loaded
        _models.move_to_end(key)
        while len(_models) > _KEPT:
            _models.popitem(last=False)
        return _models[key]


def forget_models() -> None:
    """Drop every kept model."""
    with _lock:
        _models.clear()

"""Out-of-distribution detection from one forward pass: scores, metrics and their explanation.

>>> import ood_core
>>> sorted(ood_core.all_detectors())[:3]
['ash_b', 'ash_p', 'ash_s']

Names are loaded on first use, so importing the package costs nothing and scoring stored
activations never imports torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_LAZY = {
    "Activations": "ood_core.activations",
    "ActivationSet": "ood_core.activations",
    "LayerRecord": "ood_core.activations",
    "embed": "ood_core.activations",
    "extract": "ood_core.activations",
    "prepared": "ood_core.activations",
    "ClassifierHead": "ood_core.models",
    "Detector": "ood_core.detectors",
    "all_detectors": "ood_core.detectors",
    "make_detector": "ood_core.detectors",
    "Experiment": "ood_core.experiments",
    "list_experiments": "ood_core.experiments",
    "load_experiment": "ood_core.experiments",
    "save_experiment": "ood_core.experiments",
    "OODLensError": "ood_core.errors",
}
_MODULES = (
    "activations", "data", "detectors", "errors", "experiments", "export", "hidden_classifier",
    "metrics", "models", "plots", "scoring", "thresholds",
)  # fmt: skip

__all__ = [  # noqa: RUF022 - classes and functions first, then the modules
    "Activations",
    "ActivationSet",
    "ClassifierHead",
    "Detector",
    "Experiment",
    "LayerRecord",
    "OODLensError",
    "__version__",
    "all_detectors",
    "embed",
    "extract",
    "list_experiments",
    "load_experiment",
    "make_detector",
    "prepared",
    "save_experiment",
]

if TYPE_CHECKING:
    from ood_core.activations import (
        Activations,
        ActivationSet,
        LayerRecord,
        embed,
        extract,
        prepared,
    )
    from ood_core.detectors import Detector, all_detectors, make_detector
    from ood_core.errors import OODLensError
    from ood_core.experiments import (
        Experiment,
        list_experiments,
        load_experiment,
        save_experiment,
    )
    from ood_core.models import ClassifierHead


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(importlib.import_module(_LAZY[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"ood_core.{name}")
    else:
        raise AttributeError(f"module 'ood_core' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})

"""Which preprocessing an experiment uses: its own, else that of the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ood_core.errors import ModelError
from ood_core.experiments.experiment import Preprocessing

if TYPE_CHECKING:
    from ood_core.experiments import Experiment

__all__ = ["resolve_preprocessing"]


def resolve_preprocessing(exp: Experiment) -> Preprocessing:
    """Preprocessing of the experiment file; without one, the transforms of its weights.

    Raises
    ------
    ModelError
        When the file has no [preprocessing] and the architecture knows none.
    """
    if exp.preprocessing is not None:
        return exp.preprocessing
    from ood_core.models.architectures import collection

    spec = exp.classifier
    module = collection(spec.architecture)
    found = module and module.preprocessing(
        spec.architecture.removeprefix(module.PREFIX), spec.weights
    )
    if found:
        return found
    raise ModelError(
        f"experiment {exp.name!r} needs a [preprocessing] section: architecture "
        f"{spec.architecture!r} brings no transforms of its own. Give resize, center_crop, mean "
        "and std as used in training."
    )

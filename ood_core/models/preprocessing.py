"""Which preprocessing an experiment uses: its own, else that of its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ood_core.errors import ModelError
from ood_core.experiments.experiment import Preprocessing
from ood_core.models.network_files import network_preprocessing
from ood_core.models.published_weights import published_weights

if TYPE_CHECKING:
    from ood_core.experiments import Experiment

__all__ = ["resolve_preprocessing"]


def resolve_preprocessing(exp: Experiment) -> Preprocessing:
    """Preprocessing of the experiment file; without one, the transforms of its weights.

    A checkpoint or random weights take those of the architecture's default weights.

    Raises
    ------
    ModelError
        When the file has no [preprocessing] and the architecture knows none.
    """
    if exp.preprocessing is not None:
        return exp.preprocessing
    spec = exp.classifier
    stated = network_preprocessing(spec)
    if stated is not None:
        return stated
    named = None if spec.random_weights is not None or spec.checkpoint else spec.weights
    found = published_weights(spec.architecture, named)
    if found is not None:
        return found.preprocessing
    raise ModelError(
        f"experiment {exp.name!r} needs a [preprocessing] section: architecture "
        f"{spec.architecture!r} brings no transforms of its own. Give resize, center_crop, mean "
        "and std as used in training."
    )

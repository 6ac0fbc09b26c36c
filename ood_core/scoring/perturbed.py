"""The forward pass that ODIN with ε > 0 needs: the images behind stored rows, run again."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ood_core.activations.record import Activations
from ood_core.activations.resident_models import resident_model
from ood_core.data import Transform, open_dataset
from ood_core.detectors.odin import perturbed_logits
from ood_core.errors import DataError, ModelError
from ood_core.models.network_files import network_no_gradients

if TYPE_CHECKING:
    import torch

    from ood_core.data import ImageSet
    from ood_core.detectors.odin import PerturbedLogits
    from ood_core.experiments import Experiment

__all__ = ["forward_pass"]

BATCH = 64


def forward_pass(exp: Experiment) -> PerturbedLogits:
    """Function `(acts, epsilon, temperature) -> logits` for `Odin.use_model`.

    Loads the model and the images of the rows' data set when it is called: two forward passes and
    a backward pass per image. Rows are found by their sample ids, so `acts` may be any part of a
    stored set.

    Raises
    ------
    ModelError
        When the network cannot be differentiated.
    DataError
        From the function, when rows are not of one of the experiment's data sets.
    """
    reason = network_no_gradients(exp.classifier.architecture)
    if reason:
        raise ModelError(
            f"ODIN with epsilon > 0 needs gradients: {reason} Set epsilon = 0 to use stored logits."
        )
    positions = lru_cache(lambda name: _open(exp, name))

    def forward(acts: Activations, epsilon: float, temperature: float) -> np.ndarray:
        if acts.name not in exp.sets:
            raise DataError(
                f"ODIN with epsilon > 0 needs the images again, and {acts.name!r} is not a data "
                "set of the experiment. Set epsilon = 0 to use stored logits."
            )
        images, row_of = positions(acts.name)
        loaded = resident_model(exp)
        transform, std = Transform(loaded.preprocessing), tuple(loaded.preprocessing.std)
        parts = []
        for start in range(0, len(acts), BATCH):
            rows = [row_of[name] for name in acts.ids[start : start + BATCH]]
            batch = _tensor(np.stack([transform(images.load(row)) for row in rows]), loaded.module)
            parts.append(perturbed_logits(loaded.module, batch, epsilon, temperature, std))
        return np.concatenate(parts)

    return forward


def _open(exp: Experiment, name: str) -> tuple[ImageSet, dict[str, int]]:
    images = open_dataset(exp.sets[name])
    return images, {image: row for row, image in enumerate(images.ids)}


def _tensor(array: np.ndarray, module: torch.nn.Module) -> torch.Tensor:
    """The batch on the module's device."""
    import torch

    return torch.from_numpy(array).to(next(module.parameters()).device)

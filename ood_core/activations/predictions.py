"""What the classifier predicts of images: class numbers, their probabilities, the share right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ood_core.activations.record import Activations
from ood_core.errors import DataError
from ood_core.models.head import ClassifierHead

__all__ = ["Predictions", "accuracy", "predict", "predicted_classes"]

ROWS = 4096
"""Images whose logits are in memory at a time."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predicted class of each image.

    Attributes
    ----------
    classes : (n,) int64, number of the class with the largest logit.
    probability : (n,) float64, its softmax probability, 0-1.
    """

    classes: np.ndarray
    probability: np.ndarray


def predicted_classes(acts: Activations, head: ClassifierHead | None = None) -> np.ndarray:
    """Class number that the classifier gives each image, shape (n,), int64.

        ŷ = argmax_c z_c,   the lowest number where several logits are the largest

    The logits are those that the network gave, where the activations hold them, else `h Wᵀ + b`
    of the features. Detectors and views that change features or logits take the argmax of what
    they changed; whatever speaks of the classifier's own prediction asks here.

    Parameters
    ----------
    acts : activations of n images.
    head : the classifier's head, for activations without logits.

    Raises
    ------
    DataError
        When there are neither logits nor a head.

    Examples
    --------
    >>> import numpy as np
    >>> acts = Activations.from_arrays(np.eye(2), logits=np.array([[0.0, 2.0, 2.0], [3, 1, 1]]))
    >>> predicted_classes(acts).tolist()
    [1, 0]
    """
    found = [np.empty(0, np.int64), *(z.argmax(axis=1) for z in _logits(acts, head))]
    return np.concatenate(found)


def predict(acts: Activations, head: ClassifierHead | None = None) -> Predictions:
    """Predicted class of each image by `predicted_classes`, with its softmax probability.

        p = 1 / Σ_c exp(z_c − z_ŷ),   in float64

    Raises
    ------
    DataError
        When there are neither logits nor a head.

    Examples
    --------
    >>> import numpy as np
    >>> acts = Activations.from_arrays(np.eye(2), logits=np.log([[0.25, 0.75], [0.5, 0.5]]))
    >>> found = predict(acts)
    >>> found.classes.tolist(), found.probability.round(6).tolist()
    ([1, 0], [0.75, 0.5])
    """
    parts = [np.empty(0)]
    for z in _logits(acts, head):
        wide = np.asarray(z, np.float64)
        parts.append(1 / np.exp(wide - wide.max(axis=1, keepdims=True)).sum(axis=1))
    return Predictions(predicted_classes(acts, head), np.concatenate(parts))


def accuracy(acts: Activations, head: ClassifierHead | None = None) -> float | None:
    """Share of the labelled images that the classifier gets right, 0-1; None without labels.

    Raises
    ------
    DataError
        When there are labels, but neither logits nor a head.

    Examples
    --------
    >>> import numpy as np
    >>> accuracy(Activations.from_arrays(np.eye(3), logits=np.eye(3), labels=[0, 2, -1]))
    0.5
    """
    if acts.labels is None:
        return None
    known = acts.labels >= 0
    if not known.any():
        return None
    return float((predicted_classes(acts, head) == acts.labels)[known].mean())


def _logits(acts: Activations, head: ClassifierHead | None) -> Iterator[np.ndarray]:
    """Logits of the images in order, (at most `ROWS`, c) at a time."""
    for piece in acts.chunks(ROWS):
        if piece.logits is not None:
            yield piece.logits
        elif head is not None:
            yield head.logits(piece.features)
        else:
            raise DataError(
                f"predictions need logits, and the activations of {acts.name!r} have none: give "
                "logits to Activations.from_arrays, or the classifier's head."
            )

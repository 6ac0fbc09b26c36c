"""Which preprocessing is right, by accuracy on ID test images."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ood_core.data import BrokenImageError, Transform, open_dataset
from ood_core.errors import DataError, ModelError
from ood_core.experiments import Preprocessing
from ood_core.wizard.draft import Draft, new_experiment
from ood_core.wizard.partial_drafts import load_classifier
from ood_core.wizard.proposals import Proposal, preprocessings

if TYPE_CHECKING:
    from PIL import Image

    from ood_core.data import ImageSet
    from ood_core.experiments import Experiment

__all__ = ["Measured", "measure"]


@dataclass(frozen=True)
class Measured:
    """How many of `images` labelled ID test images are classified right with a proposal."""

    proposal: Proposal
    right: int
    images: int

    @property
    def accuracy(self) -> float:
        """Share classified right, 0-1."""
        return self.right / self.images


def measure(
    draft: Draft, proposals: Sequence[Proposal] | None = None, images: int = 100
) -> tuple[Measured, ...]:
    """Accuracy on ID test images with each proposal, best first: a wrong one costs points.

    Parameters
    ----------
    draft : complete but for the preprocessing and the name.
    proposals : what to compare; `preprocessings(draft)` for None.
    images : at most so many images, the same ones for each proposal.

    Raises
    ------
    ConfigError, ModelError
        When the classifier cannot be used, or has no classes.
    DataError
        When the ID test set has no labels or no readable images.
    """
    if draft.headless:
        raise ModelError(
            "the network has no classes, so accuracy cannot tell which preprocessing is right. "
            "Take the one used in training."
        )
    proposals = preprocessings(draft) if proposals is None else proposals
    first = dataclasses.replace(draft, name="draft", preprocessing=proposals[0].preprocessing)
    exp = new_experiment(first)
    pictures, labels = _labelled(exp, images)
    module = load_classifier(first).module
    found = [
        Measured(p, _right(module, p.preprocessing, pictures, labels), len(labels))
        for p in proposals
    ]
    return tuple(sorted(found, key=lambda m: -m.right))


def _labelled(exp: Experiment, count: int) -> tuple[list[Image.Image], list[int]]:
    test = _limited(exp, exp.test_set, count)
    labels = test.labels
    if labels is None or not (labels >= 0).any():
        raise DataError(
            "the ID test set has no labels, so accuracy cannot tell which preprocessing is right. "
            "Use class folders or a list with labels, or take the one used in training."
        )
    pictures, kept = [], []
    for index in (i for i, label in enumerate(labels) if label >= 0):
        try:
            pictures.append(test.load(index))
        except BrokenImageError:
            continue  # counted and named when the experiment is prepared
        kept.append(int(labels[index]))
    if not kept:
        raise DataError("none of the ID test images can be read.")
    return pictures, kept


def _limited(exp: Experiment, name: str, count: int) -> ImageSet:
    """A set of the experiment, at most `count` images of it."""
    spec = exp.sets[name]
    limit = min(count, spec.options.get("limit", count))
    return open_dataset(dataclasses.replace(spec, options={**spec.options, "limit": limit}))


def _right(
    module: Any,
    preprocessing: Preprocessing,
    pictures: Sequence[Image.Image],
    labels: Sequence[int],
) -> int:
    import torch

    transform, right = Transform(preprocessing), 0
    for start in range(0, len(pictures), 50):
        batch = np.stack([transform(p) for p in pictures[start : start + 50]])
        with torch.inference_mode():
            guess = module(torch.from_numpy(batch)).argmax(1).tolist()
        right += sum(g == y for g, y in zip(guess, labels[start : start + 50], strict=True))
    return right

"""What OOD Lens can find out by itself: architecture, number of classes, preprocessing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ood_core.data import BrokenImageError, Transform, open_dataset
from ood_core.errors import DataError, OODLensError
from ood_core.experiments import ClassifierSpec, Preprocessing
from ood_core.experiments.listing import class_folders
from ood_core.experiments.network_formats import NETWORK_FORMATS, network_format
from ood_core.experiments.sources import resolve
from ood_core.models.architectures import architectures, collection
from ood_core.models.network_files import network_preprocessing
from ood_core.models.published_weights import published_weights
from ood_core.runtime.paths import find_data
from ood_core.wizard.checkpoint_files import checkpoints_at
from ood_core.wizard.draft import Draft, new_experiment
from ood_core.wizard.facts import checkpoint_facts, one_checkpoint
from ood_core.wizard.partial_drafts import load_classifier

if TYPE_CHECKING:
    from PIL import Image

    from ood_core.data import ImageSet
    from ood_core.experiments import Experiment
    from ood_core.runtime.progress import ProgressCallback, StopCheck

__all__ = [
    "Measured",
    "Proposal",
    "architecture_names",
    "complete",
    "measure",
    "preprocessings",
    "weight_names",
]

CIFAR10 = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
CIFAR100 = (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_STATISTICS = {
    "CIFAR-10 mean and std": CIFAR10,
    "CIFAR-100 mean and std": CIFAR100,
    "ImageNet mean and std": IMAGENET,
    "mean and std 0.5": ((0.5,) * 3, (0.5,) * 3),
    "only scaled to 0-1": ((0.0,) * 3, (1.0,) * 3),
}
_DIGITS = Preprocessing(16, 16, (0.0,), (1.0,), mode="L")


@dataclass(frozen=True)
class Proposal:
    """A preprocessing that may be the right one, and why."""

    label: str
    preprocessing: Preprocessing


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


def architecture_names(family: str) -> tuple[str, ...]:
    """Names of a family, "built in", "torchvision" or "timm", as experiment files spell them.

    Raises
    ------
    ModelError
        When timm is not installed.
    """
    if family == "built in":
        return tuple(name for name in architectures() if name != "digits_cnn")
    module = collection(f"{family}:")
    return tuple(f"{family}:{name}" for name in module.names()) if module else ()


def weight_names(architecture: str) -> tuple[str, ...]:
    """Names of an architecture's published weights; none for a built-in one.

    Raises
    ------
    ModelError
        When there is no such architecture.
    """
    module = collection(architecture)
    if module is None:
        return ()
    return tuple(module.weight_names(architecture.removeprefix(module.PREFIX)))


def preprocessings(draft: Draft) -> tuple[Proposal, ...]:
    """Preprocessings worth trying, the likeliest first.

    Published weights come with their own; a checkpoint of a torchvision or timm architecture
    was probably trained with those of its published weights. For built-in architectures the
    statistics of the data set are a guess that `measure` can settle.
    """
    if draft.architecture == "digits_cnn":
        return (Proposal("16 x 16 grey, only scaled to 0-1", _DIGITS),)
    own = _published(draft)
    if own is not None and (draft.weights or draft.architecture in NETWORK_FORMATS):
        return (Proposal("the weights' own transforms", own),)
    resize, crop = (own.resize, own.center_crop) if own is not None else (32, 32)
    guesses = [Proposal("the architecture's published transforms", own)] if own is not None else []
    for label, (mean, std) in _STATISTICS.items():
        guess = Preprocessing(resize, crop, mean, std)
        if own is not None:
            guess = dataclasses.replace(guess, interpolation=own.interpolation)
        if guess != own:
            guesses.append(Proposal(f"{crop} x {crop}, {label}", guess))
    if draft.num_classes == 100 and own is None:
        guesses.insert(0, guesses.pop(1))
    return tuple(guesses)


def _published(draft: Draft) -> Preprocessing | None:
    try:
        if draft.architecture in NETWORK_FORMATS:
            spec = ClassifierSpec(draft.architecture, checkpoint=_place(draft))
            return network_preprocessing(spec)
        found = published_weights(draft.architecture, draft.weights or None)
    except OODLensError:
        return None  # the name is reported where the classifier is checked
    return found.preprocessing if found is not None else None


def complete(
    draft: Draft,
    progress: ProgressCallback | None = None,
    should_stop: StopCheck | None = None,
) -> Draft:
    """The draft with what can be found out filled in: nothing that was chosen is changed.

    The architecture is filled in where the checkpoint fits one completely, the number of classes
    from the checkpoint, the weights or the fit set's class folders, the preprocessing with the
    first proposal where the weights bring none of their own.

    Raises
    ------
    ModelError
        When the checkpoint cannot be read.
    """
    if checkpoints_at(draft.checkpoint):
        draft = dataclasses.replace(draft, checkpoint=str(one_checkpoint(draft.checkpoint)))
    whole = network_format(_place(draft)) if draft.checkpoint else None
    if whole:
        draft = dataclasses.replace(draft, architecture=draft.architecture or whole)
    elif draft.checkpoint and not (draft.architecture and draft.num_classes):
        facts = checkpoint_facts(
            draft.checkpoint, draft.architecture, draft.part, progress, should_stop
        )
        draft = dataclasses.replace(
            draft,
            architecture=draft.architecture or facts.architecture,
            num_classes=draft.num_classes or facts.classes,
        )
    if draft.random_weights is not None and not (draft.num_classes or draft.class_names):
        draft = dataclasses.replace(draft, num_classes=_class_folders(draft))
    if draft.preprocessing is None and draft.architecture and _published(draft) is None:
        draft = dataclasses.replace(draft, preprocessing=preprocessings(draft)[0].preprocessing)
    return draft


def _place(draft: Draft) -> Path:
    return resolve(draft.checkpoint, Path.cwd())[0] or Path(draft.checkpoint)


def _class_folders(draft: Draft) -> int | None:
    found = find_data(draft.fit.source) if draft.fit.source else None
    count = len(class_folders(found)) if found is not None and found.is_dir() else 0
    return count if count >= 2 else None


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
        When the classifier cannot be used.
    DataError
        When the ID test set has no labels or no readable images.
    """
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
    test = limited(exp, exp.test_set, count)
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


def limited(exp: Experiment, name: str, count: int) -> ImageSet:
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

"""What OOD Lens can find out by itself: architecture, number of classes, preprocessing."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ood_core.errors import OODLensError
from ood_core.experiments import ClassifierSpec, Preprocessing
from ood_core.experiments.listing import class_folders
from ood_core.experiments.network_formats import NETWORK_FORMATS
from ood_core.experiments.own_code import is_own_code
from ood_core.experiments.sources import resolve
from ood_core.models.architectures import architectures, collection
from ood_core.models.network_files import network_preprocessing
from ood_core.models.published_weights import published_weights
from ood_core.runtime.paths import find_data
from ood_core.wizard.checkpoint_files import checkpoints_at
from ood_core.wizard.draft import Draft
from ood_core.wizard.facts import checkpoint_facts, one_checkpoint, whole_network

if TYPE_CHECKING:
    from ood_core.runtime.progress import ProgressCallback, StopCheck

__all__ = [
    "Proposal",
    "architecture_names",
    "complete",
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
    if own is not None and draft.architecture in NETWORK_FORMATS:
        return (Proposal("what the file itself states", own),)
    if own is not None and draft.weights:
        return (Proposal("the weights' own transforms", own),)
    resize, crop = (own.resize, own.center_crop) if own is not None else (32, 32)
    guesses = [Proposal("the architecture's published transforms", own)] if own is not None else []
    for label, (mean, std) in _STATISTICS.items():
        tried = Preprocessing(resize, crop, mean, std)
        if own is not None:
            tried = dataclasses.replace(tried, interpolation=own.interpolation)
        if tried != own:
            guesses.append(Proposal(f"{crop} x {crop}, {label}", tried))
    if draft.num_classes == 100 and own is None:
        guesses.insert(0, guesses.pop(1))
    grey = draft.checkpoint and draft.preprocessing and draft.preprocessing.mode == "L"
    found: dict[Preprocessing, Proposal] = {}
    for guess in guesses:
        changed = for_images(guess.preprocessing, 1 if grey else None)
        found.setdefault(changed, Proposal(guess.label, changed))
    return tuple(found.values())


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
    if draft.kind == "features":
        return draft
    whole = whole_network(draft.checkpoint)
    if whole is None and checkpoints_at(draft.checkpoint):
        draft = dataclasses.replace(draft, checkpoint=str(one_checkpoint(draft.checkpoint)))
        whole = whole_network(draft.checkpoint)
    if whole is not None and draft.architecture in ("", whole[1]):
        return _of_whole_network(draft, *whole)
    if draft.kind == "hub" and os.path.isfile(_place(draft)):  # a checkpoint after all
        draft = dataclasses.replace(draft, kind="network")
    channels = None
    if whole is None:  # else it holds no weights of the architecture given: a line says so
        draft, channels = _of_checkpoint(draft, progress, should_stop)
    told = draft.num_classes is not None or draft.class_names
    if draft.random_weights is not None and not told:
        draft = dataclasses.replace(draft, num_classes=_class_folders(draft))
    if (
        draft.preprocessing is None
        and draft.architecture
        and (_published(draft) is None or channels is not None)
    ):
        first = preprocessings(draft)[0].preprocessing
        draft = dataclasses.replace(draft, preprocessing=for_images(first, channels))
    if draft.num_classes == 0 and draft.kind == "network":
        draft = dataclasses.replace(draft, kind="encoder")
    return draft


def _of_checkpoint(
    draft: Draft, progress: ProgressCallback | None, should_stop: StopCheck | None
) -> tuple[Draft, int | None]:
    """The draft with what its checkpoint says, and the channels of images where it says those."""
    if not draft.checkpoint or is_own_code(draft.architecture):
        return draft, None
    if draft.architecture and draft.num_classes is not None:
        return draft, _channels(draft) if draft.preprocessing is None else None
    facts = checkpoint_facts(
        draft.checkpoint, draft.architecture, draft.part, progress, should_stop
    )
    renamed = facts.renamed if draft.keys else None
    name, classes = facts.architecture, facts.classes
    if renamed is not None:
        name, classes = renamed.architecture, renamed.classes
    found = dataclasses.replace(
        draft,
        architecture=draft.architecture or name,
        num_classes=classes if draft.num_classes is None else draft.num_classes,
    )
    return found, facts.channels


def _of_whole_network(draft: Draft, path: Path, architecture: str) -> Draft:
    """The draft of a file or folder that says itself which network it is."""
    folder = architecture == "huggingface"
    kind = draft.kind
    if kind in ("network", "hub"):
        kind = "hub" if folder else "network"
    found = dataclasses.replace(draft, checkpoint=str(path), architecture=architecture, kind=kind)
    if found.preprocessing is not None or _published(found) is not None:
        return found
    return dataclasses.replace(found, preprocessing=preprocessings(found)[0].preprocessing)


def for_images(p: Preprocessing, channels: int | None) -> Preprocessing:
    """The preprocessing for grey images, 1 channel, or colour ones, 3; as it is for None.

    Mean and std of grey images are the averages over the channels.

    >>> for_images(Preprocessing(32, 32, (0.25, 0.5, 0.75), (0.5, 0.5, 0.5)), 1).mean
    (0.5,)
    """
    if channels is None or len(p.mean) == channels:
        return p
    mean, std = ((sum(v) / len(v),) * channels for v in (p.mean, p.std))
    return dataclasses.replace(p, mean=mean, std=std, mode="L" if channels == 1 else "RGB")


def _channels(draft: Draft) -> int | None:
    try:
        return checkpoint_facts(draft.checkpoint, draft.architecture, draft.part).channels
    except OODLensError:
        return None  # it is reported where the classifier is checked


def _place(draft: Draft) -> Path:
    return resolve(draft.checkpoint, Path.cwd())[0] or Path(draft.checkpoint)


def _class_folders(draft: Draft) -> int | None:
    found = find_data(draft.fit.source) if draft.fit.source else None
    count = len(class_folders(found)) if found is not None and found.is_dir() else 0
    return count if count >= 2 else None

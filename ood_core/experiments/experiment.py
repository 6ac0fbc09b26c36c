"""What an experiment is: classifier, preprocessing, fit set, ID test set and OOD sets."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

__all__ = ["FEATURES", "IN_ORDER", "ClassifierSpec", "DataSpec", "Experiment", "Preprocessing"]

FEATURES = "features"
"""Architecture of an experiment whose features come from elsewhere: there is no network."""

IN_ORDER = "in order"
"""The one value of `keys` in [classifier]."""


@dataclass(frozen=True)
class ClassifierSpec:
    """Which network, and where its weights come from.

    `architecture` is a built-in name, "torchvision:NAME" or "timm:NAME", or one of
    NETWORK_FORMATS where `checkpoint` holds the whole network. Exactly one of `checkpoint` (a file,
    or a folder from a model hub), `weights` (a name the architecture knows) or `random_weights` (a
    seed) is set. `part` says which set of weights of a checkpoint that holds several. Two names of
    weights are for `digits_cnn` alone: "shipped" are those that come with OOD Lens,
    "trained-here" are trained on the fit set at first use. `obtain` says where a checkpoint that
    is not on disk is to be had. `num_classes` = 0 is a network without a head: what it returns are
    features. `features` names the tensor of a network file that holds the penultimate features.
    Code of one's own is "my_pkg.my_net:MyNet" or "nets/my_net.py:MyNet": it is called with
    `arguments`, and `trust` says that it may be run.
    `keys` = "in order" goes by the order and shapes of a checkpoint's tensors, not their names.
    `head` is a file with the `weight` and `bias` of a last linear layer, for such a network or for
    features from elsewhere (`architecture` FEATURES), where none of the others is set. `text` is
    one with embeddings of the classes' texts, whose cosines to the network's features, divided by
    `temperature`, are the logits.
    """

    architecture: str
    checkpoint: Path | None = None
    part: str | None = None
    weights: str | None = None
    random_weights: int | None = None
    num_classes: int | None = None
    class_names: tuple[str, ...] | None = None
    expected_accuracy: float | None = None
    obtain: str | None = None
    features: str | None = None
    keys: str | None = None
    head: Path | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    trust: str | None = None
    text: Path | None = None
    temperature: float | None = None

    @property
    def features_only(self) -> bool:
        """Whether there is no network: features come from elsewhere."""
        return self.architecture == FEATURES

    @property
    def encoder(self) -> bool:
        """Whether the network itself has no head, or is taken without it."""
        return self.num_classes == 0

    @property
    def headless(self) -> bool:
        """Whether there is no head at all: none of the network's own, and none beside it."""
        return self.encoder and self.head is None and self.text is None


@dataclass(frozen=True)
class Preprocessing:
    """Deterministic test-time transform, applied in this order: resize (the shorter side to one
    number, both sides to (height, width)), centre crop, to [0, 1], normalise per channel. `mean`
    and `std` have one value per channel."""

    resize: int | tuple[int, int] | None = None
    center_crop: int | None = None
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    interpolation: str = "bilinear"
    mode: str = "RGB"


@dataclass(frozen=True)
class DataSpec:
    """One named image set. `kind` is folder, image_list, manifest, torchvision, zip or builtin,
    or features, whose rows take the place of images.

    `options` holds what the kind takes (`root`, `split`, `limit`, `per_class`, `label_map`, …).
    """

    name: str
    kind: str
    source: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """A classifier with its preprocessing, fit set, ID test set and OOD sets.

    `fit_set` and `test_set` are names in `sets`; `ood_sets` are the others, near to far.
    `near` names the OOD sets counted as near in the benchmark's means. A one-class experiment
    takes some classes of its ID sets as ID (their option `classes`) and the others of the test set
    as an OOD set (its option `other_than`).
    """

    name: str
    title: str
    classifier: ClassifierSpec
    preprocessing: Preprocessing | None
    sets: Mapping[str, DataSpec]
    ood_sets: tuple[str, ...]
    fit_set: str = "fit"
    test_set: str = "test"
    near: tuple[str, ...] = ()
    description: str = ""
    detectors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    path: Path | None = None

    def __post_init__(self) -> None:
        """Have the classes of the test set numbered as the fit set's are."""
        fit, test = self.sets.get(self.fit_set), self.sets.get(self.test_set)
        if fit is None or test is None or fit is test:
            return
        if not (test.options.get("class_names") or self.classifier.class_names):
            followers = {
                name: replace(spec, options={**spec.options, "numbered_by": fit})
                for name, spec in self.sets.items()
                if name == self.test_set or "other_than" in spec.options
            }
            object.__setattr__(self, "sets", {**self.sets, **followers})

    @property
    def id_classes(self) -> tuple[str, ...]:
        """Classes of the ID sets that alone count as ID; () where all do."""
        fit = self.sets.get(self.fit_set)
        return () if fit is None else tuple(fit.options.get("classes", ()))

    def with_ood_sets(self, names: Collection[str]) -> Experiment:
        """The same experiment with only these of its OOD sets."""
        dropped = set(self.ood_sets) - set(names)
        return replace(
            self,
            sets={name: spec for name, spec in self.sets.items() if name not in dropped},
            ood_sets=tuple(name for name in self.ood_sets if name in names),
            near=tuple(name for name in self.near if name in names),
        )

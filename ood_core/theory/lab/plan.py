"""What the lab trains: five labelling schemes, widths of the last hidden layer, single classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

__all__ = [
    "DEPTH",
    "EPOCHS",
    "RECIPE",
    "SCHEMES",
    "SEEDS",
    "SNAPSHOTS",
    "WIDTHS",
    "Run",
    "Scheme",
    "full_plan",
]

RECIPE = 2
"""Raised when a run would give other numbers, for a reason that the constants here do not say."""
EPOCHS = 40
SNAPSHOTS = (0, 1, 2, 3, 5, 8, 12, 18, 27, 40)
"""Epochs after which a run is looked at; 0 is the untrained network."""
SEEDS = (0, 1, 2, 3, 4)
DEPTH = 4
"""Number of hidden layers."""
HIDDEN = 128
"""Units of a hidden layer."""
WIDTHS = (8, 16, 32, 64, 128, 256, 512)
"""Widths d_L of the last hidden layer that are compared."""
ONE_CLASS_SEEDS = (0, 1)


@dataclass(frozen=True)
class Scheme:
    """A way to label the training images.

    `words` says in one sentence what the network must learn. `augmented` schemes train on images
    that are shifted, turned and scaled a little, anew each time.
    """

    name: str
    title: str
    words: str
    augmented: bool = False


SCHEMES = {
    s.name: s
    for s in (
        Scheme("supervised", "Supervised", "The true digit, 0 to 7."),
        Scheme(
            "instance",
            "Instance",
            "Every image is a class of its own: no human label is used, and images of one digit "
            "must be told apart too.",
        ),
        Scheme(
            "instance_augmented",
            "Instance, augmented",
            "Every image is a class of its own, seen shifted, turned and scaled a little: no "
            "human label is used.",
            augmented=True,
        ),
        Scheme(
            "random_binary",
            "Random binary",
            "A coin is tossed for each image: the label says nothing about what it shows.",
        ),
        Scheme("one_label", "One label", "All images have the same label: nothing to tell apart."),
    )
}


@dataclass(frozen=True)
class Run:
    """One network to train.

    Parameters
    ----------
    scheme : name in SCHEMES.
    seed : seed of weights, batch order, augmentation and random labels.
    width : number of units of the last hidden layer.
    only_class : train on the images of this digit alone; None for all.
    """

    scheme: str
    seed: int = 0
    width: int = HIDDEN
    only_class: int | None = None

    @property
    def name(self) -> str:
        """Unique name, also the file's."""
        part = "" if self.only_class is None else f"-class{self.only_class}"
        return f"{self.scheme}-d{self.width}{part}-s{self.seed}"

    @property
    def compares_schemes(self) -> bool:
        """Whether this is a run of the main comparison, looked at through training."""
        return self.width == HIDDEN and self.only_class is None

    @property
    def snapshots(self) -> tuple[int, ...]:
        """Epochs after which the network is looked at; others are looked at when trained."""
        return SNAPSHOTS if self.compares_schemes else (EPOCHS,)

    @property
    def augmented(self) -> bool:
        """Whether training images are varied."""
        return SCHEMES[self.scheme].augmented

    def labels(self, true: np.ndarray) -> tuple[np.ndarray, int]:
        """Training labels (n,) int64 and the number of the network's outputs.

        One label and random binary labels have two outputs: with one, the loss would be constant.
        """
        n = len(true)
        if self.scheme == "supervised":
            return np.asarray(true, np.int64), int(np.max(true)) + 1
        if self.scheme.startswith("instance"):
            return np.arange(n, dtype=np.int64), n
        if self.scheme == "random_binary":
            coin = np.random.default_rng(self.seed).integers(0, 2, n)
            return coin.astype(np.int64), 2
        return np.zeros(n, np.int64), 2

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def full_plan() -> tuple[Run, ...]:
    """Every run of the lab, the most telling first."""
    return tuple(_plan())


def _plan() -> Iterator[Run]:
    yield from (Run(scheme, seed) for seed in SEEDS for scheme in SCHEMES)
    yield from (
        Run("supervised", seed, width) for seed in SEEDS for width in WIDTHS if width != HIDDEN
    )
    yield from (
        Run("instance_augmented", seed, only_class=c) for seed in ONE_CLASS_SEEDS for c in range(8)
    )

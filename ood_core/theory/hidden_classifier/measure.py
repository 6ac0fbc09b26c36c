"""Measure the hidden classifier of a layer: any tail by autograd, the last layer in closed form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ood_core.data.class_numbers import class_numbers
from ood_core.errors import ConfigError, DataError
from ood_core.models import ClassifierHead
from ood_core.theory.hidden_classifier.columns import (
    head_quantities,
    stream_columns,
    tail_quantities,
    wanted_classes,
)
from ood_core.theory.hidden_classifier.result import HiddenClassifier, activation_entropy

if TYPE_CHECKING:
    import torch

    from ood_core.theory.hidden_classifier.coefficients import Tail, TailRun

__all__ = ["measure_head", "measure_tail"]

_CHUNK = 2048


def measure_tail(
    tail: Tail,
    batches: Iterable[tuple[torch.Tensor, np.ndarray | None]],
    *,
    layer: str = "layer",
    classes: Sequence[int] | None = None,
    top: int | None = None,
    on_batch: Callable[[int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> HiddenClassifier:
    """Hidden classifier of a layer, one backward pass per class and batch.

    Memory: one batch's graph and three times its activations; C(x) is never held, only one row
    per image at a time.

    Parameters
    ----------
    tail : the network from the layer's output to the logits, in eval mode.
    batches : the layer's outputs (n, ...) and the class numbers (n,), −1 or None where unknown.
    layer : name for the report.
    classes : take `ψ̄` over these classes only. Accuracy then counts other classes as wrong.
    top : take `ψ̄` over each image's `top` largest logits only. Not with `classes`.
    on_batch : called with the number of images finished.
    should_stop : asked between backward passes.

    Raises
    ------
    ModelError
        When the tail is not in eval mode or returns no logits.
    ConfigError
        When a class does not exist, or both `classes` and `top` are given.
    DataError
        When there is no image, or labels are no class numbers.
    StoppedError
        When `should_stop` said so.

    References
    ----------
    Park et al., ICCV 2023, arXiv 2310.05316: Prop. 1, Eq. 2, 3, 5 and 7.
    """
    from ood_core.theory.hidden_classifier.coefficients import TailRun

    if classes is not None and top is not None:
        raise ConfigError("give `classes` or `top`, not both.")
    parts, done = _Parts(layer), 0
    for outputs, labels in batches:
        run = TailRun.start(tail, outputs, check=done == 0)
        labels = _checked(labels, len(outputs), run.logits.shape[1])
        wanted, own = wanted_classes(run.logits.detach(), labels, classes, top)
        columns = stream_columns(run, wanted, own, should_stop)
        parts.add(tail_quantities(run, columns, wanted, own, labels), run)
        done += len(outputs)
        if on_batch:
            on_batch(done)
    return parts.result()


def measure_head(
    features: np.ndarray,
    head: ClassifierHead,
    labels: np.ndarray | None = None,
    *,
    layer: str = "penultimate",
) -> HiddenClassifier:
    """Hidden classifier of the penultimate features: C = W and B = sign(W), no autograd.

    Parameters
    ----------
    features : (n, d) penultimate features.
    head : the classifier's head.
    labels : (n,) class numbers, −1 or None where unknown.

    Raises
    ------
    DataError
        When there is no image, the head takes another number of features, or labels are no
        class numbers.
    """
    if features.ndim != 2 or features.shape[1] != head.n_features:
        raise DataError(
            f"head takes {head.n_features} features, got an array of shape {features.shape}."
        )
    labels = _checked(labels, len(features), head.n_classes)
    parts = _Parts(layer)
    for start in range(0, len(features), _CHUNK):
        rows = slice(start, start + _CHUNK)
        parts.add(head_quantities(features[rows], head, None if labels is None else labels[rows]))
    return parts.result()


def _checked(labels: np.ndarray | None, n: int, n_classes: int) -> np.ndarray | None:
    return None if labels is None else class_numbers(labels, n=n, n_classes=n_classes)


class _Parts:
    """Results of the batches, joined at the end."""

    def __init__(self, layer: str) -> None:
        self.layer = layer
        self.parts: list[dict[str, np.ndarray]] = []
        self.used: dict[str, str] = {}
        self.uncovered: set[str] = set()

    def add(self, part: dict[str, np.ndarray], run: TailRun | None = None) -> None:
        self.parts.append(part)
        if run is not None:
            self.used.update(run.used)
            self.uncovered |= run.uncovered

    def result(self) -> HiddenClassifier:
        if not sum(len(p["norm"]) for p in self.parts):
            raise DataError("the hidden classifier needs images; there were none.")
        active = np.sum([p.pop("active") for p in self.parts], axis=0)
        n_classes, used = [p.pop("k") for p in self.parts][-1]
        arrays = {name: np.concatenate([p[name] for p in self.parts]) for name in self.parts[0]}
        return HiddenClassifier(
            layer=self.layer,
            **arrays,
            n_units=len(active),
            n_classes=int(n_classes),
            classes_used=int(used),
            activation_entropy=activation_entropy(active / len(arrays["norm"])),
            rules=dict(self.used),
            uncovered=tuple(sorted(self.uncovered)),
        )

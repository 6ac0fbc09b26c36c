"""Importance of neurons for classes: first-order Taylor contributions, at any layer.

The contribution of neuron i to class y is `a_i ∂z_y/∂a_i`, averaged over the images of the class:
what LINe ranks neurons by. It approximates the Shapley value with baseline 0, and equals it where
the logits are linear in `a`, which they are in the penultimate features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from ood_core.activations import PENULTIMATE, Activations
from ood_core.errors import ConfigError, DataError, did_you_mean
from ood_core.models import ClassifierHead

if TYPE_CHECKING:
    import torch

    from ood_core.activations import ActivationSet

__all__ = [
    "CONTRIB_KINDS",
    "class_means",
    "contributions",
    "layer_contributions",
    "tail_contributions",
]

CONTRIB_KINDS = ("signed", "abs")
_CHUNK = 8192
_BATCH = 32


def contributions(acts: Activations, head: ClassifierHead, contrib: str = "signed") -> np.ndarray:
    """Class x neuron contributions of the penultimate features, in closed form.

        contrib[c] = W[c] ⊙ mean(h | y = c)          "signed": the published LINe code
        contrib[c] = |W[c]| ⊙ mean(|h| | y = c)      "abs": E|h_j W_cj|, the paper's reading

    The head is linear, so `∂z_c/∂h = W[c]` and no backward pass is needed.

    Parameters
    ----------
    acts : activations of the fit set, with labels; rows labelled -1 are left out.
    head : the classifier's head, weight of shape (c, d).
    contrib : "signed" or "abs".

    Returns
    -------
    array of shape (c, d), float64. Column j is neuron j of the penultimate layer.

    Raises
    ------
    ConfigError
        For an unknown `contrib`.
    DataError
        When labels are missing, a class has no image, or the shapes do not fit.

    References
    ----------
    Ahn et al., "LINe: Out-of-Distribution Detection by Leveraging Important Neurons", CVPR 2023,
    arXiv 2303.13995. Its code uses the true label and the unclipped feature, as here.
    """
    _check_kind(contrib)
    if acts.features.shape[1] != head.n_features:
        raise DataError(
            f"head takes {head.n_features} features, the activations have "
            f"{acts.features.shape[1]}: they come from different networks."
        )
    if acts.labels is None:
        raise DataError("contributions need the true class of each fit image; labels are missing.")
    if contrib == "abs":
        return np.abs(head.weight) * class_means(
            acts.features, acts.labels, head.n_classes, absolute=True, class_names=head.names
        )
    means = class_means(acts.features, acts.labels, head.n_classes, class_names=head.names)
    return head.weight * means


def tail_contributions(
    tail: Callable[[torch.Tensor], torch.Tensor],
    batches: Iterable[tuple[torch.Tensor, np.ndarray | None]],
    n_classes: int,
    contrib: str = "signed",
    *,
    channel_axis: int = 0,
) -> np.ndarray:
    """Class x neuron contributions at any layer: one batched backward pass a batch.

        contrib[c]_j = mean over images of class c of  Σ_positions a_j ∂z_c/∂a_j

    A neuron of a convolutional layer is a channel: its positions are added up, so the channels
    before global average pooling get what the pooled features get. "abs" averages the absolute
    value of that sum.

    Parameters
    ----------
    tail : the network from the layer's output (n, d) or (n, d, h, w) to the logits (n, c).
        In eval mode: images of one batch must not influence each other.
    batches : pairs of the layer's outputs for some fit images, and their class numbers.
    n_classes : c.
    contrib : "signed" or "abs".
    channel_axis : axis of the channels in one image's output: 0 for (d, h, w), -1 for tokens and
        channels-last maps.

    Returns
    -------
    array of shape (c, d), float64.

    Raises
    ------
    ConfigError
        For an unknown `contrib`.
    DataError
        When a class has no image, there are no images at all, or classes are unknown.
    """
    _check_kind(contrib)
    sums: _ClassSums | None = None
    for outputs, labels in batches:
        if labels is None:
            raise DataError("contributions need the true class of each fit image; there is none.")
        per_image = _taylor(tail, outputs, np.asarray(labels), channel_axis)
        if sums is None:
            sums = _ClassSums(n_classes, per_image.shape[1])
        sums.add(np.abs(per_image) if contrib == "abs" else per_image, np.asarray(labels))
    if sums is None:
        raise DataError("contributions need fit images; there were none.")
    return sums.means()


def layer_contributions(
    acts: ActivationSet, layer: str, contrib: str = "signed", *, device: str = "auto"
) -> np.ndarray:
    """Class x neuron contributions of a layer of an experiment's network, over its fit set.

    The closed form at the penultimate layer; a forward and a backward pass of every fit image at
    any other. Parameters, result and errors as for `contributions` and `tail_contributions`.
    """
    from ood_core.activations.layer_outputs import layer_outputs
    from ood_core.activations.resident import resident_model
    from ood_core.models import tail

    name = acts.experiment.fit_set
    if layer == PENULTIMATE:
        return contributions(acts[name], acts.head, contrib)
    _check_kind(contrib)
    loaded = resident_model(acts.experiment)
    rows = np.arange(len(acts[name]))
    batches = layer_outputs(acts, loaded, layer, name, rows, batch_size=_BATCH, device=device)
    axis = loaded.layer(layer).channel_axis
    classes = acts.head.n_classes
    return tail_contributions(tail(loaded, layer), batches, classes, contrib, channel_axis=axis)


def class_means(
    features: np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    *,
    absolute: bool = False,
    class_names: tuple[str, ...] | None = None,
) -> np.ndarray:
    """Mean feature of each class, shape (c, d), float64; rows labelled -1 are left out.

    Raises
    ------
    DataError
        When a class has no image (they are listed) or a label is not a class number.
    """
    sums = _ClassSums(n_classes, features.shape[1])
    for start in range(0, len(features), _CHUNK):
        rows = slice(start, start + _CHUNK)
        chunk = np.asarray(features[rows], np.float64)
        sums.add(np.abs(chunk) if absolute else chunk, np.asarray(labels[rows]))
    return sums.means(class_names)


class _ClassSums:
    """Sums and counts per class, filled chunk by chunk."""

    def __init__(self, n_classes: int, n_features: int) -> None:
        self.sums = np.zeros((n_classes, n_features))
        self.counts = np.zeros(n_classes, dtype=np.int64)

    def add(self, rows: np.ndarray, labels: np.ndarray) -> None:
        if len(labels) and (labels.max() >= len(self.counts) or labels.min() < -1):
            raise DataError(
                f"labels must be class numbers 0 to {len(self.counts) - 1} (or -1 for unknown), "
                f"found {labels.min()} to {labels.max()}."
            )
        order = np.argsort(labels, kind="stable")
        order = order[labels[order] >= 0]
        if not len(order):
            return
        present, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
        self.sums[present] += np.add.reduceat(rows[order], starts, axis=0)
        self.counts[present] += counts

    def means(self, class_names: tuple[str, ...] | None = None) -> np.ndarray:
        empty = np.flatnonzero(self.counts == 0)
        if len(empty):
            names = [class_names[c] if class_names else str(c) for c in empty[:10]]
            more = f" and {len(empty) - 10} more" if len(empty) > 10 else ""
            raise DataError(
                f"{len(empty)} of {len(self.counts)} classes have no fit image: "
                f"{', '.join(names)}{more}. Add images of them to the fit set."
            )
        return self.sums / self.counts[:, None]


def _taylor(
    tail: Callable[[torch.Tensor], torch.Tensor],
    outputs: torch.Tensor,
    labels: np.ndarray,
    channel_axis: int,
) -> np.ndarray:
    """Return `Σ_positions a ⊙ ∂z_y/∂a` of each image, shape (n, d), float64; 0 where y is -1."""
    import torch

    known = torch.as_tensor(labels >= 0, device=outputs.device)
    with torch.enable_grad():
        a = outputs.detach().clone().requires_grad_(True)
        z = tail(a)
        y = torch.as_tensor(np.maximum(labels, 0), device=z.device, dtype=torch.int64)
        own = z.gather(1, y[:, None])[:, 0]
        (grad,) = torch.autograd.grad((own * known).sum(), a)
    product = (a.detach() * grad).double()
    product = product.movedim(channel_axis if channel_axis < 0 else 1 + channel_axis, 1)
    per_channel = product.reshape(*product.shape[:2], -1).sum(2)
    return np.asarray(per_channel.cpu().numpy())


def _check_kind(contrib: str) -> None:
    if contrib not in CONTRIB_KINDS:
        raise ConfigError(f"unknown contrib {contrib!r}. {did_you_mean(contrib, CONTRIB_KINDS)}")

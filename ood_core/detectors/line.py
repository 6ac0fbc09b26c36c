"""LINe: leveraging important neurons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._arrays import by_rows, class_means, energy_of, row_slices
from ood_core.detectors.base import Detector
from ood_core.detectors.constraints import Choice, Number
from ood_core.detectors.line_masks import LineMasks, kept_units, line_masks
from ood_core.detectors.torch_form import CHUNK, torch_module
from ood_core.errors import ConfigError
from ood_core.models.head import ClassifierHead
from ood_core.runtime.threads import one_blas_thread, share_out

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["GroupedRows", "Line", "group_rows", "line_scores"]

_BLOCK = 1 << 26
"""Values grouped at once: bounds what a lazily read array brings into memory."""


@dataclass(frozen=True, eq=False)
class GroupedRows:
    """Rows of a data set grouped by the class predicted from their clipped features.

    Independent of the masks: build it once per data set and `clip`, score it for any p_a, p_w.

    Attributes
    ----------
    features : (n, d) features as given, not copied and not clipped.
    clip : upper limit of an activation.
    order : (n,) rows sorted by predicted class.
    bounds : (c + 1,), rows order[bounds[k]:bounds[k + 1]] are predicted as class k.
    """

    features: np.ndarray
    clip: float
    order: np.ndarray
    bounds: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """Class predicted from the clipped features, in the original order, (n,)."""
        out = np.empty(len(self.order), dtype=np.int64)
        out[self.order] = np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))
        return out


def group_rows(features: np.ndarray, head: ClassifierHead, clip: float = 1.0) -> GroupedRows:
    """Clip features at `clip`, predict with the full head, and group rows by predicted class.

    Parameters
    ----------
    features : (n, d) penultimate features; not changed.
    head : the classifier's head.
    clip : upper limit of an activation.
    """
    predicted = by_rows(lambda h: head.logits(np.minimum(h, clip)).argmax(axis=1), features)
    predicted = predicted.astype(np.int32)
    order = np.argsort(predicted, kind="stable")
    bounds = np.searchsorted(predicted[order], np.arange(head.n_classes + 1))
    return GroupedRows(features, float(clip), order, bounds)


def line_scores(rows: GroupedRows, masks: LineMasks, bias: np.ndarray | None) -> np.ndarray:
    """`logsumexp((h_c ⊙ m_a)(W ⊙ m_w)ᵀ + b)` with the masks of the predicted class, (n,).

    Parameters
    ----------
    rows : from `group_rows`.
    masks : from `line_masks`.
    bias : (c,) bias of the head.
    """
    scores = np.empty(len(rows.order))
    with one_blas_thread():  # many small products: more threads cost more than they give
        _score_classes(rows, masks, bias, np.flatnonzero(np.diff(rows.bounds)), scores)
    return scores


def _score_classes(
    rows: GroupedRows,
    masks: LineMasks,
    bias: np.ndarray | None,
    classes: Sequence[int] | np.ndarray,
    scores: np.ndarray,
) -> None:
    """Write the scores of the rows predicted as one of `classes`."""
    for c in classes:
        keep = np.flatnonzero(masks.units[c])
        dense = len(keep) * 2 > masks.units.shape[1]
        # Gathering columns pays only when few are kept; otherwise removed columns get no weight.
        columns = slice(None) if dense else keep
        weight = masks.weight[:, columns]
        kept = weight * (weight > np.where(masks.units[c], masks.cutoff[c], np.inf)[columns])
        members = rows.order[rows.bounds[c] : rows.bounds[c + 1]]
        for part in row_slices(len(members)):
            at = members[part]
            h = rows.features[at][:, columns].astype(np.float64, copy=False)
            scores[at] = energy_of(np.minimum(h, rows.clip), kept, bias)


class Line(Detector):
    """LINe: clip, keep the predicted class's important units and weights, take the energy.

        h_c = min(h, clip),  c = argmax(W h_c + b)
        m_a = contrib[c] > percentile(contrib[c], p_a)
        m_w = |contrib[c]| ⊙ W > percentile(|contrib[c]| ⊙ W, p_w)
        S   = logsumexp((W ⊙ m_w)(h_c ⊙ m_a) + b)

    with `contrib[c] = W[c] ⊙ mean(h | y = c)` over the fit set, unclipped, true labels.

    Parameters
    ----------
    p_w : percent of head weights removed.
    p_a : percent of units removed.
    clip : upper limit of an activation (the published code's delta).
    contrib : "signed" as in the published code, or "abs", the paper's reading E|h_j W_cj|.

    Attributes
    ----------
    contributions_ : (c, d) class x unit contributions, float64.
    masks_ : LineMasks.

    >>> from ood_core import Activations, ClassifierHead, make_detector
    >>> h, z = [[3.0, 1.0], [1.0, 3.0]], [[2.0, -2.0], [-2.0, 2.0]]
    >>> known = Activations.from_arrays(h, z, labels=[0, 1])
    >>> head = ClassifierHead([[1.0, -1.0], [-1.0, 1.0]])
    >>> detector = make_detector("line", p_w=25.0, p_a=0.0, clip=2.5).fit(known, head)
    >>> new = Activations.from_arrays([[3.0, 0.0], [0.5, 0.5]])
    >>> detector.score_samples(new).round(3)
    array([2.579, 0.974])
    """

    name = "line"
    title = "LINe"
    summary = (
        "Energy computed from the neurons and weights that matter for the predicted class only."
    )
    equation = (
        r"S(x) = \log\sum_k \exp\left[(W \odot m_w^{\hat c})"
        r"(\min(h, \delta) \odot m_a^{\hat c}) + b\right]_k"
    )
    reference = "Ahn et al., CVPR 2023, arXiv 2303.13995"
    family = "Important neurons"
    needs: ClassVar[frozenset[str]] = frozenset({"head", "fit", "labels"})
    nonnegative = True
    constraints: ClassVar = {
        "p_w": Number("Weights removed (%)", "Share of head weights cut.", low=0, high=100),
        "p_a": Number("Neurons removed (%)", "Share of neurons cut per class.", low=0, high=100),
        "clip": Number("Clip", "Activations above are cut to this value.", low=0, open_low=True,
                       slider=(0.1, 5.0, 0.1)),
        "contrib": Choice("Contribution", "signed: published code. abs: the paper's text.",
                          options=("signed", "abs")),
    }  # fmt: skip
    sweep: ClassVar = {
        "p_a": (0, 10, 30, 50, 70, 90, 95),
        "p_w": (0, 10, 30, 50, 70, 90, 95),
        "clip": (0.5, 0.8, 1.0, 1.5, 2.0, 1e5),
    }

    contributions_: np.ndarray
    masks_: LineMasks

    def __init__(
        self,
        p_w: float = 90.0,
        p_a: float = 90.0,
        clip: float = 1.0,
        contrib: str = "signed",
    ) -> None:
        self.p_w = p_w
        self.p_a = p_a
        self.clip = clip
        self.contrib = contrib

    def masks(self, c: int) -> tuple[np.ndarray, np.ndarray]:
        """Unit mask (d,) and weight mask (c, d) that apply when class `c` is predicted."""
        self._check_fitted()
        return self.masks_.units[c], self.masks_.weight_mask(c)

    def retuned(self, **params: Any) -> Self:
        """Fitted copy with other p_w, p_a or clip, from the same contributions: no refit.

        Raises
        ------
        ConfigError
            For an unknown parameter or a value that is not allowed.
        """
        self._check_fitted()
        self.check_params(params)
        new = type(self)(**{**self.get_params(), **params})
        if new.contrib != self.contrib:
            raise ConfigError(
                f"retuned cannot change contrib from {self.contrib!r}; fit a new detector."
            )
        new.__dict__.update({k: v for k, v in self.__dict__.items() if k.endswith("_")})
        new.warnings_ = list(self.warnings_)
        if (new.p_a, new.p_w) != (self.p_a, self.p_w):
            new.masks_ = line_masks(self.contributions_, self._need_head().weight, new.p_a, new.p_w)
        return new

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        weight = self._need_head().weight
        labels = self._class_labels(acts, len(weight))
        features = acts.features
        if self.contrib == "abs":
            means = class_means(features, labels, len(weight), magnitude=True)
            weight_used = np.abs(weight)
        else:
            means = class_means(features, labels, len(weight))
            weight_used = weight
        missing = np.isnan(means[:, 0])
        if missing.any():
            self._warn("For a class without images the mean over the others stands in for its own.")
        means[missing] = means[~missing].mean(axis=0)
        self.contributions_ = weight_used * means
        self.masks_ = line_masks(self.contributions_, weight, self.p_a, self.p_w)

    def _score(self, acts: Activations) -> np.ndarray:
        features = acts.features
        out = np.empty(len(features))
        for part in row_slices(len(features), max(4096, _BLOCK // features.shape[1])):
            self._score_block(features[part], out[part])
        return out

    def _score_block(self, features: np.ndarray, scores: np.ndarray) -> None:
        head = self._need_head()
        rows = group_rows(features, head, self.clip)

        def work(classes: Sequence[int]) -> None:
            _score_classes(rows, self.masks_, head.bias, classes, scores)

        share_out(work, np.flatnonzero(np.diff(rows.bounds)).tolist())

    def _torch_form(self) -> nn.Module:
        head, masks, clip = self._need_head(), self.masks_, self.clip
        unit, cutoff = kept_units(masks)
        block = max(1, 2 * CHUNK // head.n_classes)

        def score(
            h: Tensor, z: Tensor, weight: Tensor, bias: Tensor, unit: Tensor, cutoff: Tensor
        ) -> Tensor:
            # Rows of one class cannot be grouped: how many there are is not known when traced. So
            # each row gathers the few units that its class keeps, a block of them at a time.
            clipped = h.clamp(max=clip)
            predicted = (clipped @ weight + bias).argmax(1)
            units, cutoffs = unit[predicted], cutoff[predicted][:, :, None]
            active = clipped.gather(1, units)[:, None]
            logits = bias.expand(h.shape[0], 1, -1)
            for start in range(0, unit.shape[1], block):
                part = slice(start, start + block)
                rows = weight[units[:, part]]
                kept = rows * (rows > cutoffs[:, part])
                logits = logits.baddbmm(active[:, :, part], kept)
            return logits.squeeze(1).logsumexp(1)

        return torch_module(score, weight=masks.weight.T, bias=head.bias, unit=unit, cutoff=cutoff)

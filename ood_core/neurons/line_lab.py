"""LINe under sliders: scores, histogram and rates for any p_a, p_w and clip, without refitting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ood_core.activations import Activations
from ood_core.detectors._arrays import logsumexp, row_slices
from ood_core.detectors.line import GroupedRows, Line, group_rows
from ood_core.detectors.line_masks import LineMasks, line_masks, unit_masks
from ood_core.errors import DataError
from ood_core.importance import class_means
from ood_core.models import ClassifierHead
from ood_core.neurons.ablation import rates
from ood_core.neurons.line_blocks import THREADS, blocks, joined, parallel, score_groups
from ood_core.progress import Meter, ProgressCallback, StopCheck
from ood_core.ranking import ScoreSummary, summarize

__all__ = ["LineLab", "LineResult"]

_PER_PRODUCT = 1e-10
"""Seconds for one multiply-add of the scoring, on one core; only to decide about a preview."""
_PER_CUTOFF = 4e-6
"""Seconds to find one class's cutoff for one unit, likewise."""
_SLOW = 1.5
_PREVIEW = 1.0


@dataclass(frozen=True, eq=False)
class LineResult:
    """LINe beside energy at one setting.

    Attributes
    ----------
    rates : columns `ood_set, auroc, fpr95, energy_auroc, energy_fpr95`; ID positive, 0-1.
    line, energy : set name -> sorted scores, ID set first.
    thresholds : "line" and "energy" -> score that accepts 95 % of the ID images.
    rerouted : share of ID images whose predicted class changes by clipping.
    n_scored, n_total : images scored, and images there are; fewer scored is a preview.
    """

    rates: pd.DataFrame
    line: dict[str, ScoreSummary]
    energy: dict[str, ScoreSummary]
    thresholds: dict[str, float]
    rerouted: float
    n_scored: int
    n_total: int

    @property
    def is_preview(self) -> bool:
        """Whether only a part of the images was scored."""
        return self.n_scored < self.n_total


class LineLab:
    """LINe of one experiment, ready for its sliders.

    Holds what no slider changes: contributions of the fit set, features and energy of the sets to
    compare. `rescore` gives what `make_detector("line", ...)` gives, without fitting again.

    Parameters
    ----------
    fit : activations of the fit set, with labels.
    acts, id_set, ood_sets : sets to compare, by name; ID is the positive class.
    head : the classifier's head.

    Attributes
    ----------
    class_means : (c, d) mean feature of each class over the fit set.
    contributions : (c, d) `W ⊙ class_means`, signed.

    Raises
    ------
    DataError
        Without OOD sets, or when the fit set lacks labels or a class.
    """

    def __init__(
        self,
        fit: Activations,
        acts: Mapping[str, Activations],
        id_set: str,
        ood_sets: Sequence[str],
        head: ClassifierHead,
    ) -> None:
        if not ood_sets:
            raise DataError("LINe is compared on ID and OOD images: choose at least one OOD set.")
        if fit.labels is None:
            raise DataError("LINe needs the true class of each fit image; labels are missing.")
        self.head = head
        self._bias = np.asarray(head.bias, np.float64)
        self.class_means = class_means(
            fit.features, fit.labels, head.n_classes, class_names=head.names
        )
        self.contributions = head.weight * self.class_means
        self.id_set, self.ood_sets = id_set, tuple(ood_sets)
        self._features = {name: acts[name].features for name in (id_set, *ood_sets)}
        logits = {name: acts[name].logits for name in self._features}
        self._energy = {n: _energy(z, self._features[n], head) for n, z in logits.items()}
        self._plain = _argmax(logits[id_set], self._features[id_set], head)
        self._groups: tuple[float, dict[str, GroupedRows]] | None = None
        self._cut: tuple[float, LineMasks] | None = None

    @property
    def n_images(self) -> int:
        """Images over all compared sets."""
        return sum(map(len, self._features.values()))

    @property
    def is_slow(self) -> bool:
        """Whether rescoring takes so long that a preview should be shown first."""
        c, d = self.head.weight.shape
        return self.n_images * d * c * _PER_PRODUCT + c * d * _PER_CUTOFF > _SLOW

    @property
    def preview_size(self) -> int:
        """Images of each set that a preview scores, in about a second."""
        c, d = self.head.weight.shape
        per_image = d * _PER_CUTOFF + 20 * c * d * _PER_PRODUCT
        return int(np.clip(_PREVIEW * THREADS / per_image / len(self._features), 32, 2000))

    def masks(
        self,
        p_a: float,
        p_w: float,
        progress: ProgressCallback | None = None,
        should_stop: StopCheck | None = None,
    ) -> LineMasks:
        """Masks of every class. Weight cutoffs are kept for the last p_w: p_a alone is quick."""
        held = self._cut
        if held is None or held[0] != p_w:
            meter = Meter("LINe masks", self.head.n_classes, progress, should_stop)
            parts = parallel(
                lambda b: line_masks(self.contributions[b], self.head.weight, p_a, p_w),
                blocks(self.head.n_classes, 8),  # each sorts the weights once more
                lambda part: meter.advance(len(part.units)),
            )
            self._cut = held = (p_w, joined(parts))
        units, threshold = unit_masks(self.contributions, p_a)
        return replace(held[1], units=units, unit_threshold=threshold)

    def removed(self, p_a: float, p_w: float) -> np.ndarray:
        """Where LINe sets to zero what a neuron adds to its own class's logit, (c, d) bool.

        Row c is about images predicted as c: the neuron is pruned for c, or its weight to c is.
        """
        masks = self.masks(p_a, p_w)
        return ~(masks.units & (self.head.weight > masks.cutoff))

    def rescore(
        self,
        p_a: float,
        p_w: float,
        clip: float,
        limit: int | None = None,
        progress: ProgressCallback | None = None,
        should_stop: StopCheck | None = None,
    ) -> LineResult:
        """Score all images, or evenly spaced `limit` of each set, and compare with energy.

        Raises
        ------
        ConfigError
            When a parameter is outside its range.
        StoppedError
            When `should_stop` says so.
        """
        Line.check_params({"p_a": p_a, "p_w": p_w, "clip": clip})
        kept = {name: _evenly(len(f), limit) for name, f in self._features.items()}
        groups = self._grouped(clip, None if limit is None else kept)
        present = np.arange(self.head.n_classes)
        if limit is None or (self._cut is not None and self._cut[0] == p_w):
            masks = self.masks(p_a, p_w, progress, should_stop)
        else:
            present = np.unique(np.concatenate([np.unique(g.predicted) for g in groups.values()]))
            masks = line_masks(self.contributions[present], self.head.weight, p_a, p_w)
        line = score_groups(groups, present, masks, self._bias, progress, should_stop)
        sorted_line = {name: summarize(values) for name, values in line.items()}
        energy = {name: summarize(self._energy[name][kept[name]]) for name in line}
        return self._result(sorted_line, energy, groups[self.id_set].predicted, kept[self.id_set])

    def _grouped(
        self, clip: float, kept: Mapping[str, np.ndarray | slice] | None
    ) -> dict[str, GroupedRows]:
        """Rows of each set by predicted class; those of all rows are kept for the last clip."""
        if kept is not None:
            return {n: group_rows(f[kept[n]], self.head, clip) for n, f in self._features.items()}
        held = self._groups
        if held is None or held[0] != clip:
            found = {n: group_rows(f, self.head, clip) for n, f in self._features.items()}
            self._groups = held = (clip, found)
        return held[1]

    def _result(
        self,
        line: dict[str, ScoreSummary],
        energy: dict[str, ScoreSummary],
        routed: np.ndarray,
        kept: np.ndarray | slice,
    ) -> LineResult:
        table = rates(line, self.id_set, self.ood_sets)
        plain = rates(energy, self.id_set, self.ood_sets)
        both = {"line": line, "energy": energy}
        return LineResult(
            rates=table.assign(energy_auroc=plain["auroc"], energy_fpr95=plain["fpr95"]),
            line=line,
            energy=energy,
            thresholds={k: _accepts_95(s[self.id_set]) for k, s in both.items()},
            rerouted=float((routed != self._plain[kept]).mean()),
            n_scored=sum(map(len, line.values())),
            n_total=self.n_images,
        )


def _evenly(n: int, limit: int | None) -> np.ndarray | slice:
    if limit is None or n <= limit:
        return slice(None)
    return np.linspace(0, n - 1, limit).astype(np.int64)


def _energy(logits: np.ndarray | None, features: np.ndarray, head: ClassifierHead) -> np.ndarray:
    out = np.empty(len(features))
    for part in row_slices(len(out)):
        out[part] = logsumexp(_logits(logits, features, head, part))
    return out


def _argmax(logits: np.ndarray | None, features: np.ndarray, head: ClassifierHead) -> np.ndarray:
    parts = row_slices(len(features))
    return np.concatenate([_logits(logits, features, head, p).argmax(1) for p in parts])


def _logits(
    logits: np.ndarray | None, features: np.ndarray, head: ClassifierHead, part: slice
) -> np.ndarray:
    if logits is None:
        return head.logits(features[part])
    return np.asarray(logits[part], np.float64)


def _accepts_95(scores: ScoreSummary) -> float:
    return float(scores.kth_largest((95 * len(scores) + 99) // 100))

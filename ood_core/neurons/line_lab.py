"""LINe under sliders: scores, histogram and rates for any p_a, p_w and clip, without refitting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from ood_core.activations import Activations, predicted_classes
from ood_core.detectors._arrays import class_means, logsumexp, row_slices
from ood_core.detectors.line import GroupedRows, Line, group_rows
from ood_core.detectors.line_masks import LineMasks, line_masks, unit_masks
from ood_core.errors import DataError
from ood_core.metrics.counts import summarize
from ood_core.models import ClassifierHead
from ood_core.neurons.line_blocks import THREADS, blocks, joined, parallel, score_groups
from ood_core.neurons.line_result import LineResult, compare_with_energy
from ood_core.runtime.bounded import Bounded
from ood_core.runtime.progress import Meter, ProgressCallback, StopCheck

__all__ = ["LineLab"]

_PER_PRODUCT = 1e-10
"""Seconds for one multiply-add of the scoring, on one core; only to decide about a preview."""
_PER_CUTOFF = 4e-6
"""Seconds to find one class's cutoff for one unit, likewise."""
_SLOW = 1.5
_PREVIEW = 1.0
_KEPT = 16
"""Results kept: going back to where a slider was costs nothing."""


class LineLab:
    """LINe of one experiment, ready for its sliders.

    Holds what no slider changes: contributions of the fit set, features and energy of the sets to
    compare. `rescore` gives what `make_detector("line", ...)` gives, without fitting again.

    Parameters
    ----------
    fit : activations of the fit set, with labels.
    acts, id_set, ood_sets : sets to compare, by name; ID is the positive class.
    head : the classifier's head.
    params : LINe's parameters to begin with; `contrib` holds for good.

    Attributes
    ----------
    contributions : (c, d) class x neuron contributions.
    class_means : (c, d) mean feature of each class over the fit set; NaN for a class without any.
    warnings : LINe's plain sentences about the fit set.

    Raises
    ------
    DataError
        Without OOD sets, or when the fit set has no labels.
    ConfigError
        For a parameter that is not allowed.
    """

    def __init__(
        self,
        fit: Activations,
        acts: Mapping[str, Activations],
        id_set: str,
        ood_sets: Sequence[str],
        head: ClassifierHead,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        if not ood_sets:
            raise DataError("LINe is compared on ID and OOD images: choose at least one OOD set.")
        self._line = Line(**(params or {})).fit(fit, head)
        self.head = head
        self.contributions = self._line.contributions_
        self.class_means = class_means(fit.features, np.asarray(fit.labels), head.n_classes)
        self.warnings = tuple(self._line.warnings_)
        self.id_set, self.ood_sets = id_set, tuple(ood_sets)
        self._features = {name: acts[name].features for name in (id_set, *ood_sets)}
        self._logits = {name: acts[name].logits for name in self._features}
        self._energy = {name: self._energy_of(name) for name in self._features}
        self._sorted = {name: summarize(values) for name, values in self._energy.items()}
        self._plain = predicted_classes(acts[id_set], head)
        self._groups: tuple[float, dict[str, GroupedRows]] | None = None
        self._cut: tuple[float, LineMasks] = (self._line.p_w, self._line.masks_)
        self._results: Bounded[tuple[Any, ...], LineResult] = Bounded(_KEPT)

    @cached_property
    def clip_high(self) -> float:
        """Largest clip worth offering: above 99.9 % of the activations of ID images, at least 5."""
        return float(max(5, np.ceil(np.quantile(self._features[self.id_set][:4096], 0.999))))

    def detector(self, p_a: float, p_w: float, clip: float) -> Line:
        """Fitted LINe with these parameters."""
        line = self._line.retuned(clip=clip)
        line.p_a, line.p_w, line.masks_ = p_a, p_w, self.masks(p_a, p_w)
        return line

    def known(self, p_a: float, p_w: float, clip: float) -> LineResult | None:
        """What `rescore` gave for these parameters lately, or None."""
        return self._results.find((p_a, p_w, clip, None, ()))

    @property
    def n_images(self) -> int:
        """Images over all compared sets."""
        return sum(map(len, self._features.values()))

    @property
    def is_slow(self) -> bool:
        """Whether rescoring takes so long that a preview should be shown first."""
        c, d = self.head.weight.shape
        return bool(self.n_images * d * c * _PER_PRODUCT + c * d * _PER_CUTOFF > _SLOW)

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
        if held[0] != p_w:
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
        drop: Sequence[int] | np.ndarray = (),
        progress: ProgressCallback | None = None,
        should_stop: StopCheck | None = None,
    ) -> LineResult:
        """Score the images and compare with energy. The last few results are kept.

        Parameters
        ----------
        p_a, p_w, clip : LINe's parameters.
        limit : score evenly spaced images of each set, this many at most: a preview.
        drop : neurons whose activation is zero at test time; masks stay as they were fitted.
        progress, should_stop : called as classes are done.

        Raises
        ------
        ConfigError
            When a parameter is outside its range.
        StoppedError
            When `should_stop` says so.
        """
        key = (p_a, p_w, clip, limit, tuple(int(j) for j in drop))
        Line.check_params({"p_a": p_a, "p_w": p_w, "clip": clip})
        gone = np.asarray(drop, dtype=np.int64)
        return self._results.get(
            key, lambda: self._rescore(p_a, p_w, clip, limit, gone, progress, should_stop)
        )

    def _rescore(
        self,
        p_a: float,
        p_w: float,
        clip: float,
        limit: int | None,
        drop: np.ndarray,
        progress: ProgressCallback | None,
        should_stop: StopCheck | None,
    ) -> LineResult:
        kept = {name: _evenly(len(f), limit) for name, f in self._features.items()}
        groups = self._grouped(clip, kept, drop, whole=limit is None)
        present = np.arange(self.head.n_classes)
        if limit is None or self._cut[0] == p_w:
            masks = self.masks(p_a, p_w, progress, should_stop)
        else:
            present = np.unique(np.concatenate([np.unique(g.predicted) for g in groups.values()]))
            masks = line_masks(self.contributions[present], self.head.weight, p_a, p_w)
        if len(drop):
            masks = replace(masks, units=masks.units.copy())
            masks.units[:, drop] = False
        bias = np.asarray(self.head.bias, np.float64)
        line = score_groups(groups, present, masks, bias, progress, should_stop)
        energy = self._sorted
        if limit is not None or len(drop):
            values = {n: self._energy_of(n, drop) for n in line} if len(drop) else self._energy
            energy = {n: summarize(values[n][kept[n]]) for n in line}
        changed = groups[self.id_set].predicted != self._plain[kept[self.id_set]]
        return compare_with_energy(
            {name: summarize(values) for name, values in line.items()},
            energy,
            rerouted=float(changed.mean()),
            n_total=self.n_images,
        )

    def _grouped(
        self, clip: float, kept: Mapping[str, np.ndarray | slice], drop: np.ndarray, whole: bool
    ) -> dict[str, GroupedRows]:
        """Rows of each set by predicted class; those of all rows are kept for the last clip."""
        held = self._groups
        plain = whole and not len(drop)
        if plain and held is not None and held[0] == clip:
            return held[1]
        head = self.head
        if len(drop):  # a weight of zero is an activation of zero, without copying the features
            weight = head.weight.copy()
            weight[:, drop] = 0
            head = ClassifierHead(weight, head.bias)
        found = {n: group_rows(f[kept[n]], head, clip) for n, f in self._features.items()}
        if plain:
            self._groups = (clip, found)
        return found

    def _energy_of(self, name: str, drop: np.ndarray | None = None) -> np.ndarray:
        return np.concatenate([logsumexp(z) for z in self._chunks(name, drop)])

    def _chunks(self, name: str, drop: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """Logits of a set, float64, some rows at a time, without the neurons in `drop`."""
        features, logits = self._features[name], self._logits[name]
        for part in row_slices(len(features)):
            h = features[part]
            z = self.head.logits(h) if logits is None else np.array(logits[part], np.float64)
            if drop is not None:
                z -= np.asarray(h[:, drop], np.float64) @ self.head.weight[:, drop].T
            yield z


def _evenly(n: int, limit: int | None) -> np.ndarray | slice:
    if limit is None or n <= limit:
        return slice(None)
    return np.linspace(0, n - 1, limit).astype(np.int64)

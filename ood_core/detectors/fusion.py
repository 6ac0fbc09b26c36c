"""Fusions "a+b": a distance recalibrated by a norm, optionally of clipped activations.

The NAN paper divides a distance by NAN; here any part with the right `fusion_role` takes part:
one "norm" (negative_aware_norm, feature_norm), and a "clip" (react), a "distance" (knn, ssd,
mahalanobis, residual), or both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ood_core.activations.record import PENULTIMATE, Activations, LayerRecord
from ood_core.detectors._arrays import row_slices
from ood_core.detectors.base import Detector
from ood_core.detectors.react import react_threshold
from ood_core.errors import ConfigError
from ood_core.models.head import ClassifierHead

__all__ = ["FUSIONS", "ROLES", "Fusion"]

FUSIONS = tuple(
    f"negative_aware_norm+{rest}" for rest in ("knn", "ssd", "react", "react+knn", "react+ssd")
)
"""Fusions that lists show; others are made on request."""

ROLES = ("norm", "clip", "distance")


class Fusion(Detector):
    """Distance over norm: `S = −d(x) / N(x)`, or `S = N(x)` without a distance.

    With a clip, N is taken of clipped activations. Where the norm is 0 the score is −inf, the most
    OOD there is. Subclasses are made by the grammar; parameters of the parts keep their names,
    prefixed with the part's where two parts share one.

    Parameters
    ----------
    squared : whether the distance is squared; by default as the distance's own code has it
        (KNN: Euclidean, SSD and Mahalanobis: squared). The paper's text does not say.
    clip_distance : whether the distance too is taken on clipped features (not by default; unknown
        in the paper).
    """

    family = "Fusions"
    reference = "Park et al., ICCV 2023, arXiv 2310.05316, section 6.2"
    parts: ClassVar[Mapping[str, type[Detector]]]
    routes: ClassVar[Mapping[str, tuple[str, str]]]
    """Parameter -> (role of the part, the part's own name for it)."""
    _defaults: ClassVar[Mapping[str, Any]]

    squared: bool
    clip_distance: bool

    def __init__(self, **params: Any) -> None:
        self.check_params({key: v for key, v in params.items() if key not in self._defaults})
        for key, value in {**self._defaults, **params}.items():
            setattr(self, key, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.remade, (tuple(self.parts.values()),), self.__dict__

    @staticmethod
    def remade(members: tuple[type[Detector], ...]) -> Fusion:
        """An empty fusion of these parts, from the grammar: what a pickle calls."""
        raise NotImplementedError

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Parameters of all parts and of the fusion itself, with their defaults."""
        return dict(cls._defaults)

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        self.norm_ = self._part("norm")
        self.distance_ = self._part("distance") if "distance" in self.parts else None
        self._set_clips(acts)
        for part, seen in ((self.norm_, acts), (self.distance_, self._distance_acts(acts))):
            if part is not None:
                part.fit(seen, head)
                part._quiet = True
                for sentence in part.warnings_:
                    self._warn(sentence)

    def _score(self, acts: Activations) -> np.ndarray:
        norm = self._norm(acts)
        if self.distance_ is None:
            return norm
        distance = -self.distance_.score_samples(self._distance_acts(acts))
        if self.squared and self.distance_.distance_power == 1:
            distance = distance**2
        elif not self.squared and self.distance_.distance_power == 2:
            distance = np.sqrt(distance)
        silent = norm <= 0
        if silent.any():
            self._warn(
                f"{int(silent.sum()):,} of {len(acts):,} images of {acts.name!r} have a norm of "
                "0; their score is -inf."
            )
        return np.where(silent, -np.inf, -distance / np.where(silent, 1.0, norm))

    def _note_silent(self, acts: Activations) -> None:
        """Counted as images whose norm is 0."""

    def _part(self, role: str) -> Detector:
        return self.parts[role](**self._part_params(role))

    def _part_params(self, role: str) -> dict[str, Any]:
        return {own: getattr(self, key) for key, (at, own) in self.routes.items() if at == role}

    def _set_clips(self, acts: Activations) -> None:
        """Where activations are cut: in the norm's layer, and in the features for the distance."""
        self.norm_clip_: float | None = None
        self.feature_clip_: float | None = None
        if "clip" not in self.parts:
            return
        norm = self._part_params("norm")
        record = acts.layer(norm.get("layer"))
        if norm.get("pool") == "flat" and record.positions > 1:
            raise ConfigError(
                f"detector {self.name!r}: parameter 'pool' must be 'gap' to clip a layer with "
                f"{record.positions} positions, got 'flat': the maps are not stored."
            )
        clip = self._part_params("clip")
        self.norm_clip_ = react_threshold(record.pooled, **clip)
        if getattr(self, "clip_distance", False):
            self.feature_clip_ = react_threshold(acts.features, **clip)

    def _norm(self, acts: Activations) -> np.ndarray:
        if self.norm_clip_ is None:
            return self.norm_.score_samples(acts)
        layer = self._part_params("norm").get("layer") or PENULTIMATE
        pooled = acts.layer(layer).pooled
        out = np.empty(len(pooled))
        for rows in row_slices(len(pooled)):
            clipped = LayerRecord.from_vectors(np.minimum(pooled[rows], self.norm_clip_))
            features = {PENULTIMATE: acts.layer().take(rows)}  # its width is checked
            part = Activations({**features, layer: clipped}, name=acts.name)
            out[rows] = self.norm_.score_samples(part)
        return out

    def _distance_acts(self, acts: Activations) -> Activations:
        if self.feature_clip_ is None:
            return acts
        clipped = np.minimum(acts.features, self.feature_clip_)
        return Activations(
            {PENULTIMATE: LayerRecord.from_vectors(clipped)},
            logits=acts.logits,
            labels=acts.labels,
            ids=acts.ids,
            name=acts.name,
        )

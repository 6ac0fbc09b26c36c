"""Mahalanobis distance of normalised features to clusters, without labels (SSD)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._arrays import by_rows, unit_rows
from ood_core.detectors._gaussian import second_moment, whitening
from ood_core.detectors.base import Detector
from ood_core.detectors.constraints import Number
from ood_core.detectors.torch_form import torch_module, torch_unit_rows
from ood_core.errors import ConfigError
from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["SSD"]

_EPS = 1e-10


class SSD(Detector):
    """Distance of standardised unit features to the nearest cluster: `S = −min_k d_k²`.

    Features are scaled to length 1 (+1e-10), then standardised by the fit set's mean and standard
    deviation (+1e-10); each cluster has its own mean and covariance (pseudo-inverse, biased), as
    in the published code. Its few-shot variant needs OOD images and is left out.

    Parameters
    ----------
    n_clusters : clusters of the fit set, by k-means with a fixed seed; 1 needs none.

    Attributes
    ----------
    mean_, std_ : (d,) of the unit features.
    clusters_ : list of (center (d,), transform (d, r)).

    >>> from ood_core import Activations, make_detector
    >>> known = Activations.from_arrays([[3.0, 1.0], [1.0, 3.0], [2.0, 1.0], [1.0, 2.0]])
    >>> detector = make_detector("ssd").fit(known)
    >>> new = Activations.from_arrays([[2.0, 2.0], [9.0, 0.0]])
    >>> detector.score_samples(new).round(3)
    array([ -8.362, -65.823])
    """

    name = "ssd"
    title = "SSD"
    short = "SSD"
    summary = "How far the direction of the features lies from that of the known images."
    equation = r"S(x) = -\min_k (\tilde h - \mu_k)^\top \Sigma_k^{+} (\tilde h - \mu_k)"
    reference = "Sehwag et al., ICLR 2021, arXiv 2103.12051"
    family = "Distances"
    needs: ClassVar[frozenset[str]] = frozenset({"fit"})
    fusion_role = "distance"
    distance_power = 2
    constraints: ClassVar = {
        "n_clusters": Number("Clusters", "Groups the fit set is split into, without labels.",
                             low=1, integer=True, slider=(1, 20, 1)),
    }  # fmt: skip
    sweep: ClassVar = {"n_clusters": (1, 2, 5, 10)}

    mean_: np.ndarray
    std_: np.ndarray
    clusters_: list[tuple[np.ndarray, np.ndarray]]

    def __init__(self, n_clusters: int = 1) -> None:
        self.n_clusters = n_clusters

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        unit = unit_rows(acts.features.astype(np.float64))
        self.mean_ = unit.mean(axis=0)
        self.std_ = unit.std(axis=0)
        unit -= self.mean_
        unit /= self.std_ + _EPS
        self.clusters_ = []
        for k, rows in enumerate(self._groups(unit)):
            center = unit[rows].mean(axis=0)
            transform, lost = whitening(second_moment(unit[rows], center) / len(unit[rows]))
            self.clusters_.append((center, transform))
            if lost:
                where = f" of cluster {k}" if self.n_clusters > 1 else ""
                self._warn(
                    f"{lost} of {len(center)} directions{where} have no variance in "
                    f"{acts.name!r}: activity along them does not count."
                )

    def _groups(self, unit: np.ndarray) -> list[np.ndarray | slice]:
        if self.n_clusters == 1:
            return [slice(None)]
        if self.n_clusters > len(unit):
            raise ConfigError(
                f"detector 'ssd': n_clusters = {self.n_clusters} needs at least as many fit "
                f"images, got {len(unit)}."
            )
        import torch  # noqa: F401 - whole before scikit-learn's SciPy looks into it
        from sklearn.cluster import KMeans

        found = KMeans(self.n_clusters, n_init=1, max_iter=100, random_state=0).fit_predict(unit)
        return [rows for k in range(self.n_clusters) if len(rows := np.flatnonzero(found == k))]

    def _score(self, acts: Activations) -> np.ndarray:
        def score(h: np.ndarray) -> np.ndarray:
            x = (unit_rows(h) - self.mean_) / (self.std_ + _EPS)
            best = np.full(len(x), np.inf)
            for center, transform in self.clusters_:
                u = (x - center) @ transform
                best = np.minimum(best, np.einsum("nr,nr->n", u, u))
            return -best

        return by_rows(score, acts.features)

    def _torch_form(self) -> nn.Module:
        count = len(self.clusters_)
        arrays = {f"center{k}": center for k, (center, _) in enumerate(self.clusters_)}
        arrays |= {f"transform{k}": transform for k, (_, transform) in enumerate(self.clusters_)}

        def score(h: Tensor, z: Tensor, mean: Tensor, scale: Tensor, **cluster: Tensor) -> Tensor:
            x = (torch_unit_rows(h) - mean) / scale
            best = x.new_full(x.shape[:1], float("inf"))
            for k in range(count):
                u = (x - cluster[f"center{k}"]) @ cluster[f"transform{k}"]
                best = best.minimum(u.square().sum(1))
            return -best

        return torch_module(score, mean=self.mean_, scale=self.std_ + _EPS, **arrays)

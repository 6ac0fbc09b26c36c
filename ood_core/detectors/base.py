"""The detector contract and its discovery: one file is one detector, nothing is registered."""

from __future__ import annotations

import inspect
import logging
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np

from ood_core.activations import Activations
from ood_core.errors import DataError, NotFittedError
from ood_core.models import ClassifierHead

__all__ = ["Detector", "logger"]

logger = logging.getLogger("ood_core.detectors")


class Detector(ABC):
    """Base of every OOD detector. Higher score = more in-distribution.

    A subclass sets the class attributes, stores its parameters unchanged in `__init__`, sets
    fitted state with names that end in `_` in `_fit`, and returns scores from `_score`.

    Attributes
    ----------
    name : what `make_detector` calls it, lower case.
    title : how pages print it.
    summary : one plain sentence for a reader who has not read the paper.
    equation : LaTeX of the score.
    reference : paper, arXiv id, equation.
    needs : what it cannot do without, of {"logits", "head", "fit", "labels", "model"}.
        "fit": rows of the fit set; "labels": their classes; "model": another forward pass.
    layerwise : whether it takes a `layer` parameter.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    equation: ClassVar[str]
    reference: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()
    layerwise: ClassVar[bool] = False

    n_features_: int

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Parameter names and their defaults, in order."""
        signature = inspect.signature(cls.__init__)
        return {
            p.name: p.default
            for p in signature.parameters.values()
            if p.default is not inspect.Parameter.empty
        }

    def get_params(self) -> dict[str, Any]:
        """Parameters as given to `__init__`."""
        return {name: getattr(self, name) for name in self.defaults()}

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={v!r}" for k, v in self.get_params().items())
        return f"{type(self).__name__}({shown})"

    def fit(self, acts: Activations, head: ClassifierHead | None = None) -> Self:
        """Fit on ID training activations and return self.

        Parameters
        ----------
        acts : activations of the fit set.
        head : the classifier's head, where the detector needs it.

        Raises
        ------
        DataError
            When something the detector needs is missing, with what to supply.
        """
        reason = self.unavailable_reason(acts, head)
        if reason:
            raise DataError(f"detector {self.name!r} cannot run: {reason}")
        self._fit(acts, head)
        self.n_features_ = acts.features.shape[1]
        return self

    def score_samples(self, acts: Activations) -> np.ndarray:
        """Return scores of shape (n,), float64, higher = more in-distribution.

        Raises
        ------
        NotFittedError
            Before `fit`.
        DataError
            When the number of features differs from the fit set's, or a score is NaN.
        """
        if not hasattr(self, "n_features_"):
            raise NotFittedError(f"detector {self.name!r} is not fitted: call fit(acts, head) first.")
        if acts.features.shape[1] != self.n_features_:
            raise DataError(
                f"detector {self.name!r} was fitted on {self.n_features_} features, "
                f"got {acts.features.shape[1]}."
            )
        scores = np.asarray(self._score(acts), dtype=np.float64)
        if np.isnan(scores).any():
            raise DataError(
                f"detector {self.name!r} gave NaN for {int(np.isnan(scores).sum())} of "
                f"{len(scores)} samples."
            )
        return scores

    @classmethod
    def unavailable_reason(
        cls, acts: Activations, head: ClassifierHead | None = None, *, model: bool = False
    ) -> str | None:
        """Why this detector cannot run on these activations, or None when it can.

        `model` says whether a forward pass can be run.
        """
        if "logits" in cls.needs and acts.logits is None:
            return "it needs logits, and these activations have none."
        if "head" in cls.needs and head is None:
            return "it needs the classifier's head (weight and bias)."
        if "labels" in cls.needs and (acts.labels is None or (acts.labels < 0).all()):
            return "it needs labels for the fit set, and there are none."
        if "model" in cls.needs and not model:
            return "it needs the model and the images: another forward pass."
        return None

    @abstractmethod
    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        """Compute fitted state."""

    @abstractmethod
    def _score(self, acts: Activations) -> np.ndarray:
        """Score rows of `acts`."""

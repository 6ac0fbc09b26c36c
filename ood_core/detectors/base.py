"""The detector contract: what every detector declares, checks and returns."""

from __future__ import annotations

import inspect
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from ood_core.activations.record import Activations
from ood_core.data.class_numbers import class_numbers
from ood_core.detectors._arrays import label_remarks
from ood_core.detectors.constraints import Constraint
from ood_core.detectors.torch_form import Exportable
from ood_core.errors import ConfigError, DataError, NotFittedError, did_you_mean
from ood_core.models.head import ClassifierHead
from ood_core.models.layer_info import PENULTIMATE
from ood_core.runtime.threads import one_blas_thread

__all__ = ["Detector", "logger"]

logger = logging.getLogger("ood_core.detectors")


class Detector(Exportable, ABC):
    """Base of every OOD detector. Higher score = more in-distribution.

    A subclass sets the class attributes, stores its parameters unchanged in `__init__`, sets
    fitted state with names that end in `_` in `_fit`, and returns scores from `_score`.

    Attributes
    ----------
    name : what `make_detector` calls it, lower case; what lists and files write.
    aliases : other names that it is accepted under; not inherited.
    title : how pages print it.
    summary : one plain sentence for a reader who has not read the paper.
    equation : LaTeX of the score.
    reference : paper, arXiv id, equation.
    family : the group that pages list it in, one of FAMILIES.
    needs : what it cannot do without, of NEEDS. "logits": taken from the activations, or computed
        from features and head; "zero_shot": a head of texts' embeddings; "fit": rows of the fit
        set; "labels": their classes; "model": another forward pass.
    layerwise : whether it takes a `layer` parameter.
    nonnegative : whether it is meant for activations >= 0 (after ReLU); signed ones are warned of.
    fusion_role : "norm", "clip" or "distance" when it can be a part of a fusion "a+b".
    distance_power : 2 where the score is minus a squared distance (fusions need to know).
    short : how titles of fusions print it; the name in capitals where empty.
    constraints : parameter name -> what it may be; also what sliders are made of.
    sweep : parameter name -> values worth trying.
    warnings_ : plain sentences about what the data did to this detector, after fit and score.
    """

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    title: ClassVar[str]
    summary: ClassVar[str]
    equation: ClassVar[str]
    reference: ClassVar[str]
    family: ClassVar[str] = "Plug-ins"
    needs: ClassVar[frozenset[str]] = frozenset()
    layerwise: ClassVar[bool] = False
    nonnegative: ClassVar[bool] = False
    fusion_role: ClassVar[str | None] = None
    distance_power: ClassVar[int] = 1
    short: ClassVar[str] = ""
    constraints: ClassVar[Mapping[str, Constraint]] = {}
    sweep: ClassVar[Mapping[str, Sequence[Any]]] = {}

    _quiet = False
    """Set on a part of a fusion, which speaks for it once it is fitted."""

    n_features_: int
    head_: ClassifierHead | None
    warnings_: list[str]

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

    @classmethod
    def check_params(cls, params: Mapping[str, Any]) -> None:
        """Raise ConfigError for an unknown parameter or a value that `constraints` forbid."""
        allowed = cls.defaults()
        for key, value in params.items():
            if key not in allowed:
                hint = did_you_mean(key, allowed) if allowed else "It takes no parameters."
                raise ConfigError(f"detector {cls.name!r} has no parameter {key!r}. {hint}")
            rule = cls.constraints.get(key)
            if rule is not None and not rule.accepts(value):
                raise ConfigError(
                    f"detector {cls.name!r}: parameter {key!r} must be {rule.describe()}, "
                    f"got {value!r}."
                )

    def fit(self, acts: Activations, head: ClassifierHead | None = None) -> Self:
        """Fit on ID training activations and return self.

        Parameters
        ----------
        acts : activations of the fit set.
        head : the classifier's head, where the detector needs it.

        Raises
        ------
        ConfigError
            When a parameter is not allowed.
        DataError
            When something the detector needs is missing or does not fit, with what to supply.
        """
        self.check_params(self.get_params())
        reason = self.unavailable_reason(acts, head)
        if reason:
            raise DataError(f"detector {self.name!r} cannot run: {reason}")
        self.__dict__.pop("n_features_", None)
        self.warnings_ = []
        self.head_ = head
        self._check_shapes(acts, head)
        self._check_signs(acts)
        self._check_lengths(head)
        with one_blas_thread():
            self._fit(acts, head)
        self.n_features_ = int(acts.layer().n_channels)
        return self

    def score_samples(self, acts: Activations) -> np.ndarray:
        """Return scores of shape (n,), float64, higher = more in-distribution.

        -inf is a score (the most OOD there is); NaN is an error.

        Raises
        ------
        NotFittedError
            Before `fit`.
        DataError
            When the number of features or classes differs from the fit set's, or a score is NaN.
        """
        self._check_fitted()
        if acts.layer().n_channels != self.n_features_:
            raise DataError(
                f"detector {self.name!r} was fitted on {self.n_features_} features, "
                f"got {acts.layer().n_channels}: use activations of the same layer and model."
            )
        self._check_shapes(acts, self.head_)
        if len(acts) == 0:
            return np.empty(0)
        self._note_silent(acts)
        with one_blas_thread():
            scores = np.asarray(self._score(acts), dtype=np.float64)
        if scores.shape != (len(acts),):
            raise DataError(
                f"detector {self.name!r} returned shape {scores.shape} for {len(acts)} samples."
            )
        if np.isnan(scores).any():
            raise DataError(
                f"detector {self.name!r} gave NaN for {int(np.isnan(scores).sum())} of "
                f"{len(scores)} samples of {acts.name!r}."
            )
        if len(scores) > 1 and (scores == scores[0]).all():
            self._warn(
                f"All {len(scores):,} images of {acts.name!r} get the same score "
                f"({scores[0]:.6g}): it cannot tell them apart."
            )
        return scores

    @classmethod
    def unavailable_reason(
        cls, acts: Activations, head: ClassifierHead | None = None, *, model: bool = False
    ) -> str | None:
        """Why this detector cannot run on these activations, or None when it can.

        `model` says whether a forward pass can be run.
        """
        if "logits" in cls.needs and acts.logits is None and head is None:
            return "it needs logits (or the head to compute them), and these activations have none."
        if "head" in cls.needs and head is None:
            return "it needs the classifier's head (weight and bias), and there is none."
        if "zero_shot" in cls.needs and (head is None or head.temperature is None):
            return "it needs a zero-shot head: text = … under [classifier], embeddings of texts."
        if "fit" in cls.needs and len(acts) == 0:
            return "it needs images to be fitted on, and the fit set is empty."
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
        """Score the rows of `acts`, at least one."""

    def _check_fitted(self) -> None:
        if "n_features_" not in self.__dict__:
            raise NotFittedError(
                f"detector {self.name!r} is not fitted: call fit(acts, head) first."
            )

    def _warn(self, sentence: str) -> None:
        """Log a warning and keep it for pages, once."""
        if sentence not in self.warnings_ and not self._quiet:
            self.warnings_.append(sentence)
            logger.warning("%s: %s", self.name, sentence)

    def _logits(self, acts: Activations) -> np.ndarray:
        """Logits (n, c) as recorded, or computed from features and head."""
        if acts.logits is not None:
            return acts.logits
        if self.head_ is None:
            raise DataError(
                f"detector {self.name!r} needs logits and {acts.name!r} has none: give them to "
                "Activations.from_arrays, or give fit the head."
            )
        return self.head_.logits(acts.features)

    def _need_head(self) -> ClassifierHead:
        """The head that `fit` was given, for detectors with "head" in `needs`."""
        if self.head_ is None:
            raise DataError(f"detector {self.name!r} needs the classifier's head.")
        return self.head_

    def _class_labels(self, acts: Activations, n_classes: int | None) -> np.ndarray:
        """Labels of the fit set, int64 (n,); warns of images without a label, classes without one.

        Without logits and head nobody knows how many classes there are: then `n_classes` is None.
        """
        if acts.labels is None:
            raise DataError(f"detector {self.name!r} needs labels for the fit set.")
        labels = class_numbers(acts.labels, n=len(acts))
        highest = labels.max(initial=-1)
        if n_classes is not None and highest >= n_classes:
            raise DataError(
                f"detector {self.name!r}: label {highest} does not fit {n_classes} classes "
                f"(0 to {n_classes - 1}; -1 where unknown)."
            )
        for sentence in label_remarks(labels, n_classes, acts.name):
            self._warn(sentence)
        return labels

    def _note_silent(self, acts: Activations) -> None:
        """Count images whose features are all zero: their score is a convention, not a finding."""
        silent = int(np.count_nonzero(acts.layer().l2 == 0)) if self.family != "Logits" else 0
        if silent:
            self._warn(
                f"{silent:,} of {len(acts):,} images of {acts.name!r} have only zero features."
            )

    def _check_shapes(self, acts: Activations, head: ClassifierHead | None) -> None:
        if head is None:
            return
        d = acts.layer().n_channels
        if head.n_features != d:
            raise DataError(
                f"detector {self.name!r}: the head takes {head.n_features} features and "
                f"{acts.name!r} has {d}."
            )
        if acts.logits is not None and acts.logits.shape[1] != head.n_classes:
            raise DataError(
                f"detector {self.name!r}: the head has {head.n_classes} classes and the logits of "
                f"{acts.name!r} have {acts.logits.shape[1]}."
            )

    def _check_lengths(self, head: ClassifierHead | None) -> None:
        zero_shot = head is not None and head.temperature is not None
        if zero_shot and self.layerwise and getattr(self, "layer", None) in (None, PENULTIMATE):
            self._warn(
                "The penultimate features of a zero-shot head all have length one, so that their "
                "norm says nothing: choose the layer 'embedding'."
            )

    def _check_signs(self, acts: Activations) -> None:
        if not self.nonnegative:
            return
        record = acts.layer(getattr(self, "layer", None))
        signed = int(np.count_nonzero(record.negatives))
        if signed:
            self._warn(
                f"{signed:,} of {len(record):,} images of {acts.name!r} have negative "
                "activations; this score is meant for activations after ReLU."
            )

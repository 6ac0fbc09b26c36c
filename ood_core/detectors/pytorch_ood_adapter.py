"""Adapter: any pytorch-ood detector that works on features or logits, by the name
"pytorch_ood:NAME"."""

from __future__ import annotations

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._arrays import row_slices
from ood_core.detectors.base import Detector
from ood_core.errors import ConfigError, did_you_mean
from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    import torch

__all__ = ["PREFIX", "PytorchOOD", "adapt"]

PREFIX = "pytorch_ood:"
_MODELS = ("encoder", "backbone", "model")
_WEIGHTS = ("head", "w", "b")
_INPUTS = ("features", "feature_maps", "logits")


class PytorchOOD(Detector):
    """A pytorch-ood detector behind this library's contract: `S = −(its outlier score)`.

    pytorch-ood counts higher as more of an outlier and works in float32. Subclasses are made by
    `adapt`; parameters are those of its constructor without the network parts, which come from the
    activations and the head.
    """

    wrapped: ClassVar[type]
    takes: ClassVar[str]
    _defaults: ClassVar[dict[str, Any]]

    def __init__(self, **params: Any) -> None:
        self.check_params({key: v for key, v in params.items() if key not in self._defaults})
        for key, value in {**self._defaults, **params}.items():
            setattr(self, key, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.name,), self.__dict__

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Parameters of the wrapped constructor; None where it has no default."""
        return dict(cls._defaults)

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        import torch

        self.detector_ = self.wrapped(**self._network(head), **self._given())
        fit = getattr(self.detector_, f"fit_{self.takes}", None)
        if fit is None:
            return
        n = len(acts)
        labels = np.zeros(n, np.int64) if acts.labels is None else np.asarray(acts.labels)
        known = np.flatnonzero(labels >= 0)
        fit(self._tensor(acts, known), torch.from_numpy(labels[known]))

    def _score(self, acts: Activations) -> np.ndarray:
        import torch

        predict = getattr(self.detector_, f"predict_{self.takes}")
        out = np.empty(len(acts))
        with torch.no_grad():
            for rows in row_slices(len(acts)):
                found = predict(self._tensor(acts, np.arange(rows.start, rows.stop)))
                out[rows] = -np.asarray(found.cpu().numpy(), dtype=np.float64).reshape(-1)
        return out

    def _given(self) -> dict[str, Any]:
        given = self.get_params()
        signature = inspect.signature(self.wrapped).parameters
        for key, value in given.items():
            if value is None and signature[key].default is inspect.Parameter.empty:
                raise ConfigError(
                    f"detector {self.name!r}: parameter {key!r} must be given; pytorch-ood has no "
                    "default for it."
                )
        return given

    def _network(self, head: ClassifierHead | None) -> dict[str, Any]:
        """Constructor arguments that stand for the network."""
        import torch

        asked = inspect.signature(self.wrapped).parameters
        parts: dict[str, Any] = {key: None for key in _MODELS if key in asked}
        if head is not None:
            w = torch.tensor(head.weight, dtype=torch.float32)
            b = torch.zeros(head.n_classes)
            if head.bias is not None:
                b = torch.tensor(head.bias, dtype=torch.float32)
            linear = torch.nn.Linear(head.n_features, head.n_classes)
            linear.weight.data, linear.bias.data = w, b
            if self.takes == "feature_maps":
                whole: torch.nn.Module = torch.nn.Sequential(torch.nn.Flatten(), linear)
            else:
                whole = linear
            parts.update({k: v for k, v in (("head", whole), ("w", w), ("b", b)) if k in asked})
        return parts

    def _tensor(self, acts: Activations, rows: np.ndarray) -> torch.Tensor:
        import torch

        array = self._logits(acts) if self.takes == "logits" else acts.features
        tensor = torch.from_numpy(np.asarray(array[rows], dtype=np.float32))
        return tensor[:, :, None, None] if self.takes == "feature_maps" else tensor


@cache
def adapt(name: str) -> type[PytorchOOD]:
    """Detector class for the pytorch-ood detector `name`, such as "RMD" or "GMM".

    Raises
    ------
    ConfigError
        When pytorch-ood is not installed, or the detector is unknown or needs the network itself.
    """
    try:
        import pytorch_ood.detector as library
    except ImportError as error:
        raise ConfigError(
            f"detector '{PREFIX}{name}' needs pytorch-ood: pip install pytorch-ood."
        ) from error
    usable = {n: takes for n in library.__all__ if (takes := _takes(getattr(library, n)))}
    if name not in usable:
        raise ConfigError(
            f"detector '{PREFIX}{name}': pytorch-ood has no detector of that name that works on "
            f"features or logits. {did_you_mean(name, usable)}"
        )
    wrapped = getattr(library, name)
    signature = inspect.signature(wrapped).parameters
    parameters = {
        key: None if p.default is inspect.Parameter.empty else p.default
        for key, p in signature.items()
        if key not in (*_MODELS, *_WEIGHTS) and p.kind is not p.VAR_KEYWORD
    }
    return type(
        f"PytorchOOD{name}",
        (PytorchOOD,),
        {
            "__doc__": PytorchOOD.__doc__,
            "__module__": __name__,
            "name": PREFIX + name,
            "title": f"{name} (pytorch-ood)",
            "summary": f"The {name} detector of the pytorch-ood library, with its sign turned.",
            "equation": r"S(x) = -\mathrm{outlier\ score}(x)",
            "reference": _reference(wrapped),
            "needs": _needs(wrapped, usable[name], set(signature)),
            "wrapped": wrapped,
            "takes": usable[name],
            "_defaults": parameters,
        },
    )


def _takes(wrapped: Any) -> str | None:
    """Which of features, feature maps or logits the detector accepts instead of images."""
    if not inspect.isclass(wrapped):
        return None
    return next((kind for kind in _INPUTS if hasattr(wrapped, f"predict_{kind}")), None)


def _needs(wrapped: type, takes: str, parameters: set[str]) -> frozenset[str]:
    needs = {"logits"} if takes == "logits" else set()
    if parameters & set(_WEIGHTS):
        needs.add("head")
    if getattr(wrapped, "requires_fit", False):
        needs |= {"fit", "labels"}
    return frozenset(needs)


def _reference(wrapped: Any) -> str:
    info = getattr(wrapped, "info", None)
    paper = getattr(info, "paper", None)
    if paper is None:
        return "pytorch-ood"
    return f"{paper.title}, {paper.venue} {paper.year} (pytorch-ood)"


def _rebuild(name: str) -> PytorchOOD:
    cls = adapt(name.removeprefix(PREFIX))
    return cls.__new__(cls)

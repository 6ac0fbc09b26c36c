"""Fitted detectors as torch functions of features and logits: what an exported detector runs.

Each mirrors the NumPy score of its detector in float64; `export` compares the two on real images
before it writes a file. A plug-in joins by defining a method `torch_score(self, h, z)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ood_core.activations.record import PENULTIMATE
from ood_core.detectors import Detector
from ood_core.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["exportable", "torch_score"]

Score = Callable[["Tensor", "Tensor"], "Tensor"]


def exportable() -> tuple[str, ...]:
    """Names of the detectors that can be exported."""
    return tuple(sorted(_FORMS))


def torch_score(fitted: Detector) -> Score:
    """Function of (features (n, d), logits (n, c)), both float64, to scores (n,).

    Raises
    ------
    ConfigError
        When the detector cannot be exported, or reads a layer other than the penultimate one.
    """
    layer = getattr(fitted, "layer", None)
    if layer not in (None, PENULTIMATE):
        raise ConfigError(
            f"detector {fitted.name!r} reads layer {layer!r}; an exported detector reads the "
            f"penultimate features. Leave out the layer."
        )
    own: Score | None = getattr(fitted, "torch_score", None)
    if own is not None:
        return own
    if fitted.name not in _FORMS:
        raise ConfigError(
            f"detector {fitted.name!r} cannot be exported. Exportable: {', '.join(exportable())}."
        )
    return _FORMS[fitted.name](fitted)


def _t(array: Any) -> Tensor:
    import torch

    return torch.as_tensor(np.array(array, dtype=np.float64))


def _head(d: Any) -> tuple[Tensor, Tensor]:
    return _t(d.head_.weight), _t(d.head_.bias)


def _lse(z: Tensor) -> Tensor:
    return z.logsumexp(1)


def _unit(h: Tensor) -> Tensor:
    unit: Tensor = h / (h.norm(dim=1, keepdim=True) + 1e-10)
    return unit


def _norm(d: Any) -> Score:
    return lambda h, z: h.norm(p=float(d.p), dim=1)


def _nan(_: Any) -> Score:
    import torch

    def score(h: Tensor, z: Tensor) -> Tensor:
        active = (h > 0).sum(1).double()
        return torch.where(active > 0, h.abs().sum(1) / active.clamp(min=1), 0.0)

    return score


def _sparsity(_: Any) -> Score:
    import torch

    def score(h: Tensor, z: Tensor) -> Tensor:
        active = (h > 0).sum(1).double()
        return torch.where(active > 0, 1 / active.clamp(min=1), 0.0)

    return score


def _gen(d: Any) -> Score:
    def score(h: Tensor, z: Tensor) -> Tensor:
        log_p = z - z.logsumexp(1, keepdim=True)
        log_p = log_p.topk(min(d.top, z.shape[1]), dim=1).values
        entropy: Tensor = (log_p.exp() ** d.gamma * (-log_p.expm1()) ** d.gamma).sum(1)
        return -entropy

    return score


def _gradnorm(_: Any) -> Score:
    def score(h: Tensor, z: Tensor) -> Tensor:
        return h.abs().sum(1) * (z.softmax(1) - 1 / z.shape[1]).abs().sum(1)

    return score


def _kl(_: Any) -> Score:
    return lambda h, z: _lse(z) - z.mean(1) - float(np.log(z.shape[1]))


def _energy(d: Any) -> Score:
    return lambda h, z: d.temperature * _lse(z / d.temperature)


def _react(d: Any) -> Score:
    weight, bias = _head(d)
    return lambda h, z: _lse(h.clamp(max=d.clip_) @ weight.T + bias)


def _dice(d: Any) -> Score:
    weight, bias = _t(d.weight_), _t(d.head_.bias)
    return lambda h, z: _lse(h @ weight.T + bias)


def _react_dice(d: Any) -> Score:
    weight, bias = _t(d.weight_), _t(d.head_.bias)
    return lambda h, z: _lse(h.clamp(max=d.clip_) @ weight.T + bias)


def _shaped(shape: Callable[[Tensor, Tensor, int], Tensor]) -> Callable[[Any], Score]:
    """ASH and SCALE: `shape(h, mask, k)` then the energy of the head's logits."""
    from ood_core.detectors._arrays import keep_count

    def form(d: Any) -> Score:
        weight, bias = _head(d)

        def score(h: Tensor, z: Tensor) -> Tensor:
            k = keep_count(h.shape[1], d.p)
            order = h.argsort(dim=1, descending=True, stable=True)[:, :k]
            mask = h.new_zeros(h.shape).scatter(1, order, 1.0)
            return _lse(shape(h, mask, k) @ weight.T + bias)

        return score

    return form


def _factor(h: Tensor, mask: Tensor) -> Tensor:
    import torch

    from ood_core.detectors._shaping import MAX_EXPONENT

    total, kept = h.sum(1, keepdim=True), (h * mask).sum(1, keepdim=True)
    ratio = torch.where(kept > 0, total / torch.where(kept > 0, kept, 1.0), 1.0)
    return ratio.clamp(max=MAX_EXPONENT).exp()


def _line(d: Any) -> Score:
    import torch

    weight, bias = _head(d)
    units = torch.as_tensor(np.array(d.masks_.units))
    cutoff = _t(d.masks_.cutoff)

    def score(h: Tensor, z: Tensor) -> Tensor:
        clipped = h.clamp(max=d.clip)
        c = (clipped @ weight.T + bias).argmax(1)
        kept = torch.where(weight > cutoff[c].unsqueeze(1), weight, 0.0)
        return _lse(torch.einsum("nd,nkd->nk", clipped * units[c], kept) + bias)

    return score


def _mahalanobis(d: Any) -> Score:
    center, transform, means = _t(d.center_), _t(d.transform_), _t(d.means_)

    def score(h: Tensor, z: Tensor) -> Tensor:
        u = (h - center) @ transform
        squared = (u * u).sum(1, keepdim=True) + (means * means).sum(1) - 2 * u @ means.T
        return -squared.min(1).values.clamp(min=0)

    return score


def _ssd(d: Any) -> Score:
    import torch

    mean, scale = _t(d.mean_), _t(d.std_) + 1e-10
    clusters = [(_t(center), _t(transform)) for center, transform in d.clusters_]

    def score(h: Tensor, z: Tensor) -> Tensor:
        x = (_unit(h) - mean) / scale
        squared = [(((x - center) @ transform) ** 2).sum(1) for center, transform in clusters]
        return -torch.stack(squared).min(0).values

    return score


def _knn(d: Any) -> Score:
    bank = _t(d.bank_.rows(slice(None)))

    def score(h: Tensor, z: Tensor) -> Tensor:
        squared = (_unit(h).unsqueeze(1) - bank).square().sum(2)
        return -squared.topk(d.k, dim=1, largest=False).values[:, -1].sqrt()

    return score


def _residual(d: Any) -> Score:
    origin, basis = _t(d.space_.origin), _t(d.space_.basis)
    return lambda h, z: -((h - origin) @ basis).norm(dim=1)


def _vim(d: Any) -> Score:
    residual = _residual(d)
    return lambda h, z: _lse(z) + d.alpha_ * residual(h, z)


def _fdbd(d: Any) -> Score:
    mean, inverse = _t(d.mean_), _t(d.inverse_)
    others = max(1, len(d.inverse_) - 1)

    def score(h: Tensor, z: Tensor) -> Tensor:
        top, c = z.max(1)
        margin = ((top.unsqueeze(1) - z) * inverse[c]).sum(1) / others
        distance: Tensor = (h - mean).norm(dim=1).clamp(min=1e-12)
        return margin / distance

    return score


def _she(d: Any) -> Score:
    templates = _t(d.templates_)
    return lambda h, z: (h * templates[z.argmax(1)]).sum(1)


def _nnguide(d: Any) -> Score:
    bank = _t(d.bank_.rows(slice(None)))

    def score(h: Tensor, z: Tensor) -> Tensor:
        return (_unit(h) @ bank.T).topk(d.k, dim=1).values.mean(1) * _lse(z)

    return score


_FORMS: dict[str, Callable[[Any], Score]] = {
    "msp": lambda d: lambda h, z: z.softmax(1).max(1).values,
    "max_logit": lambda d: lambda h, z: z.max(1).values,
    "energy": _energy,
    "kl": _kl,
    "gen": _gen,
    "gradnorm": _gradnorm,
    "feature_norm": _norm,
    "sparsity": _sparsity,
    "negative_aware_norm": _nan,
    "react": _react,
    "dice": _dice,
    "react_dice": _react_dice,
    "ash_p": _shaped(lambda h, mask, k: h * mask),
    "ash_b": _shaped(lambda h, mask, k: mask * (h.sum(1, keepdim=True) / k)),
    "ash_s": _shaped(lambda h, mask, k: h * mask * _factor(h, mask)),
    "scale": _shaped(lambda h, mask, k: h * _factor(h, mask)),
    "line": _line,
    "mahalanobis": _mahalanobis,
    "ssd": _ssd,
    "knn": _knn,
    "residual": _residual,
    "vim": _vim,
    "fdbd": _fdbd,
    "she": _she,
    "nnguide": _nnguide,
}

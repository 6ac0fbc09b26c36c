"""The contract suite's checks of torch forms; a detector without one passes them all."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._checks import Check, fitted, require, same
from ood_core.detectors._toy import Toy
from ood_core.detectors.base import Detector
from ood_core.detectors.torch_form import memory_bound

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["TORCH_CHECKS"]

_TOLERANCE = 1e-9
"""Of the largest score: both compute in float64."""
_BATCHES = (1, 7)
_AT_ONCE = 16
"""Images whose memory is measured."""


def _equal(cls: type[Detector], toy: Toy) -> None:
    if not cls.has_torch_form():
        return
    detector = fitted(cls, toy)
    form = detector.torch_form()
    for acts in (toy.zero, toy.ties, toy.ood):
        found = _run(form, acts)
        same(found, detector.score_samples(acts), f"the torch form on {acts.name!r}", _TOLERANCE)


def _any_batch(cls: type[Detector], toy: Toy) -> None:
    if not cls.has_torch_form():
        return
    form = fitted(cls, toy).torch_form()
    _same_in_parts(form, toy.zero, _run(form, toy.zero), "the torch form")


def _exports(cls: type[Detector], toy: Toy) -> None:
    if not cls.has_torch_form():
        return

    import torch

    form = fitted(cls, toy).torch_form()
    batch = torch.export.Dim("batch", min=1, max=4096)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # notices of torch.export about its own internals
        example = _tensors(toy.test.take(slice(0, 2)))
        made = torch.export.export(form, example, dynamic_shapes=({0: batch}, {0: batch}))
    _same_in_parts(made.module(), toy.zero, _run(form, toy.zero), "the exported form")


def _bounded(cls: type[Detector], toy: Toy) -> None:
    if not cls.has_torch_form():
        return
    from ood_core.detectors._torch_memory import peak_bytes

    wide = Toy.make(wide=True).suited_to(cls.needs)
    features, logits = _tensors(wide.test.take(slice(0, _AT_ONCE)))
    used = peak_bytes(fitted(cls, wide).torch_form(), features, logits)
    allowed = memory_bound(len(features), features.shape[1], logits.shape[1])
    require(
        used <= allowed,
        f"the torch form may hold {allowed:,} bytes at once for {len(features)} images of "
        f"{features.shape[1]} features and {logits.shape[1]} classes, fitted on "
        f"{len(wide.fit):,}; it holds {used:,}. Work by chunks (torch_form.CHUNK)",
    )


def _tensors(acts: Activations) -> tuple[Tensor, Tensor]:
    import torch

    assert acts.logits is not None
    return torch.tensor(acts.features).double(), torch.tensor(acts.logits).double()


def _run(form: nn.Module, acts: Activations) -> np.ndarray:
    import torch

    with torch.no_grad():
        scores = form(*_tensors(acts))
    require(
        tuple(scores.shape) == (len(acts),) and scores.dtype == torch.float64,
        f"the torch form must return float64 of shape ({len(acts)},), got {scores.dtype} of "
        f"shape {tuple(scores.shape)}",
    )
    return np.asarray(scores.numpy())


def _same_in_parts(form: nn.Module, acts: Activations, whole: np.ndarray, what: str) -> None:
    for size in _BATCHES:
        parts = [_run(form, part) for part in acts.chunks(size)]
        same(np.concatenate(parts), whole, f"{what} run on {size} at a time", _TOLERANCE)


TORCH_CHECKS: dict[str, Check] = {
    "its torch form gives the same scores, ties and an all-zero image too": _equal,
    "its torch form takes one image and many": _any_batch,
    "its torch form can be exported for any number of images": _exports,
    "its torch form keeps to its memory": _bounded,
}

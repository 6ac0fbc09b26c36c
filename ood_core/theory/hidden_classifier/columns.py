"""One batch: rows of C(x) streamed over classes, and the quantities of each image from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ood_core.errors import ConfigError, StoppedError
from ood_core.models import ClassifierHead

if TYPE_CHECKING:
    import torch

    from ood_core.theory.hidden_classifier.coefficients import TailRun

__all__ = ["Columns", "head_quantities", "stream_columns", "tail_quantities", "wanted_classes"]


class Columns:
    """Per image and class, what a row of C(x) leaves behind; arrays (n, K), float64."""

    def __init__(self, n: int, k: int) -> None:
        self.binary_logit, self.mismatches, self.mass, self.linear = (
            np.empty((n, k)) for _ in range(4)
        )


def wanted_classes(
    logits: torch.Tensor,
    labels: np.ndarray | None,
    classes: Sequence[int] | None,
    top: int | None,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Classes of each image (n, K), and its true class (n,) where that needs a row of its own."""
    import torch

    n, k = logits.shape
    if classes is None and top is None:
        return torch.arange(k, device=logits.device).expand(n, k), None
    if classes is not None:
        bad = [c for c in classes if not 0 <= c < k]
        if bad or not len(classes):
            raise ConfigError(f"classes must be some of 0 to {k - 1}, got {list(classes)}.")
        wanted = torch.as_tensor(list(classes), device=logits.device).expand(n, len(classes))
    else:
        if top is None or not 1 <= top <= k:
            raise ConfigError(f"top must be from 1 to the {k} classes, got {top}.")
        wanted = logits.topk(top, dim=1).indices
    if labels is None or not (np.asarray(labels) >= 0).any():
        return wanted, None
    return wanted, torch.as_tensor(np.maximum(labels, 0), device=logits.device, dtype=torch.int64)


def stream_columns(
    run: TailRun,
    wanted: torch.Tensor,
    own: torch.Tensor | None,
    should_stop: Callable[[], bool] | None,
) -> Columns:
    """Stream the rows of C: one backward pass per column of `wanted`, then one for `own`."""
    import torch

    passes = [wanted[:, j] for j in range(wanted.shape[1])] + ([] if own is None else [own])
    a = run.flat
    positive, size = a > 0, a.abs()
    columns = Columns(len(a), len(passes))
    for j, of in enumerate(passes):
        if should_stop and should_stop():
            raise StoppedError("stopped")
        row = run.row(of, last=j == len(passes) - 1)
        on = row > 0
        differ = on != positive
        values = {
            "linear": (row * a).sum(1, dtype=torch.float64),
            "binary_logit": torch.where(on, a, -a).sum(1, dtype=torch.float64),
            "mismatches": differ.sum(1),
            "mass": 2 * (size * differ).sum(1, dtype=torch.float64),
        }
        for name, value in values.items():
            getattr(columns, name)[:, j] = value.cpu().numpy()
    return columns


def tail_quantities(
    run: TailRun,
    columns: Columns,
    wanted: torch.Tensor,
    own: torch.Tensor | None,
    labels: np.ndarray | None,
) -> dict[str, np.ndarray]:
    """Quantities of each image of one batch, see `HiddenClassifier`."""
    import torch

    a, k = run.flat, wanted.shape[1]
    logits = run.logits.detach().double().gather(1, wanted).cpu().numpy()
    index = wanted.cpu().numpy()
    y = np.full(len(a), -1) if labels is None else labels
    if own is None:
        known, at = (index == y[:, None]).any(1), (index == y[:, None]).argmax(1)
    else:
        known, at = y >= 0, np.full(len(a), k)
    to_label = columns.mismatches[np.arange(len(a)), at]
    return _quantities(
        norm=a.abs().sum(1, dtype=torch.float64).cpu().numpy(),
        largest=a.abs().amax(1).double().cpu().numpy(),
        binary=columns.binary_logit[:, :k],
        mismatches=columns.mismatches[:, :k],
        mass=columns.mass[:, :k],
        bias=logits - columns.linear[:, :k],
        logits=logits,
        classes=index,
        to_label=np.where(known, to_label, np.nan),
        labels=y,
    ) | {"active": (a > 0).sum(0).cpu().numpy(), "k": np.array([run.logits.shape[1], k])}


def head_quantities(
    features: np.ndarray, head: ClassifierHead, labels: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Quantities of each image of one chunk of penultimate features: C = W, no autograd."""
    a = np.asarray(features, np.float64)
    n, k = len(a), head.n_classes
    plus = (head.weight > 0).T.astype(np.float64)
    signs = 2 * plus - 1
    mismatches = (head.n_features - np.where(a > 0, 1.0, -1.0) @ signs) / 2
    y = np.full(n, -1) if labels is None else labels
    return _quantities(
        norm=np.abs(a).sum(1),
        largest=np.abs(a).max(1),
        binary=a @ signs,
        mismatches=mismatches,
        mass=2 * (np.maximum(a, 0) @ (1 - plus) + np.maximum(-a, 0) @ plus),
        bias=np.broadcast_to(np.asarray(head.bias), (n, k)),
        logits=head.logits(a),
        classes=np.broadcast_to(np.arange(k), (n, k)),
        to_label=np.where(y >= 0, mismatches[np.arange(n), np.maximum(y, 0)], np.nan),
        labels=y,
    ) | {"active": (a > 0).sum(0), "k": np.array([k, k])}


def _quantities(
    *,
    norm: np.ndarray,
    largest: np.ndarray,
    binary: np.ndarray,
    mismatches: np.ndarray,
    mass: np.ndarray,
    bias: np.ndarray,
    logits: np.ndarray,
    classes: np.ndarray,
    to_label: np.ndarray,
    labels: np.ndarray,
) -> dict[str, np.ndarray]:
    rows, best = np.arange(len(norm)), binary.argmax(1)
    gap = norm[:, None] - binary
    shifted = binary - binary[rows, best][:, None]
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return {
        "norm": norm,
        "confidence": binary[rows, best],
        "prediction": classes[rows, best],
        "entropy": -(np.exp(log_p) * log_p).sum(1),
        "sign_difference": 2 * to_label,
        "sign_difference_predicted": 2 * mismatches[rows, best],
        "bias": np.linalg.norm(bias, axis=1),
        "logit_norm": np.linalg.norm(logits, axis=1),
        "upper_slack": (largest[:, None] * 2 * mismatches - gap).min(1),
        "lower_slack": gap.min(1),
        "mismatch_mass": mass.min(1),
        "labels": labels,
    }

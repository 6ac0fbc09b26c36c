"""The coefficient matrix C(x) of a layer, column by column, by automatic differentiation.

`ψ = C(x) a + β(x)` (Prop. 1): `a` is the layer's output, `ψ` the logits, and row k of `C(x)` the
derivative of logit k under the rules of `SecantRules`. Without biases `β = 0`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from ood_core.errors import ModelError
from ood_core.theory.hidden_classifier.rules import SecantRules

__all__ = ["Tail", "TailRun"]

Tail = Callable[[torch.Tensor], torch.Tensor]
"""The network from a layer's output (n, d) or (n, c, h, w) to the logits (n, K), in eval mode."""


@dataclass
class TailRun:
    """One batch sent through a tail, with what it takes to stream the rows of C(x).

    Attributes
    ----------
    outputs : (n, ...) the layer's output, detached from the network before it.
    logits : (n, K), with the graph back to `outputs`.
    used, uncovered : the rules met, see `SecantRules`.
    """

    outputs: torch.Tensor
    logits: torch.Tensor
    used: dict[str, str] = field(default_factory=dict)
    uncovered: set[str] = field(default_factory=set)

    @classmethod
    def start(cls, tail: Tail, outputs: torch.Tensor, *, check: bool = True) -> TailRun:
        """Run the tail under the rules of Eq. 2.

        `check` runs it once more without them, to be sure that they change no logit.

        Raises
        ------
        ModelError
            When the tail is not in eval mode, does not return logits (n, K), or changes its
            result under the rules (an operation that the rules cannot follow).
        """
        with torch.enable_grad(), SecantRules() as rules:
            a = outputs.detach().clone().requires_grad_(True)
            # The clone lets a tail begin with an in-place activation.
            logits = tail(a.clone())
        _check_shape(logits, len(outputs))
        if check:
            with torch.no_grad():
                _check_logits(tail(outputs.detach().clone()), logits)
        return cls(a, logits, rules.used, rules.uncovered)

    @property
    def flat(self) -> torch.Tensor:
        """The layer's output as vectors (n, d), d = channels x positions."""
        return self.outputs.detach().flatten(1)

    def row(self, classes: torch.Tensor, last: bool = False) -> torch.Tensor:
        """Row `classes[i]` of C of image i, for each i: one backward pass, shape (n, d).

        `last` frees the graph: no row can be taken after it.
        """
        with torch.enable_grad():
            own = self.logits.gather(1, classes[:, None]).sum()
        (grad,) = torch.autograd.grad(own, self.outputs, retain_graph=not last)
        return grad.flatten(1)


def _check_shape(logits: torch.Tensor, n: int) -> None:
    if logits.ndim != 2 or len(logits) != n:
        raise ModelError(
            f"the tail must return logits of shape ({n}, classes), got {tuple(logits.shape)}."
        )
    if not logits.requires_grad:
        raise ModelError("the logits do not depend on this layer's output. Choose another layer.")


def _check_logits(plain: torch.Tensor, ruled: torch.Tensor) -> None:
    scale = float(plain.abs().max()) or 1.0
    gap = float((plain - ruled.detach()).abs().max()) / scale
    if not gap < 1e-3:
        raise ModelError(
            "the tail gives other logits under the rules of Eq. 2 "
            f"(relative difference {gap:.1e}): it is random, or it changes its input in place "
            "in a way that cannot be followed."
        )

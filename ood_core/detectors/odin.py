"""ODIN: softmax at a high temperature, optionally after a small step in the image."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._arrays import by_rows, logsumexp
from ood_core.detectors.base import Detector
from ood_core.detectors.constraints import Number
from ood_core.errors import DataError
from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    import torch

__all__ = ["Odin", "PerturbedLogits", "odin_score", "perturbed_logits"]

PerturbedLogits = Callable[[Activations, float, float], np.ndarray]
"""`(acts, epsilon, temperature) -> logits (n, c)` of the perturbed images of `acts`, same order."""


def odin_score(logits: np.ndarray, temperature: float = 1000.0) -> np.ndarray:
    """`max_c softmax(z / T)_c` per row, in float64: float32 ties at high temperature.

    Parameters
    ----------
    logits : (n, c).
    temperature : T > 0.
    """
    return by_rows(
        lambda z: np.exp(z.max(axis=1) / temperature - logsumexp(z / temperature)), logits
    )


def perturbed_logits(
    module: torch.nn.Module,
    images: torch.Tensor,
    epsilon: float,
    temperature: float = 1000.0,
    std: tuple[float, ...] = (1.0,),
) -> np.ndarray:
    """Logits of `x − ε·sign(∇ₓ CE(z/T, ŷ))/std`: one forward, one backward, one forward pass.

    Parameters
    ----------
    module : classifier in eval mode.
    images : (n, channels, height, width), already normalised with `std`.
    epsilon : step in units of the image before normalisation.
    std : per-channel standard deviation of the normalisation; omitting it changes the step.

    Returns
    -------
    (n, c) float64.
    """
    import torch

    x = images.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        scaled = module(x) / temperature
        loss = torch.nn.functional.cross_entropy(scaled, scaled.argmax(1), reduction="sum")
        (gradient,) = torch.autograd.grad(loss, x)
    scale = torch.as_tensor(std, dtype=x.dtype, device=x.device).view(1, -1, 1, 1)
    with torch.no_grad():
        moved = module(x - epsilon * gradient.sign() / scale)
    return np.asarray(moved.cpu().numpy(), dtype=np.float64)


class Odin(Detector):
    """ODIN: `S = max_c softmax(z(x̃)/T)_c`, `x̃ = x − ε·sign(∇ₓ CE(z/T, ŷ))/std`.

    With ε = 0 the stored logits are enough, and the ranking is close to that of the largest minus
    the mean logit. ε > 0 needs another forward and backward pass over the images: give it with
    `use_model` before `fit`.

    Parameters
    ----------
    temperature : T.
    epsilon : step ε; the original DenseNet value is 0.0014.

    >>> from ood_core import Activations, make_detector
    >>> acts = Activations.from_arrays([[1.0], [1.0]], logits=[[4.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    >>> make_detector("odin", temperature=10.0).fit(acts).score_samples(acts).round(3)
    array([0.427, 0.356])
    """

    name = "odin"
    title = "ODIN (ε = 0)"
    summary = (
        "Softmax confidence at a high temperature, where it ranks by the margin of the logits."
    )
    equation = r"S(x) = \max_c \operatorname{softmax}(z(\tilde x) / T)_c"
    reference = "Liang et al., ICLR 2018, arXiv 1706.02690"
    family = "Logits"
    needs: ClassVar[frozenset[str]] = frozenset({"logits"})
    constraints: ClassVar = {
        "temperature": Number("Temperature", "1000 in the paper.", low=0, open_low=True,
                              slider=(1, 2000, 1)),
        "epsilon": Number("Epsilon", "Above 0 every image needs another forward and backward pass.",
                          low=0, slider=(0, 0.01, 0.0001)),
    }  # fmt: skip
    sweep: ClassVar = {"temperature": (1, 10, 100, 1000)}

    def __init__(self, temperature: float = 1000.0, epsilon: float = 0.0) -> None:
        self.temperature = temperature
        self.epsilon = epsilon

    def use_model(self, forward: PerturbedLogits) -> Self:
        """Set the function that runs the perturbed forward pass, and return self.

        `perturbed_logits` does it for one batch of image tensors.
        """
        self._forward = forward
        return self

    def _fit(self, acts: Activations, head: ClassifierHead | None) -> None:
        if self.epsilon > 0 and getattr(self, "_forward", None) is None:
            raise DataError(
                f"detector 'odin' with epsilon = {self.epsilon:g} needs a forward pass over the "
                "images: call use_model(forward) first, or set epsilon = 0 to use stored logits."
            )

    def _score(self, acts: Activations) -> np.ndarray:
        if self.epsilon == 0:
            return odin_score(self._logits(acts), self.temperature)
        logits = np.asarray(self._forward(acts, self.epsilon, self.temperature))
        if logits.ndim != 2 or len(logits) != len(acts):
            raise DataError(
                f"the forward pass of 'odin' must return logits of shape ({len(acts)}, classes), "
                f"got {logits.shape}."
            )
        return odin_score(logits, self.temperature)

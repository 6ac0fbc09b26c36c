"""C(x) and β(x) of Prop. 1 written out, for tests: the library only streams their rows."""

from __future__ import annotations

import numpy as np
import torch

from ood_core.theory.hidden_classifier.coefficients import Tail, TailRun


def coefficients(
    tail: Tail, outputs: torch.Tensor, classes: list[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """C(x) and β(x) of a few images, written out: n x K x d numbers.

    Parameters
    ----------
    tail : from the layer's output to the logits, eval mode.
    outputs : (n, ...) the layer's output.
    classes : the K classes wanted; all for None.

    Returns
    -------
    C : (n, K, d) with d = all units of the layer, flat.
    beta : (n, K), `ψ − C a`.

    Raises
    ------
    ModelError
        As `TailRun.start`.

    References
    ----------
    Park et al., "Understanding the Feature Norm for Out-of-Distribution Detection", ICCV 2023,
    arXiv 2310.05316, Prop. 1 and Eq. 2.
    """
    run = TailRun.start(tail, outputs)
    wanted = list(range(run.logits.shape[1])) if classes is None else classes
    rows = [run.row(torch.full((len(outputs),), k, device=run.logits.device)) for k in wanted]
    c = torch.stack(rows, 1)
    beta = run.logits.detach()[:, wanted] - torch.einsum("nkd,nd->nk", c, run.flat)
    return c.cpu().numpy(), beta.cpu().numpy()

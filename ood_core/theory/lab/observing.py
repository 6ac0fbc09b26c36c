"""What is written down about a network of the lab while it trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from ood_core.metrics import auroc
from ood_core.metrics.counts import ScoreSummary, summarize
from ood_core.models import ClassifierHead
from ood_core.theory.hidden_classifier import activation_entropy, measure_head, measure_tail
from ood_core.theory.lab.network import LabNetwork
from ood_core.theory.lab.plan import Run
from ood_core.theory.lab.vectors import LabImages

__all__ = ["TABLES", "Observation", "look"]

TABLES = ("training", "separation", "sets", "hidden")
"""Tables of an observation:

training : epoch, loss, accuracy (both on the training labels, without augmentation).
separation : epoch, layer, fold, ood_set, score, auroc. Fold "fit" or "test" against the OOD set.
sets : epoch, layer, set, norm, active_share, activation_entropy (means over the set's images).
hidden : epoch, layer, set and the summary of the hidden classifier.
"""
SCORES = ("norm", "negative_aware_norm", "sparsity")


@dataclass
class Observation:
    """Rows of the four TABLES for one run."""

    run: Run
    training: list[dict[str, object]] = field(default_factory=list)
    separation: list[dict[str, object]] = field(default_factory=list)
    sets: list[dict[str, object]] = field(default_factory=list)
    hidden: list[dict[str, object]] = field(default_factory=list)


@torch.no_grad()
def look(
    seen: Observation,
    network: LabNetwork,
    images: LabImages,
    labels: np.ndarray,
    epoch: int,
    *,
    trained: bool,
) -> None:
    """Add rows for the network as it is after `epoch`.

    The last hidden layer is looked at each time. Of the untrained and the finished network every
    layer is, and runs that compare schemes get their hidden classifier measured.
    """
    run, ends = seen.run, trained or epoch == 0
    sets = _sets(run, images)
    activations = {name: network.activations(torch.from_numpy(x)) for name, x in sets.items()}
    _training(seen, network, activations["fit"][-1], labels, epoch)
    depth = len(network.hidden)
    for layer in range(depth) if ends else [depth - 1]:
        vectors = {name: found[layer].numpy() for name, found in activations.items()}
        _separation(seen, vectors, epoch, layer + 1)
        _sets_rows(seen, vectors, epoch, layer + 1)
    if ends and run.compares_schemes:
        _hidden(seen, network, activations, images, labels, epoch)


def _sets(run: Run, images: LabImages) -> dict[str, np.ndarray]:
    """Images to look at: for a one-class network the other digits are what is strange."""
    if run.only_class is None:
        return {"fit": images.fit, "test": images.test, **images.ood}
    fit, test = (y == run.only_class for y in (images.fit_labels, images.test_labels))
    others = np.concatenate([images.test[~test], images.ood["held-out"]])
    return {"fit": images.fit[fit], "test": images.test[test], "other digits": others}


def _training(
    seen: Observation, network: LabNetwork, last: torch.Tensor, labels: np.ndarray, epoch: int
) -> None:
    logits, y = network.head(last), torch.tensor(labels)
    loss = float(torch.nn.functional.cross_entropy(logits, y))
    right = float((logits.argmax(1) == y).double().mean())
    seen.training.append({"epoch": epoch, "loss": loss, "accuracy": right})


def scores_of(vectors: np.ndarray) -> dict[str, ScoreSummary]:
    """Norm `‖a‖₁`, NAN `‖a‖₁/‖a‖₀` and sparsity `1/‖a‖₀` of ReLU vectors (n, d).

    NAN and sparsity are 0 where no unit is on.
    """
    norm = vectors.sum(1, dtype=np.float64)
    on = (vectors > 0).sum(1)
    inverse = np.divide(1.0, on, out=np.zeros(len(on)), where=on > 0)
    return {
        "norm": summarize(norm),
        "negative_aware_norm": summarize(norm * inverse),
        "sparsity": summarize(inverse),
    }


def _separation(
    seen: Observation, vectors: Mapping[str, np.ndarray], epoch: int, layer: int
) -> None:
    scores = {name: scores_of(v) for name, v in vectors.items()}
    seen.separation.extend(
        {"epoch": epoch, "layer": layer, "fold": fold, "ood_set": other, "score": score,
         "auroc": auroc(scores[fold][score], scores[other][score])}
        for fold in ("fit", "test")
        for other in scores
        if other not in ("fit", "test")
        for score in SCORES
    )  # fmt: skip


def _sets_rows(
    seen: Observation, vectors: Mapping[str, np.ndarray], epoch: int, layer: int
) -> None:
    for name, v in vectors.items():
        share = (v > 0).mean(0)
        norm = v.sum(1, dtype=np.float64)
        seen.sets.append(
            {"epoch": epoch, "layer": layer, "set": name, "norm": float(norm.mean()),
             "norm_low": float(np.quantile(norm, 0.1)), "norm_high": float(np.quantile(norm, 0.9)),
             "active_share": float(share.mean()),
             "activation_entropy": activation_entropy(share)}
        )  # fmt: skip


def _hidden(
    seen: Observation,
    network: LabNetwork,
    activations: Mapping[str, list[torch.Tensor]],
    images: LabImages,
    labels: np.ndarray,
    epoch: int,
) -> None:
    """Every layer by autograd where labels are digits; otherwise the last in closed form."""
    if seen.run.scheme != "supervised":
        last = activations["fit"][-1].numpy()
        head = ClassifierHead(network.head.weight.detach().numpy())
        found = measure_head(last, head, labels)
        _hidden_row(seen, found.summary(), epoch, len(network.hidden), "fit")
        return
    for layer in range(len(network.hidden)):
        for name, outputs in activations.items():
            y = {"fit": images.fit_labels, "test": images.test_labels}.get(name)
            measured = measure_tail(network.tail(layer), [(outputs[layer], y)])
            _hidden_row(seen, measured.summary(), epoch, layer + 1, name)


def _hidden_row(
    seen: Observation, summary: Mapping[str, object], epoch: int, layer: int, name: str
) -> None:
    seen.hidden.append({**summary, "epoch": epoch, "layer": layer, "set": name})

"""What NAN and LINe gain on an experiment, where they lose, and why, each with its number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from ood_core.activations.predictions import predicted_classes
from ood_core.detectors import detector_class
from ood_core.detectors._arrays import by_rows, energy_of
from ood_core.detectors._norms import active_count, lp_norm
from ood_core.detectors.line import Line
from ood_core.detectors.negative_aware_norm import DEGENERATE_VARIATION
from ood_core.metrics import auroc
from ood_core.scoring.gains import Gain, gain

if TYPE_CHECKING:
    from ood_core.activations import ActivationSet
    from ood_core.scoring import ScoreSet

__all__ = ["PAIRS", "Remark", "above_id", "gains", "remarks"]

PAIRS = (
    ("negative_aware_norm", "feature_norm"),
    ("line", "energy"),
    ("negative_aware_norm", "energy"),
)
"""The papers' two scores against what each sets out to improve; and NAN, which knows no classes,
against a score that does."""


class Remark(NamedTuple):
    """A heading and the sentences below it, plain text."""

    title: str
    text: str


def gains(scores: Mapping[str, ScoreSet]) -> tuple[Gain, ...]:
    """The gains of `PAIRS` of which both scores are there."""
    return tuple(gain(scores[a], scores[b]) for a, b in PAIRS if a in scores and b in scores)


def remarks(
    acts: ActivationSet, scores: Mapping[str, ScoreSet], found: Sequence[Gain]
) -> tuple[Remark, ...]:
    """What to read beside the gains: how large, on how many sets, most and least where, and why.

    Parameters
    ----------
    acts : activations of the experiment.
    scores : score sets by detector, LINe's fitted one among them.
    found : from `gains`.
    """
    why: dict[tuple[str, str], Callable[[Gain], str]] = {
        PAIRS[0]: lambda g: _why_nan(acts, g),
        PAIRS[1]: lambda g: _why_line(acts, g, scores["line"]),
        PAIRS[2]: _why_energy,
    }
    return tuple(Remark(_title(g), f"{_counts(g)} {why[g.detector, g.against](g)}") for g in found)


def above_id(acts: ActivationSet, scores: ScoreSet) -> tuple[Remark, ...]:
    """Why sets lie above the ID images: those whose AUROC is below 50 % by its whole interval."""
    found = []
    for name in scores.ood:
        e = scores.evaluate(name)
        if e.auroc_high < 0.5:
            title = f"{name} scores above ID (AUROC {100 * e.auroc:.2f} %)"
            found.append(Remark(title, _fooled(acts, name, scores.detector)))
    return tuple(found)


def _fooled(acts: ActivationSet, name: str, detector: str) -> str:
    """What makes a set look known: what the classifier calls it, its strength, its active units."""
    here, known = acts[name], acts[acts.experiment.test_set]
    counts = np.bincount(predicted_classes(here, acts.head), minlength=acts.head.n_classes)
    share, top = counts.max() / len(here), acts.head.names[int(counts.argmax())]
    norm, norm_id = (float(lp_norm(a.layer(), 1, "gap").mean()) for a in (here, known))
    active, active_id = (float(active_count(a.layer(), "gap").mean()) for a in (here, known))
    sure = norm > norm_id or share > 0.5
    said = []
    if share > 0.5:
        said.append(f"{100 * share:.0f} % of its images are classified as {top}.")
    if norm > norm_id:
        said.append(
            f"Its features are stronger than those of ID images: mean L1 norm {norm:.1f} against "
            f"{norm_id:.1f}."
        )
    if {"negative_aware_norm", "sparsity"} & set(detector.split("+")) and active < active_id:
        said.append(
            f"It switches on fewer units than ID images ({active:.1f} against {active_id:.1f}), "
            "which this score takes for a sign of ID."
        )
    if sure:
        said.append(
            "What rewards strength or confidence takes it for known; what measures the distance to "
            "the fit images need not."
        )
    return " ".join(said) or (
        f"Neither its strength (mean L1 norm {norm:.1f}, ID {norm_id:.1f}) nor one predicted class "
        "explains it: this score orders these images the wrong way round."
    )


def _why_nan(acts: ActivationSet, found: Gain) -> str:
    record = acts[acts.experiment.test_set].layer()
    active, units = active_count(record, "gap"), record.n_channels
    mean = float(active.mean())
    there = {s: float(active_count(acts[s].layer(), "gap").mean()) for s in found.differences}
    lifted = found.differences[found.least].value < 0 and there[found.least] < mean
    if same := active.std() < DEGENERATE_VARIATION * mean:
        first = (
            f"Nearly every ID image has the same number of active units here ({mean:.1f} ± "
            f"{active.std():.1f} of {units:,}), so among them NAN is the norm divided by a constant"
        )
    else:
        first = (
            "The norm misses which units are off; NAN divides it by the number of active ones: "
            f"{mean:.1f} of {units:,} on ID images."
        )
    if same and not (found.ahead or found.behind):
        return f"{first}; it changes almost no order. A layer that switches units off shows more."
    why = _ends(found, lambda s: f"{there[s]:.1f} active")
    if lifted:
        why += (
            " Fewer active units than on ID images are the opposite of what NAN counts on: "
            f"dividing lifts {found.least}."
        )
    return f"{first}. {why}" if same else f"{first} {why}"


def _why_line(acts: ActivationSet, found: Gain, scores: ScoreSet) -> str:
    clip = float(scores.params["clip"])
    clipped = _energy_clipped(acts, clip, tuple(found.differences))
    line = cast(Line, scores.fitted)
    kept, d = line.masks_.units.sum(axis=1).mean(), acts.head.weight.shape[1]
    first = _mean([clipped[s] - a for s, a in found.auroc_against.items()])

    def steps(name: str) -> str:
        clipping = clipped[name] - found.auroc_against[name]
        masking = found.auroc[name] - clipped[name]
        return f"clipping {_points(clipping)}, masks {_points(masking)}"

    return (
        f"Clipping activations at {clip:g} gives {_points(first)}; keeping {kept:.0f} of {d:,} "
        f"neurons and few weights for the predicted class gives {_points(found.mean - first)}. "
        f"{_ends(found, steps)}"
    )


def _why_energy(found: Gain) -> str:
    return (
        "NAN reads neither the head's weights nor labels: it knows no classes, and this is what "
        f"knowing them is worth. {_ends(found)}"
    )


def _energy_clipped(acts: ActivationSet, clip: float, names: Sequence[str]) -> dict[str, float]:
    """AUROC of `logsumexp(W min(h, clip) + b)` per OOD set, 0-1: LINe without its masks."""
    head = acts.head

    def energy(name: str) -> np.ndarray:
        parts = [
            by_rows(lambda h: energy_of(np.minimum(h, clip), head.weight, head.bias), p.features)
            for p in acts[name].chunks()
        ]
        return np.concatenate(parts)

    known = energy(acts.experiment.test_set)
    return {name: auroc(known, energy(name)) for name in names}


def _title(found: Gain) -> str:
    ours, theirs = (detector_class(name).title for name in (found.detector, found.against))
    return f"{ours} against {theirs[0].lower()}{theirs[1:]}: {_points(found.mean)} points of AUROC"


def _counts(found: Gain) -> str:
    n = len(found.differences)
    ours, theirs = (100 * _mean(list(r.values())) for r in (found.auroc, found.auroc_against))
    values = f"{ours:.2f} % against {theirs:.2f} %"
    if n == 1:
        decided = found.ahead or found.behind
        return f"{values} on {found.most}, {'beyond' if decided else 'within'} chance."
    return (
        f"{values}, mean over {n} sets; better on {len(found.ahead)} of them and worse on "
        f"{len(found.behind)} beyond chance."
    )


def _ends(found: Gain, why: Callable[[str], str] | None = None) -> str:
    """Where it gains most and least, with a reason for each."""
    if len(found.differences) == 1:
        return f"On {found.most}: {why(found.most)}." if why else ""

    def one(name: str) -> str:
        reason = f" ({why(name)})" if why else ""
        return f"{name} {_points(found.differences[name].value)}{reason}"

    return f"Best on {one(found.most)}, worst on {one(found.least)}."


def _points(share: float) -> str:
    """A difference of shares in points, with its sign; a true minus, and no minus zero."""
    text = f"{100 * share:+.1f}"
    return "±0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))

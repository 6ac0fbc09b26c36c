"""What NAN and LINe gain on an experiment, where they lose, and why, each with its number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from ood_core.activations import PENULTIMATE
from ood_core.activations.predictions import predict, predicted_classes
from ood_core.detectors import detector_class
from ood_core.detectors._arrays import by_rows
from ood_core.detectors._norms import active_count, lp_norm
from ood_core.detectors.energy import energy_score
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


MORE_THAN_USUAL = 1.5
"""How many times its share of the ID images a class must be predicted to be named as a reason."""


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
        PAIRS[0]: lambda g: _why_nan(acts, g, scores[g.detector], scores[g.against]),
        PAIRS[1]: lambda g: _why_line(acts, g, scores["line"], scores["energy"]),
        PAIRS[2]: _why_energy,
    }
    return tuple(Remark(_title(g), f"{_counts(g)} {why[g.detector, g.against](g)}") for g in found)


def above_id(acts: ActivationSet, scores: ScoreSet) -> tuple[Remark, ...]:
    """Why sets lie above the ID images: those whose AUROC is below 50 % by its whole interval."""
    evaluated = {name: scores.evaluate(name) for name in scores.ood}
    above = {name: e.auroc for name, e in evaluated.items() if e.auroc_high < 0.5}
    if not above:
        return ()
    known = _Looks.of(acts, acts.experiment.test_set, scores)
    names = acts.class_names if acts.head is None else acts.head.names
    return tuple(
        Remark(
            f"{name} scores above ID (AUROC {100 * area:.2f} %)",
            _fooled(_Looks.of(acts, name, scores), known, names, scores.detector),
        )
        for name, area in above.items()
    )


class _Looks(NamedTuple):
    """What a score may take for known, per image of a set: (n,) each but `active`.

    `predicted` classes, L1 `norms` of the penultimate features, `confidence` (the largest softmax),
    and the mean number of `active` units where the score reads. Without a head there are neither
    predicted classes nor confidence.
    """

    predicted: np.ndarray | None
    norms: np.ndarray
    confidence: np.ndarray | None
    active: float

    @classmethod
    def of(cls, acts: ActivationSet, name: str, scores: ScoreSet) -> _Looks:
        images = acts[name]
        known = acts.head is not None or images.logits is not None
        return cls(
            predicted_classes(images, acts.head) if known else None,
            lp_norm(images.layer(), 1, "gap"),
            predict(images, acts.head).probability if known else None,
            float(active_count(images.layer(_layer(scores)), _pool(scores)).mean()),
        )


def _fooled(here: _Looks, known: _Looks, names: Sequence[str], detector: str) -> str:
    """What makes a set look known: what the classifier calls it, its strength, its active units."""
    norm, norm_id = (f"{float(looks.norms.mean()):.1f}" for looks in (here, known))
    stronger = here.norms.mean() > known.norms.mean() and norm != norm_id
    what = ["strength"] if auroc(known.norms, here.norms) < 0.5 else []
    if known.confidence is not None and here.confidence is not None:
        what += ["confidence"] if auroc(known.confidence, here.confidence) < 0.5 else []
    said = _called(here, known, names)
    if stronger:
        said.append(
            f"Its features are stronger than those of ID images: mean L1 norm {norm} against "
            f"{norm_id}."
        )
    counting = {"negative_aware_norm", "sparsity"} & set(detector.split("+"))
    if counting and here.active < known.active:
        said.append(
            f"It switches on fewer units than ID images ({here.active:.1f} against "
            f"{known.active:.1f}), which this score takes for a sign of ID."
        )
    if what:
        said.append(
            f"What rewards {' or '.join(what)} takes it for known; what measures the distance to "
            "the fit images need not."
        )
    return " ".join(said) or (
        f"Neither its strength (mean L1 norm {norm}, ID {norm_id}) nor what it is classified as "
        "explains it: this score orders these images the wrong way round."
        if here.predicted is not None
        else f"Its strength (mean L1 norm {norm}, ID {norm_id}) does not explain it: this score "
        "orders these images the wrong way round."
    )


def _called(here: _Looks, known: _Looks, names: Sequence[str]) -> list[str]:
    """That most of a set is taken for one class, where it is and there are classes."""
    if here.predicted is None or known.predicted is None:
        return []
    top = int(np.bincount(here.predicted, minlength=len(names)).argmax())
    share, usual = (float((p == top).mean()) for p in (here.predicted, known.predicted))
    if share <= 0.5 or share <= MORE_THAN_USUAL * usual:
        return []
    return [
        f"{100 * share:.0f} % of its images are classified as {names[top]} "
        f"({100 * usual:.0f} % of the ID images are)."
    ]


def _layer(scores: ScoreSet) -> str | None:
    """The layer that a score reads; None for the penultimate one."""
    return None if scores.layer == PENULTIMATE else scores.layer


def _pool(scores: ScoreSet) -> str:
    return str(scores.params.get("pool", "gap"))


def _why_nan(acts: ActivationSet, found: Gain, nan: ScoreSet, norm: ScoreSet) -> str:
    """Counted at the layer and over the units that NAN itself reads."""
    pool, record = _pool(nan), acts[acts.experiment.test_set].layer(_layer(nan))
    active, units = active_count(record, pool), record.n_channels
    units = record.n_units if pool == "flat" else units
    of_sets = {s: active_count(acts[s].layer(_layer(nan)), pool) for s in found.differences}
    mean, every = float(active.mean()), np.concatenate([active, *of_sets.values()])
    there = {s: float(counts.mean()) for s, counts in of_sets.items()}
    ends = _ends(found, lambda s: f"{there[s]:.1f} active")
    if (nan.layer, pool) != (norm.layer, _pool(norm)) or norm.params.get("p", 1) != 1:
        return (
            f"The two do not read the same here: {_reads(nan)} against {_reads(norm)}, so that the "
            f"difference is not that of dividing alone. ID images have {mean:.1f} of {units:,} "
            f"units active where NAN reads. {ends}"
        )
    if every.std() < DEGENERATE_VARIATION * every.mean():
        return (
            f"Nearly every image has the same number of active units here ({mean:.1f} ± "
            f"{active.std():.1f} of {units:,} on ID images), so NAN is the norm divided by a "
            "constant and can change almost no order. A layer that switches units off shows more."
        )
    lifted = found.least in found.behind and there[found.least] < mean
    return (
        "The norm misses which units are off; NAN divides it by the number of active ones: "
        f"{mean:.1f} of {units:,} on ID images. {ends}"
        + (
            " Fewer active units than on ID images are the opposite of what NAN counts on: "
            f"dividing lifts {found.least}."
            if lifted
            else ""
        )
    )


def _reads(scores: ScoreSet) -> str:
    order = f"L{scores.params['p']:g} norm" if "p" in scores.params else "NAN"
    return f"{order} of {scores.layer} ({_pool(scores)})"


def _why_line(acts: ActivationSet, found: Gain, scores: ScoreSet, energy: ScoreSet) -> str:
    clip = float(scores.params["clip"])
    temperature = float(energy.params.get("temperature", 1))
    masks = "masks" if temperature == 1 else "masks and temperature 1"
    clipped = _energy_clipped(acts, clip, temperature, tuple(found.differences))
    line = cast(Line, scores.fitted)
    kept, d = line.masks_.units.sum(axis=1).mean(), acts.need_head().weight.shape[1]
    first = _mean([clipped[s] - a for s, a in found.auroc_against.items()])

    def steps(name: str) -> str:
        clipping = clipped[name] - found.auroc_against[name]
        masking = found.auroc[name] - clipped[name]
        return f"clipping {_points(clipping)}, {masks} {_points(masking)}"

    return (
        f"Clipping activations at {clip:g} gives {_points(first)}; keeping {kept:.0f} of {d:,} "
        f"neurons and {100 - scores.params['p_w']:g} % of the weights for the predicted class"
        f"{'' if temperature == 1 else ', at temperature 1,'} gives {_points(found.mean - first)}. "
        f"{_ends(found, steps)}"
    )


def _why_energy(found: Gain) -> str:
    worth = (
        "it knows no classes, and this is what knowing them is worth."
        if found.mean < 0
        else "it knows no classes, and does not need to here."
    )
    return f"NAN reads neither the head's weights nor labels: {worth} {_ends(found)}".rstrip()


def _energy_clipped(
    acts: ActivationSet, clip: float, temperature: float, names: Sequence[str]
) -> dict[str, float]:
    """AUROC of the energy of `W min(h, clip) + b` per OOD set, 0-1: LINe without its masks."""
    head = acts.need_head()

    def energy(name: str) -> np.ndarray:
        parts = [
            by_rows(
                lambda h: energy_score(head.logits(np.minimum(h, clip)), temperature), p.features
            )
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
    if found.most == found.least:
        return f"The difference is the same on every set: {_points(found.mean)}."

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

"""A report of one choice: what was chosen, on which images, and what it did on others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ood_core.detectors import detector_class
from ood_core.runtime.names import in_markdown
from ood_core.scoring.gate_result import GateResult, gates_in_words
from ood_core.scoring.params import params_text
from ood_core.scoring.score_set import ScoreSet

if TYPE_CHECKING:
    from ood_core.activations import ActivationSet
    from ood_core.experiments import Experiment
    from ood_core.thresholds.operating_point import OperatingPoint

__all__ = ["report"]


def report(
    experiment: Experiment,
    acts: ActivationSet,
    scores: ScoreSet,
    gates: Sequence[GateResult],
    point: OperatingPoint,
    check: OperatingPoint | None = None,
) -> str:
    """Markdown report of a detector at a threshold.

    Parameters
    ----------
    scores : the detector's scores.
    gates : the sanity gates of these activations; those that fail stand first.
    point : the operating point chosen.
    check : the same rule chosen on one half of each set and counted on the other, where there is
        such a rule.
    """
    cls = detector_class(scores.detector)
    return "\n".join(
        [
            f"# {cls.title} on {in_markdown(experiment.title)}",
            "",
            f"{cls.summary} ({cls.reference})",
            "",
            *_facts(experiment, acts, scores),
            "",
            *_failing(gates),
            "## Threshold",
            "",
            f"Accepted as in-distribution: score ≥ {point.threshold:.6g}. {point.how}",
            "",
            *_rates(point, check),
            "",
            "## Against each OOD set",
            "",
            *_figures(scores),
            "",
            "AUROC and FPR95 with 95 % intervals. FPR95: share of OOD images accepted when 95 % "
            "of ID images are (ID is the positive class).",
            *_remarks(scores),
            "",
        ]
    )


def _facts(experiment: Experiment, acts: ActivationSet, scores: ScoreSet) -> list[str]:
    source = experiment.classifier
    rows = "rows" if source.features_only else "images"
    weights = source.checkpoint or source.weights or f"random, seed {source.random_weights}"
    if source.part is not None:
        weights = f"{weights}, part {source.part}"
    if source.keys is not None:
        weights = f"{weights}, tensors told by order and shape"
    network = f"{in_markdown(source.architecture)}, weights {in_markdown(str(weights))}"
    if source.features_only:
        head = f", head {in_markdown(str(source.head))}" if source.head else ""
        network = f"none here, features from elsewhere{head}"
    fitted, tested = in_markdown(scores.fit_set), in_markdown(scores.id_name)
    return [
        f"- Classifier: {network}, {_classes(acts)}",
        f"- Parameters: {params_text(scores.params) or 'none'}; layer {in_markdown(scores.layer)}",
        f"- Fitted on {len(acts[scores.fit_set]):,} {rows} of '{fitted}'; ID test set "
        f"'{tested}', {len(scores.id_scores):,} {rows}",
        f"- Activations: {acts.fingerprint}",
    ]


def _classes(acts: ActivationSet) -> str:
    return "no head" if acts.head is None else f"{acts.head.n_classes:,} classes"


def _failing(gates: Sequence[GateResult]) -> list[str]:
    """What fails, with what to do; one line where all hold."""
    bad = [g for g in gates if g.ok is False]
    lines = [f"- **{g.name}** does not hold: {g.text}. {g.remedy}" for g in bad]
    head = [] if not bad else ["## Before you read the figures", ""]
    return [*head, f"Sanity gates: {gates_in_words(gates)}", *([""] if bad else []), *lines, ""]


def _rates(point: OperatingPoint, check: OperatingPoint | None) -> list[str]:
    lines = ["| images | ID accepted | OOD accepted |", "|---|---|---|"]
    lines.append(_rate_row("all, those the rule was chosen on among them", point))
    if check is not None:
        lines.append(_rate_row("halves that the choice never saw", check))
    return lines


def _rate_row(what: str, point: OperatingPoint) -> str:
    n = sum(a.n for a in point.ood.values())
    accepted = sum(a.count for a in point.ood.values())
    ood = f"{100 * accepted / n:.2f} % ({accepted:,} of {n:,})" if n else "–"
    interval = f"[{100 * point.id.low:.2f}, {100 * point.id.high:.2f}]"
    return (
        f"| {what} | {100 * point.id.rate:.2f} % {interval} ({point.id.count:,} of "
        f"{point.id.n:,}) | {ood} |"
    )


def _figures(scores: ScoreSet) -> list[str]:
    lines = ["| OOD set | images | AUROC, % | FPR95, % |", "|---|---|---|---|"]
    for name in scores.ood:
        e: Any = scores.evaluate(name)
        lines.append(
            f"| {in_markdown(name)} | {e.n_ood:,} | {100 * e.auroc:.2f} [{100 * e.auroc_low:.2f}, "
            f"{100 * e.auroc_high:.2f}] | {100 * e.fpr95:.2f} [{100 * e.fpr95_low:.2f}, "
            f"{100 * e.fpr95_high:.2f}] |"
        )
    return lines


def _remarks(scores: ScoreSet) -> list[str]:
    found = list(scores.warnings)
    return ["", "## Remarks", "", *(f"- {in_markdown(text)}" for text in found)] if found else []

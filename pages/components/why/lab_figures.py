"""Figure and claims of each lab section.

Each takes the results, an OOD set or None for all, and its name; it returns what draws the figure
and the list of claims.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ood_core.theory.claims import lab_rows, of_training
from ood_core.theory.lab.results import recipe
from pages.components.charts import figures
from pages.components.kit import cache

if TYPE_CHECKING:
    from ood_core.theory import Claim
    from ood_core.theory.lab import LabResults

__all__ = ["depth", "entropy", "labels", "layers", "nan", "one_class", "training", "width"]

T = TypeVar("T")
Part = tuple[Callable[[], None], "list[Claim]"]


def _known(name: str, against: str | None, results: LabResults, make: Callable[[], T]) -> T:
    return cache.once(("lab", name, against, recipe(), len(results.runs)), make)


def layers(results: LabResults, against: str | None, title: str) -> Part:
    """Fig. 2 of the paper."""
    from ood_core.plots.hidden_classifier import hidden_by_layer

    rows, ood = lab_rows.hidden_rows(results, against), lab_rows.ood_names(against)
    fig = _known("layers", against, results, lambda: hidden_by_layer(rows, ood))
    claims = _known(
        "layers claims", None, results, lambda: of_training.claims_of_hidden_layers(results)
    )
    return lambda: figures.show(fig, "lab_layers", data=rows, name="hidden_by_layer"), claims


def training(results: LabResults, against: str | None, title: str) -> Part:
    """Fig. 1."""
    from ood_core.plots.lab import norm_over_training

    rows, ood = lab_rows.norm_rows(results, against), lab_rows.ood_names(against)
    fig = _known("training", against, results, lambda: norm_over_training(rows, ood))
    claims = _known("training claims", against, results,
                    lambda: of_training.claims_of_training(results, against))  # fmt: skip
    return lambda: figures.show(fig, "lab_training", data=rows, name="norm_over_training"), claims


def labels(results: LabResults, against: str | None, title: str) -> Part:
    """Fig. 3 and 4."""
    from ood_core.plots.lab import separation_over_training

    rows = lab_rows.scheme_rows(results, against)
    fig = _known("labels", against, results, lambda: separation_over_training(
        rows, lab_rows.scheme_titles(), what="the norm", against=title))  # fmt: skip
    claims = _known("labels claims", against, results,
                    lambda: of_training.claims_of_labels(results, against))  # fmt: skip
    return lambda: figures.show(fig, "lab_labels", data=rows, name="labelling_schemes"), claims


def entropy(results: LabResults, against: str | None, title: str) -> Part:
    """Fig. 5."""
    from ood_core.plots.lab import entropy_scatter

    points = _known("points", against, results, lambda: lab_rows.entropy_points(results, against))
    fig = _known("entropy", against, results,
                 lambda: entropy_scatter(points, lab_rows.scheme_titles()))  # fmt: skip
    claims = _known("entropy claims", against, results,
                    lambda: of_training.claims_of_entropy(results, against))  # fmt: skip
    return lambda: figures.show(fig, "lab_entropy", data=points, name="activation_entropy"), claims


def nan(results: LabResults, against: str | None, title: str) -> Part:
    """Table 5."""
    from ood_core.plots.hidden_classifier import nan_gain

    rows = lab_rows.nan_rows(results)
    fig = _known("nan", None, results, lambda: nan_gain(
        rows, lab_rows.ood_names(None),
        "Norm and NAN of networks trained with labels, new images"))  # fmt: skip
    claims = _known("nan claims", against, results,
                    lambda: of_training.claims_of_nan(results, against))  # fmt: skip
    return lambda: figures.show(fig, "lab_nan", data=rows, name="lab_norm_and_nan"), claims


def depth(results: LabResults, against: str | None, title: str) -> Part:
    """Fig. 6."""
    from ood_core.plots.lab import depth_figure

    rows, shares = lab_rows.depth_rows(results, against)
    fig = _known("depth", against, results, lambda: depth_figure(rows, shares, title))
    claims = _known("depth claims", against, results,
                    lambda: of_training.claims_of_depth(results, against))  # fmt: skip
    return lambda: figures.show(fig, "lab_depth", data=rows, name="by_layer"), claims


def width(results: LabResults, against: str | None, title: str) -> Part:
    """Fig. 7."""
    from ood_core.plots.lab import width_figure

    points = lab_rows.width_points(results, against)
    fig = _known("width", against, results, lambda: width_figure(points, title))
    claims = _known("width claims", against, results,
                    lambda: of_training.claims_of_width(results, against))  # fmt: skip
    return lambda: figures.show(fig, "lab_width", data=points, name="by_width"), claims


def one_class(results: LabResults, against: str | None, title: str) -> Part:
    """Table 4."""
    from ood_core.plots.lab import one_class_figure

    points = lab_rows.one_class_points(results)
    fig = _known("one class", None, results, lambda: one_class_figure(points))
    claims = _known(
        "one class claims", None, results, lambda: of_training.claims_of_one_class(results)
    )
    return lambda: figures.show(fig, "lab_one_class", data=points, name="one_class"), claims

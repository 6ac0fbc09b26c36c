"""What the overview says of comparisons that this network or these images cannot have."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from ood_core.activations import Activations
from ood_core.models import ClassifierHead
from ood_core.views.not_applicable import outside, unavailable


def made(head: bool, labels: bool) -> dict[str, Activations]:
    class Acts(dict[str, Activations]):
        experiment = SimpleNamespace(fit_set="fit", test_set="test")

    found = Acts(fit=Activations.from_arrays(np.eye(3), labels=[0, 1, 2] if labels else None))
    found.head = ClassifierHead(np.eye(3)) if head else None  # type: ignore[attr-defined]
    return found


def test_nothing_where_everything_applies() -> None:
    assert outside(made(head=True, labels=True)) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("head", "lost", "said"),
    [
        (False, "LINe against energy, NAN against energy", "LINe needs the classifier's head"),
        (True, "LINe against energy", "LINe needs labels for the fit set, and there are none."),
    ],
)
def test_what_is_lost_and_why(head: bool, lost: str, said: str) -> None:
    acts = made(head=head, labels=False)
    (remark,) = outside(acts)  # type: ignore[arg-type]
    assert remark.title == f"Not applicable here: {lost}"
    assert remark.text.startswith(said)
    assert ("energy needs logits" in remark.text) == (not head)
    assert bool(unavailable(acts, "energy")) == (not head)  # type: ignore[arg-type]
    assert not unavailable(acts, "negative_aware_norm")  # type: ignore[arg-type]

from types import SimpleNamespace

import numpy as np

from ood_core.activations import Activations
from ood_core.models import ClassifierHead
from ood_core.views.experiment_summary import Facts

HEAD = ClassifierHead(np.eye(2))


def acts(labels: list[int] | None) -> Activations:
    return Activations.from_arrays(np.eye(2)[[0, 1, 0, 1]], labels=labels)


def test_facts_of_an_experiment():
    class Stored(dict):
        experiment = SimpleNamespace(fit_set="fit", test_set="test", ood_sets=("a", "b"))
        head = HEAD
        skipped = {"a": (("a/7", "truncated"),)}  # noqa: RUF012

    sets = Stored(fit=acts(None), test=acts([0, 1, 0, 0]), a=acts(None), b=acts(None))
    assert Facts.of(sets) == Facts(2, 4, 4, {"a": 4, "b": 4}, 0.75, 1)

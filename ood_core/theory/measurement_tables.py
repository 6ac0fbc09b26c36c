"""Measurements as tables: one row an image, or one row a set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ood_core.activations import PENULTIMATE, extract
from ood_core.activations.activation_set import chosen_sets
from ood_core.runtime.names import in_utf8
from ood_core.theory.hidden_classifier import HiddenClassifier
from ood_core.theory.measurement import PER_SET, measure_layer, rows_measured

if TYPE_CHECKING:
    import pandas as pd

    from ood_core.experiments import Experiment
    from ood_core.runtime.progress import ProgressCallback, StopCheck

__all__ = ["theory_summary", "theory_table"]


def theory_table(
    exp: Experiment,
    layer: str = PENULTIMATE,
    sets: Sequence[str] | None = None,
    *,
    per_set: int = PER_SET,
    top: int | None = None,
    device: str = "auto",
    progress: ProgressCallback | None = None,
    should_stop: StopCheck | None = None,
) -> pd.DataFrame:
    """Hidden classifier of a layer, one row per image of the ID test set and the OOD sets.

    Columns: set, id, layer, label, hidden_prediction, feature_norm, hidden_max_logit,
    approximation_error, relative_error, eq5_upper_slack, prediction_entropy, sign_difference,
    sign_difference_predicted, bias_norm, logit_norm. `attrs["summary"]` holds `theory_summary`.

    Parameters and errors as for `measure_layer`, and as for `extract`, which runs first for the
    layer and sets that are not stored yet.
    """
    import pandas as pd

    wanted = chosen_sets(exp, (exp.test_set, *exp.ood_sets) if sets is None else sets)
    acts = extract(
        exp, device=device, layers=[layer], sets=wanted, progress=progress, should_stop=should_stop
    )
    found = measure_layer(
        acts, layer, wanted, per_set=per_set, top=top, device=device,
        progress=progress, should_stop=should_stop,
    )  # fmt: skip
    parts = []
    for name, hidden in found.items():
        rows = rows_measured(acts[name], layer, per_set)
        frame = hidden.frame([in_utf8(acts[name].ids[i]) for i in rows])
        frame.insert(0, "set", name)
        parts.append(frame)
    table = pd.concat(parts, ignore_index=True)
    table.attrs["summary"] = theory_summary(found)
    return table


def theory_summary(found: Mapping[str, HiddenClassifier]) -> pd.DataFrame:
    """One row per set: accuracy, correlation and relative error with 95 % intervals, and means."""
    import pandas as pd

    return pd.DataFrame([{"set": name, **hidden.summary()} for name, hidden in found.items()])

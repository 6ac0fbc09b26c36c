"""Hidden classifier of a layer of the user's own network, for images of an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ood_core.activations import PENULTIMATE
from ood_core.activations.activation_set import ActivationSet, chosen_sets
from ood_core.activations.layer_outputs import layer_outputs
from ood_core.activations.resident_models import resident_model
from ood_core.errors import ConfigError, ModelError
from ood_core.models import tail
from ood_core.models.network_files import network_no_gradients
from ood_core.runtime.progress import Meter, ProgressCallback, StopCheck
from ood_core.theory.hidden_classifier import HiddenClassifier, measure_head, measure_tail
from ood_core.theory.stored_measurements import Key, read_measured, write_measured

if TYPE_CHECKING:
    from ood_core.activations import Activations
    from ood_core.models import LayerInfo

__all__ = ["PER_SET", "measure_layer", "measured_layer", "not_measurable"]

PER_SET = 250
"""Images of each set that are measured, spread evenly over it. One backward pass per class and
batch is what each costs."""
MOST_CLASSES = 100
"""A classifier with more classes is measured on each image's TOP classes."""
TOP = 20
_GRAPH_BYTES = 256 << 20
_MOST_ROWS = 20_000


def measure_layer(
    acts: ActivationSet,
    layer: str = PENULTIMATE,
    sets: Sequence[str] | None = None,
    *,
    per_set: int = PER_SET,
    top: int | None = None,
    device: str = "auto",
    progress: ProgressCallback | None = None,
    should_stop: StopCheck | None = None,
) -> dict[str, HiddenClassifier]:
    """Measure a layer's hidden classifier on the ID test set and the OOD sets.

    The penultimate layer has a closed form and needs no model: every stored image counts (up to
    20,000 a set). Another layer takes one forward pass and K backward passes through the rest of
    the network; a set that is finished is kept on disk.

    Parameters
    ----------
    acts : activations of the experiment.
    layer : name of a recorded layer.
    sets : names of sets; ID test and OOD sets for None.
    per_set : images of each set, for layers other than the penultimate.
    top : take the classifier over each image's `top` largest logits; for None all classes, or 20
        where there are more than 100.
    device : as for `extract`.

    Returns
    -------
    set name -> HiddenClassifier, in the experiment's order.

    Raises
    ------
    ModelError, ConfigError
        When there is no such layer or set, or the network cannot be differentiated.
    StoppedError
        When `should_stop` said so.
    """
    if per_set < 1:
        raise ConfigError(f"per_set must be at least 1 image; got {per_set}.")
    names = _sets(acts, sets)
    if layer == PENULTIMATE:
        return {name: _closed_form(acts, name) for name in names}
    reason = not_measurable(acts)
    if reason:
        raise ModelError(reason)
    keys = {name: _key(acts, layer, name, per_set, top) for name in names}
    found = {name: read_measured(key) for name, key in keys.items()}
    sizes = {name: min(per_set, len(acts[name])) for name in names}
    meter = Meter(f"Hidden classifier at {layer}", sum(sizes.values()), progress, should_stop)
    for name in names:
        if found[name] is not None:
            meter.skip(sizes[name])
            continue
        measured = _by_autograd(acts, layer, name, keys[name], device, meter, should_stop)
        write_measured(keys[name], measured)
        found[name] = measured
    return {name: value for name, value in found.items() if value is not None}


def measured_layer(
    acts: ActivationSet,
    layer: str = PENULTIMATE,
    sets: Sequence[str] | None = None,
    *,
    per_set: int = PER_SET,
    top: int | None = None,
) -> dict[str, HiddenClassifier] | None:
    """The same where it is known already (or in closed form), else None. Never runs the model."""
    names = _sets(acts, sets)
    if layer == PENULTIMATE:
        return {name: _closed_form(acts, name) for name in names}
    found = {name: read_measured(_key(acts, layer, name, per_set, top)) for name in names}
    whole = {name: value for name, value in found.items() if value is not None}
    return whole if len(whole) == len(names) else None


def not_measurable(acts: ActivationSet) -> str:
    """Why only the penultimate layer of this network can be measured; "" where every one can."""
    return network_no_gradients(acts.experiment.classifier.architecture)


def rows_measured(acts: Activations, layer: str, per_set: int = PER_SET) -> np.ndarray:
    """Row numbers of the images that `measure_layer` takes, ascending."""
    most = _MOST_ROWS if layer == PENULTIMATE else per_set
    n = len(acts)
    return np.arange(n) if n <= most else np.linspace(0, n - 1, most).round().astype(int)


def _sets(acts: ActivationSet, names: Sequence[str] | None) -> tuple[str, ...]:
    exp = acts.experiment
    wanted = (exp.test_set, *exp.ood_sets) if names is None else tuple(names)
    return chosen_sets(exp, wanted)


def _closed_form(acts: ActivationSet, name: str) -> HiddenClassifier:
    rows = rows_measured(acts[name], PENULTIMATE)
    labels = acts[name].labels
    whole = len(rows) == len(acts[name])
    features = acts[name].features if whole else acts[name].features[rows]
    return measure_head(features, acts.need_head(), None if labels is None else labels[rows])


def _key(acts: ActivationSet, layer: str, name: str, per_set: int, top: int | None) -> Key:
    return Key(acts.model, acts[name].fingerprint, layer, per_set, _top(acts, top))


def _top(acts: ActivationSet, top: int | None) -> int | None:
    if top is None and acts.need_head().n_classes > MOST_CLASSES:
        return TOP
    return top


def _by_autograd(
    acts: ActivationSet,
    layer: str,
    name: str,
    key: Key,
    device: str,
    meter: Meter,
    should_stop: StopCheck | None,
) -> HiddenClassifier:
    loaded = resident_model(acts.experiment)
    info = loaded.layer(layer)
    rows = rows_measured(acts[name], layer, key.per_set)
    size = _batch_size(loaded.layers, info)
    batches = layer_outputs(acts, loaded, layer, name, rows, batch_size=size, device=device)
    before = 0

    def advanced(done: int) -> None:
        nonlocal before
        meter.advance(done - before)
        before = done

    return measure_tail(
        tail(loaded, layer),
        batches,
        layer=layer,
        top=key.top,
        on_batch=advanced,
        should_stop=should_stop,
    )


def _batch_size(layers: Sequence[LayerInfo], info: LayerInfo) -> int:
    """Images whose graph through the rest of the network fits into about 256 MiB.

    A layer keeps about three tensors of its size: before and after its normalisation, and after
    its activation.
    """
    later = layers[[layer.name for layer in layers].index(info.name) :]
    units = sum(layer.channels * layer.positions for layer in later)
    return int(min(64, max(1, _GRAPH_BYTES // (12 * units))))

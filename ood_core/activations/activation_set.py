"""Activations of every set of an experiment, opened from the store without loading the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ood_core.activations.manifest import Manifest, read_manifest
from ood_core.activations.record import PENULTIMATE
from ood_core.activations.store import BASE, Entry, EntryIndex, hash_of
from ood_core.activations.stored import StoredActivations, StoredLayer, StoredTable
from ood_core.data import open_dataset
from ood_core.errors import ConfigError, DataError, did_you_mean
from ood_core.models import WeightsMissingError, model_fingerprint
from ood_core.models.layer_info import find_layer
from ood_core.runtime.bounded import Bounded

if TYPE_CHECKING:
    from ood_core.data import ImageSet
    from ood_core.experiments import Experiment, Preprocessing
    from ood_core.experiments.listing import LeftOut
    from ood_core.models import ClassifierHead, LayerInfo

__all__ = [
    "ActivationSet",
    "chosen_layers",
    "chosen_sets",
    "open_sources",
    "open_stored",
    "prepared",
    "set_keys",
    "stored_manifest",
]


class ActivationSet(Mapping[str, StoredActivations]):
    """Mapping data set name -> Activations of one experiment.

    Attributes
    ----------
    experiment : the experiment.
    head : the classifier's last linear layer, with class names where known; None without one.
    layers : recorded layers in order of depth; the last is PENULTIMATE.
    preprocessing : the resolved transform; None for features from elsewhere.
    model : fingerprint of weights and architecture.
    fingerprint : identifies every array in it.
    skipped : set name -> (id, message) of each image that could not be read.
    notes : set name -> (id, what was assumed of its pixels) of images of which something was.
    left_out : set name -> what lies beside its images and is none, with the reason.
    predicts : whether there are predicted classes.
    class_names : what the classes are called, by number.
    """

    def __init__(
        self,
        experiment: Experiment,
        manifest: Manifest,
        layers: Sequence[LayerInfo],
        sets: Mapping[str, StoredActivations],
        left_out: Mapping[str, tuple[LeftOut, ...]],
        label_names: Sequence[str] | None = None,
    ) -> None:
        self.experiment = experiment
        self.head: ClassifierHead | None = manifest.head
        self.preprocessing: Preprocessing | None = manifest.preprocessing
        self.model = manifest.model
        self.layers = tuple(layers)
        self.left_out = dict(left_out)
        self._label_names = label_names
        self._sets = dict(sets)
        self.fingerprint = hash_of(manifest.model, {k: a.fingerprint for k, a in sets.items()})

    @property
    def skipped(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """Images that could not be read, by set: (id, message)."""
        return {name: acts.skipped for name, acts in self._sets.items()}

    @property
    def notes(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """What was assumed of pixels, by set: (id, note)."""
        return {name: acts.notes for name, acts in self._sets.items()}

    @property
    def predicts(self) -> bool:
        """Whether there are predicted classes: of a head, or of logits that were given."""
        return self.head is not None or any(a.logits is not None for a in self._id_sets())

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the classes are called, by number: as the head has it, else as the fit set's labels
        have it, else their numbers; () where nothing has classes."""
        if self.head is not None:
            return tuple(self.head.names)
        if self._label_names:
            return tuple(self._label_names)
        count = 0
        for acts in self._id_sets():
            if acts.labels is not None:
                count = max(count, int(acts.labels.max(initial=-1)) + 1)
            if acts.logits is not None:
                count = max(count, acts.logits.shape[1])
        return tuple(map(str, range(count)))

    def _id_sets(self) -> list[StoredActivations]:
        names = {self.experiment.fit_set, self.experiment.test_set}
        return [acts for name, acts in self._sets.items() if name in names]

    def need_head(self) -> ClassifierHead:
        """The head, for what is not defined without one.

        Raises
        ------
        DataError
            When the network has none.
        """
        if self.head is None:
            raise DataError(
                f"the network of {self.experiment.name!r} has no head: what needs classes, logits "
                "or the head's weights is not defined for it."
            )
        return self.head

    def __getitem__(self, name: str) -> StoredActivations:
        if name not in self._sets:
            raise KeyError(f"no data set {name!r}. {did_you_mean(name, self._sets)}")
        return self._sets[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sets)

    def __len__(self) -> int:
        return len(self._sets)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}: {len(acts)}" for name, acts in self._sets.items())
        return f"ActivationSet({self.experiment.name!r}, {sizes})"


def prepared(
    exp: Experiment,
    layers: Sequence[str] | None = None,
    sets: Sequence[str] | None = None,
    amp: bool = False,
) -> ActivationSet | None:
    """Activations of the experiment that are stored and current. Computes nothing.

    Parameters
    ----------
    layers : layer names, all of which must be stored; for None, those that every set has.
    sets : data set names; all of the experiment's for None.
    amp : as in `extract`: half precision results are other results.

    Returns
    -------
    None when a set, a layer asked for or the penultimate layer is not stored.

    Raises
    ------
    DataError, ModelError, ConfigError
        When data, weights or names given are not usable.
    """
    sources = open_sources(exp, sets)
    manifest = stored_manifest(exp, sources)
    if manifest is None:
        return None
    infos, keys = chosen_layers(manifest.layers, layers), set_keys(manifest, sources, amp)
    if layers is None:
        infos = tuple(
            layer
            for layer in infos
            if layer.name == PENULTIMATE
            or all(Entry(key, layer.name).index() is not None for key in keys.values())
        )
    return open_stored(exp, manifest, infos, keys, sources)


def stored_manifest(exp: Experiment, sources: Mapping[str, ImageSet]) -> Manifest | None:
    """What the store knows of the experiment's classifier as it is now, or None."""
    try:
        model = model_fingerprint(exp)
    except WeightsMissingError:
        return None
    return read_manifest(exp, model, sources.get(exp.fit_set))


def open_stored(
    exp: Experiment,
    manifest: Manifest,
    layers: Sequence[LayerInfo],
    keys: Mapping[str, str],
    sources: Mapping[str, ImageSet],
) -> ActivationSet | None:
    """Open these layers of the sets under these keys, or None when any of it is missing."""
    found: dict[str, StoredActivations] = {}
    for name, key in keys.items():
        acts = _open_set(name, key, layers)
        if acts is None:
            return None
        found[name] = acts
    left_out = {name: sources[name].left_out for name in keys}
    fit = sources.get(exp.fit_set)
    names = None if fit is None else fit.class_names
    return ActivationSet(exp, manifest, layers, found, left_out, names)


def open_sources(exp: Experiment, sets: Sequence[str] | None) -> dict[str, ImageSet]:
    """Image sets as they are now; see `chosen_sets`."""
    return {name: open_dataset(exp.sets[name]) for name in chosen_sets(exp, sets)}


def set_keys(manifest: Manifest, sources: Mapping[str, ImageSet], amp: bool) -> dict[str, str]:
    """Key of each set's activations: weights, architecture, transform, images and precision."""
    transform = manifest.preprocessing and dataclasses.asdict(manifest.preprocessing)
    return {
        name: hash_of(manifest.model, transform, source.identity, bool(amp))
        for name, source in sources.items()
    }


def chosen_layers(known: Sequence[LayerInfo], names: Sequence[str] | None) -> tuple[LayerInfo, ...]:
    """Layers of these names in order of depth, PENULTIMATE always among them; all for None."""
    if names is None:
        return tuple(known)
    wanted = {find_layer(known, name).name for name in (*names, PENULTIMATE)}
    return tuple(layer for layer in known if layer.name in wanted)


def chosen_sets(exp: Experiment, names: Sequence[str] | None) -> tuple[str, ...]:
    """Data sets of these names in the experiment's order: fit, test, then OOD; all for None.

    Raises
    ------
    ConfigError
        On a name that the experiment does not have.
    """
    order = tuple(dict.fromkeys((exp.fit_set, exp.test_set, *exp.ood_sets)))
    for name in names or ():
        if name not in order:
            raise ConfigError(
                f"experiment {exp.name!r} has no set {name!r}. {did_you_mean(name, order)}"
            )
    return order if names is None else tuple(name for name in order if name in names)


def _open_set(name: str, key: str, layers: Sequence[LayerInfo]) -> StoredActivations | None:
    entries = [Entry(key, layer) for layer in (BASE, *(info.name for info in layers))]
    indices = [entry.index() for entry in entries]
    whole = [index for index in indices if index is not None]
    if len(whole) < len(entries):
        return None
    for entry in entries:
        entry.touch()
    return _shared(name, entries, whole)


_SHARED: Bounded[tuple[object, ...], StoredActivations] = Bounded(64)
"""One object per stored set and process, so that what it has read is shared."""


def _shared(
    name: str, entries: Sequence[Entry], indices: Sequence[EntryIndex]
) -> StoredActivations:
    layers = [entry.layer for entry in entries[1:]]
    key = (name, entries[0].folder, indices[0].sizes, *layers)

    def opened() -> StoredActivations:
        tables = [StoredLayer(e, i) for e, i in zip(entries[1:], indices[1:], strict=True)]
        fingerprint = hash_of(entries[0].set_key, layers)
        base = StoredTable(entries[0], indices[0])
        return StoredActivations(name, fingerprint, base, dict(zip(layers, tables, strict=True)))

    return _SHARED.get(key, opened)

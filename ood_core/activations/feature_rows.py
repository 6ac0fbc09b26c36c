"""Features from elsewhere on their way into the store: statistics of rows, without a network."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ood_core.activations.layer_record import ROW_FIELDS, LayerRecord
from ood_core.activations.record import PENULTIMATE, Activations
from ood_core.activations.shard_tasks import ShardResult, ShardTask
from ood_core.activations.statistics import vector_statistics
from ood_core.data.features import FeatureSet
from ood_core.data.features.opening_features import open_features
from ood_core.errors import DataError
from ood_core.experiments import DataSpec

if TYPE_CHECKING:
    from ood_core.activations.activation_set import ActivationSet
    from ood_core.models import ClassifierHead, LayerInfo

__all__ = ["check_arrays", "compute_rows", "new_rows", "open_rows", "rows_joined", "rows_of_upload"]

_REPRODUCED = {"float16": 1e-2, "halffloat": 1e-2, "bfloat16": 2e-2}
_REPRODUCED_ELSE = 1e-3
"""Largest |hWᵀ + b − z| of a head that belongs to the logits, as a share of the largest |z|.
float32 keeps to about 1e-6; half precision has 11 bits and bfloat16 8, of features and logits."""


def check_arrays(
    source: FeatureSet, layers: Sequence[LayerInfo], head: ClassifierHead | None, logits: bool
) -> None:
    """Hold the arrays of a set against the fit set's and the head.

    Parameters
    ----------
    source : the set.
    layers : layers that the fit set has.
    head : the head, where there is one.
    logits : whether the fit set holds logits.

    Raises
    ------
    DataError
        When an array is missing, or has other widths than the fit set's or the head.
    """
    where, columns = f"data set {source.name!r}", source.arrays.columns
    for layer in layers:
        name = _array(layer)
        if name not in columns:
            raise DataError(
                f"{where} has no array {name!r}, which the fit set has. It holds: "
                f"{source.arrays.listed()}. Save it for every set, or leave it out of all."
            )
        if columns[name].shape[1] != layer.channels:
            raise DataError(
                f"{where}: {name!r} has d = {columns[name].shape[1]} values a row, but the fit set "
                f"has {layer.channels}. All sets must come from the same layer of one network."
            )
    if logits != source.has_logits and head is None:
        has, has_not = (
            (source.name, "the fit set") if source.has_logits else ("the fit set", source.name)
        )
        raise DataError(
            f"{where}: {has} has logits and {has_not} has none. Save logits for every set, leave "
            "them out of all, or give the head, from which they follow."
        )
    if head is not None and source.has_logits and columns["logits"].shape[1] != head.n_classes:
        raise DataError(
            f"{where}: logits has {columns['logits'].shape[1]} columns, but the head has "
            f"{head.n_classes} classes. They must be those of the same network."
        )


def compute_rows(
    source: FeatureSet,
    head: ClassifierHead | None,
    tasks: Sequence[ShardTask],
    advanced: Callable[[int], None],
) -> Iterator[ShardResult]:
    """Yield the result of each task, as `compute_shards` does for images.

    Raises
    ------
    DataError
        On values that are not finite, and on a head that does not give the logits there are.
    """
    for task in tasks:
        start, stop = task.start, task.stop
        layers = {
            layer.name: vector_statistics(source.rows(_array(layer), start, stop))
            for layer in task.layers
        }
        logits = _logits(source, head, start, stop, layers.get(PENULTIMATE))
        yield ShardResult(task, np.arange(start, stop), [], logits, layers)
        advanced(stop - start)


def _array(layer: LayerInfo) -> str:
    return "features" if layer.name == PENULTIMATE else layer.name


def _logits(
    source: FeatureSet,
    head: ClassifierHead | None,
    start: int,
    stop: int,
    known: dict[str, np.ndarray] | None,
) -> np.ndarray | None:
    """Logits of the file, else hWᵀ + b, float32; None where there are neither."""
    given = source.rows("logits", start, stop) if source.has_logits else None
    if head is None:
        return given
    features = known["pooled"] if known else source.rows("features", start, stop)
    computed = head.logits(features)
    if given is None:
        return computed.astype(np.float32)
    _check_reproduced(source, given, computed, start)
    return given


def _check_reproduced(
    source: FeatureSet, given: np.ndarray, computed: np.ndarray, start: int
) -> None:
    columns = source.arrays.columns
    types = (columns["features"].dtype, columns["logits"].dtype)
    share = max(_REPRODUCED.get(dtype, _REPRODUCED_ELSE) for dtype in types)
    away = np.abs(computed - given).max(1)
    limit = share * max(float(np.abs(given).max()), 1e-12)
    row = int(away.argmax())
    if away[row] > limit:
        raise DataError(
            f"data set {source.name!r}: the head does not give the logits: at row {start + row} "
            f"hWᵀ + b differs from them by {away[row]:.3g}, where at most {limit:.2g} is rounding. "
            "Give the weight and bias of the layer that made these logits of these features, or "
            "leave out the head or the logits."
        )


def open_rows(acts: ActivationSet, path: Path) -> FeatureSet:
    """A file of new rows with the arrays that an experiment's sets have; labels do not matter.

    Raises
    ------
    DataError
        When the file cannot be read or its arrays are not those of the experiment.
    """
    if not path.exists():
        raise DataError(f"{str(path)!r} does not exist.")
    source = open_features(DataSpec(path.name, "features", str(path), {"role": "ood"}), path)
    some = acts[next(iter(acts))]
    check_arrays(source, acts.layers, acts.head, some.logits is not None)
    return source


def new_rows(
    acts: ActivationSet, source: FeatureSet, start: int = 0, stop: int | None = None
) -> Activations:
    """Rows start to stop of `open_rows` as activations that detectors score; to the end for None.

    Raises
    ------
    DataError
        On values that are not finite, and on logits that the head does not give.
    """
    stop = len(source) if stop is None else min(stop, len(source))
    records = {i.name: _record(source.rows(_array(i), start, stop)) for i in acts.layers}
    known = {"pooled": records[PENULTIMATE].pooled}
    logits = _logits(source, acts.head, start, stop, known)
    return Activations(records, logits=logits, ids=source.ids[start:stop], name="upload")


def rows_of_upload(
    acts: ActivationSet, name: str, data: bytes, most: int
) -> tuple[Activations, list[str], int]:
    """The first `most` rows of a file given as bytes, the text of each, and how many there are.

    Raises
    ------
    DataError
        As `open_rows` and `new_rows`.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / (Path(name).name or "upload")
        path.write_bytes(data)
        source = open_rows(acts, path)
        rows = new_rows(acts, source, 0, most)
        return rows, [source.text(i) for i in range(len(rows))], len(source)


def rows_joined(parts: Sequence[Activations]) -> Activations:
    """Rows of several sources as one, with ids made unique."""
    first, seen, ids = parts[0], Counter[str](), []
    given = {name for part in parts for name in part.ids}
    for name in (name for part in parts for name in part.ids):
        seen[name] += 1
        own = name
        while seen[name] > 1 and (own := f"{name} ({seen[name]})") in given:
            seen[name] += 1  # another row has this very id
        ids.append(own)
    records = {layer: _joined([part.layer(layer) for part in parts]) for layer in first.layers}
    logits = [part.logits for part in parts if part.logits is not None]
    joined = np.concatenate(logits) if logits else None
    return Activations(records, logits=joined, ids=ids, name="upload")


def _joined(parts: Sequence[LayerRecord]) -> LayerRecord:
    fields: dict[str, Any] = {
        field: np.concatenate([getattr(part, field) for part in parts]) for field in ROW_FIELDS
    }
    return LayerRecord(**fields)


def _record(vectors: np.ndarray) -> LayerRecord:
    found: dict[str, Any] = vector_statistics(vectors)
    active = found.pop("active").astype(np.float32)
    return LayerRecord(active_fraction=active, **found)

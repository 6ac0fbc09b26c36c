"""Raw outputs of one layer for images of a prepared set: what backward passes start from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ood_core.activations.engine import EngineOptions, Runner
from ood_core.data import Transform, open_dataset
from ood_core.errors import DataError

if TYPE_CHECKING:
    import torch

    from ood_core.activations.activation_set import ActivationSet
    from ood_core.data import ImageSet
    from ood_core.models import LoadedModel

__all__ = ["layer_outputs"]


def layer_outputs(
    acts: ActivationSet,
    loaded: LoadedModel,
    layer: str,
    name: str,
    rows: np.ndarray,
    *,
    batch_size: int,
    device: str = "auto",
) -> Iterator[tuple[torch.Tensor, np.ndarray | None]]:
    """Yield the layer's output (n, *shape) and class numbers (n,), batch by batch.

    Parameters
    ----------
    loaded : the experiment's model.
    layer : name of the layer.
    name : name of the set.
    rows : row numbers in `acts[name]`, in the order wanted.
    batch_size : images of a batch.

    Raises
    ------
    DataError
        When an image is no longer in the set.
    ModelError
        When there is no such layer.
    """
    source = open_dataset(acts.experiment.sets[name])
    numbers = _source_numbers(source, acts[name].ids, rows)
    labels, info = acts[name].labels, loaded.layer(layer)
    transform = Transform(loaded.preprocessing)
    runner = Runner(loaded, EngineOptions(device))
    for start in range(0, len(rows), batch_size):
        part = slice(start, start + batch_size)
        images = np.stack([transform(source.load(int(i))) for i in numbers[part]])
        output = runner.raw(runner.stage(images), info).to(runner.device)
        yield output, None if labels is None else labels[rows[part]]


def _source_numbers(source: ImageSet, ids: Sequence[str], rows: np.ndarray) -> np.ndarray:
    """Numbers of the chosen rows in the data set, from which unreadable images are missing."""
    if len(ids) == len(source):
        return rows
    place = {id_: i for i, id_ in enumerate(source.ids)}
    try:
        return np.array([place[ids[row]] for row in rows])
    except KeyError as missing:
        raise DataError(
            f"image {missing.args[0]!r} is no longer in {source.name!r}. Prepare it again."
        ) from None

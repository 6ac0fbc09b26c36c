"""Forward passes that are not stored: uploads, and one image's map at one layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ood_core.activations.engine import EngineOptions, Runner
from ood_core.activations.record import Activations, LayerRecord
from ood_core.activations.resident_models import resident_model
from ood_core.data import Transform
from ood_core.errors import DataError
from ood_core.models import to_positions

if TYPE_CHECKING:
    from PIL import Image

    from ood_core.experiments import Experiment

__all__ = ["activation_map", "embed"]


def embed(
    exp: Experiment,
    images: Sequence[Image.Image],
    names: Sequence[str] | None = None,
    device: str = "auto",
) -> Activations:
    """Activations of images given, at every useful layer, as `extract` would record them.

    The model stays in memory for the next call. Nothing is stored.

    Parameters
    ----------
    images : decoded images of any size, see ood_core.data.decode_image.
    names : their ids; "upload/number" for None.

    Raises
    ------
    DataError
        Without images, or when names and images differ in number.
    """
    if not images:
        raise DataError("embed needs at least one image; got none.")
    ids = tuple(names) if names is not None else tuple(f"upload/{i}" for i in range(len(images)))
    if len(ids) != len(images):
        raise DataError(f"got {len(ids)} names for {len(images)} images.")
    loaded = resident_model(exp)
    runner = Runner(loaded, EngineOptions(device))
    transform = Transform(loaded.preprocessing)
    parts = []
    for start in range(0, len(images), runner.batch_size):
        batch = np.stack([transform(image) for image in images[start : start + runner.batch_size]])
        parts += runner.statistics(runner.stage(batch), loaded.layers)
    layers = {
        layer.name: _record([part[layer.name] for part in parts], layer.positions)
        for layer in loaded.layers
    }
    logits = None
    if loaded.head is not None:
        logits = np.concatenate([part["logits"].cpu().numpy() for part in parts])
    return Activations(layers, logits=logits, ids=ids, name="upload")


def activation_map(
    exp: Experiment, image: Image.Image, layer: str, device: str = "auto"
) -> np.ndarray:
    """One image's activation at one layer, float32, shape (channels, height, width).

    Tokens come as the grid they form, without the class token; a vector as (channels, 1, 1).

    Raises
    ------
    ModelError
        When the model has no such layer.
    """
    loaded = resident_model(exp)
    info = loaded.layer(layer)
    runner = Runner(loaded, EngineOptions(device))
    batch = runner.stage(Transform(loaded.preprocessing)(image)[None])
    output = runner.raw(batch, info)
    units: np.ndarray = to_positions(output, info)[0].numpy()
    if info.kind == "map":
        axes = [size for axis, size in enumerate(info.shape) if axis != info.channel_axis]
        return units.reshape(len(units), *axes)
    side = int(units.shape[1] ** 0.5)
    return units[:, units.shape[1] - side * side :].reshape(len(units), side, side)


def _record(parts: list[dict[str, object]], positions: int) -> LayerRecord:
    joined = {
        name: np.concatenate([np.atleast_1d(_numpy(part[name])) for part in parts])
        for name in ("pooled", "active", "l1", "l2", "l0", "negatives")
    }
    active = joined.pop("active")
    counts = np.sum([_numpy(part["active_counts"]) for part in parts], axis=0)
    fraction = active.astype(np.float32) / np.float32(positions)
    return LayerRecord(
        active_fraction=fraction, positions=positions, active_counts=counts, **joined
    )


def _numpy(tensor: object) -> np.ndarray:
    array: np.ndarray = tensor.cpu().numpy()  # type: ignore[attr-defined]
    return array

"""Head and layers of an ONNX network: proposed by its graph, measured on random images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ood_core.errors import ModelError
from ood_core.models.layer_info import PENULTIMATE, LayerInfo
from ood_core.models.network_files._onnx_head import averaged, find_head, logits_of
from ood_core.models.network_files._onnx_layers import layer_of, layer_tensors, spread
from ood_core.models.network_files._onnx_sessions import ImagesRefusedError

if TYPE_CHECKING:
    from ood_core.models.head import ClassifierHead
    from ood_core.models.network_files._onnx_graph import Graph
    from ood_core.models.network_files._onnx_head import FoundHead
    from ood_core.models.network_files._onnx_input import ImageInput
    from ood_core.models.network_files._onnx_sessions import Sessions

__all__ = ["Findings", "Probe"]

_IMAGES = 2
_REAL = {0, 1, 10, 11, 16}
"""`TensorProto.DataType` of outputs that may be logits; 0 where the file does not say."""
_SHOWN = 8
_TOLERANCE = {"float16": (1e-2, 1e-2)}
_USUAL = (1e-4, 1e-5)
"""Relative, and of the largest logit, by which `h Wᵀ + b` may differ from the logits."""


@dataclass(frozen=True, eq=False)
class Findings:
    """What was found.

    Attributes
    ----------
    images : the input, with the number of images that really go in together.
    output : the tensor of logits; of features where there is no head.
    left_off : the operator behind the logits, "" for none.
    features : the tensor of penultimate features.
    head : the head; None without one.
    layers : tensors and what they are; the names are still the tensors'.
    penultimate : the last layer.
    channels_last : whether features without a head have positions and their channels last.
    """

    images: ImageInput
    output: str
    left_off: str
    features: str
    head: ClassifierHead | None
    layers: tuple[tuple[str, LayerInfo], ...]
    penultimate: LayerInfo
    channels_last: bool = False


@dataclass(frozen=True)
class _Candidate:
    output: str
    left_off: str = ""
    head: FoundHead | None = None

    def features(self, named: str | None) -> str:
        return named or (self.head.features if self.head is not None else self.output)


class Probe:
    """Finds head and layers.

    Parameters
    ----------
    sessions : the network.
    graph : its operators.
    images : its input.
    features : name of the tensor of penultimate features, None to find it.
    """

    def __init__(
        self, sessions: Sessions, graph: Graph, images: ImageInput, features: str | None
    ) -> None:
        self.sessions, self.graph, self.images = sessions, graph, images
        self.named = None if features is None else graph.find(features)
        self.file = sessions.file

    def headless(self, shape: tuple[int, int, int]) -> Findings:
        """The network as one whose output, or whose tensor `features`, is features.

        Raises
        ------
        ModelError
            When it has several outputs and `features` does not choose, or cannot be run.
        """
        outputs = [] if self.named else self._outputs()
        if len(outputs) > 1:
            raise ModelError(
                f"{self.file.name} has several outputs: say in features which holds the features. "
                f"There are {', '.join(map(repr, outputs))}."
            )
        found = _Candidate(self.named or outputs[0])
        values, images = self._measured([found], shape)
        info = layer_of(PENULTIMATE, values[found.output])
        # The module averages features that have positions.
        last = replace(info, shape=(info.channels,), kind="vector", channel_axis=0)
        self._check_finite(values[found.output])
        layers = self._layers(found.output, values)
        at_end = info.channel_axis != 0
        return Findings(images, found.output, "", found.output, None, layers, last, at_end)

    def classifier(self, shape: tuple[int, int, int], classes: int | None) -> Findings:
        """The network as a classifier; of several outputs the one with a head and `classes`.

        Raises
        ------
        ModelError
            When no output comes from a linear head, or it cannot be run.
        """
        outputs = self._outputs()
        candidates = []
        for output in outputs:
            logits, left_off = logits_of(self.graph, output)
            linear = find_head(self.graph, logits)
            if linear is not None:
                candidates.append(_Candidate(logits, left_off, linear))
        candidates = list({c.output: c for c in reversed(candidates)}.values())[::-1]
        if not candidates:
            raise self._no_head(outputs[0], "")
        values, images = self._measured(candidates, shape)
        heads = [(c, self._head(c, values)) for c in candidates]
        right = [(c, head) for c, head in heads if head is not None]
        if not right:
            own = candidates[0].features(None)
            raise self._no_head(
                outputs[0],
                f" features = {self.named!r} is not what its head is given, that is {own!r}."
                if self.named not in (None, own) else "",
            )  # fmt: skip
        found, head = next((one for one in right if one[1].n_classes == classes), right[0])
        features = found.features(self.named)
        info = LayerInfo(
            PENULTIMATE, (head.n_features,), "vector", bool(values[features].min() < 0),
            -1 if self._tokens(found, values) else 0,
        )  # fmt: skip
        layers = self._layers(features, values)
        return Findings(images, found.output, found.left_off, features, head, layers, info)

    def _outputs(self) -> list[str]:
        found = [
            value.name for value in self.file.model.graph.output
            if value.name in self.graph.of_images
            and (value.type.HasField("tensor_type") or not value.type.ListFields())
            and value.type.tensor_type.elem_type in _REAL
        ]  # fmt: skip
        if not found:
            raise ModelError(
                f"{self.file.name} has no output of real numbers that depends on the image: "
                "neither logits nor features."
            )
        return found

    def _measured(
        self, candidates: Sequence[_Candidate], shape: tuple[int, int, int]
    ) -> tuple[dict[str, np.ndarray], ImageInput]:
        """Every tensor that matters for random images, and how many can go in together."""
        names, constants = list[str](), list[str]()
        for one in candidates:
            features = one.features(self.named)
            names += [one.output, features, *layer_tensors(self.graph, features)]
            constants += one.head.constants if one.head is not None else ()
        there = {name: self.file.weights[name] for name in constants if name in self.file.weights}
        computed = [name for name in constants if name not in there]
        outputs = [one.output for one in candidates]
        images = _noise(shape, self.images.takes_bytes)
        inputs = [self.images] if self.images.batch else [self.images, self.images.one_by_one()]
        for taken in inputs:
            try:
                values = self.sessions.run_images(taken, images, names, constants=computed)
                alone = self.sessions.run_images(taken, images[:1], names, constants=computed)
            except ImagesRefusedError as error:
                if taken is inputs[-1]:
                    raise self._refused(shape, error) from error
                continue
            except MemoryError as error:
                raise ModelError(
                    f"{self.file.name} needs more memory than there is for {_IMAGES} images of "
                    f"shape {shape}: {error}"
                ) from error
            if all(_same(values[n], alone[n]) for n in outputs):
                break
        for name in outputs:
            if len(values[name]) != _IMAGES or values[name].ndim < 2:
                raise ModelError(
                    f"{self.file.name}: {name!r} has shape {values[name].shape} for {_IMAGES} "
                    "images; expected (images, classes), or (images, features)."
                )
        return {**there, **values}, taken

    def _head(self, found: _Candidate, values: dict[str, np.ndarray]) -> ClassifierHead | None:
        """The head as arrays, where features times it are the logits."""
        assert found.head is not None
        logits = values[found.output]
        self._check_finite(logits)
        head: ClassifierHead | None = found.head.arrays(values)
        features = values[found.features(self.named)]
        if head is None or len(features) != _IMAGES:
            return None
        pooled = averaged(features, self._tokens(found, values))
        if pooled.shape[1:] != (head.n_features,) or logits.size != _IMAGES * head.n_classes:
            return None
        relative, absolute = _TOLERANCE.get(features.dtype.name, _USUAL)
        expected = logits.reshape(_IMAGES, -1).astype(np.float64)
        scale = float(np.abs(expected).max()) or 1.0
        return head if np.allclose(
            head.logits(pooled), expected, relative, absolute * scale
        ) else None  # fmt: skip

    def _tokens(self, found: _Candidate, values: dict[str, np.ndarray]) -> bool:
        """Whether the features have positions and the channels last."""
        name, axes = found.features(self.named), values[found.features(self.named)].ndim
        own = found.head is not None and name == found.head.features
        if own and found.head is not None:
            return axes > 2 and found.head.kind != "Conv"
        return axes == 3

    def _layers(
        self, target: str, values: dict[str, np.ndarray]
    ) -> tuple[tuple[str, LayerInfo], ...]:
        vector = values[target].ndim == 2
        origin = self.graph.origin(target)
        names = [
            name for name in layer_tensors(self.graph, target)
            if len(values[name]) == _IMAGES and values[name].ndim > 1
            and not (vector and self.graph.origin(name) == origin)
        ]  # fmt: skip
        return tuple((name, layer_of(name, values[name])) for name in spread(names))

    def _check_finite(self, output: np.ndarray) -> None:
        if not np.isfinite(output).all():
            raise ModelError(
                f"{self.file.name} gives NaN or infinite logits: its weights are damaged, or too "
                "large for its precision. Export it again, in float32."
            )

    def _no_head(self, output: str, why: str) -> ModelError:
        near = [n for n in self.graph.cut_points(output) if n in self.graph.producer][
            -_SHOWN - 1 : -1
        ]
        return ModelError(
            f"{self.file.name} has no linear head: no Gemm, MatMul or 1x1 Conv gives {output!r} "
            f"directly, so scores that need penultimate features are not defined for it.{why} "
            "Where it returns features, set num_classes = 0. To take a tensor of it as features, "
            f"set num_classes = 0 and features to one of {', '.join(map(repr, near)) or '(none)'}."
        )

    def _refused(self, shape: tuple[int, int, int], error: ModelError) -> ModelError:
        return ModelError(
            f"the network cannot take images of shape {shape} (channels, height, width): {error} "
            "Check resize, center_crop and the number of values in mean and std of [preprocessing]."
        )


def _noise(shape: tuple[int, int, int], bytes_: bool) -> np.ndarray:
    rng = np.random.default_rng(0)
    if bytes_:
        return rng.integers(0, 256, (_IMAGES, *shape)).astype(np.float32) / np.float32(255)
    return rng.standard_normal((_IMAGES, *shape), np.float32)


def _same(together: Any, alone: Any) -> bool:
    """Whether an image gives the same beside another as alone: then batches change nothing."""
    if len(together) != _IMAGES or alone.shape[1:] != together.shape[1:]:
        return False
    scale = float(np.abs(alone[np.isfinite(alone)]).max(initial=0)) or 1.0
    return bool(np.allclose(together[:1], alone, 1e-3, 1e-4 * scale, equal_nan=True))

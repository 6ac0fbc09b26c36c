"""Runs of an ONNX network: one session for each set of tensors that is asked for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ood_core.errors import ModelError
from ood_core.models.network_files._onnx_packages import needed
from ood_core.runtime.bounded import Bounded

if TYPE_CHECKING:
    from ood_core.models.network_files._onnx_input import ImageInput
    from ood_core.models.network_files._onnx_reading import OnnxFile

__all__ = ["ImagesRefusedError", "Sessions"]

logger = logging.getLogger("ood_core.models")

_KEPT = 3
"""Sessions kept; fewer where they are large."""
_MEMORY = 1 << 30
"""Bytes of weights in the sessions kept; onnxruntime has about two copies of its own in each."""
_CUDA = "CUDAExecutionProvider"
_OUT_OF_MEMORY = ("allocate memory", "out of memory", "bad_alloc", "bad allocation", "oom")


class ImagesRefusedError(ModelError):
    """The network can be run, but not with these images."""


class Sessions:
    """Makes onnxruntime sessions when they are first needed and keeps the last few.

    A session computes the tensors that were asked for and nothing beyond: what else is declared
    as its output would be copied for every image. Weights are given as arrays. Threads may use
    the same one at the same time. A copy, by pickle or `copy`, makes sessions of its own.
    """

    def __init__(self, file: OnnxFile) -> None:
        self.file = file
        self._lock = threading.Lock()
        size = sum(array.nbytes for array in file.weights.values())
        share = max(size, _MEMORY // _KEPT)
        self._sessions: Bounded[tuple[str, ...], Any] = Bounded(_MEMORY, lambda _: share)
        self._values: dict[str, Any] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Only the file is copied: sessions belong to a process."""
        return Sessions, (self.file,)

    def run(
        self, outputs: Sequence[str], feed: Mapping[str, np.ndarray], device: str = "cpu"
    ) -> dict[str, np.ndarray]:
        """Values of `outputs` for one batch.

        Parameters
        ----------
        outputs : names of tensors.
        feed : the network's inputs.
        device : "cpu", or "cuda" and "cuda:1" where onnxruntime has CUDA.

        Raises
        ------
        MemoryError
            When the batch does not fit into memory.
        ModelError
            When onnxruntime cannot run the network, or not with such images.
        """
        names = tuple(dict.fromkeys(outputs))
        session = self._session(names, self._device(device))
        try:
            return dict(zip(names, session.run(list(names), dict(feed)), strict=True))
        except Exception as error:  # onnxruntime's have no other base of their own
            raise self._refused(error, ImagesRefusedError) from error

    def run_images(
        self,
        taken: ImageInput,
        images: np.ndarray,
        outputs: Sequence[str],
        device: str = "cpu",
        constants: Sequence[str] = (),
    ) -> dict[str, np.ndarray]:
        """Values of `outputs` for images (n, channels, height, width) float32, and of `constants`.

        As many go in together as the network takes; to a fixed number the last is repeated, and
        what comes of the repetitions is left out. Constants depend on no image.

        Raises
        ------
        MemoryError, ModelError
            As `run`.
        """
        size = taken.batch or max(1, len(images))
        parts: list[dict[str, Any]] = []
        for start in range(0, len(images), size):
            batch = images[start : start + size]
            whole = np.concatenate([batch, *[batch[-1:]] * (size - len(batch))])
            values = self.run([*outputs, *constants], {taken.name: taken.feed(whole)}, device)
            parts.append({
                name: array[: len(batch)] if len(array) == size else array
                for name, array in values.items() if name not in constants
            } | {name: values[name] for name in constants})  # fmt: skip
        if len(parts) == 1:
            return parts[0]
        return {
            name: parts[0][name] if name in constants else np.concatenate([p[name] for p in parts])
            for name in parts[0]
        }

    def _session(self, names: tuple[str, ...], device: str) -> Any:
        with self._lock:
            key = (device, *sorted(names))
            session = self._sessions.find(key)
            if session is None:
                try:
                    session = self._made(names, device)
                except Exception as error:
                    raise self._refused(error) from error
                self._sessions.put(key, session)
            return session

    def _made(self, names: tuple[str, ...], device: str) -> Any:
        onnx, runtime = needed("onnx"), needed("onnxruntime")
        model = onnx.ModelProto()
        model.CopyFrom(self.file.model)
        model.ClearField("metadata_props")
        del model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        given = [t.name for t in model.graph.initializer if t.data_location == t.EXTERNAL]
        for name in given:
            if name not in self._values:
                array = self.file.weights[name]
                self._values[name] = runtime.OrtValue.ortvalue_from_numpy(array)
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        options.use_deterministic_compute = True
        # Quantised operators as the file has them: fused ones round the head's bias too, or not,
        # depending on which tensors are asked for.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        if given:
            options.add_external_initializers(given, [self._values[name] for name in given])
        cuda: tuple[Any, ...] = ()
        if device != "cpu":  # TF32 is off, as torch has it for matrices
            cuda = ((_CUDA, {"device_id": device.partition(":")[2] or "0", "use_tf32": "0"}),)
        providers = [*cuda, "CPUExecutionProvider"]
        # Its own way back to the CPU prints, and hides why.
        return runtime.InferenceSession(
            model.SerializeToString(), options, providers=providers, enable_fallback=0
        )

    def clear(self) -> None:
        """Forget the sessions there are."""
        self._sessions.clear()

    def _device(self, asked: str) -> str:
        if not asked.startswith("cuda"):
            return "cpu"
        if _CUDA in needed("onnxruntime").get_available_providers():
            return asked
        _say_once(
            f"{self.file.name} runs on the CPU: this onnxruntime has no CUDA (pip install "
            "onnxruntime-gpu in its place)."
        )
        return "cpu"

    def _refused(self, error: Exception, kind: type[ModelError] = ModelError) -> Exception:
        if isinstance(error, ModelError):
            return error
        text = str(error)
        if isinstance(error, MemoryError) or any(s in text.lower() for s in _OUT_OF_MEMORY):
            return MemoryError(text)
        first = next(iter(text.splitlines()), type(error).__name__)
        return kind(f"onnxruntime cannot run {self.file.name}: {first}")


_said: set[str] = set()


def _say_once(text: str) -> None:
    if text not in _said:
        _said.add(text)
        logger.warning("%s", text)

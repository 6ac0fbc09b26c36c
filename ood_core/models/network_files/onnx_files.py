"""ONNX files: a graph of operators with its weights, which onnxruntime runs.

Nothing in such a file is code of Python or of the machine; what it could still reach for is refused
(`_onnx_reading`). The packages onnx and onnxruntime are optional.
"""

from __future__ import annotations

import ast
import json
import re
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_core.experiments.experiment import Preprocessing
from ood_core.models.network_files._onnx_external import external_path, external_tensors, location
from ood_core.models.network_files._onnx_reading import parse, read

if TYPE_CHECKING:
    from torch import nn

    from ood_core.experiments.experiment import ClassifierSpec

__all__ = ["FORMAT", "NO_GRADIENTS", "class_names", "files", "load", "preprocessing", "version"]

FORMAT = "onnx"
NO_GRADIENTS = (
    "the network is an ONNX file, which can be run but not differentiated: what needs gradients "
    "is not available for it. Give the PyTorch network itself, or a torch.export file."
)
_NAMES = ("names", "class_names", "classes", "labels", "id2label")
"""Where exporters put the names of classes: Ultralytics, timm, and by hand."""
_LONGEST = 1_000_000
"""Characters of a list of names, at most."""
_FOUND_BY = "found by 1"
"""Changed when another head, other layers or other logits would be found in the same file."""


def load(spec: ClassifierSpec) -> nn.Module:
    """The network of `spec.checkpoint`.

    Raises
    ------
    ModelError
        When it cannot be read, holds what is refused, or a package is missing.
    """
    from ood_core.models.network_files._onnx_module import OnnxNetwork

    assert spec.checkpoint is not None
    return OnnxNetwork(read(spec.checkpoint), spec.features, spec.num_classes, NO_GRADIENTS)


def files(path: Path) -> tuple[Path, ...]:
    """The file, and the files beside it with its external tensors.

    Raises
    ------
    ModelError
        When it is no ONNX file, or one of those lies outside its folder.
    WeightsMissingError
        When one of them is missing.
    """
    stated = _stated(path, *_identity(path))[0]
    found = {external_path(path, one): None for one in stated}
    return (path, *(other for other in found if other != path.resolve()))


def version() -> str:
    """Versions of onnxruntime and onnx, and of how head and layers are found here."""
    return ", ".join([*(f"{n} {_version(n)}" for n in ("onnxruntime", "onnx")), _FOUND_BY])


def preprocessing(path: Path) -> Preprocessing | None:
    """The transform of Ultralytics' classifiers, which note their image size; else None."""
    notes = dict(_stated(path, *_identity(path))[1])
    size = _literal(notes.get("imgsz", ""))
    if notes.get("task") != "classify" or not isinstance(size, list) or len(set(size)) != 1:
        return None
    side = size[0]
    return Preprocessing(side, side) if type(side) is int and 1 <= side <= 4096 else None


def class_names(path: Path) -> tuple[str, ...] | None:
    """Names that the file's metadata gives: a list or a table by number, as JSON or Python has
    them, or separated by commas or lines."""
    notes = dict(_stated(path, *_identity(path))[1])
    for key in _NAMES:
        found = _as_names(notes.get(key, ""))
        if found:
            return found
    return None


def _version(name: str) -> str:
    """Of the package, or of its form for GPUs."""
    for distribution in (name, f"{name}-gpu"):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return "missing"


def _identity(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=16)
def _stated(
    path: Path, _size: int, _mtime_ns: int
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Paths of external data in order, and the metadata."""
    model = parse(path)
    places = dict.fromkeys(location(tensor) for tensor in external_tensors(model))
    return tuple(places), tuple((entry.key, entry.value) for entry in model.metadata_props)


def _as_names(text: str) -> tuple[str, ...] | None:
    found = _literal(text)
    if isinstance(found, dict):
        numbered = {int(k): v for k, v in found.items() if re.fullmatch(r"\d{1,9}", str(k))}
        if sorted(numbered) != list(range(len(found))):
            return None
        found = [numbered[i] for i in range(len(found))]
    if found is None:
        found = [part.strip() for part in re.split(r"[\n,]", text.strip())]
    named = isinstance(found, list) and all(isinstance(one, str) and one for one in found)
    return tuple(found) if named and len(found) > 1 else None


def _literal(text: str) -> Any:
    """A list or table written as JSON or as Python has it; None for other text."""
    if text.lstrip()[:1] not in ("[", "{") or len(text) > _LONGEST:
        return None
    for reader in (json.loads, ast.literal_eval):
        try:
            return reader(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return None

"""Reading checkpoint files: tensors only, from whatever wrapper they were saved in."""

from __future__ import annotations

import argparse
import logging
import pickle
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy._core.multiarray import scalar
from safetensors import SafetensorError

from ood_core.errors import ModelError

if TYPE_CHECKING:
    import torch

__all__ = ["Candidate", "candidates", "read_checkpoint"]

logger = logging.getLogger("ood_core.models")

Candidate = dict[str, "torch.Tensor"]
"""A state dict that may be the network's: parameter name -> tensor."""

# Averaged weights come first: where a file has them, they are what its accuracy was measured with.
_WRAPPERS = ("ema", "model_ema", "state_dict_ema", "ema_state_dict", "state_dict", "model", "net")


def read_checkpoint(path: Path) -> Any:
    """Content of a checkpoint file, on the CPU. Nothing in the file is ever executed.

    Raises
    ------
    ModelError
        When the file cannot be read, is not a checkpoint, or holds more than tensors.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(64)
    except OSError as error:
        raise ModelError(f"cannot read checkpoint {path}: {error.strerror}.") from error
    if start.startswith(b"version https://git-lfs"):
        raise ModelError(f"{path.name} is a Git LFS pointer, not a checkpoint: run `git lfs pull`.")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if not start.startswith((b"PK\x03\x04", b"\x80")):  # zip archive, pickle
        raise ModelError(_not_a_checkpoint(path))
    return _read_torch(path)


def _read_safetensors(path: Path) -> Any:
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ModelError(f"{path.name} is not a complete safetensors file: {error}.") from error


def _read_torch(path: Path) -> Any:
    import torch

    # Plain values that training scripts store beside the weights; none of them runs code.
    harmless: list[Any] = [argparse.Namespace, np.dtype, scalar]
    harmless += [(scalar, "numpy.core.multiarray.scalar")]
    harmless += [type(np.dtype(t)) for t in (np.float64, np.float32, np.int64, np.int32)]
    try:
        with torch.serialization.safe_globals(harmless), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path.name} holds pickled Python objects, which can run code when loaded, so it was "
            "not loaded. Save the weights alone: torch.save(model.state_dict(), path), or "
            "safetensors.torch.save_file(model.state_dict(), path)."
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(_not_a_checkpoint(path)) from error


def _not_a_checkpoint(path: Path) -> str:
    return (
        f"{path.name} is not a complete PyTorch checkpoint or safetensors file "
        f"({path.stat().st_size:,} bytes). Copy or download it again; TorchScript archives are "
        "not accepted, save their state_dict instead."
    )


def candidates(content: Any) -> Iterator[tuple[str, Candidate]]:
    """State dicts inside a checkpoint, the likeliest first, with where each was found.

    Looks through wrappers ("state_dict", "model", "net", averaged weights, nested ones) and
    offers each with its common prefixes ("module.", "model.", "encoder.", …) taken off.
    """
    for place, state in _state_dicts(content, "", depth=3):
        for prefix in _prefixes(state):
            inner = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            yield f"{place}:{prefix}" if prefix else place, inner


def _state_dicts(content: Any, place: str, depth: int) -> Iterator[tuple[str, Candidate]]:
    import torch

    if not isinstance(content, Mapping) or depth < 0:
        return
    if {"state", "param_groups"} <= content.keys():
        return  # an optimizer's state: tensors of the network's shapes that are not its weights
    inner = sorted(
        ((str(k), v) for k, v in content.items() if isinstance(v, Mapping)),
        key=lambda item: _WRAPPERS.index(item[0]) if item[0] in _WRAPPERS else len(_WRAPPERS),
    )
    for name, value in inner:
        yield from _state_dicts(value, f"{place}.{name}" if place else name, depth - 1)
    tensors = {str(k): v for k, v in content.items() if torch.is_tensor(v)}
    tensors.pop("n_averaged", None)
    if any(v.ndim > 1 for v in tensors.values()):
        yield place or "the file", tensors


def _prefixes(state: Candidate) -> list[str]:
    """Prefixes worth taking off: none, and up to three leading parts of the names."""
    found = {"": 0}
    for key in state:
        parts = key.split(".")
        for depth in range(1, min(4, len(parts) - 1)):
            prefix = ".".join(parts[:depth]) + "."
            found[prefix] = found.get(prefix, 0) + 1
    # A wrapper's prefix covers most of the file; a block's does not.
    wide = [p for p, count in found.items() if p and count >= 0.3 * len(state)]
    return ["", *sorted(wide, key=lambda p: (-found[p], len(p)))]

"""Reading checkpoint files: tensors only, from whatever wrapper they were saved in."""

from __future__ import annotations

import argparse
import logging
import pickle
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy._core.multiarray import scalar
from safetensors import SafetensorError

from ood_core.errors import ModelError
from ood_core.models.parts import Candidate, parts

__all__ = ["Candidate", "candidates", "read_checkpoint"]

logger = logging.getLogger("ood_core.models")


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
            warnings.simplefilter("ignore")  # on pickle protocols and on sparse tensors
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
    """State dicts inside a checkpoint, the likeliest first, with where each was found."""
    return ((part.place, part.state) for part in parts(content))

"""Reading checkpoint files: tensors only, from whatever wrapper they were saved in."""

from __future__ import annotations

import logging
import pickle
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError

from ood_core.errors import ModelError
from ood_core.models.checkpoint_formats import Format, checkpoint_format, cut_off
from ood_core.models.checkpoint_shards import checkpoint_files, is_index, weight_map
from ood_core.models.harmless_pickles import HARMLESS, arrays_as_tensors
from ood_core.models.parts import Candidate, parts
from ood_core.models.pickled_networks import how_to_convert

if TYPE_CHECKING:
    import torch

__all__ = ["Candidate", "candidates", "read_checkpoint"]

logger = logging.getLogger("ood_core.models")

_GLOBAL = re.compile(r"GLOBAL ([\w.]+) was not an allowed")


def read_checkpoint(path: Path) -> Any:
    """Content of a checkpoint file, on the CPU. Nothing in the file is ever executed.

    The format is told by the content: what `torch.save` writes, safetensors, `.npz`, and an index
    of shards, which are read with it. Tensors are mapped from the file where the format allows.

    Raises
    ------
    ModelError
        When the file cannot be read, is not a checkpoint, or holds more than tensors.
    """
    found = checkpoint_format(path)
    if found == "index":
        return _read_shards(path)
    if found == "safetensors":
        return _read_safetensors(path)
    if found == "npz":
        return _read_npz(path)
    return arrays_as_tensors(_read_torch(path, mmap=_can_map(path, found)))


def _can_map(path: Path, found: Format) -> bool:
    """torch takes every file of this name for safetensors, unless it is given the open file."""
    return found == "torch zip" and path.suffix != ".safetensors"


def _read_shards(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of all shards under one roof; of each name that the index has."""
    named = weight_map(path)
    tensors: dict[str, torch.Tensor] = {}
    for file in checkpoint_files(path)[1:]:
        if is_index(file):
            raise ModelError(f"{path.name} names {file.name}, which is an index itself.")
        shard = read_checkpoint(file)
        own = [name for name, where in named.items() if where == file.name]
        lacking = [name for name in own if not isinstance(shard, Mapping) or name not in shard]
        if lacking:
            raise ModelError(
                f"{file.name} lacks {len(lacking)} of the tensors that {path.name} says are in it "
                f"({', '.join(lacking[:3])}{', …' if len(lacking) > 3 else ''}): the files belong "
                "to different checkpoints. Copy or download all of them again."
            )
        tensors |= {name: shard[name] for name in own}
    return tensors


def _read_safetensors(path: Path) -> Any:
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        if re.search("incomplete|invalid|too large", str(error), re.I):
            raise cut_off(path, "safetensors file") from error
        raise ModelError(f"{path.name} cannot be read as safetensors: {error}.") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{path.name} holds tensors of a kind that this PyTorch does not know ({error}). "
            "Save it with float32 weights."
        ) from error


def _read_npz(path: Path) -> dict[str, torch.Tensor]:
    import torch

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except (ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(
            f"{path.name} holds arrays that are no plain numbers, or are damaged: {error}."
        ) from error


def _read_torch(path: Path, mmap: bool) -> Any:
    import torch

    try:
        with torch.serialization.safe_globals(list(HARMLESS)), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on pickle protocols and on sparse tensors
            if mmap:
                return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            with open(path, "rb") as file:
                return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        said = how_to_convert(path) or _unpicklable(str(error))
        raise ModelError(f"{path.name} {said}") from error
    except Exception as error:  # a damaged pickle can fail anywhere
        if mmap and isinstance(error, RuntimeError):
            return _read_torch(path, mmap=False)  # archives packed anew cannot be mapped
        raise cut_off(path) from error


def _unpicklable(error: str) -> str:
    """Why the restricted unpickler refused a file, and what to do."""
    if "torch.distributed" in error:
        return (
            "holds tensors that are spread over several processes (DTensor). Save a full state "
            "dict: get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))."
        )
    if "Unsupported operand" in error:
        return (
            "was saved with a newer pickle protocol (4 or 5), which PyTorch does not read without "
            "running what is in it. Save it with torch.save as it is, without pickle_protocol."
        )
    kind = _GLOBAL.search(error)
    named = f" ({kind[1]})" if kind else ""
    return (
        f"holds pickled Python objects{named}, which can run code when loaded, so it was not "
        "loaded. Save the weights alone: torch.save(model.state_dict(), path), or "
        "safetensors.torch.save_file(model.state_dict(), path)."
    )


def candidates(content: Any) -> Iterator[tuple[str, Candidate]]:
    """State dicts inside a checkpoint, the likeliest first, with where each was found."""
    return ((part.place, part.state) for part in parts(content))

"""`torch.export` programs (`.pt2`), read without running anything that is in them.

`torch.export.load` can be made to run code by a file: weights and constants marked as pickled are
unpickled without restriction, so are sample inputs that the restricted unpickler refuses; texts of
symbolic sizes go through `sympy.sympify`, which evaluates them; a node may name any function below
`torch`; compiled libraries (AOTInductor) are loaded. None of that is used here: the graph is JSON
(`_exported_json`), tensors are raw bytes or go through `torch.load(weights_only=True)`, sample
inputs, guards and symbolic sizes are not read, and only tensor operators of PyTorch run.
"""

from __future__ import annotations

import io
import json
import pickle
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_core.errors import ModelError
from ood_core.experiments.network_formats import archive_names
from ood_core.models.checkpoint_formats import cut_off
from ood_core.models.network_files._stated import stated_class_names, stated_preprocessing
from ood_core.models.network_files._whole_graph import network_of
from ood_core.models.published_weights import package_version

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ood_core.experiments.experiment import ClassifierSpec, Preprocessing
    from ood_core.models.graph_steps import Program

__all__ = ["FORMAT", "class_names", "files", "load", "preprocessing", "version"]

FORMAT = "torch.export"
READ_BY = "steps 1"
"""How the graph becomes a network; another text where that changes what it computes."""

_HOW = (
    "torch.export.save(torch.export.export(model.eval(), (images,), dynamic_shapes=({0: "
    'torch.export.Dim("n")},)), "net.pt2")'
)
_MAJOR = 8


def load(spec: ClassifierSpec) -> nn.Module:
    """The program as a module of steps, in eval mode.

    Raises
    ------
    ModelError
        When the file is damaged, holds compiled code, pickled objects or operators that are not
        PyTorch's, or was written in training mode or with several inputs.
    """
    assert spec.checkpoint is not None
    return network_of(_read(spec.checkpoint), spec, _HOW).eval()


def files(path: Path) -> tuple[Path, ...]:
    """The file itself."""
    return (path,)


def version() -> str:
    """Version of torch, whose operators run, and of the way in which the graph is read."""
    return f"torch {package_version('torch')}, {READ_BY}"


def preprocessing(path: Path) -> Preprocessing | None:
    """That of a program which the Export page wrote."""
    return stated_preprocessing(path)


def class_names(path: Path) -> tuple[str, ...] | None:
    """Those of a program which the Export page wrote."""
    return stated_class_names(path)


def _read(path: Path) -> Program:
    from ood_core.models.network_files._exported_json import read_graph

    try:
        members = {_inner(name): name for name in archive_names(path)}
        with zipfile.ZipFile(path) as archive:
            _refuse_compiled(path, members)
            graph = _graph_member(path, members)
            content = json.loads(archive.read(members[graph]))
            _check_version(path, content)
            tensors, parameters = _tensors(path, archive, members, graph)
        return read_graph(content, tensors, parameters)
    except ModelError as error:
        raise ModelError(
            f"{path.name}: {error}" if path.name not in str(error) else str(error)
        ) from error
    except (
        zipfile.BadZipFile, zlib.error, OSError, EOFError, KeyError, TypeError, ValueError,
        IndexError, AttributeError, RuntimeError, NotImplementedError, RecursionError,
    ) as error:  # fmt: skip
        raise cut_off(path, "torch.export program") from error


def _inner(name: str) -> str:
    """Path in the archive, without the folder of the archive's name that newer ones have."""
    first, _, rest = name.partition("/")
    return rest if rest and first not in ("models", "data", "extra") else name


def _refuse_compiled(path: Path, members: Mapping[str, str]) -> None:
    libraries = (".so", ".dll", ".dylib", ".cubin", ".o", ".cpp", ".hsaco")
    found = [n for n in members if "data/aotinductor" in n or n.lower().endswith(libraries)]
    if found:
        raise ModelError(
            f"{path.name} holds compiled code ({found[0]}, of AOTInductor), which would run "
            f"unseen: it is not loaded. Save the program itself: {_HOW}."
        )


def _graph_member(path: Path, members: Mapping[str, str]) -> str:
    if "serialized_exported_program.json" in members:
        return "serialized_exported_program.json"
    found = [n for n in members if n.startswith("models/") and n.endswith(".json")]
    if len(found) != 1:
        raise ModelError(
            f"{path.name} holds {len(found)} programs ({', '.join(found) or 'none'}); only a file "
            f"with one can be opened. Save it alone: {_HOW}."
        )
    return found[0]


def _check_version(path: Path, content: Mapping[str, Any]) -> None:
    major = content["schema_version"]["major"]
    if major != _MAJOR:
        raise ModelError(
            f"{path.name} has version {major} of the format of torch.export; version {_MAJOR} is "
            f"read. Write it with a current PyTorch: {_HOW}."
        )


def _tensors(
    path: Path, archive: zipfile.ZipFile, members: Mapping[str, str], graph: str
) -> tuple[dict[str, torch.Tensor], set[str]]:
    """Tensors by name, and which of them are parameters."""
    if graph == "serialized_exported_program.json":
        names = [
            f"serialized_{what}.{end}"
            for what in ("state_dict", "constants")
            for end in ("pt", "json")
        ]
        found = [archive.read(members[name]) for name in names if name in members]
        tensors = {k: v for data in found if data for k, v in _unpickled(path, data).items()}
        return _only_tensors(path, tensors), set(tensors)
    model = graph.removeprefix("models/").removesuffix(".json")
    tensors, parameters = {}, set()
    for what in ("weights", "constants"):
        folder = f"data/{what}/"
        whole = f"{folder}{model}.pt"
        if whole in members:
            tensors |= _unpickled(path, archive.read(members[whole]))
            continue
        config = json.loads(archive.read(members[f"{folder}{model}_{what}_config.json"]))["config"]
        for name, entry in config.items():
            data = archive.read(members[folder + entry["path_name"]])
            tensors[name] = _tensor(path, name, entry, data)
            parameters |= {name} if entry.get("is_param") else set()
    return _only_tensors(path, tensors), parameters


def _tensor(path: Path, name: str, entry: Mapping[str, Any], data: bytes) -> Any:
    import torch

    from ood_core.models.network_files._exported_json import DTYPES

    if not entry["path_name"].startswith(("weight_", "tensor_")):
        raise ModelError(
            f"{path.name} holds an object of a class ({name}), such as packed quantised weights, "
            f"which is not unpickled: it could run code. Export the float network: {_HOW}."
        )
    if entry.get("use_pickle"):
        return _unpickled(path, data)
    meta = entry["tensor_meta"]
    kind = DTYPES[meta["dtype"]]
    sizes, strides = ([one["as_int"] for one in meta[key]] for key in ("sizes", "strides"))
    if not data:
        return torch.zeros(sizes, dtype=kind)
    flat = torch.frombuffer(bytearray(data), dtype=kind)
    return flat.as_strided(sizes, strides, meta["storage_offset"]["as_int"])


def _unpickled(path: Path, data: bytes) -> Any:
    """A pickled member, read by the unpickler that makes tensors alone."""
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on pickle protocols
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path.name} holds pickled Python objects beside its tensors, which can run code when "
            f"loaded: it was not loaded. Export the network again: {_HOW}."
        ) from error


def _only_tensors(path: Path, tensors: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    import torch

    other = [name for name, value in tensors.items() if not torch.is_tensor(value)]
    if other:
        raise ModelError(f"{path.name} holds something else than a tensor under {other[0]!r}.")
    return {name: value.detach() for name, value in tensors.items()}

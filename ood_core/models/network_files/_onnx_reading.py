"""An ONNX file as a graph and its weights, read so that nothing in it reaches beyond its folder.

- External data is read by `_onnx_external` alone. onnxruntime is given the graph as bytes and the
  weights as arrays, never a path, so it opens no file.
- Operators of domains other than ONNX's own and onnxruntime's are refused; no library of custom
  operators is ever loaded, `EPContext`, which loads compiled binaries, is refused too.
- Functions of the file are expanded, when they do not call themselves and stay below MOST_NODES.
- A tensor that declares other sizes than its bytes is refused, as are sparse tensors, which
  a few bytes make huge. What a graph computes at run time is not bounded: time and memory of a
  run are the file's to choose, as with every network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ood_core.errors import ModelError, OODLensError
from ood_core.models.network_files._onnx_external import bytes_of, external_tensors, n_elements
from ood_core.models.network_files._onnx_packages import needed

__all__ = ["MOST_NODES", "OnnxFile", "parse", "read"]

MOST_NODES = 100_000
"""Operators of a graph, at most, its functions expanded."""
_SEPARATE = 1024
"""Bytes from which a tensor is kept out of the graph, so that sessions share it."""
_LARGEST_MESSAGE = 2**31 - 1
"""Bytes that protobuf reads at most; larger networks keep their tensors in files beside."""
_DOMAINS = {"", "ai.onnx", "com.microsoft", "com.microsoft.nchwc"}
_BINARY = {"EPContext"}
_PLAIN = {
    1: "f4", 2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8", 9: "?", 10: "f2", 11: "f8",
    12: "u4", 13: "u8",
}  # fmt: skip
"""`TensorProto.DataType` that numpy has itself."""
_NOWHERE = "given as an array"
"""Path of tensors whose values sessions are given."""


@dataclass(frozen=True, eq=False)
class OnnxFile:
    """A network read from `name`.

    Attributes
    ----------
    name : of the file, for messages.
    model : the ModelProto; tensors that are in `weights` have no values there.
    weights : initialisers of the graph by name.
    """

    name: str
    model: Any
    weights: dict[str, np.ndarray]


def parse(path: Path) -> Any:
    """The ModelProto as the file has it; external tensors are not read.

    Raises
    ------
    ModelError
        When it is no ONNX file, or not complete.
    """
    onnx = needed("onnx")
    try:
        size = path.stat().st_size
        if size > _LARGEST_MESSAGE:
            raise ModelError(
                f"{path.name} has {size / 2**30:.1f} GiB, and an ONNX file has at most 2: save its "
                "tensors beside it, onnx.save(model, path, save_as_external_data=True)."
            )
        model = onnx.ModelProto.FromString(path.read_bytes())
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}.") from error
    except Exception as error:
        if type(error).__name__ != "DecodeError":  # protobuf's own, which is no dependency of ours
            raise
        raise ModelError(_damaged(path, "its bytes are no protobuf message")) from error
    if not model.graph.node:
        raise ModelError(_damaged(path, "there is no graph with operators in it"))
    _check_names(path, model)
    return model


def read(path: Path) -> OnnxFile:
    """The network of an ONNX file, with everything that it is refused for.

    Raises
    ------
    ModelError
        When it is damaged, or holds what the module's first lines refuse.
    WeightsMissingError
        When a file with its tensors is missing.
    """
    model = parse(path)
    model.ClearField("training_info")
    _check_operators(path.name, model)
    if model.functions:
        model = _inlined(path, model)
    if model.graph.sparse_initializer:
        raise ModelError(f"{path.name} has sparse tensors, which are not read: save them dense.")
    weights = {}
    try:
        for tensor in (t for node in model.graph.node for t in external_tensors(node)):
            _embed(path, tensor)
        for tensor in model.graph.initializer:
            weights[tensor.name] = _values(path, tensor)
            if _separable(tensor, weights[tensor.name]):
                _emptied(tensor, weights[tensor.name].nbytes)
    except OODLensError:
        raise
    except (ValueError, TypeError, KeyError, OverflowError, MemoryError, OSError) as error:
        raise ModelError(_damaged(path, f"a tensor cannot be read ({error})")) from error
    return OnnxFile(path.name, model, weights)


def _values(path: Path, tensor: Any) -> np.ndarray:
    """The array of an initialiser, from the file or from beside it."""
    onnx = needed("onnx")
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        array: np.ndarray = onnx.numpy_helper.to_array(tensor)
        return array
    dtype = _plain_type(tensor)
    if dtype is None:
        _embed(path, tensor)
        return _values(path, tensor)
    file, offset = bytes_of(path, tensor, n_elements(tensor) * dtype.itemsize)
    flat = np.fromfile(file, dtype.newbyteorder("<"), n_elements(tensor), offset=offset)
    return flat.reshape(tuple(tensor.dims)).astype(dtype, copy=False)


def _plain_type(tensor: Any) -> np.dtype[Any] | None:
    """The numpy type of a tensor; None for those that numpy itself has not (bfloat16, int4)."""
    name = _PLAIN.get(tensor.data_type)
    return None if name is None else np.dtype(name)


def _separable(tensor: Any, array: np.ndarray) -> bool:
    return array.nbytes >= _SEPARATE and _plain_type(tensor) is not None


def _emptied(tensor: Any, size: int) -> None:
    """Leave of an initialiser its name, type and shape: sessions are given the values."""
    onnx = needed("onnx")
    name, kind, dims = tensor.name, tensor.data_type, list(tensor.dims)
    tensor.Clear()
    tensor.name, tensor.data_type, tensor.data_location = name, kind, onnx.TensorProto.EXTERNAL
    tensor.dims.extend(dims)
    for key, value in (("location", _NOWHERE), ("offset", "0"), ("length", str(size))):
        tensor.external_data.add(key=key, value=value)


def _embed(path: Path, tensor: Any) -> None:
    """Read an external tensor's bytes into the graph."""
    onnx = needed("onnx")
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    bits = {"int4": 4, "uint4": 4, "float4_e2m1fn": 4, "int2": 2, "uint2": 2}
    width = bits.get(np.dtype(dtype).name, 8 * np.dtype(dtype).itemsize)
    expected = (n_elements(tensor) * width + 7) // 8
    file, offset = bytes_of(path, tensor, expected)
    with open(file, "rb") as opened:
        opened.seek(offset)
        tensor.raw_data = opened.read(expected)
    tensor.ClearField("external_data")
    tensor.data_location = onnx.TensorProto.DEFAULT


def _nodes(nodes: Any) -> Iterator[Any]:
    """Every operator, those of graphs within operators included."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                yield from _nodes(graph.node)


def _check_names(path: Path, model: Any) -> None:
    """Protobuf gives bytes where a text is not UTF-8; no exporter writes such."""
    graph, bodies = model.graph, [function.node for function in model.functions]
    values = (*graph.initializer, *graph.input, *graph.output, *model.functions)
    texts = [value.name for value in values]
    for node in (one for body in (graph.node, *bodies) for one in _nodes(body)):
        texts += [node.name, node.op_type, node.domain, *node.input, *node.output]
        texts += [attribute.name for attribute in node.attribute]
    texts += [text for entry in model.metadata_props for text in (entry.key, entry.value)]
    if any(isinstance(text, bytes) for text in texts):
        raise ModelError(_damaged(path, "a name in it is no text in UTF-8"))


def _check_operators(name: str, model: Any) -> None:
    functions = {(f.domain, f.name) for f in model.functions}
    bodies = (model.graph.node, *(f.node for f in model.functions))
    every = [node for body in bodies for node in _nodes(body)]
    trees = sorted({node.op_type for node in every if node.domain == "ai.onnx.ml"})
    if trees:
        raise ModelError(
            f"{name} holds a model of scikit-learn, XGBoost or the like ({', '.join(trees)}): it "
            "has no layers and no features of images. Give an image classifier."
        )
    foreign = {
        (node.domain, node.op_type)
        for node in every
        if (node.domain, node.op_type) not in functions
        and (node.domain not in _DOMAINS or node.op_type in _BINARY)
    }
    if foreign:
        domain, operator = min(foreign)
        raise ModelError(
            f"{name} uses the operator {operator} of {domain!r}, which is not ONNX's own. No "
            "library of operators is ever loaded: export the network with standard operators."
        )
    if len(every) > MOST_NODES:
        raise ModelError(f"{name} has {len(every):,} operators; at most {MOST_NODES:,} are read.")


def _inlined(path: Path, model: Any) -> Any:
    """The model with its functions expanded, once it is clear that this ends."""
    bodies = {(f.domain, f.name): f.node for f in model.functions}
    sizes: dict[tuple[str, str], int | None] = {}

    def size(nodes: Any) -> int:
        return sum(
            called((node.domain, node.op_type)) if (node.domain, node.op_type) in bodies else 1
            for node in _nodes(nodes)
        )

    def called(function: tuple[str, str]) -> int:
        if function not in sizes:
            sizes[function] = None
            sizes[function] = size(bodies[function])
        found = sizes[function]
        if found is None:
            raise ModelError(f"{path.name}: its function {function[1]!r} calls itself.")
        return found

    try:
        total = size(model.graph.node)
    except RecursionError as error:
        raise ModelError(_damaged(path, "its functions call each other too deeply")) from error
    if total > MOST_NODES:
        raise ModelError(
            f"{path.name}: with its functions expanded it has {total:,} operators; at most "
            f"{MOST_NODES:,} are read."
        )
    try:
        return needed("onnx.inliner").inline_local_functions(model)
    except RuntimeError as error:
        raise ModelError(_damaged(path, "its functions do not fit their calls")) from error


def _damaged(path: Path, why: str) -> str:
    return f"{path.name} is no complete ONNX file: {why}. Export or copy it again."

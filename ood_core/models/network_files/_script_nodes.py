"""What one node of a TorchScript graph calls, and with which arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ood_core.errors import ModelError
from ood_core.models.network_files._script_operators import (
    BY_NAME,
    DTYPES,
    on_numbers,
    tensor_operator,
)

__all__ = ["bound", "call_of"]

_FORMATS = {0: torch.contiguous_format, 1: torch.preserve_format, 2: torch.channels_last,
            3: torch.channels_last_3d}  # fmt: skip


def call_of(node: Any) -> tuple[Callable[..., Any], bool]:
    """What computes a node, and whether it is a tensor operator with arguments by its schema."""
    kind, schema = node.kind(), _schema(node)
    takes = schema is not None and any("Tensor" in str(a.type) for a in schema.arguments)
    gives = schema is not None and any("Tensor" in str(r.type) for r in schema.returns)
    if kind in BY_NAME and (not (takes and gives) or kind in _ON_LISTS):
        return BY_NAME[kind], False
    if schema is None or not kind.startswith("aten::"):
        raise ModelError(
            f"it uses {kind}, which is not one of PyTorch's own tensor operators: it is not run. "
            "Save it with torch.jit.trace, without custom classes or operators, in float32."
        )
    found = tensor_operator(kind, schema.overload_name)
    numbers = on_numbers(kind.removeprefix("aten::"))
    if numbers is None:
        return found, True

    def either(*args: Any, **kwargs: Any) -> Any:
        """Traces write arithmetic on sizes as if they were tensors; here they are numbers."""
        given = [*args, *kwargs.values()]
        if any(torch.is_tensor(a) and a.ndim for a in given) or torch.is_tensor(args[0]):
            return found(*args, **kwargs)
        plain = [a.item() if torch.is_tensor(a) else a for a in given]
        return numbers(*plain)

    return either, True


_ON_LISTS = frozenset(("aten::len", "aten::__getitem__", "aten::append", "aten::_set_item",
                       "aten::copy", "aten::list", "aten::__contains__", "aten::values",
                       "aten::pop", "aten::insert", "aten::extend",
                       "aten::_unwrap_optional"))  # fmt: skip


def _schema(node: Any) -> Any:
    text = node.schema()
    return None if text.startswith("(no schema)") else torch._C.parse_schema(text)


def bound(node: Any, args: list[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments by position and by name, with types and formats as PyTorch has them."""
    schema = tensor_operator(node.kind(), _schema(node).overload_name)._schema
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for argument, value in zip(schema.arguments, args, strict=False):
        kind = str(argument.real_type)
        if type(value) is int and "ScalarType" in kind:
            value = DTYPES[value]
        elif type(value) is int and "MemoryFormat" in kind:
            value = _FORMATS[value]
        elif type(value) is int and "Layout" in kind:
            value = torch.strided
        if argument.kwarg_only:
            named[argument.name] = value
        else:
            positional.append(value)
    return tuple(positional), named

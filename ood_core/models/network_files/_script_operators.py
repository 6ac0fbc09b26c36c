"""What TorchScript does besides tensor operators: numbers, lists and texts, in plain Python."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import torch

from ood_core.errors import ModelError

__all__ = ["BY_NAME", "DTYPES", "DTYPE_CODES", "WRITES", "on_numbers", "tensor_operator"]

DTYPES = {
    0: torch.uint8, 1: torch.int8, 2: torch.int16, 3: torch.int32, 4: torch.int64,
    5: torch.float16, 6: torch.float32, 7: torch.float64, 11: torch.bool, 15: torch.bfloat16,
}  # fmt: skip
"""`c10::ScalarType`, which TorchScript writes as whole numbers."""
DTYPE_CODES = {dtype: code for code, dtype in DTYPES.items()}
WRITES = frozenset(
    f"aten::{name}"
    for name in ("append", "_set_item", "insert", "extend", "pop", "clear", "reverse", "sort",
                 "remove", "Delete")
)  # fmt: skip
"""What changes a list."""


def _append(values: list[Any], value: Any) -> list[Any]:
    values.append(value)
    return values


def _set_item(values: Any, place: Any, value: Any) -> Any:
    values[place] = value
    return values


def _extend(values: list[Any], more: list[Any]) -> None:
    values.extend(more)


def _insert(values: list[Any], place: int, value: Any) -> None:
    values.insert(place, value)


def _add(one: Any, other: Any, factor: Any = 1) -> Any:
    return one + other if factor == 1 else one + factor * other


def _subtract(one: Any, other: Any, factor: Any = 1) -> Any:
    return one - factor * other


def _sizes(tensor: torch.Tensor, axis: int | None = None) -> Any:
    return list(tensor.shape) if axis is None else tensor.shape[axis]


def _number(kind: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A symbolic size stays one, so that a network may be exported again."""
    symbolic = (torch.SymInt, torch.SymFloat)
    return lambda value: value if isinstance(value, symbolic) and kind is not bool else kind(value)


def _raise(*said: Any) -> None:
    raise ValueError(" ".join(str(one) for one in said if one) or "the network refuses them")


def _slice(values: Any, start: int | None = None, end: int | None = None, step: int = 1) -> Any:
    return values[start:end:step]


def _divide(one: Any, other: Any, rounding: str | None = None) -> Any:
    if rounding is None:
        return one / other
    return math.floor(one / other) if rounding == "floor" else math.trunc(one / other)


def _format(text: str, *values: Any) -> str:
    return text.replace("{}", "%s") % values if text.count("{}") == len(values) else text


_SAME: Callable[..., Any] = lambda value, *_: value  # noqa: E731

_NUMBERS: dict[str, Callable[..., Any]] = {
    "add": _add, "sub": _subtract, "mul": operator.mul, "div": _divide,
    "floordiv": operator.floordiv, "floor_divide": operator.floordiv, "remainder": operator.mod,
    "rsub": lambda one, other, factor=1: other - factor * one, "neg": operator.neg,
    "pow": operator.pow, "abs": abs, "eq": operator.eq, "ne": operator.ne, "lt": operator.lt,
    "gt": operator.gt, "le": operator.le, "ge": operator.ge, "ceil": math.ceil,
    "floor": math.floor, "sqrt": math.sqrt, "round": round, "log": math.log, "exp": math.exp,
    "to": _SAME, "mul_": operator.mul,
}  # fmt: skip


def on_numbers(name: str) -> Callable[..., Any] | None:
    """The arithmetic of an operator of ATen on numbers, where a trace wrote it for sizes."""
    return _NUMBERS.get(name)


BY_NAME: dict[str, Callable[..., Any]] = {
    **{f"aten::{name}": call for name, call in _NUMBERS.items()},
    "aten::size": _sizes, "aten::dim": lambda t: t.dim(), "aten::numel": lambda t: t.numel(),
    "aten::len": len, "aten::__getitem__": operator.getitem, "aten::__contains__":
    operator.contains, "aten::__and__": operator.and_, "aten::__or__": operator.or_,
    "aten::__xor__": operator.xor, "aten::__not__": operator.not_, "aten::__is__": operator.is_,
    "aten::__isnot__": operator.is_not, "aten::any": any, "aten::all": all, "aten::sum": sum,
    "prim::min": min, "prim::max": max, "aten::Int": _number(int), "aten::Float": _number(float),
    "aten::Bool": _number(bool), "aten::IntImplicit": _number(int), "aten::FloatImplicit":
    _number(float), "aten::ScalarImplicit": lambda t: t.item() if torch.is_tensor(t) else t,
    "aten::str": str, "aten::copy": list, "aten::list": list, "aten::append": _append,
    "aten::_set_item": _set_item, "aten::extend": _extend, "aten::insert": _insert,
    "aten::pop": lambda values, place=-1: values.pop(place), "aten::slice": _slice,
    "aten::format": _format, "aten::warn": lambda *_: None, "aten::keys": lambda d: list(d),
    "aten::values": lambda d: list(d.values()), "aten::is_grad_enabled": torch.is_grad_enabled,
    "aten::is_autocast_enabled": torch.is_autocast_enabled, "aten::is_scripting": lambda: True,
    "aten::is_floating_point": torch.is_floating_point, "aten::__range_length":
    lambda low, high, step: len(range(low, high, step)), "aten::__derive_index":
    lambda place, low, step: low + place * step, "aten::is_contiguous":
    lambda t, *_: t.is_contiguous(), "prim::unchecked_cast": _SAME, "prim::NumToTensor": _SAME,
    "prim::unchecked_unwrap_optional": _SAME, "aten::_unwrap_optional": _SAME,
    "prim::Uninitialized": lambda: None, "prim::device": lambda t: t.device, "prim::dtype":
    lambda t: DTYPE_CODES[t.dtype], "prim::layout": lambda t: 0, "prim::type":
    lambda device: device.type, "prim::is_nested": lambda t: t.is_nested, "prim::requires_grad":
    lambda t: t.requires_grad, "prim::is_cuda": lambda t: t.is_cuda, "prim::is_quantized":
    lambda t: False, "prim::data": lambda t: t.detach(), "prim::RaiseException": _raise,
    "prim::ListConstruct": lambda *values: list(values), "prim::TupleConstruct":
    lambda *values: tuple(values), "prim::TupleIndex": lambda values, place: values[place],
    "prim::DictConstruct": lambda *pairs: dict(zip(pairs[::2], pairs[1::2], strict=True)),
    "prim::ListUnpack": _SAME, "prim::TupleUnpack": _SAME, "prim::Print": lambda *_: None,
    "prim::rangelist": lambda most: list(range(most)), "prim::tolist": lambda t, *_: t.tolist(),
}  # fmt: skip


def tensor_operator(name: str, overload: str) -> Any:
    """An operator of ATen on tensors that touches no files.

    Raises
    ------
    ModelError
        For any other.
    """
    namespace, _, plain = name.partition("::")
    found = None
    if namespace == "aten" and plain.isidentifier() and not plain.startswith("__"):
        packet = getattr(torch.ops.aten, plain, None)
        found = getattr(packet, overload or "default", None)
    touches = found is not None and any("file" in a.name for a in found._schema.arguments)
    if not isinstance(found, torch._ops.OpOverload) or touches:
        raise ModelError(
            f"it calls {name}, which is not one of PyTorch's own tensor operators: it is not run. "
            "Save the network without custom operators, in float32."
        )
    return found

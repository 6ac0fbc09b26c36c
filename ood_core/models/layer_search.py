"""Which layers of a classifier are worth recording, found without knowing its architecture."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from ood_core.models.layer_info import PENULTIMATE, LayerInfo
from ood_core.models.tracing import Call

if TYPE_CHECKING:
    from torch import nn

    from ood_core.models.tracing import Trace

__all__ = ["find_layers"]

MAX_LAYERS = 24


def find_layers(found: Trace, head: str | None) -> tuple[LayerInfo, ...]:
    """Useful layers in order of depth; the last is the input of the head, the output without one.

    A useful layer is the output of a block or an activation function that *every* path from image
    to logits goes through: then the layer alone decides the logits. Which those are is read off
    autograd's graph, so shared modules, functional ReLUs and residual paths need no knowledge of
    the architecture. Networks with very many blocks list MAX_LAYERS of them, evenly spread.
    """
    order = _cut_points(found)
    last = _output(found) if head is None else found.calls[head][0]
    end = order.get(last.node, len(order))
    if head is None and found.logits.ndim > 2:
        end += 1  # a map that is returned is a layer too: what is averaged of it is another
    chosen: dict[Any, LayerInfo] = {}
    for name in _walk(found, "", found.module, order):
        call = found.once(name)
        assert call is not None
        repeated = call.node is last.input_node and len(last.input_shape) == 2
        if order[call.node] < end and not repeated:
            chosen[call.node] = _layer(name, call, found.module.get_submodule(name))
    ordered = [chosen[node] for node in sorted(chosen, key=order.__getitem__)]
    limit = MAX_LAYERS - 1
    if len(ordered) > limit:
        ordered = [ordered[(i + 1) * len(ordered) // limit - 1] for i in range(limit)]
    if head is None:
        return (
            *ordered,
            LayerInfo(PENULTIMATE, (found.logits.shape[1],), "vector", last.input_minimum < 0),
        )
    return (*ordered, _penultimate(found, head))


def _output(found: Trace) -> Call:
    """The network's output, as the input of a head that is not there."""
    tensor = found.logits
    return Call(
        node=tensor.grad_fn,
        input_node=tensor.grad_fn,
        input_shape=tuple(tensor.shape),
        input_minimum=float(tensor.detach().min()),
    )


def _cut_points(found: Trace) -> dict[Any, int]:
    """Autograd nodes on every path from the images to the logits -> place in order of depth.

    A node lies on every path when (paths from the logits to it) x (paths from it to the images)
    is the number of all paths.
    """
    ordered = _topological(found.logits.grad_fn, found.source)
    to_source = {found.source: 1}
    for node in ordered:
        to_source.setdefault(node, sum(to_source.get(n, 0) for n, _ in node.next_functions if n))
    from_logits: dict[Any, int] = defaultdict(int, {found.logits.grad_fn: 1})
    for node in reversed(ordered):
        for child, _ in () if node is found.source else node.next_functions:
            from_logits[child] += from_logits[node]
    total = to_source.get(found.logits.grad_fn, 0)
    return {
        node: place
        for place, node in enumerate(ordered)
        if total and to_source[node] * from_logits[node] == total
    }


def _topological(root: Any, source: Any) -> list[Any]:
    """Nodes from the images' to the logits', each after everything that it is computed from."""
    ordered, done, stack = [], set(), [(root, False)]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            ordered.append(node)
        elif node not in done:
            done.add(node)
            stack.append((node, True))
            if node is not source:
                stack.extend((child, False) for child, _ in node.next_functions if child)
    return ordered


def _walk(found: Trace, path: str, module: nn.Module, cuts: dict[Any, int]) -> list[str]:
    """Names of blocks and activation functions under `module` that are cut points."""
    names: list[str] = []
    for child_name, child in module.named_children():
        name = f"{path}.{child_name}" if path else child_name
        call = found.once(name)
        useful = call is not None and call.node in cuts
        if _is_container(found, name, child, cuts):
            inner = _walk(found, name, child, cuts)
            last = found.once(inner[-1]) if len(inner) == 1 else None
            same = useful and last is not None and call is not None and last.node is call.node
            names += [name] if same else inner
        elif useful and (_is_activation(child) or _is_block(child) or _is_named(child)):
            names.append(name)
    return names


def _is_container(found: Trace, name: str, module: nn.Module, cuts: dict[Any, int]) -> bool:
    """Whether to look inside: a sequence, or a stage made of several blocks one after another."""
    from torch import nn

    if not list(module.children()):
        return False
    if isinstance(module, (nn.Sequential, nn.ModuleList)) or found.once(name) is None:
        return True
    blocks = 0
    for inner, child in module.named_modules():
        call = found.once(f"{name}.{inner}") if inner else None
        if call is not None and call.node in cuts and not isinstance(child, nn.Sequential):
            blocks += _weighted(child) >= 2
    return blocks >= 2


def _is_block(module: nn.Module) -> bool:
    return bool(list(module.children())) and _weighted(module) >= 1


def _is_named(module: nn.Module) -> bool:
    """Whether it is a `LayerOutput`."""
    return getattr(module, "is_layer", False) is True


def _weighted(module: nn.Module) -> int:
    """Number of linear maps and convolutions inside."""
    return sum(
        any(p.ndim >= 2 for p in m.parameters(recurse=False))
        for m in module.modules()
        if m is not module
    )


def _is_activation(module: nn.Module) -> bool:
    from torch.nn.modules import activation

    return type(module).__module__ == activation.__name__ or "activations" in (
        type(module).__module__
    )


def _layer(name: str, call: Call, module: nn.Module) -> LayerInfo:
    assert call.shape is not None
    shape = call.shape[1:]
    kind = {1: "vector", 2: "tokens", 3: "map"}.get(len(shape), "map")
    axis = len(shape) - 1 if _channels_last(shape, module) else 0
    return LayerInfo(name, shape, kind, signed=call.minimum < 0, channel_axis=axis)


def _channels_last(shape: tuple[int, ...], module: nn.Module) -> bool:
    """Tokens are channels last; a map is when its first two sizes are the equal ones (H = W)."""
    if len(shape) == 1:
        return False
    if len(shape) == 3 and (shape[0] == shape[1]) != (shape[1] == shape[2]):
        return shape[0] == shape[1]
    widths = {p.shape[0] for p in module.parameters() if p.ndim == 1}
    if (shape[-1] in widths) != (shape[0] in widths):
        return shape[-1] in widths
    return len(shape) == 2


def _penultimate(found: Trace, head: str) -> LayerInfo:
    from torch import nn

    call = found.calls[head][0]
    linear = isinstance(found.module.get_submodule(head), nn.Linear)
    channels = call.input_shape[-1 if linear else 1]
    axis = -1 if linear and len(call.input_shape) > 2 else 0
    return LayerInfo(PENULTIMATE, (channels,), "vector", call.input_minimum < 0, axis)

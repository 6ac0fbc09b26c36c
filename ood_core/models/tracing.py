"""Watching one forward pass of any classifier, and finding its head in what was seen."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ood_core.errors import ModelError
from ood_core.models.forward_errors import forward_failed
from ood_core.models.steadiness import check_steady

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["Call", "Trace", "behead", "find_head", "trace"]

PROBE_IMAGES = 2


@dataclass
class Call:
    """One call of one module, as seen when it returned: later layers may write into its output.

    Parameters
    ----------
    shape : shape of the output, or None when it was not one tensor.
    minimum : smallest value of the output.
    node : the output's node in autograd's graph.
    input_node : the same of the first input.
    input_shape, input_minimum : shape and smallest value of the first input.
    output : copy of the output of a module that may be the head, else None.
    """

    shape: tuple[int, ...] | None = None
    minimum: float = 0.0
    node: Any = None
    input_node: Any = None
    input_shape: tuple[int, ...] = ()
    input_minimum: float = 0.0
    output: torch.Tensor | None = None


@dataclass
class Trace:
    """One forward pass of `module` on random images, with every module's calls in order."""

    module: nn.Module
    logits: torch.Tensor
    source: Any
    calls: dict[str, list[Call]] = field(default_factory=dict)

    def once(self, name: str) -> Call | None:
        """The module's call when it was called once and gave one tensor."""
        calls = self.calls.get(name, [])
        return calls[0] if len(calls) == 1 and calls[0].shape is not None else None


def trace(module: nn.Module, input_shape: tuple[int, ...], headless: bool = False) -> Trace:
    """Run the network once on random images and watch every module.

    Parameters
    ----------
    input_shape : (channels, height, width) of an image.
    headless : whether it returns features, (n, d) or maps (n, d, h, w), rather than logits.

    Raises
    ------
    ModelError
        When the network cannot take images of this shape, or does not return (n, classes).
    """
    import torch

    noise = torch.randn(PROBE_IMAGES, *input_shape, generator=torch.Generator().manual_seed(0))
    calls: dict[str, list[Call]] = defaultdict(list)
    handles = []

    def watcher(name: str) -> Any:
        return lambda child, inputs, output: calls[name].append(_seen(child, inputs, output))

    try:
        for name, child in module.named_modules():
            if name:
                handles.append(child.register_forward_hook(watcher(name)))
        with torch.enable_grad():
            start = noise.requires_grad_() * 1
            logits = module(start)
    except ModelError:  # of a head in a file of its own, which says itself what is wrong
        raise
    except (Exception, SystemExit) as error:  # whatever somebody's forward raises
        raise ModelError(forward_failed(error, input_shape)) from error
    finally:
        for handle in handles:
            handle.remove()
    refused = _unusable(logits, headless)
    if refused:
        raise ModelError(refused)
    if not logits.shape[1]:
        raise ModelError(
            "the network gives no number at all for an image (shape (images, 0)). Set num_classes "
            "to the number of its classes; for a network without a head have it return features."
        )
    if not torch.isfinite(logits).all():
        what = "features" if headless else "logits"
        raise ModelError(
            f"the network gives NaN or infinite {what}: its weights are damaged, or were trained "
            "in a precision that this form of them does not have. Export them again."
        )
    if logits.grad_fn is None:
        raise ModelError(
            "what the network returns cannot be followed back to the images: forward runs under "
            "torch.no_grad or torch.inference_mode, or detaches. Take that out of it: its layers "
            "are found by autograd, and nothing is trained here."
        )
    check_steady(module, noise.detach(), logits.detach())
    return Trace(module, logits, start.grad_fn, dict(calls))


def _unusable(output: Any, headless: bool) -> str:
    """Why nothing can be made of what the network returned, with what to do; "" where it can."""
    import torch

    wanted = (
        "the network must return features of shape (images, features), or maps of shape (images, "
        "features, height, width), which are averaged over their positions"
        if headless
        else "the network must return logits of shape (images, classes), or, with num_classes = 0, "
        "features of shape (images, features)"
    )
    if not torch.is_tensor(output):
        return f"{wanted}; got {_described(output)}. {_ONE_TENSOR}"
    shape = tuple(output.shape)
    if output.ndim == 2 or (headless and output.ndim == 4 and not _channels_last(shape)):
        return ""
    what, remedy = str(shape), _ONE_TENSOR
    if headless and output.ndim == 3:
        what = f"{shape}, which looks like tokens (images, tokens, features)"
        remedy = (
            "Which of them stand for the image is for the network to say: have forward return the "
            "class token, x[:, 0], or their mean, x.mean(1)."
        )
    elif headless and output.ndim == 4:
        what = f"{shape}, which looks like (images, height, width, features)"
        remedy = "Have forward return x.mean((1, 2)), or x.permute(0, 3, 1, 2)."
    return f"{wanted}; got {what}. {remedy}"


_ONE_TENSOR = (
    "Have forward return one such tensor: wrap the network in a module that picks it, or, for a "
    "file that holds the whole network, name it by features under [classifier]."
)


def _channels_last(shape: tuple[int, ...]) -> bool:
    return shape[1] == shape[2] != shape[3]


def _described(output: Any) -> str:
    """What a network returned in place of one tensor: its type, and its parts with their shapes."""
    named = output.items() if hasattr(output, "items") else ()
    if not named and isinstance(output, tuple | list):
        fields = getattr(output, "_fields", None) or range(len(output))
        named = zip(fields, output, strict=True)
    parts = [f"{name} {_shape_of(value)}" for name, value in list(named)[:6]]
    return f"{type(output).__name__} of {', '.join(parts)}" if parts else type(output).__name__


def _shape_of(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else str(tuple(shape))


def find_head(found: Trace) -> str:
    """Name of the head: the Linear or 1x1 convolution whose (averaged) output is the logits.

    Raises
    ------
    ModelError
        When there is none: then features times a weight matrix do not give the logits.
    """
    import torch
    from torch import nn

    expected = found.logits.detach()
    scale = float(expected.abs().max()) or 1.0
    modules: list[tuple[str, nn.Module]] = list(found.module.named_modules())
    for name, child in reversed(modules):
        call = found.once(name)
        if call is None or call.output is None:
            continue
        output = _averaged(call.output, channels_first=not isinstance(child, nn.Linear))
        output = output.to(expected.dtype)  # a network in half precision may return float32
        if output.shape == expected.shape and torch.allclose(output, expected, 1e-4, 1e-5 * scale):
            return name
    raise ModelError(
        f"{type(found.module).__name__} has no linear head: no Linear or 1x1 convolution gives "
        "the logits directly, so scores that need penultimate features are not defined for it. "
        "Where what it returns are features and not logits, set num_classes = 0."
    )


def behead(module: nn.Module, input_shape: tuple[int, ...]) -> nn.Module:
    """The network with its head taken off: it returns what the head was given.

    A head that is a 1x1 convolution, or runs on every token, leaves features with positions; they
    are averaged where they are recorded.

    Raises
    ------
    ModelError
        As `trace`, and where there is no head that can be taken off.
    """
    from torch import nn

    training = module.training
    try:
        traced = trace(module.eval(), input_shape)
    finally:
        module.train(training)
    try:
        name = find_head(traced)
    except ModelError as error:
        raise ModelError(
            f"{type(module).__name__} has no linear head that could be taken off: no Linear or 1x1 "
            "convolution gives its output directly. For its features name code of your own that "
            'returns them, architecture = "my_net.py:MyNet" and num_classes = 0, or take another '
            "architecture."
        ) from error
    if not name:
        return module
    parent, _, last = name.rpartition(".")
    setattr(module.get_submodule(parent), last, nn.Identity())
    return module


def _seen(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Call:
    import torch

    call = Call()
    if inputs and torch.is_tensor(inputs[0]):
        call.input_shape = tuple(inputs[0].shape)
        call.input_node = inputs[0].grad_fn
        call.input_minimum = float(inputs[0].detach().min())
    if torch.is_tensor(output):
        call.shape = tuple(output.shape)
        call.node = output.grad_fn
        call.minimum = float(output.detach().min())
        call.output = output.detach().clone() if _may_be_head(module) else None
    return call


def _may_be_head(module: nn.Module) -> bool:
    from torch import nn

    return isinstance(module, nn.Linear) or (
        isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1
    )


def _averaged(tensor: torch.Tensor, channels_first: bool) -> torch.Tensor:
    """(n, c) from an output with positions, by the mean over them."""
    if tensor.ndim == 2:
        return tensor
    return tensor.flatten(2).mean(2) if channels_first else tensor.flatten(1, -2).mean(1)

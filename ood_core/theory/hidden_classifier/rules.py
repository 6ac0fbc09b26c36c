"""Rules that make the Jacobian of a network's tail the coefficient matrix C(x) of Eq. 2.

Eq. 2 replaces an activation `σ(z)` by `z · (σ(z)/z)` with the factor held constant. For ReLU and
LeakyReLU the Jacobian does that by itself. `SecantRules` does it for every other activation, and
for normalisation and gates by a stop-gradient, while a forward pass runs under it:

- exact (Eq. 2): GELU, SiLU, ELU, SELU, CELU, Mish, Hardswish, ReLU6, Hardtanh, PReLU, tanh;
- our extension, not in the paper: LayerNorm, GroupNorm, RMSNorm, InstanceNorm (1/sd held
  constant), attention weights, sigmoid and softmax gates (held constant), L2 normalisation.

No value of the forward pass changes, only its derivative. It works on any module or function,
since it intercepts the torch functions and not the modules that call them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as nnf
from torch.overrides import TorchFunctionMode

from ood_core.errors import ModelError

__all__ = ["SecantRules"]


class SecantRules(TorchFunctionMode):
    """Context in which a forward pass gets the derivatives of Eq. 2.

    Attributes
    ----------
    used : names of the rules that were needed where gradients flow, "exact" or "extension".
    uncovered : names of operations met for which Eq. 2 has no rule (products of two activations,
        exponentials): there `β(x)` absorbs what the Jacobian misses.

    Raises
    ------
    ModelError
        Inside the context, when batch norm or dropout runs in training mode.
    """

    def __init__(self) -> None:
        super().__init__()
        self.used: dict[str, str] = {}
        self.uncovered: set[str] = set()

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        rule = _RULES.get(func)
        if rule is None:
            if func in _PRODUCTS and sum(_needs_grad(x) for x in args) > 1:
                self.uncovered.add("product of two activations")
            elif func in _CURVED and any(_needs_grad(x) for x in args):
                self.uncovered.add(func.__name__)
            return func(*args, **kwargs)
        kind, apply = rule
        if kind and any(_needs_grad(x) for x in (*args, *kwargs.values())):
            self.used[func.__name__.strip("_")] = kind
        return apply(func, *args, **kwargs)


def _needs_grad(x: Any) -> bool:
    """Whether `x` depends on the layer's output; a network's own weights do not."""
    return isinstance(x, torch.Tensor) and x.requires_grad and not isinstance(x, torch.nn.Parameter)


def _secant(func: Callable[..., torch.Tensor], z: torch.Tensor, *args: Any, **kw: Any) -> Any:
    """`z · stopgrad(σ(z)/z)`, the factor 0 at z = 0; `σ(0)` itself, if any, goes to β."""
    if len(args) and isinstance(args[-1], bool):
        args = (*args[:-1], False)
    if "inplace" in kw:
        kw = {**kw, "inplace": False}
    with torch.no_grad():
        value = func(z, *args, **kw)
        factor = torch.where(z == 0, 0.0, value / torch.where(z == 0, 1.0, z))
        rest = value - z * factor
    return z * factor + rest


def _gate(func: Callable[..., torch.Tensor], *args: Any, **kw: Any) -> torch.Tensor:
    """Hold the gate's value constant."""
    return func(*args, **kw).detach()


def _glu(func: Callable[..., torch.Tensor], z: torch.Tensor, dim: int = -1) -> torch.Tensor:
    value, gate = z.chunk(2, dim)
    return value * torch.sigmoid(gate).detach()


def _normalised(
    func: Callable[..., torch.Tensor], x: torch.Tensor, centre: torch.Tensor, dims: tuple[int, ...],
    eps: float,
) -> torch.Tensor:  # fmt: skip
    power = (x - centre).detach().pow(2).mean(dims, keepdim=True)
    return (x - centre) * torch.rsqrt(power + eps)


def _layer_norm(
    func: Any, x: torch.Tensor, normalized_shape: Any, weight: Any = None, bias: Any = None,
    eps: float = 1e-5,
) -> torch.Tensor:  # fmt: skip
    dims = tuple(range(-len(normalized_shape), 0))
    out = _normalised(func, x, x.mean(dims, keepdim=True), dims, eps)
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def _rms_norm(
    func: Any, x: torch.Tensor, normalized_shape: Any, weight: Any = None, eps: float | None = None
) -> torch.Tensor:
    dims = tuple(range(-len(normalized_shape), 0))
    small = torch.finfo(x.dtype).eps if eps is None else eps
    out = _normalised(func, x, torch.zeros_like(x[:1]), dims, small)
    return out if weight is None else out * weight


def _group_norm(
    func: Any, x: torch.Tensor, num_groups: int, weight: Any = None, bias: Any = None,
    eps: float = 1e-5,
) -> torch.Tensor:  # fmt: skip
    grouped = x.reshape(len(x), num_groups, -1)
    out = _normalised(func, grouped, grouped.mean(-1, keepdim=True), (-1,), eps).reshape(x.shape)
    shape = (1, -1, *[1] * (x.ndim - 2))
    out = out if weight is None else out * weight.reshape(shape)
    return out if bias is None else out + bias.reshape(shape)


def _instance_norm(
    func: Any, x: torch.Tensor, running_mean: Any = None, running_var: Any = None,
    weight: Any = None, bias: Any = None, use_input_stats: bool = True, momentum: float = 0.1,
    eps: float = 1e-5,
) -> torch.Tensor:  # fmt: skip
    if use_input_stats:
        return _group_norm(func, x, x.shape[1], weight, bias, eps)
    normed: torch.Tensor = func(x, running_mean, running_var, weight, bias, False, momentum, eps)
    return normed


def _attention(
    func: Any, query: torch.Tensor, key: torch.Tensor, *args: Any, **kw: Any
) -> torch.Tensor:
    """Attention weights depend on query and key only: hold those constant."""
    attended: torch.Tensor = func(query.detach(), key.detach(), *args, **kw)
    return attended


def _eval_batch_norm(
    func: Any, x: torch.Tensor, running_mean: Any = None, running_var: Any = None,
    weight: Any = None, bias: Any = None, training: bool = False, *args: Any, **kw: Any,
) -> torch.Tensor:  # fmt: skip
    if training:
        raise ModelError(
            "batch norm uses the statistics of the batch, so an image's logits depend on its "
            "neighbours and C(x) is undefined. Put the model in eval mode: model.eval()."
        )
    normed: torch.Tensor = func(x, running_mean, running_var, weight, bias, False, *args, **kw)
    return normed


def _no_dropout(
    func: Any, x: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> torch.Tensor:
    if training and p > 0:
        raise ModelError(
            "dropout is active, so the logits are random and C(x) is undefined. "
            "Put the model in eval mode: model.eval()."
        )
    return x


_SECANT = (
    torch._C._nn.gelu, nnf.silu, nnf.elu, nnf.selu, nnf.celu, nnf.mish, nnf.hardswish, nnf.relu6,
    nnf.hardtanh,
    nnf.prelu, torch.prelu, torch.tanh, torch.Tensor.tanh, nnf.tanh, nnf.leaky_relu, nnf.softsign,
)  # fmt: skip
_GATES = (
    torch.sigmoid, torch.Tensor.sigmoid, nnf.sigmoid, nnf.hardsigmoid, torch.softmax,
    torch.Tensor.softmax, nnf.softmax,
)  # fmt: skip
_RULES: dict[Any, tuple[str, Callable[..., Any]]] = {
    **dict.fromkeys(_SECANT, ("exact", _secant)),
    **dict.fromkeys(_GATES, ("extension", _gate)),
    nnf.layer_norm: ("extension", _layer_norm),
    torch.layer_norm: ("extension", _layer_norm),
    nnf.rms_norm: ("extension", _rms_norm),
    nnf.group_norm: ("extension", _group_norm),
    nnf.instance_norm: ("extension", _instance_norm),
    nnf.normalize: ("extension", _secant),
    nnf.local_response_norm: ("extension", _secant),
    nnf.glu: ("extension", _glu),
    nnf.scaled_dot_product_attention: ("extension", _attention),
    nnf.multi_head_attention_forward: ("extension", _attention),
    nnf.batch_norm: ("", _eval_batch_norm),
    nnf.dropout: ("", _no_dropout),
    nnf.dropout2d: ("", _no_dropout),
}
_PRODUCTS = {
    torch.mul, torch.Tensor.mul, torch.Tensor.__mul__, torch.matmul, torch.Tensor.matmul,
    torch.Tensor.__matmul__, torch.bmm, torch.div, torch.Tensor.__truediv__, torch.Tensor.div,
    torch.einsum,
}  # fmt: skip
_CURVED = {
    torch.exp, torch.Tensor.exp, torch.log, torch.Tensor.log, torch.sqrt, torch.Tensor.sqrt,
    torch.rsqrt, torch.Tensor.rsqrt, torch.pow, torch.Tensor.pow, torch.Tensor.__pow__,
    nnf.softplus, nnf.logsigmoid,
}  # fmt: skip

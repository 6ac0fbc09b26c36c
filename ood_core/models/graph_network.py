"""A network that a file's graph says, run step by step: a module that tracing and hooks see into."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ood_core.errors import ModelError
from ood_core.models.graph_points import Linear, find_points, linear_map, module_name
from ood_core.models.inspection import inspect_traced
from ood_core.models.graph_steps import (
    BATCH,
    DEVICE,
    Block,
    Held,
    Program,
    Ref,
    Step,
    cut,
    fold,
    refs,
    with_any_batch,
)

if TYPE_CHECKING:
    from ood_core.models.found_network import FoundNetwork

__all__ = ["GraphNetwork", "Part"]


class Part(nn.Module):
    """A module of the network: it holds its tensors and hands on the value that it shows."""

    is_activation = False

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        """The value itself: hooks see it, and may put another in its place."""
        return value


class _Sequence(Part, nn.Sequential):
    """A `Part` that runs others one after another."""


class GraphNetwork(nn.Module):
    """Runs a program's steps in order, with PyTorch's own operators and nothing else.

    Its modules are those of the network that the file was made of, as far as the file tells:
    linear maps with fixed weights are `nn.Linear` and `nn.Conv2d`, every other one a `Part`.

    Parameters
    ----------
    program : with one output.
    ends_at_features : whether its output is features that the experiment names.
    written_for : the same before it was rewritten for any number of images: it is compared with it.
    """

    def __init__(
        self,
        program: Program,
        *,
        ends_at_features: bool = False,
        written_for: Program | None = None,
    ) -> None:
        super().__init__()
        self._program = program = fold(cut(program, program.outputs))
        self._points = find_points(program)
        self._ends_at_features = ends_at_features
        self._written_for = written_for
        self._places = {name: _place(name) for name in program.tensors}
        self._add_tensors()
        self._linear: dict[str, tuple[str, str]] = {}
        self._add_linear_maps()
        shown: dict[str, list[str]] = {}
        for name, value in self._points.modules.items():
            part = self._part(name)
            if isinstance(part, Part):
                part.is_activation = part.is_activation or name in self._points.activations
                shown.setdefault(value, []).append(name)
        # Modules within others show a value first.
        self._shown = {v: sorted(names, key=lambda n: -n.count(".")) for v, names in shown.items()}
        self._unused_after = _last_uses(program)
        self._dtype = _floating(program)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Output (n, k) for images (n, c, h, w), in float32 at least."""
        self._check(images)
        given = images if self._dtype is None else images.to(self._dtype)
        env: dict[str, Any] = {self._program.images: given, BATCH.name: images.shape[0]}
        self._run(self._program.steps, env, images.device, self._unused_after)
        (output,) = self._value(list(self._program.outputs.values()), env, images.device)
        if torch.is_tensor(output) and output.ndim and len(output) != len(images):
            raise ValueError(
                f"it gives {len(output)} rows for {len(images)} images: its file was written for "
                "another number of images"
            )
        small = torch.is_tensor(output) and output.dtype in (torch.float16, torch.bfloat16)
        return output.float() if small else output

    def found(self, input_shape: tuple[int, int, int], headless: bool) -> FoundNetwork:
        """Head and layers by tracing, as of any network; what `features` could name without one."""
        self._hold_against_file(input_shape)
        try:
            return inspect_traced(self, input_shape, headless or self._ends_at_features)
        except ModelError as error:
            if "no linear head" not in str(error):
                raise
            raise ModelError(
                "the network's file has no linear head: no product with a weight matrix gives its "
                "output directly. Name the tensor that holds its penultimate features, features = "
                f'"…" in [classifier] ({", ".join(self.vectors(input_shape)) or "it has none"}), '
                "or set num_classes = 0 where its output is features."
            ) from error

    def vectors(self, input_shape: tuple[int, int, int]) -> list[str]:
        """Names of values with one vector per image, the last one first, at most eight."""
        sizes: dict[str, int] = {}
        env: dict[str, Any] = {
            self._program.images: torch.zeros(2, *input_shape, dtype=self._dtype), BATCH.name: 2
        }  # fmt: skip
        with torch.no_grad():
            self._run(self._program.steps, env, torch.device("cpu"), {})
        for name, value in self._points.values.items():
            tensor = env.get(value)
            if torch.is_tensor(tensor) and tensor.ndim == 2 and len(tensor) == 2:
                sizes.setdefault(value, 0)
                sizes[value] = tensor.shape[1]
        labels = {value: name for name, value in reversed(self._points.values.items())}
        return [f"{labels[v]} ({size})" for v, size in reversed(sizes.items())][:8]

    def _hold_against_file(self, shape: tuple[int, int, int]) -> None:
        """Compare what was rewritten for any number of images with the file as it is."""
        if self._written_for is None and self._runs(2, shape):
            return
        first = self._written_for or self._program
        many = (first.shape or (None,))[0]
        sizes = (many,) if many else tuple(2**k for k in range(8))
        exact = GraphNetwork(first)
        count = next((n for n in sizes if exact._runs(n, shape)), None)
        if count is None:
            return  # tracing says what is wrong with images of this shape
        free = GraphNetwork(with_any_batch(first, count))
        noise = torch.randn(count + 1, *shape, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            wanted = exact(noise[:count])
            same = free._runs(count + 1, shape) and all(
                torch.allclose(free(images)[:count], wanted, 1e-4, 1e-5 * float(wanted.abs().max()))
                for images in (noise[:count], noise)
            )
        if not same:
            raise ModelError(
                f"the network's file was written for {count} image{'s' * (count > 1)} at a time, and "
                "cannot be rewritten for any number. Write it again: torch.export.export(model, "
                '(images,), dynamic_shapes=({0: torch.export.Dim("n")},)), or torch.jit.script.'
            )
        self.__dict__.update(free.__dict__ | {"_ends_at_features": self._ends_at_features})

    def _runs(self, count: int, shape: tuple[int, int, int]) -> bool:
        try:
            with torch.no_grad():
                self(torch.zeros(count, *shape))
        except (RuntimeError, ValueError, TypeError, IndexError, AssertionError):
            return False
        return True

    def _check(self, images: torch.Tensor) -> None:
        shape = self._program.shape
        if shape is None:
            return
        pairs = zip(shape[1:], images.shape[1:], strict=False)
        if len(shape) != images.ndim or any(a not in (None, b) for a, b in pairs):
            wanted = " x ".join("any" if size is None else str(size) for size in shape[1:])
            raise ValueError(
                f"its file was written for images of {wanted} (channels x height x width), got "
                f"{' x '.join(map(str, images.shape[1:]))}"
            )

    def _run(
        self, steps: Sequence[Step], env: dict[str, Any], device: torch.device,
        unused: dict[int, list[str]],
    ) -> None:  # fmt: skip
        for place, step in enumerate(steps):
            if step.blocks:
                results = self._branch(step, env, device)
            else:
                result = self._call(step, env, device)
                results = list(result) if step.several else [result] * len(step.outputs)
            for name, value in zip(step.outputs, results, strict=True):
                for module in self._shown.get(name, ()) if torch.is_tensor(value) else ():
                    value = self.get_submodule(module)(value)
                env[name] = value
            for name in unused.get(place, ()):
                env.pop(name, None)

    def _call(self, step: Step, env: dict[str, Any], device: torch.device) -> Any:
        linear = self._linear.get(step.outputs[0]) if step.outputs else None
        if linear is not None:
            name, given = linear
            return self.get_submodule(name)(env[given])
        args, kwargs = self._value([step.args, step.kwargs], env, device)
        assert step.call is not None
        return step.call(*args, **kwargs)

    def _branch(self, step: Step, env: dict[str, Any], device: torch.device) -> list[Any]:
        values = self._value(step.args, env, device)
        if step.op == "if":
            block = step.blocks[0 if values[0] else 1]
            self._run(block.steps, env, device, {})
            return list(self._value(block.outputs, env, device))
        (block,) = step.blocks
        most, going, *carried = values
        for turn in range(most):
            if not going:
                break
            env |= dict(zip(block.inputs, [turn, *carried], strict=True))
            self._run(block.steps, env, device, {})
            going, *carried = self._value(block.outputs, env, device)
        return carried

    def _value(self, value: Any, env: dict[str, Any], device: torch.device) -> Any:
        if isinstance(value, Ref):
            return env[value.name]
        if isinstance(value, Held):
            owner, name = self._places[value.name]
            return getattr(self.get_submodule(owner), name)
        if value is DEVICE:
            return device
        if isinstance(value, (list, tuple)):
            return type(value)(self._value(inner, env, device) for inner in value)
        if isinstance(value, dict):
            return {key: self._value(inner, env, device) for key, inner in value.items()}
        return value

    def _add_tensors(self) -> None:
        used = {held for step in self._program.steps for held in _names_held(step)}
        used |= {held for held in _names_held(list(self._program.outputs.values()))}
        for full in sorted(used):
            owner, name = self._places[full]
            tensor = self._program.tensors[full].detach()
            if full in self._program.buffers or not tensor.is_floating_point():
                self._part(owner).register_buffer(name, tensor)
            else:
                self._part(owner).register_parameter(name, nn.Parameter(tensor, False))

    def _add_linear_maps(self) -> None:
        uses = Counter(h for step in self._program.steps for h in _names_held(step))
        for step in self._program.steps:
            linear = linear_map(step, self._program.tensors)
            if linear is None:
                continue
            owner, name = self._places[linear.weight.name]
            bias = None if linear.bias is None else self._places[linear.bias.name]
            part = self._part(owner)
            own = set(part._parameters) | set(part._buffers)
            alone = uses[linear.weight.name] == 1 and not part._modules and owner
            fits = own == {"weight"} | ({"bias"} if bias else set()) and name == "weight"
            if not (alone and fits and bias in (None, (owner, "bias")) and not linear.transposed):
                owner = f"{owner}.{module_name(step.outputs[0])}" if owner else module_name(step.outputs[0])
                while owner in dict(self.named_modules()):
                    owner += "_"
            self._put(owner, _as_module(linear, self._tensor))
            self._linear[step.outputs[0]] = owner, linear.given.name
            self._points.modules.pop(owner, None)

    def _tensor(self, held: Held | None) -> Any:
        return None if held is None else self._value(held, {}, torch.device("cpu"))

    def _part(self, path: str) -> nn.Module:
        module: nn.Module = self
        walked: list[str] = []
        for piece in path.split(".") if path else ():
            walked.append(piece)
            if piece not in module._modules:
                kind = _Sequence if ".".join(walked) in self._program.sequences else Part
                module.add_module(piece, kind())
            module = module._modules[piece]  # type: ignore[assignment]
        return module

    def _put(self, path: str, module: nn.Module) -> None:
        parent, _, last = path.rpartition(".")
        self._part(parent)._modules[last] = module


def _as_module(linear: Linear, tensor: Callable[[Held | None], Any]) -> nn.Module:
    """The map as the module that tracing takes for a head; it holds the same tensors."""
    weight, bias = tensor(linear.weight), tensor(linear.bias)
    if linear.transposed:
        weight = nn.Parameter(weight.t(), False)
    module: Any
    with torch.device("meta"):
        if weight.ndim == 4:
            module = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=bias is not None)
        else:
            module = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    module.weight = nn.Parameter(weight, False)
    module.bias = None if bias is None else nn.Parameter(bias, False)
    return module


def _names_held(value: Any) -> list[str]:
    if isinstance(value, Held):
        return [value.name]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, Step):
        value = [value.args, value.kwargs, value.blocks]
    if isinstance(value, Block):
        value = [value.steps, value.outputs]
    if isinstance(value, (list, tuple)):
        return [name for inner in value for name in _names_held(inner)]
    return []


def _place(name: str) -> tuple[str, str]:
    """Owner and name of a tensor, as modules may have them."""
    *owner, last = (module_name(part) for part in name.split("."))
    return ".".join(owner), last


def _last_uses(program: Program) -> dict[int, list[str]]:
    """Place of a step -> values that no later one needs."""
    needed, last = set(refs(program.outputs)), {}
    for place in reversed(range(len(program.steps))):
        step = program.steps[place]
        names = set(refs(step)) | set(step.outputs)
        last[place] = sorted(names - needed)
        needed |= names
    return last


def _floating(program: Program) -> torch.dtype | None:
    """The one precision of all weights, in which the images must come too; None for several."""
    kinds = {t.dtype for t in program.tensors.values() if t.is_floating_point()}
    return kinds.pop() if len(kinds) == 1 else None

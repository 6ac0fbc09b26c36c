"""A network that a file's graph says, run step by step: tracing and hooks see into it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ood_core.errors import ModelError
from ood_core.models.graph_modules import Part, add_linear_maps, add_tensors, part_at
from ood_core.models.graph_points import find_points
from ood_core.models.graph_run import Pass, last_uses
from ood_core.models.graph_steps import BATCH, Program, cut, fold, with_any_batch
from ood_core.models.inspection import inspect_traced

if TYPE_CHECKING:
    from ood_core.models.found_network import FoundNetwork

__all__ = ["GraphNetwork"]

_MOST_NAMED = 8


class GraphNetwork(nn.Module):
    """Runs a program's steps in order, with PyTorch's own operators and nothing else.

    Its modules are those of the network that the file was made of, as far as the file tells:
    linear maps with fixed weights are `nn.Linear` and `nn.Conv2d`, every other one a `Part`.

    Parameters
    ----------
    program : with one output.
    ends_at_features : whether its output is features that the experiment names.
    written_for : the same before it was rewritten for any number of images, to compare it with.
    """

    def __init__(
        self,
        program: Program,
        *,
        ends_at_features: bool = False,
        written_for: Program | None = None,
    ) -> None:
        super().__init__()
        self._program = fold(cut(program, program.outputs))
        self._ends_at_features = ends_at_features
        self._written_for = written_for
        self._places = add_tensors(self, self._program)
        self._linear = add_linear_maps(self, self._program, self._places)
        self._points = find_points(self._program)
        self._shown = self._add_points()
        self._unused = last_uses(self._program.steps, self._program.outputs)
        kinds = {t.dtype for t in self.parameters() if t.is_floating_point()}
        # The one precision of all weights, in which the images must come, too.
        self._dtype = kinds.pop() if len(kinds) == 1 else None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Output (n, k) for images (n, c, h, w), in float32 at least."""
        self._check(images)
        done = self._pass(images, self._unused)
        output: torch.Tensor = done.value(next(iter(self._program.outputs.values())))
        if not torch.is_tensor(output):
            raise ValueError(f"its output is {type(output).__name__}, not a tensor")
        # Not len(): it would fix the number of images where the network is exported again.
        if output.ndim and output.shape[0] != images.shape[0]:
            raise ValueError(
                f"it gives {output.shape[0]} rows for {images.shape[0]} images: its file was "
                "written for another number of images"
            )
        return output.float() if output.dtype in (torch.float16, torch.bfloat16) else output

    def ood_found_network(self, input_shape: tuple[int, int, int], headless: bool) -> FoundNetwork:
        """Head and layers by tracing, as of any network; what `features` may name without a head.

        Raises
        ------
        ModelError
            When it takes no such images, only a fixed number of them, or has no head.
        """
        self._hold_against_file(input_shape)
        try:
            found = inspect_traced(self, input_shape, headless or self._ends_at_features)
            return replace(found, no_gradients=self._no_gradients(input_shape))
        except ModelError as error:
            if "no linear head" not in str(error):
                raise
            raise ModelError(
                "the network's file has no linear head: no product with a weight matrix gives its "
                "output directly. Name the tensor that holds its penultimate features, features = "
                f'"…" in [classifier] ({", ".join(self._vectors(input_shape)) or "it has none"}), '
                "or set num_classes = 0 where its output is features."
            ) from error

    def _no_gradients(self, shape: tuple[int, int, int]) -> str:
        """Why it cannot be differentiated, as where a trace recorded a fused layer; else ""."""
        try:
            with torch.enable_grad():
                images = torch.zeros(1, *shape, requires_grad=True)
                torch.autograd.grad(self(images).sum(), images)
        except RuntimeError as error:
            first = next(iter(str(error).splitlines()), "")
            return f"gradients cannot be had of the network in this file: {first}."
        return ""

    def _pass(self, images: torch.Tensor, unused: dict[int, list[str]]) -> Pass:
        given = images if self._dtype is None else images.to(self._dtype)
        values = {self._program.images: given, BATCH.name: images.shape[0]}
        done = Pass(values, images.device, self._tensor, self._module, self._show)
        done.run(self._program.steps, unused)
        return done

    def _tensor(self, name: str) -> torch.Tensor:
        owner, own = self._places[name]
        tensor: torch.Tensor = getattr(self.get_submodule(owner), own)
        return tensor

    def _module(self, output: str) -> tuple[Callable[[Any], Any], str] | None:
        found = self._linear.get(output)
        return None if found is None else (self.get_submodule(found[0]), found[1])

    def _show(self, name: str, value: Any) -> Any:
        for module in self._shown.get(name, ()) if torch.is_tensor(value) else ():
            value = self.get_submodule(module)(value)
        return value

    def _add_points(self) -> dict[str, list[str]]:
        """Value -> modules that show it, those within others first."""
        shown: dict[str, list[str]] = defaultdict(list)
        for name, value in self._points.modules.items():
            part = part_at(self, name, self._program.sequences)
            if isinstance(part, Part):
                part.is_activation = name in self._points.activations
                shown[value].append(name)
        return {v: sorted(names, key=lambda name: -name.count(".")) for v, names in shown.items()}

    def _vectors(self, shape: tuple[int, int, int]) -> list[str]:
        """Names of values with one vector per image and their widths, the last ones first."""
        with torch.no_grad():
            values = self._pass(torch.zeros(2, *shape), {}).values
        found: dict[str, str] = {}
        for name, value in self._points.values.items():
            tensor = values.get(value)
            if torch.is_tensor(tensor) and tensor.ndim == 2 and len(tensor) == 2:
                found.setdefault(value, f"{name} ({tensor.shape[1]})")
        return list(reversed(found.values()))[:_MOST_NAMED]

    def _hold_against_file(self, shape: tuple[int, int, int]) -> None:
        """Compare what was rewritten for any number of images with the file as it is."""
        if self._written_for is None and self._runs(2, shape):
            return
        first = self._written_for or self._program
        written = first.shape[0] if first.shape else None
        exact = GraphNetwork(first)
        tried = (written,) if written else tuple(2**k for k in range(8))
        count = next((n for n in tried if exact._runs(n, shape)), None)
        if count is None:
            return  # tracing says what is wrong with images of this shape
        free = GraphNetwork(with_any_batch(first, count))
        noise = torch.randn(count + 1, *shape, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            wanted = exact(noise[:count])
            close = 1e-5 * float(wanted.abs().max())
            same = free._runs(count + 1, shape) and all(
                torch.allclose(free(images)[:count], wanted, 1e-4, close)
                for images in (noise[:count], noise)
            )
        if not same:
            raise ModelError(
                f"the network's file was written for {count} image{'s' * (count > 1)} at a time, "
                "and cannot be rewritten for any number. Write it again for any: "
                "torch.export.export(model, (images,), dynamic_shapes=({0: torch.export.Dim"
                '("n")},)), or torch.jit.script.'
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

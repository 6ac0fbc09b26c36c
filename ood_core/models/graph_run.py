"""Running the steps of a graph one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ood_core.models.graph_steps import DEVICE, Held, Ref, Step, refs

if TYPE_CHECKING:
    import torch

__all__ = ["Pass", "last_uses"]


@dataclass
class Pass:
    """One pass of images through the steps.

    Parameters
    ----------
    values : values by name; what is known at the beginning, and then all that steps give.
    device : of the images.
    tensor : a tensor of the file by its name, where it is now.
    module : the module that a step's output comes from, and the value it is given; else None.
    shown : a tensor as the modules that show it hand it on.
    """

    values: dict[str, Any]
    device: torch.device
    tensor: Callable[[str], torch.Tensor]
    module: Callable[[str], tuple[Callable[[Any], Any], str] | None]
    shown: Callable[[str, Any], Any]

    def run(self, steps: Sequence[Step], unused: Mapping[int, Sequence[str]]) -> None:
        """Run the steps in order; `unused` are values to forget after the step at that place."""
        for place, step in enumerate(steps):
            for name, value in zip(step.outputs, self._results(step), strict=True):
                self.values[name] = self.shown(name, value)
            for name in unused.get(place, ()):
                self.values.pop(name, None)

    def value(self, wanted: Any) -> Any:
        """An argument as it is in this pass."""
        if isinstance(wanted, Ref):
            return self.values[wanted.name]
        if isinstance(wanted, Held):
            return self.tensor(wanted.name)
        if wanted is DEVICE:
            return self.device
        if isinstance(wanted, (list, tuple)):
            return type(wanted)(self.value(inner) for inner in wanted)
        if isinstance(wanted, dict):
            return {key: self.value(inner) for key, inner in wanted.items()}
        return wanted

    def _results(self, step: Step) -> Sequence[Any]:
        if step.blocks:
            return self._branch(step)
        made_by = self.module(step.outputs[0]) if step.outputs else None
        if made_by is not None:
            call, given = made_by
            return [call(self.values[given])]
        assert step.call is not None
        result = step.call(*self.value(step.args), **self.value(step.kwargs))
        return list(result) if step.several else [result] * len(step.outputs)

    def _branch(self, step: Step) -> Sequence[Any]:
        if step.op == "if":
            block = step.blocks[0 if self.value(step.args[0]) else 1]
            self.run(block.steps, {})
            return [self.value(output) for output in block.outputs]
        (block,) = step.blocks
        most, going, *carried = self.value(step.args)
        for turn in range(most):
            if not going:
                break
            self.values |= dict(zip(block.inputs, [turn, *carried], strict=True))
            self.run(block.steps, {})
            going, *carried = self.value(list(block.outputs))
        return list(carried)


def last_uses(steps: Sequence[Step], outputs: Any) -> dict[int, list[str]]:
    """Place of a step -> values that no later one needs."""
    needed, last = set(refs(outputs)), {}
    for place in reversed(range(len(steps))):
        names = {*refs(steps[place]), *steps[place].outputs}
        last[place] = sorted(names - needed)
        needed |= names
    return last

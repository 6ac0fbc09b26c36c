"""What a torch module holds at once, counted exactly: the same on every machine."""

from __future__ import annotations

import weakref
from collections import Counter
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["peak_bytes"]


def peak_bytes(module: torch.nn.Module, *inputs: torch.Tensor) -> int:
    """Most bytes of tensors alive at once while `module(*inputs)` runs.

    Inputs, parameters and buffers do not count, nor do views of them; scratch memory inside one
    operation is not seen.
    """
    held = [*inputs, *module.parameters(), *module.buffers()]
    with torch.no_grad(), _Count(held) as count:
        module(*inputs)
    return int(count.peak)


class _Count(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no types here
    """Adds the memory of each operation's results and takes it off when the last of them goes."""

    def __init__(self, held: list[torch.Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.own = {_storage(tensor) for tensor in held}
        self.users: Counter[int] = Counter()
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and _storage(tensor) not in self.own:
                self._add(tensor)
        return result

    def _add(self, tensor: torch.Tensor) -> None:
        key, size = _storage(tensor), tensor.untyped_storage().nbytes()
        if not self.users[key]:
            self.now += size
            self.peak = max(self.peak, self.now)
        self.users[key] += 1
        weakref.finalize(tensor, self._drop, key, size).atexit = False

    def _drop(self, key: int, size: int) -> None:
        self.users[key] -= 1
        if not self.users[key]:
            self.now -= size


def _storage(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)

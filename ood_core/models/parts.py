"""Parts of a checkpoint that may be a network's weights: several sets often lie in one file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ood_core.errors import ModelError, did_you_mean

if TYPE_CHECKING:
    import torch

__all__ = [
    "COUNTERS",
    "Candidate",
    "Part",
    "named",
    "no_weights",
    "parts",
    "same_values",
    "says_averaged",
    "tensor_paths",
]

Candidate = dict[str, "torch.Tensor"]
"""A state dict that may be the network's: parameter name -> tensor."""

COUNTERS = ("num_batches_tracked", "n_averaged")
"""Last names of counters: not weights, and not missed where a network has none."""

_WRAPPERS = ("state_dict", "model", "net")
_AVERAGED = re.compile(
    r"(^|_)((ema|swa|averaged?|avg|polyak|lawa)|(ema|swa)(model|net|weights)|(model|net)(ema|swa))(_|$)"
)
_NO_NETWORK = re.compile(r"optim|exp_avg|momentum_buffer|(^|_)grads?(_|$)|gradient|schedul", re.I)
"""Tensors of the network's names and shapes that are a training's, not its weights."""

_INNER = re.compile(r"(?<=\.)(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""What compiling, FSDP and activation checkpointing of single blocks put into names."""

_DEPTH = 3


@dataclass(frozen=True, eq=False)
class Part:
    """One set of tensors in a file.

    Parameters
    ----------
    inside : names of the wrappers that it lies in, outermost first.
    prefix : what all its names begin with in the file ("module."); it is taken off.
    state : parameter name -> tensor.
    averaged : whether these are weights averaged over training.
    never_averaged : whether it is an average that was not updated once.
    """

    inside: tuple[str, ...]
    prefix: str
    state: Candidate
    averaged: bool = False
    never_averaged: bool = False

    @property
    def name(self) -> str:
        """As the key `part` names it: wrappers and prefix with dots between, "." for no such."""
        return ".".join((*self.inside, self.prefix)).strip(".") or "."

    @property
    def place(self) -> str:
        """Where it lies: `state_dict:module.`"""
        place = ".".join(self.inside) or "the file"
        return f"{place}:{self.prefix}" if self.prefix else place


def parts(content: Any) -> list[Part]:
    """Sets of tensors inside a checkpoint, averaged ones first, then the likeliest.

    Looks through wrappers ("state_dict", "model", nested ones, lists of them) and offers each set
    with its common prefixes ("module.", "model.", "encoder.", …) taken off. An optimizer's
    tensors are none.
    """
    found = [
        part
        for inside, state, averaged in _state_dicts(content, (), False)
        for part in _unprefixed(inside, state, averaged)
    ]
    return sorted(found, key=lambda part: not part.averaged)


def named(found: Sequence[Part], name: str) -> list[Part]:
    """Those of the parts that `name` means: that part, and what lies in it.

    Raises
    ------
    ModelError
        When it means none, with the names there are.
    """
    asked = name.strip(".").split(".") if name != "." else []
    if not asked:
        return [part for part in found if not part.inside]
    paths = [(part.name.split("."), part) for part in found]
    begin = [part for path, part in paths if path[: len(asked)] == asked]
    chosen = begin or [part for path, part in paths if _contains(path, asked)]
    if not chosen:
        known = did_you_mean(name, {part.name for part in found})
        raise ModelError(f"the checkpoint has no part {name!r}. {known}")
    return chosen


def same_values(one: Candidate, two: Candidate) -> bool:
    """Whether two state dicts hold the same numbers under the same names, counters aside."""
    import torch

    names = {k for k in (*one, *two) if not k.endswith(COUNTERS)}
    if not all(k in one and k in two for k in names):
        return False
    try:
        return all(one[k] is two[k] or torch.equal(one[k], two[k]) for k in names)
    except (RuntimeError, NotImplementedError):  # kinds of tensors that cannot be compared
        return False


def says_averaged(name: str) -> bool:
    """Whether a name in a file says that weights are averaged: `model_ema`, `swa`, `netEMA`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[^A-Za-z0-9]+", "_", name).lower()
    return _AVERAGED.search(words) is not None


def no_weights(file: str, content: Any) -> str:
    """What is wrong with a file that has no parts."""
    what = "it has no named tensors"
    if _is_optimizer(content):
        what = "it is the state of an optimizer"
    return (
        f"{file} holds no network weights: {what}. Name the file with the network's: "
        "torch.save(model.state_dict(), path)."
    )


def tensor_paths(content: Any, inside: tuple[str, ...] = ()) -> dict[str, torch.Tensor]:
    """Tensors of a checkpoint by their path in the file; an optimizer's and counters aside."""
    import torch

    found: dict[str, torch.Tensor] = {}
    if len(inside) > _DEPTH + 1 or _is_optimizer(content):
        return found
    for name, value in _children(content):
        if torch.is_tensor(value):
            if value.ndim or value.is_floating_point():
                found[".".join((*inside, name))] = value
        elif not _NO_NETWORK.search(name):
            found |= tensor_paths(value, (*inside, name))
    return found


def _state_dicts(
    content: Any, inside: tuple[str, ...], averaged: bool
) -> Iterator[tuple[tuple[str, ...], Candidate, bool]]:
    import torch

    deepest = _DEPTH + ("classy_state_dict" in inside)  # VISSL's
    if len(inside) > deepest or _is_optimizer(content):
        return
    average = _averages(content)
    inner = [(k, v) for k, v in _children(content) if isinstance(v, Mapping | list | tuple)]
    inner = [(k, v) for k, v in inner if not _NO_NETWORK.search(k)]
    for name, value in sorted(
        inner, key=lambda i: _WRAPPERS.index(i[0]) if i[0] in _WRAPPERS else len(_WRAPPERS)
    ):
        yield from _state_dicts(value, (*inside, name), averaged or name in average)
    if isinstance(content, Mapping):
        tensors = {k: v for k, v in _children(content) if torch.is_tensor(v)}
        if any(v.ndim > 1 for v in tensors.values()):
            yield inside, tensors, averaged


def _children(content: Any) -> list[tuple[str, Any]]:
    """Named values of a mapping or a list; keys need not be text."""
    if isinstance(content, Mapping):
        return [(str(k), v) for k, v in content.items()]
    return [(str(k), v) for k, v in enumerate(content)] if isinstance(content, list | tuple) else []


def _is_optimizer(content: Any) -> bool:
    return isinstance(content, Mapping) and {"state", "param_groups"} <= content.keys()


def _averages(content: Any) -> set[str]:
    """Which of a checkpoint's entries are averages, where the names alone mislead and elsewhere."""
    entries = dict(_children(content))
    ema = entries.get("ema_state_dict")
    if isinstance(ema, Mapping) and "steps" in ema:
        return {"state_dict"}  # mmengine's EMAHook swaps the two when it saves
    if {"current_model_state", "averaging_state"} <= entries.keys():
        return {"state_dict"}  # Lightning's WeightAveraging
    dino = {"teacher"} if {"teacher", "dino_loss"} <= entries.keys() else set()
    return dino | {name for name in entries if says_averaged(name)}


def _unprefixed(inside: tuple[str, ...], state: Candidate, averaged: bool) -> Iterator[Part]:
    for prefix in _prefixes(state):
        own = [(k, v) for k, v in state.items() if k.startswith(prefix)]
        inner = {_INNER.sub("", k.removeprefix(prefix)): v for k, v in own}
        steps = prefix.split(".")
        above = (".".join([*steps[:n], "n_averaged"]) for n in range(len(steps)))
        found = [state[k] for k in above if k in state]
        counts = [int(count) for count in found if count.numel() == 1 and not count.is_meta]
        inner.pop("n_averaged", None)
        updated = bool(counts and max(counts))
        never = bool(counts) and not updated
        mean = (averaged or updated or says_averaged(prefix)) and not never
        yield Part(inside, prefix, inner, mean, never)


def _prefixes(state: Candidate) -> list[str]:
    """Prefixes worth taking off: none, and up to five leading parts of the names."""
    found = {"": 0}
    for key in state:
        steps = key.split(".")
        for depth in range(1, min(6, len(steps) - 1)):
            prefix = ".".join(steps[:depth]) + "."
            found[prefix] = found.get(prefix, 0) + 1
    # A wrapper's prefix covers much of the file, also where it holds several networks.
    wide = [p for p, count in found.items() if p and count >= 0.12 * len(state)]
    return ["", *sorted(wide, key=lambda p: (-found[p], len(p)))]


def _contains(path: list[str], asked: list[str]) -> bool:
    ends = range(len(asked), len(path) + 1)
    return any(path[end - len(asked) : end] == asked for end in ends)

"""Tensors of a checkpoint as the weights that they mean: of every kind there is, or refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ood_core.errors import ModelError
from ood_core.models.parts import Candidate

if TYPE_CHECKING:
    import torch

__all__ = ["hints", "readable"]


_REWRITTEN = {
    ".weight_mask": "the network is pruned. Call torch.nn.utils.prune.remove(module, 'weight') on "
    "each pruned module, then save.",
    ".weight_g": "the network has weight norm. Call torch.nn.utils.remove_weight_norm(module) on "
    "each such module, then save.",
    ".original0": "the network has parametrised weights. Call torch.nn.utils.parametrize."
    "remove_parametrizations(module, 'weight') on each such module, then save.",
    ".weight_orig": "the network has spectral norm. Call torch.nn.utils.remove_spectral_norm"
    "(module) on each such module, then save.",
    ".zero_point": "the network is quantised, and also rounds what passes between its layers. Save "
    "the network before it is quantised.",
}
"""Last names of tensors that stand for weights in another form, and how to get the weights."""


def readable(state: Candidate, own: Mapping[str, torch.Tensor]) -> tuple[Candidate, list[str]]:
    """The tensors that a network copies from, and what was done to read them.

    Floats of any width pass as they are: copying widens or rounds them. Sparse, quantised and
    8-bit floats become the dense floats that they stand for, which is exact.

    Parameters
    ----------
    state : name -> tensor of the checkpoint, of the network's shapes.
    own : the network's own, before anything is loaded.

    Raises
    ------
    ModelError
        For whole or complex numbers in place of floats, fractions in place of whole numbers, NaN
        or infinity, values that float32 cannot hold, and tensors without values.
    """
    done: Counter[str] = Counter()
    read = {}
    for name, given in state.items():
        if name in own:
            read[name] = _checked(name, _dense(name, given, done), own[name])
            _note_width(given, own[name], done)
    return read, [f"{count} {'were' if count > 1 else 'was'} {how}" for how, count in done.items()]


def hints(state: Candidate) -> str:
    """What kind of file it is, where tensors tell that it is not a plain network's; else ""."""
    for end, how in _REWRITTEN.items():
        name = next((k for k in state if k.endswith(end)), "")
        if name:
            return f" {name}: {how}"
    for name, tensor in state.items():
        if tensor.is_nested:
            return f" {name} is a nested tensor, which is no weight."
        if tensor.is_quantized or (tensor.ndim > 1 and not _is_float(tensor)):
            return (
                f" {name} holds quantised weights ({_kind(tensor)}), whose network also rounds "
                "what passes between its layers. Save the network before it is quantised."
            )
        if not tensor.numel():
            return (
                f" {name} is empty: such a file is one of several shards (DeepSpeed, FSDP). Save "
                "the gathered weights: zero_to_fp32.py, or a full state dict."
            )
    return ""


def _dense(name: str, given: torch.Tensor, done: Counter[str]) -> torch.Tensor:
    """The tensor as dense numbers that torch can compute with."""
    import torch

    if type(given) not in (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer):
        raise _error(name, f"is a {type(given).__name__}, no plain tensor. Save a full state dict")
    if given.is_meta:
        raise _error(name, "has a shape but no values (a meta tensor). Save the trained weights")
    if given.is_quantized:
        done["quantised and read as the floats that they stand for"] += 1
        return given.dequantize()
    if given.layout != torch.strided:
        done["sparse and read as dense"] += 1
        return given.to_dense()
    if given.is_floating_point() and given.element_size() == 1:
        done["8-bit floats, read as they are without a further scale"] += 1
        return given.float()
    return given


def _note_width(given: torch.Tensor, own: torch.Tensor, done: Counter[str]) -> None:
    """Say which floats are widened or rounded when the network copies them."""
    floats = given.is_floating_point() and own.is_floating_point()
    if floats and given.element_size() > 1 and given.dtype != own.dtype:
        done[f"{_kind(given)} and read as {_kind(own)}"] += 1


def _checked(name: str, given: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    import torch

    if given.is_complex() and not own.is_complex():
        raise _error(name, "holds complex numbers. Save real weights")
    if own.is_floating_point():
        if not given.is_floating_point():
            raise _error(
                name,
                f"holds whole numbers ({_kind(given)}) where the network has floats: codes of a "
                "quantised network, perhaps. Save the network before it is quantised",
            )
        _check_finite(name, given, own)
    elif given.is_floating_point() and not torch.equal(given, given.round()):
        raise _error(name, "holds fractions where the network has whole numbers")
    return given


def _check_finite(name: str, given: torch.Tensor, own: torch.Tensor) -> None:
    """Without a copy: least and largest value are NaN where any value is."""
    import torch

    if not given.numel():
        return
    low, high = (float(v) for v in torch.aminmax(given.detach()))
    largest = torch.finfo(own.dtype).max
    if -largest <= low and high <= largest:
        return
    wrong = int((~torch.isfinite(given)).sum())
    if not wrong:
        raise _error(name, f"holds values beyond {_kind(own)}, up to {max(high, -low):.3g}")
    if not torch.isfinite(own).all():  # a mask of the network's own has infinities
        return
    raise _error(
        name,
        f"holds NaN or infinity ({wrong:,} of {given.numel():,} values): the training diverged or "
        "the file is damaged. Take an earlier checkpoint",
    )


def _is_float(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _kind(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _error(name: str, what: str) -> ModelError:
    return ModelError(f"{name} {what}.")

"""A part of a checkpoint held against a network, in each of the ways in which it may be meant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ood_core.models.beside_encoder import encoder_only, may_classify, training_only
from ood_core.models.key_order import in_order
from ood_core.models.mismatch import Mismatch, Shapes, compare, head_renamed, shapes_of
from ood_core.models.normalisation import without_constants
from ood_core.models.parts import Candidate, Part

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Adapt", "Reading", "head_beside", "in_order_reading", "plain_reading", "wider_reading"]

Adapt = Callable[[Candidate], Candidate] | None
"""What changes the names of a state dict as an architecture needs."""


@dataclass(frozen=True, eq=False)
class Reading:
    """A part of the file held against the network.

    Parameters
    ----------
    part : which part.
    state : its tensors under the names that the network has for them.
    mismatch : how they differ from the network's.
    bare : the head that would lose its bias.
    left : names that have no place in the network, and what each is.
    renamed : name in the file -> name in the network, where a rule other than the usual gave it.
    """

    part: Part
    state: Candidate
    mismatch: Mismatch
    bare: nn.Linear | None = None
    left: Mapping[str, str] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)

    @property
    def fits(self) -> bool:
        """Whether the network can be loaded with it."""
        return self.mismatch.fits or self.bare is not None


def plain_reading(part: Part, network: nn.Module, wanted: Shapes, adapt: Adapt) -> Reading:
    """The part as it is, its head renamed where only that differs."""
    adapted = adapt(part.state) if adapt else part.state
    state = head_renamed(without_constants(adapted, wanted), wanted)
    return _compared(Reading(part, state, compare(shapes_of(state), wanted)), network, wanted)


def wider_reading(
    plain: Reading, network: nn.Module, wanted: Shapes, heads: Collection[str] | None,
    found: Sequence[Part],
) -> Reading:  # fmt: skip
    """The part without what is of training alone, and with a head that lies beside it.

    Parameters
    ----------
    plain : the part as it is, which does not fit.
    network, wanted : what is to be loaded, its names and shapes.
    heads : places of the head that the network was built without; None where it has one.
    found : all parts of the file.
    """
    if heads is not None:
        left = encoder_only(shapes_of(plain.state), wanted, heads)
        return plain if left is None else _without(plain, left, network, wanted)
    left = training_only(plain.state, wanted)
    whole = _without(plain, left, network, wanted) if left else plain
    if whole.fits or whole.mismatch.unexpected or whole.mismatch.shapes:
        return whole
    return _with_head(whole, network, wanted, found)


def in_order_reading(plain: Reading, network: nn.Module, wanted: Shapes, headless: bool) -> Reading:
    """The part with each tensor at the place in the network that its order and shape give it.

    Raises
    ------
    ModelError
        When shapes and order do not decide.
    """
    renamed = in_order(plain.part.state, wanted, drop_head=headless)
    state = {new: plain.part.state[old] for old, new in renamed.items()}
    left = {k: "its head" for k in plain.part.state if k not in renamed} if headless else {}
    changed = {old: new for old, new in renamed.items() if old != new}
    read = replace(plain, state=state, left=left, renamed=changed)
    return _compared(replace(read, mismatch=compare(shapes_of(state), wanted)), network, wanted)


def _compared(read: Reading, network: nn.Module, wanted: Shapes) -> Reading:
    return replace(read, bare=_head_without_bias(network, read.mismatch))


def _without(read: Reading, left: Mapping[str, str], network: nn.Module, wanted: Shapes) -> Reading:
    kept = {k: v for k, v in read.state.items() if k not in left}
    state = head_renamed(kept, wanted)
    changed = replace(read, state=state, left=left, mismatch=compare(shapes_of(state), wanted))
    return _compared(changed, network, wanted)


def _with_head(read: Reading, network: nn.Module, wanted: Shapes, found: Sequence[Part]) -> Reading:
    """With the one linear layer outside the part that can be the head it lacks."""
    missing = read.mismatch.missing
    places = {name.rpartition(".")[0] for name in missing}
    ends = {name.rpartition(".")[2] for name in missing}
    if len(places) != 1 or "weight" not in ends or ends - {"weight", "bias"}:
        return read
    (place,) = places
    width = wanted[f"{place}.weight"][1:]
    beside = head_beside(read.part, found, width)
    if beside is None:
        return read
    head = {f"{place}.{name.rpartition('.')[2]}": (name, v) for name, v in beside.items()}
    state = {**read.state, **{new: tensor for new, (_, tensor) in head.items()}}
    renamed = {old: new for new, (old, _) in head.items()}
    changed = replace(
        read, state=state, renamed=renamed, mismatch=compare(shapes_of(state), wanted)
    )
    return _compared(changed, network, wanted)


def head_beside(part: Part, found: Sequence[Part], width: tuple[int, ...]) -> Candidate | None:
    """The one linear layer of so many inputs that lies beside a part; None without or of several.

    Parameters
    ----------
    part : an encoder, `backbone.` of a file.
    found : all parts of the file.
    width : shape of the layer's weight without the number of classes.
    """
    beside = [
        one for other in found if other.inside == part.inside and not other.prefix
        for one in _linear(other.state, part.prefix, width)
    ]  # fmt: skip
    return beside[0] if part.prefix and len(beside) == 1 else None


def _linear(state: Candidate, prefix: str, width: tuple[int, ...]) -> Iterable[Candidate]:
    """Modules outside a prefix that are one linear layer of so many inputs and no projection."""
    tops: dict[str, Candidate] = {}
    for name, tensor in state.items():
        if not name.startswith(prefix):
            tops.setdefault(name.partition(".")[0], {})[name] = tensor
    for held in tops.values():
        places = {name.rpartition(".")[0] for name in held}
        ends = {name.rpartition(".")[2]: tuple(v.shape) for name, v in held.items()}
        linear = len(places) == 1 and "weight" in ends and not set(ends) - {"weight", "bias"}
        if linear and ends["weight"][1:] == width and all(map(may_classify, held)):
            yield held


def _head_without_bias(network: nn.Module, mismatch: Mismatch) -> nn.Linear | None:
    """The network's last linear layer, where all that the checkpoint lacks is its bias.

    Such a head was trained without one: loading it so is complete.
    """
    from torch import nn

    linear = [(f"{k}.bias", m) for k, m in network.named_modules() if isinstance(m, nn.Linear)]
    if not linear or mismatch.unexpected or mismatch.shapes:
        return None
    name, head = linear[-1]
    return head if mismatch.missing == (name,) else None

"""What lies in a checkpoint beside an encoder: heads of its training, which no score reads."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from ood_core.models.mismatch import Shapes

__all__ = [
    "encoder_only",
    "is_momentum_copy",
    "listed",
    "may_classify",
    "projected",
    "training_only",
]

_KINDS = (
    (r"(^|_)(queue|bank|memory)(_|$)", "a queue of other images' features"),
    (r"(^|_)(momentum|target|encoder_k|teacher)(_|$)", "a momentum copy"),
    (r"proto(type)?s?(_|$)|cluster", "prototypes"),
    (r"predict", "a prediction head"),
    (r"proj|neck|contrast|simclr|embed_head", "a projection head"),
    (r"decod|mask|reconstruct", "for reconstruction"),
    (r"aux|rotation|jigsaw", "an auxiliary head"),
    (r"(^|_)(loss|criterion|center|temperature|logit_scale|metric|arcface)(_|$)", "of the loss"),
)  # fmt: skip
"""Words of names that only training needs, and what they are."""
_HEAD = re.compile(r"head|classif|(^|_)(fc|linear|logits?|mlp|out(put)?|cls)(_|\d|$)", re.I)
_ENCODER = re.compile(
    r"embed|pos|token|pool|att|norm|bn|stem|patch|block|layer|stage|conv|trunk|back|encod|feature",
    re.I,
)
"""Parts of names of what encoders are made of."""
_MOMENTUM = re.compile(r"(^|[._])(momentum|target|encoder_k)([._]|$)")
_CONTRASTIVE = re.compile(r"(^|[._])(encoder_q|encoder_k)([._]|$)")
_COUNTER = "num_batches_tracked"


def encoder_only(state: Shapes, wanted: Shapes, heads: Collection[str]) -> dict[str, str] | None:
    """Names of a checkpoint that an encoder has no place for, and what each is; None if that fails.

    All that the encoder is made of must be there, with its shapes. The rest is a head where it
    lies at the place of the network's own head, or says in its name what it is, or is a module
    of its own that holds matrices, no spatial convolution, and no name of an encoder's layer.
    Anything else may be a layer that the network lacks, as `layer3.7` of a deeper one is.

    Parameters
    ----------
    state : name -> shape in the checkpoint.
    wanted : the same of the network without its head.
    heads : paths of the modules that are its head where it has one.
    """
    if any(state.get(k) != shape for k, shape in wanted.items() if not k.endswith(_COUNTER)):
        return None
    own = {name.partition(".")[0] for name in wanted}
    left: dict[str, str] = {}
    for name in (k for k in state if k not in wanted and not k.endswith(_COUNTER)):
        top = name.partition(".")[0]
        if any(name.startswith(f"{head}.") for head in heads):
            left[name] = "its head"
            continue
        below = _below(state, top) if "." in name else ()
        kind = None if top in own else _kind(top, below)
        if kind is None:
            return None
        left[name] = kind
    return left


def training_only(state: Iterable[str], wanted: Shapes) -> dict[str, str]:
    """Names that say themselves that they are of training alone, and what each is.

    Those lie in no module of the network, and are no classifier.
    """
    own = {name.partition(".")[0] for name in wanted}
    said = ((name, _said(name.partition(".")[0])) for name in state if name not in wanted)
    return {name: kind for name, kind in said if kind and name.partition(".")[0] not in own}


def may_classify(name: str) -> bool:
    """Whether nothing in a tensor's name says that it projects, predicts or is of the loss."""
    return not any(step == "mlp" or _said(step) for step in name.split("."))


def is_momentum_copy(part: str) -> bool:
    """Whether a part of a file is the slowly following copy of an encoder beside it.

    >>> is_momentum_copy("state_dict.module.encoder_k"), is_momentum_copy("online_network")
    (True, False)
    """
    return _MOMENTUM.search(part) is not None


def projected(part: str, paths: Mapping[str, object]) -> str:
    """What tells that a part's last linear layer projects and does not classify; "" if nothing."""
    queue = next((p for p in paths if p.rpartition(".")[2] == "queue"), "")
    if queue:
        return f"{queue} holds features of other images to compare with"
    found = _CONTRASTIVE.search(part)
    return f"{found[2]} is one of the two encoders of contrastive training" if found else ""


def listed(left: Mapping[str, str]) -> str:
    """`fc (its head), projector (a projection head)`: names by module, in the file's order."""
    modules: dict[str, str] = {}
    for name, kind in left.items():
        modules.setdefault(name.partition(".")[0], kind)
    shown = [f"{module} ({kind})" for module, kind in modules.items()]
    return ", ".join(shown[:6]) + (", …" if len(shown) > 6 else "")


def _below(state: Shapes, top: str) -> list[tuple[int, ...]]:
    return [shape for name, shape in state.items() if name.partition(".")[0] == top]


def _kind(top: str, shapes: Iterable[tuple[int, ...]]) -> str | None:
    """What a module is that the encoder lacks; None where it may be a layer of one."""
    said = _said(top)
    if said or _HEAD.search(top):
        return said or "a head"
    sizes = list(shapes)
    if _ENCODER.search(top):
        return None
    spatial = any(len(s) > 3 and max(s[2:]) > 1 for s in sizes)
    return "a head" if any(len(s) > 1 for s in sizes) and not spatial else None


def _said(top: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", top).lower()
    return next((kind for pattern, kind in _KINDS if re.search(pattern, words)), "")

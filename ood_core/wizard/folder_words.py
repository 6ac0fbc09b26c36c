"""What the names of folders and files say: training or test part, ID or OOD, near or far."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Words", "is_word", "read_words"]

Split = Literal["", "fit", "test", "val"]
Domain = Literal["", "id", "ood"]

_SPLITS: dict[str, Split] = {
    **dict.fromkeys(("train", "fit", "training", "trainset"), "fit"),
    **dict.fromkeys(("test", "testing", "testset"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "val"),
}
_ID = {"id", "ind", "indist", "inlier", "inliers", "known", "indistribution"}
_OOD = {
    "ood", "outlier", "outliers", "unknown", "unknowns", "novel", "anomaly", "anomalies",
    "outofdistribution", "outdist", "openset",
}  # fmt: skip
_WHOLE: dict[str, Domain] = {"in": "id", "out": "ood", "near": "ood", "far": "ood"}
"""Words that mean something only where they are the whole name."""
_LONG = re.compile(r"(out[\W_]*of|in)[\W_]*distribution")


@dataclass(frozen=True)
class Words:
    """What the names on the way to a set of images say.

    Parameters
    ----------
    split : which part of a data set it is.
    domain : whether it is called ID or OOD.
    near : whether it is called near.
    key : the names without those words: parts of one data set have the same.
    """

    split: Split = ""
    domain: Domain = ""
    near: bool = False
    key: tuple[str, ...] = ()


def read_words(parts: Sequence[str]) -> Words:
    """What the names of a folder and of those above it say; the deepest one decides.

    >>> read_words(("ood", "near", "textures", "test"))
    Words(split='test', domain='ood', near=True, key=('textures',))
    >>> read_words(("cifar10_train",)).key == read_words(("cifar10_test",)).key
    True
    """
    split: Split = ""
    domain: Domain = ""
    near, key = False, []
    for place, part in enumerate(parts):
        tokens = _tokens(part)
        found = [_SPLITS[t] for t in tokens if t in _SPLITS]
        if found and place >= len(parts) - 2:
            split = found[-1]
        domain = _domain(tokens) or domain
        near = near or "near" in tokens
        rest = "_".join(t for t in tokens if not _says(t, tokens))
        key += [rest] if rest else []
    return Words(split, domain, near, tuple(key))


def is_word(name: str) -> bool:
    """Whether a name says nothing but which part of a data set it is, or ID or OOD."""
    words = read_words((name,))
    return not words.key


def _domain(tokens: Sequence[str]) -> Domain:
    if len(tokens) == 1 and tokens[0] in _WHOLE:
        return _WHOLE[tokens[0]]
    here: set[Domain] = {"id" for t in tokens if t in _ID}
    here |= {"ood" for t in tokens if t in _OOD}
    return here.pop() if len(here) == 1 else ""


def _says(token: str, tokens: Sequence[str]) -> bool:
    """Whether a token is one of the words, and no part of a data set's name."""
    if token in _SPLITS or token in _ID or token in _OOD:
        return True
    return token in _WHOLE and (len(tokens) == 1 or bool({"ood", "id"} & set(tokens)))


def _tokens(part: str) -> list[str]:
    """`near-OOD_v2` -> near, ood, v2; "out of distribution" is one token."""
    joined = _LONG.sub(lambda m: re.sub(r"[\W_]", "", m[0]), part.lower())
    return re.findall(r"[^\W_]+", joined)

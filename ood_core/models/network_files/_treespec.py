"""Names of a program's outputs, from the text in which torch.export writes their structure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

__all__ = ["leaf_names"]


def leaf_names(text: str, count: int) -> list[str]:
    """A name for each of `count` outputs: keys of dicts and places in tuples, with dots between.

    >>> leaf_names('[1, {"type": null, "context": null, "children_spec": []}]', 1)
    ['']
    """
    try:
        found = list(_leaves(json.loads(text)[1], ()))
    except (ValueError, KeyError, TypeError, IndexError):
        found = []
    if len(found) != count or len(set(found)) != count:
        return [str(place) for place in range(count)] if count != 1 else [""]
    return found


def _leaves(spec: Any, inside: tuple[str, ...]) -> Iterator[str]:
    if spec["type"] is None:
        yield ".".join(inside)
        return
    children = spec["children_spec"]
    keys = list(map(str, range(len(children))))
    if isinstance(spec["context"], str) and "dict" in spec["type"].lower():
        context = json.loads(spec["context"])
        if isinstance(context, list) and len(context) == len(children):
            keys = [str(key) for key in context]
    for key, child in zip(keys, children, strict=True):
        yield from _leaves(child, (*inside, key))

"""Which architectures a checkpoint was found to fit: comparing takes seconds, so it is kept."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from ood_core.models.architectures import architectures
from ood_core.models.mismatch import Shapes
from ood_core.models.published_weights import package_version
from ood_core.runtime.paths import weights_dir

__all__ = ["keep_match", "kept_match"]

Match = list[tuple[str, float]]
_FILE, _MOST = "architecture-matches.json", 500
"""Matches kept at most; the oldest go first."""


def kept_match(shapes: Sequence[Shapes], path: Path | None, named: Sequence[str]) -> Match | None:
    """What was found for a checkpoint of these names and shapes; None before that."""
    found = _read().get(_key(shapes, path, named))
    return None if found is None else [(str(name), float(share)) for name, share in found]


def keep_match(
    shapes: Sequence[Shapes], path: Path | None, named: Sequence[str], match: Match
) -> None:
    """Keep what was found for the next time."""
    kept = list(_read().items())[1 - _MOST :]
    text = json.dumps(dict(kept) | {_key(shapes, path, named): match})
    partial = weights_dir() / f"{_FILE}.{os.getpid()}.partial"
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, weights_dir() / _FILE)


def _read() -> dict[str, Match]:
    try:
        found = json.loads((weights_dir() / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _key(shapes: Sequence[Shapes], path: Path | None, named: Sequence[str]) -> str:
    """Names, shapes, what names the network, and the architectures that there are."""
    packages = [package_version(p) for p in ("torchvision", "timm")]
    where = list(path.parts[-3:]) if path is not None else []
    held = [sorted(state.items()) for state in shapes]
    content = [packages, sorted(architectures()), where, list(named), held]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()

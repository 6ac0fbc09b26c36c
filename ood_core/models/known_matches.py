"""Which architectures a checkpoint was found to fit: comparing takes seconds, so it is kept."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
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
_RULES = 2
"""Raised when the same checkpoint may be found to fit something else."""
_UNFINISHED: dict[str, tuple[float, float, Match]] = {}
"""Comparisons that ran out of time: seconds allowed, when that was, and what was found."""
_TRY_AGAIN = 600.0
"""Seconds after which a comparison that ran out of time is worth another try."""


def kept_match(
    shapes: Sequence[Shapes], path: Path | None, named: Sequence[str], seconds: float
) -> Match | None:
    """What was found for a checkpoint of these names and shapes; None before that.

    What did not finish in these seconds counts for some minutes: it is asked for several times.
    """
    key = _key(shapes, path, named)
    allowed, since, unfinished = _UNFINISHED.get(key, (-math.inf, 0.0, None))
    again = seconds > allowed or time.monotonic() - since > _TRY_AGAIN
    found = _read().get(key, None if again else unfinished)
    return None if found is None else [(str(name), float(share)) for name, share in found]


def keep_match(
    shapes: Sequence[Shapes],
    path: Path | None,
    named: Sequence[str],
    match: Match,
    stopped_after: float | None = None,
) -> None:
    """Keep what was found for the next time; what ran out of time for this process only."""
    if stopped_after is not None:
        _UNFINISHED[_key(shapes, path, named)] = (stopped_after, time.monotonic(), match)
        return
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
    content = [_RULES, packages, sorted(architectures()), where, list(named), held]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()

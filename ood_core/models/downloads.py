"""Downloading published weights, on request only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ood_core.errors import ModelError
from ood_core.models.published_weights import (
    PublishedWeights,
    WeightsMissingError,
    own_file,
    published_file,
    published_weights,
)
from ood_core.runtime.progress import Meter

if TYPE_CHECKING:
    from ood_core.experiments import Experiment
    from ood_core.runtime.progress import ProgressCallback, StopCheck

__all__ = ["download_weights"]


def download_weights(
    exp: Experiment,
    progress: ProgressCallback | None = None,
    should_stop: StopCheck | None = None,
) -> Path:
    """Download the experiment's published weights unless they are here; return their file.

    Raises
    ------
    ModelError
        When there is no network, or what arrived is not the file (its name holds its hash).
    StoppedError
        When `should_stop` says so.
    """
    spec = exp.classifier
    try:
        return published_file(spec.architecture, spec.weights)
    except WeightsMissingError:
        found = published_weights(spec.architecture, spec.weights)
    assert found is not None
    from filelock import FileLock

    target = own_file(found)
    with FileLock(f"{target}.lock"):
        if not target.exists():
            _fetch(found, target, progress, should_stop)
    return target


def _fetch(
    found: PublishedWeights,
    target: Path,
    progress: ProgressCallback | None,
    should_stop: StopCheck | None,
) -> None:
    import hashlib
    import urllib.error
    import urllib.request

    partial = target.with_suffix(f".{os.getpid()}.partial")
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(found.url, timeout=30) as answer, open(partial, "wb") as file:
            total = int(answer.headers.get("Content-Length") or found.size)
            meter = Meter(f"Downloading {target.name}", total, progress, should_stop)
            while block := answer.read(1 << 20):
                file.write(block)
                digest.update(block)
                meter.advance(len(block))
            if file.tell() != total and total:
                raise ModelError(f"{found.url} ended early ({file.tell():,} of {total:,} bytes).")
        expected = _hash_in_name(target.name)
        if expected and not digest.hexdigest().startswith(expected):
            raise ModelError(f"{found.url} is damaged: its hash is not the one in its name.")
        os.replace(partial, target)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise ModelError(
            f"cannot download {found.url}: {reason}. Without a network, copy the file into "
            f"{target.parent} on this machine."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _hash_in_name(name: str) -> str:
    """Start of the SHA-256 in torchvision's file names ("resnet50-11ad3fa6.pth")."""
    tail = Path(name).stem.rpartition("-")[2]
    return tail if len(tail) >= 8 and set(tail) <= set("0123456789abcdef") else ""

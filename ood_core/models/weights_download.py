"""Downloading published weights, on request only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ood_core.errors import ModelError
from ood_core.models.published_weights import (
    WeightsMissingError,
    own_file,
    published_file,
    published_weights,
)
from ood_core.runtime.downloads import DownloadError, download_file

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

    A download that was stopped goes on where it stopped.

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
    target = own_file(found)
    digest = _hash_in_name(target.name)
    try:
        return download_file(
            found.url,
            target,
            checksum=digest and f"sha256:{digest}",
            size=found.size,
            progress=progress,
            should_stop=should_stop,
        )
    except DownloadError as error:
        raise ModelError(str(error)) from error


def _hash_in_name(name: str) -> str:
    """Start of the SHA-256 in torchvision's file names ("resnet50-11ad3fa6.pth")."""
    tail = Path(name).stem.rpartition("-")[2]
    return tail if len(tail) >= 8 and set(tail) <= set("0123456789abcdef") else ""

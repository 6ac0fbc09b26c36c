"""Measurements of hidden classifiers on disk, under a key of everything they depend on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ood_core.runtime.paths import home
from ood_core.theory import hidden_classifier
from ood_core.theory.hidden_classifier import HiddenClassifier

__all__ = ["Key", "read_measured", "write_measured"]

_KEPT = 400
"""Files kept; those used longest ago go first."""


@dataclass(frozen=True)
class Key:
    """What a measurement depends on: weights, images, layer, how many images and classes."""

    model: str
    images: str
    layer: str
    per_set: int
    top: int | None

    @property
    def path(self) -> Path:
        """Its file. The name changes with `hidden_classifier.VERSION`, too."""
        folder = home() / "theory"
        folder.mkdir(parents=True, exist_ok=True)
        parts = (hidden_classifier.VERSION, *dataclasses.astuple(self))
        digest = hashlib.sha256(repr(parts).encode()).hexdigest()
        return folder / f"{digest[:32]}.safetensors"


def read_measured(key: Key) -> HiddenClassifier | None:
    """The measurement, or None when it is not there; a damaged file is removed."""
    path = key.path
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            rest = json.loads(file.metadata()["rest"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        rest["uncovered"] = tuple(rest["uncovered"])
        found = HiddenClassifier(**arrays, **rest)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        path.unlink(missing_ok=True)
        return None
    os.utime(path)
    return found


def write_measured(key: Key, value: HiddenClassifier) -> Path:
    """Keep a measurement; it appears complete or not at all."""
    arrays, rest = {}, {}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if isinstance(item, np.ndarray):
            arrays[field.name] = np.ascontiguousarray(item)
        else:
            rest[field.name] = item
    path = key.path
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        save_file(arrays, partial, {"rest": json.dumps(rest, default=dict)})
        with open(partial, "rb") as written:
            os.fsync(written.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    _prune(path.parent)
    return path


def _prune(folder: Path) -> None:
    def used(file: Path) -> float:
        try:
            return file.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    files = sorted(folder.glob("*.safetensors"), key=used)
    for file in files[: max(0, len(files) - _KEPT)]:
        file.unlink(missing_ok=True)

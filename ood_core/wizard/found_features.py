"""Files that hold features or a head instead of images and weights, told by the arrays in them."""

from __future__ import annotations

from pathlib import Path

from ood_core.data.features import open_arrays
from ood_core.errors import OODLensError

__all__ = ["FEATURE_SUFFIXES", "arrays_in", "holds_features", "holds_head"]

FEATURE_SUFFIXES = (".npz", ".npy", ".safetensors", ".parquet", ".pq", ".h5", ".hdf5")
"""Files that are looked into when a folder is looked through."""


def arrays_in(path: Path) -> tuple[str, ...]:
    """Names of the arrays of a file or a folder of .npy; none where it is not one."""
    try:
        if path.is_dir():
            return tuple(open_arrays(path).columns) if (path / "features.npy").is_file() else ()
        if not path.name.lower().endswith(FEATURE_SUFFIXES):
            return ()
        return tuple(open_arrays(path).columns)
    except (OODLensError, OSError):
        return ()  # not of that kind, or damaged: said where it is named


def holds_features(path: Path) -> bool:
    """Whether a file, or a folder of .npy, is a set of features."""
    return "features" in arrays_in(path)


def holds_head(path: Path) -> bool:
    """Whether a file is a last linear layer and nothing else."""
    found = set(arrays_in(path))
    return "weight" in found and found <= {"weight", "bias"}

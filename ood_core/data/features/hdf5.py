"""HDF5 files as files of arrays, read by h5py, which is optional."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ood_core.data.features.array_file import ArrayFile, Column, kind_of, natural_key
from ood_core.errors import DataError

__all__ = ["read_hdf5"]


def read_hdf5(path: Path) -> ArrayFile:
    """The data sets of a file, those in groups by their path: `blocks/2`."""
    h5py = _h5py(path)
    found: dict[str, Column] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape is not None:
            text = h5py.check_string_dtype(item.dtype) is not None
            kind = "text" if text else kind_of(item.dtype)
            dtype = "text" if text else str(item.dtype)
            found[name] = Column(name, item.shape, dtype, kind, partial(_rows, path, name, text))

    try:
        with h5py.File(path, "r") as file:
            file.visititems(note)
    except OSError as error:
        raise DataError(f"{str(path)!r} is damaged or cut short: {error}.") from error
    columns = {name: found[name] for name in sorted(found, key=natural_key)}
    return ArrayFile(path, "HDF5", columns, (path,), ordered=False)


def _rows(path: Path, name: str, text: bool, start: int, stop: int) -> np.ndarray:
    try:
        with _h5py(path).File(path, "r") as file:
            item = file[name].asstr("utf-8", "replace") if text else file[name]
            found = np.asarray(item[start:stop] if file[name].shape else item[()])
    except (OSError, KeyError) as error:
        raise DataError(f"{str(path)!r}: {name!r} cannot be read ({error}).") from error
    return found.astype(np.str_) if text else found


def _h5py(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise DataError(
            f"{str(path)!r} is an HDF5 file, which h5py reads, and it is not installed: "
            "pip install h5py, or save the arrays with np.savez."
        ) from error
    return h5py

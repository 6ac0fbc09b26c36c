"""Where OOD Lens keeps and looks for files. Folders are created when first asked for."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

__all__ = [
    "data_dir",
    "data_roots",
    "experiments_dir",
    "find_data",
    "home",
    "store_dir",
    "weights_dir",
]


def home() -> Path:
    """Folder of everything OOD Lens writes: `OOD_LENS_HOME`, else the user-data folder."""
    given = os.environ.get("OOD_LENS_HOME")
    if given:
        return _made(Path(given).expanduser().absolute())

    return _made(Path(platformdirs.user_data_dir("ood-lens", appauthor=False)))


def experiments_dir() -> Path:
    """Folder of the user's experiment files."""
    return _made(home() / "experiments")


def store_dir() -> Path:
    """Folder of stored activations."""
    return _made(home() / "activations")


def weights_dir() -> Path:
    """Folder of weights trained or downloaded here."""
    return _made(home() / "weights")


def data_dir() -> Path:
    """Folder where data sets downloaded on request go."""
    return _made(home() / "data")


def data_roots() -> tuple[Path, ...]:
    """Folders in which relative data paths are looked up, in order.

    First those named in `OOD_LENS_DATA` (one folder, or several joined as in `PATH`), then
    `data_dir()`. Folders that do not exist are kept: messages name them.
    """
    named = os.environ.get("OOD_LENS_DATA", "").split(os.pathsep)
    return (*(Path(p).expanduser().absolute() for p in named if p), data_dir())


def find_data(relative: str | os.PathLike[str]) -> Path | None:
    """First existing place of a data path, or None; an absolute path stands for itself."""
    path = Path(relative).expanduser()
    candidates = [path] if path.is_absolute() else [root / path for root in data_roots()]
    return next((c for c in candidates if c.exists()), None)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder

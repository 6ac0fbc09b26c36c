"""Image sets whose images are files: folders, lists and manifests all become one of these."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from ood_core.data.decode import decode_image
from ood_core.data.image_set import ImageSet, thumbnail_of
from ood_core.experiments.sources import is_image_name

__all__ = ["FileSet", "scan_folder"]


class FileSet(ImageSet):
    """Images in files of their own.

    Parameters
    ----------
    name : the data set's name.
    root : folder that the ids are relative to.
    ids : path of each image, relative to `root`, with forward slashes.
    labels : class numbers (n,), or None.
    class_names : their names, or None.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        ids: Sequence[str],
        labels: np.ndarray | None = None,
        class_names: tuple[str, ...] | None = None,
    ) -> None:
        self.name = name
        self.root = root
        self._ids = tuple(ids)
        self._labels = labels
        self._class_names = class_names

    @property
    def ids(self) -> tuple[str, ...]:
        """Paths relative to the root."""
        return self._ids

    @property
    def labels(self) -> np.ndarray | None:
        """Class numbers (n,), or None."""
        return self._labels

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes, or None."""
        return self._class_names

    @cached_property
    def identity(self) -> str:
        """Hash of each file's path, size and time of last change, and of the labels."""
        digest = hashlib.sha256(os.fsencode(os.path.abspath(self.root)))
        for image_id in self._ids:
            try:
                stat = os.stat(self.root / image_id)
                line = f"\n{image_id}\0{stat.st_size}\0{stat.st_mtime_ns}"
            except OSError:
                line = f"\n{image_id}\0missing"
            digest.update(os.fsencode(line))
        if self._labels is not None:
            digest.update(self._labels.astype("<i8").tobytes())
        return digest.hexdigest()

    def path(self, index: int) -> Path:
        """File of the image."""
        return self.root / self._ids[index]

    def load(self, index: int) -> Image.Image:
        """Decoded image; `BrokenImageError` names the file."""
        path = self.path(index)
        return decode_image(path, str(path))

    def thumbnail(self, index: int, size: int = 96) -> Image.Image:
        """Preview of the image; large JPEGs are read at a fraction of their size."""
        path = self.path(index)
        return thumbnail_of(decode_image(path, str(path), reduce_to=2 * size), size)


def scan_folder(root: Path) -> list[str]:
    """Relative paths of all images below `root`, sorted; hidden files and folders left out."""
    found: list[str] = []
    stack = [(str(root), "")]
    while stack:
        folder, prefix = stack.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    stack.append((entry.path, f"{prefix}{entry.name}/"))
                elif is_image_name(entry.name):
                    found.append(prefix + entry.name)
    return sorted(found)

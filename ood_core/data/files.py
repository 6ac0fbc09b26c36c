"""Image sets whose images are files: folders, lists and manifests all become one of these."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from ood_core.data.decode import read_file
from ood_core.data.labelled_images import ListedSet
from ood_core.experiments.listing import LeftOut
from ood_core.runtime.names import shown

__all__ = ["FileSet"]


class FileSet(ListedSet):
    """Images in files of their own.

    Parameters
    ----------
    root : folder that the ids are relative to.
    ids : path of each image with forward slashes.
    name, labels, class_names, left_out : as in `ListedSet`.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        ids: Sequence[str],
        labels: np.ndarray | None = None,
        class_names: tuple[str, ...] | None = None,
        left_out: tuple[LeftOut, ...] = (),
    ) -> None:
        super().__init__(name, ids, labels, class_names, left_out)
        self.root = root

    @cached_property
    def identity(self) -> str:
        """Hash of each file's path, size and time of last change, and of the labels."""
        digest = hashlib.sha256(os.fsencode(os.path.abspath(self.root)))
        root = os.path.join(self.root, "")
        for image_id in self._ids:
            try:
                stat = os.stat(root + image_id)
                line = f"\n{image_id}\0{stat.st_size}\0{stat.st_mtime_ns}"
            except OSError:
                line = f"\n{image_id}\0missing"
            digest.update(os.fsencode(line))
        digest.update(self._label_digest())
        return digest.hexdigest()

    def path(self, index: int) -> Path:
        """File of the image."""
        return self.root / self._ids[index]

    def _bytes(self, index: int) -> bytes:
        return read_file(self.path(index), self._shown(index))

    def _shown(self, index: int) -> str:
        return shown(str(self.path(index)))

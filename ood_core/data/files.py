"""Image sets whose images are files: folders, lists and manifests all become one of these."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from ood_core.data.decode import read_file
from ood_core.data.image_set import BrokenImageError
from ood_core.data.labelled_images import ListedSet
from ood_core.data.numbering import Numbering
from ood_core.errors import DataError
from ood_core.experiments.listing import LeftOut
from ood_core.runtime.names import shown

__all__ = ["FileSet"]


class FileSet(ListedSet):
    """Images in files of their own.

    Parameters
    ----------
    root : folder that the ids are relative to.
    ids : path of each image with forward slashes; one that is absolute stands for itself.
    name, labels, numbering, left_out : as in `ListedSet`.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        ids: Sequence[str],
        labels: np.ndarray | None = None,
        numbering: Numbering | None = None,
        left_out: tuple[LeftOut, ...] = (),
    ) -> None:
        super().__init__(name, ids, labels, numbering, left_out)
        self.root = root.absolute()  # whatever the working directory becomes
        self._gone: dict[int, str] = {}
        self._states = np.empty((0, 2), np.int64)

    @cached_property
    def identity(self) -> str:
        """Hash of each file's path, size and time of last change, and of the labels.

        An image that is not there is left out: the hash says so, and from then on the set
        refuses to read it, so that nothing which came later is stored under this identity.

        Raises
        ------
        DataError
            When not one image is there, with the reason of the first.
        """
        digest = hashlib.sha256(os.fsencode(os.path.abspath(self.root)))
        root = os.fspath(self.root)
        states = np.full((len(self._ids), 2), -1, np.int64)
        for index, image_id in enumerate(self._ids):
            try:
                stat = os.stat(os.path.join(root, image_id))
                line = f"\n{image_id}\0{stat.st_size}\0{stat.st_mtime_ns}"
                states[index] = stat.st_size, stat.st_mtime_ns
            except (OSError, ValueError) as error:  # ValueError: a null byte in the path
                self._gone[index] = getattr(error, "strerror", None) or str(error)
                line = f"\n{image_id}\0missing"
            digest.update(os.fsencode(line))
        if self._gone and len(self._gone) == len(self._ids):
            raise DataError(
                f"data set {self.name!r}: not one of its {len(self._ids):,} images is there; the "
                f"first, {self._shown(0)}: {self._gone[0]}. Put them back, or name where "
                "they are now."
            )
        digest.update(self._label_digest())
        self._states = states
        return digest.hexdigest()

    def first_changed(self, indices: Sequence[int]) -> int | None:
        """The first of these whose file has another size or time than `identity` hashed.

        One that was not there then stays left out, whether it came since or not.
        """
        if not len(self._states):
            return None
        root = os.fspath(self.root)
        for index in indices:
            if index in self._gone:
                continue
            try:
                stat = os.stat(os.path.join(root, self._ids[index]))
            except OSError:
                return index
            if (stat.st_size, stat.st_mtime_ns) != tuple(self._states[index]):
                return index
        return None

    def path(self, index: int) -> Path:
        """File of the image."""
        return self.root / self._ids[index]

    def _bytes(self, index: int) -> bytes:
        if index in self._gone:
            reason = self._gone[index]
            raise BrokenImageError(f"{self._shown(index)}: cannot be read ({reason}).")
        return read_file(self.path(index), self._shown(index))

    def _shown(self, index: int) -> str:
        return shown(str(self.path(index)))

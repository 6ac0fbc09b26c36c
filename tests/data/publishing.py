"""Torchvision's data sets on a local server, made small."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from torchvision.datasets import utils

from ood_core.data.torchvision_files import NAMED_FILES
from tests.file_server import FileServer


def publish(
    monkeypatch: pytest.MonkeyPatch,
    server: FileServer,
    source: str,
    split: str = "",
    *,
    trust_unpacked: bool = False,
) -> None:
    """Say that the set's files are on the server, with the checksums that they have there.

    Torchvision's own checksums, some of which stand in the bodies of its functions, are taken to
    be those of the local files. Those of unpacked files are its own, or count as right. Whatever
    torchvision would fetch by itself is an error.
    """
    moved, local = [], {}
    for file in NAMED_FILES[source][split]:
        md5 = hashlib.md5(server.files[f"/{file.name}"]).hexdigest()
        local[file.md5] = md5
        moved.append(replace(file, urls=(server.url(f"/{file.name}"),), md5=md5))
    monkeypatch.setitem(NAMED_FILES, source, {**NAMED_FILES[source], split: tuple(moved)})

    def check(path: str, md5: str) -> bool:
        if trust_unpacked and md5 not in local:
            return True
        return utils.calculate_md5(path) == local.get(md5, md5)

    def unasked(*given: object, **_: object) -> None:
        raise AssertionError(f"torchvision fetches by itself: {given}")

    monkeypatch.setattr(utils, "check_md5", check)
    monkeypatch.setattr(utils, "_get_redirect_url", unasked)
    monkeypatch.setattr(utils, "_urlretrieve", unasked)

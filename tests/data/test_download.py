"""Torchvision sets: nothing unasked, progress, stop and resume, clear words offline."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import pickle
import sys
import tarfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets
from scipy.io import savemat
from torchvision.datasets import utils

from ood_core.data import dataset_status, download, open_dataset
from ood_core.data.torchvision_files import NAMED_FILES, NamedFile, named_files
from ood_core.data.torchvision_names import (
    NAMED_SETS,
    NamedSet,
    find_named,
    marker_path,
    named_folder,
)
from ood_core.data.torchvision_set import torchvision_dataset
from ood_core.errors import DataError, StoppedError
from ood_core.experiments import DataSpec
from ood_core.experiments.sources import TORCHVISION_SETS
from ood_core.runtime.progress import Progress
from tests.data.publishing import publish
from tests.file_server import FileServer

SVHN = DataSpec("svhn", "torchvision", "SVHN", {"split": "test", "role": "ood"})


@pytest.fixture
def svhn(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A tiny SVHN on the local server."""
    rng = np.random.default_rng(0)
    out = BytesIO()
    pixels = rng.integers(0, 256, (32, 32, 3, 12), dtype=np.uint8)
    savemat(out, {"X": pixels, "y": np.arange(1, 13, dtype=np.uint8)[:, None] % 10 + 1})
    data = out.getvalue()
    server.files["/test_32x32.mat"] = data
    publish(monkeypatch, server, "SVHN", "test")
    known = NAMED_SETS["SVHN"]
    small = NamedSet(known.marker, {"test": 12}, known.megabytes)
    monkeypatch.setitem(NAMED_SETS, "SVHN", small)
    return data


def test_every_named_set_exists_in_torchvision_with_its_splits() -> None:
    assert set(NAMED_SETS) == set(TORCHVISION_SETS)
    for name, known in NAMED_SETS.items():
        assert hasattr(torchvision.datasets, name)
        assert set(TORCHVISION_SETS[name]) <= set(known.images), name
        for split in TORCHVISION_SETS[name]:
            assert known.size(split) > 0
            spec = DataSpec("x", "torchvision", name, {"split": split})
            assert marker_path(spec, Path("root")) != Path("root")


def test_opening_downloads_nothing_and_says_what_to_run(server: FileServer, svhn: bytes) -> None:
    with pytest.raises(DataError, match=r"torchvision's SVHN is not on disk \(about 64 MB\)"):
        open_dataset(SVHN)
    assert server.asked == []


def test_status_before_and_after(svhn: bytes, own_home: Path) -> None:
    before = dataset_status(SVHN)
    assert (before.ready, before.fetch, before.megabytes) == (False, "download", 64)
    assert before.folder == str(own_home / "data" / "torchvision" / "SVHN")
    download(SVHN)
    after = dataset_status(SVHN)
    assert after.ready
    assert after.message == "SVHN test, 12 images."


def test_download_shows_progress_checks_and_opens(svhn: bytes) -> None:
    seen: list[Progress] = []
    root = download(SVHN, progress=seen.append)
    assert root == named_folder("SVHN") == find_named(SVHN)
    assert seen[-1].done == seen[-1].total == len(svhn)
    assert seen[0].stage == "downloading SVHN: test_32x32.mat"
    images = open_dataset(SVHN)
    assert len(images) == 12
    assert images.ids[1] == "SVHN/test/000001"
    assert images.labels is None
    assert images.load(3).size == (32, 32)
    assert pickle.loads(pickle.dumps(images)).identity == images.identity
    labelled = open_dataset(DataSpec("id", "torchvision", "SVHN", {"split": "test", "limit": 4}))
    assert labelled.labels is not None
    assert len(labelled) == len(labelled.labels) == 4


def test_what_is_there_is_not_fetched_again(server: FileServer, svhn: bytes) -> None:
    download(SVHN)
    asked = len(server.asked)
    download(SVHN)
    assert len(server.asked) == asked


def test_a_stopped_download_goes_on_where_it_stopped(
    server: FileServer, svhn: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ood_core.runtime.downloads._CHUNK", 1000)
    calls = iter([False] * 4 + [True] * 100)
    with pytest.raises(StoppedError, match="stopped at"):
        download(SVHN, should_stop=lambda: next(calls))
    part = named_folder("SVHN") / "test_32x32.mat.part"
    have = part.stat().st_size
    assert 0 < have < len(svhn)
    assert find_named(SVHN) is None
    download(SVHN)
    assert ("/test_32x32.mat", f"bytes={have}-") in server.asked
    assert (named_folder("SVHN") / "test_32x32.mat").read_bytes() == svhn
    assert not part.exists()


def test_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    file = NamedFile("", ("http://127.0.0.1:9/test_32x32.mat",), "0" * 32)
    monkeypatch.setitem(NAMED_FILES, "SVHN", {"test": (file,)})
    with pytest.raises(DataError, match=r"cannot download SVHN \(.*\)\. Check the network") as told:
        download(SVHN)
    assert f"copy the file to {named_folder('SVHN') / file.name}" in str(told.value)
    assert f"it is published at {file.urls[0]}" in str(told.value)


def test_a_mirror_serves_where_the_first_server_does_not(
    server: FileServer, svhn: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file,) = NAMED_FILES["SVHN"]["test"]
    mirrored = replace(file, urls=("http://127.0.0.1:9/test_32x32.mat", *file.urls))
    monkeypatch.setitem(NAMED_FILES, "SVHN", {"test": (mirrored,)})
    download(SVHN)
    assert (named_folder("SVHN") / "test_32x32.mat").read_bytes() == svhn
    server.files.clear()
    (named_folder("SVHN") / "test_32x32.mat").unlink()
    with pytest.raises(DataError, match=r"127\.0\.0\.1:9/"):  # the first one's reason is told
        download(SVHN)


def test_a_page_that_is_gone(server: FileServer, svhn: bytes) -> None:
    server.files.clear()
    with pytest.raises(DataError, match=r"cannot download SVHN \(Not Found\)"):
        download(SVHN)


def test_a_wrong_checksum(server: FileServer, svhn: bytes) -> None:
    server.files["/test_32x32.mat"] = svhn[:-1] + b"x"
    expected = hashlib.md5(svhn).hexdigest()
    with pytest.raises(DataError, match=rf"is damaged: its checksum is md5:.*{expected}"):
        download(SVHN)
    assert find_named(SVHN) is None
    assert [p.name for p in named_folder("SVHN").glob("test*")] == ["test_32x32.mat.lock"]


def test_what_torchvision_does_not_expect(svhn: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utils, "check_md5", lambda path, md5: False)
    monkeypatch.setattr(utils, "_get_redirect_url", lambda url, **_: url)
    monkeypatch.setattr(utils, "_urlretrieve", lambda url, path: None)
    with pytest.raises(DataError, match="the download of SVHN is not what torchvision expects"):
        download(SVHN)


def test_a_wrong_number_of_images(svhn: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NAMED_SETS["SVHN"].images, "test", 26032)
    with pytest.raises(DataError, match="SVHN arrived with 12 images, expected 26,032"):
        download(SVHN)


def test_no_space(svhn: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(DataError, match="MB are needed and 0 MB are free"):
        download(SVHN)


@pytest.mark.parametrize("name", NAMED_FILES)
def test_files_are_those_that_torchvision_asks_for(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """For each set and split: the same addresses, folders, names and checksums."""
    cls = getattr(torchvision.datasets, name)
    asked: set[tuple[str, str, str, str | None]] = set()

    def note(url: str, download_root: str, filename: str = "", md5: str | None = None) -> None:
        folder = Path(download_root).relative_to(tmp_path).as_posix()
        asked.add((url, folder.lstrip("."), filename or url.rpartition("/")[2], md5))

    for function in ("download_url", "download_and_extract_archive"):
        monkeypatch.setattr(sys.modules[cls.__module__], function, note, raising=False)
    if name == "Places365":  # reads its lists before it asks for the images
        monkeypatch.setattr(cls, "load_categories", lambda s, _: (s.download_devkit(), {}))
        monkeypatch.setattr(cls, "load_file_list", lambda *_: ([], []))
    for split in TORCHVISION_SETS[name]:
        asked.clear()
        spec = DataSpec("x", "torchvision", name, {"split": split})
        with contextlib.suppress(RuntimeError, OSError):  # nothing arrived
            torchvision_dataset(spec, tmp_path, download=True)
        assert asked == {(f.urls[0], f.folder, f.name, f.md5) for f in named_files(name, split)}


def test_mirrors_are_torchvisions() -> None:
    for name in ("MNIST", "FashionMNIST", "KMNIST"):
        cls = getattr(torchvision.datasets, name)
        for file, (resource, md5) in zip(named_files(name, "test"), cls.resources, strict=True):
            assert file.urls == tuple(f"{mirror}{resource}" for mirror in cls.mirrors)
            assert file.md5 == md5


def test_a_download_killed_while_unpacking_is_not_taken_for_whole(
    server: FileServer, svhn: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = named_folder("SVHN") / "test_32x32.mat"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    (half.parent / ".unfinished-test_32x32.mat").touch()
    assert find_named(SVHN) is None
    download(SVHN)
    assert half.read_bytes() == svhn


def test_a_part_that_cannot_be_continued_is_fetched_anew(server: FileServer, svhn: bytes) -> None:
    part = named_folder("SVHN") / "test_32x32.mat.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(svhn + b"too much")
    download(SVHN)
    assert (part.parent / "test_32x32.mat").read_bytes() == svhn


def test_two_downloads_at_once(svhn: bytes) -> None:
    from filelock import FileLock

    named_folder("SVHN").mkdir(parents=True)
    with (
        FileLock(named_folder("SVHN") / ".lock"),
        pytest.raises(DataError, match="SVHN is being downloaded already"),
    ):
        download(SVHN)


@pytest.mark.parametrize("name", NAMED_SETS)
def test_torchvision_takes_the_arguments_it_is_given(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cls = getattr(torchvision.datasets, name)
    signature, taken = inspect.signature(cls.__init__), []
    monkeypatch.setattr(
        torchvision.datasets, name, lambda *a, **k: taken.append(signature.bind(None, *a, **k))
    )
    for split in TORCHVISION_SETS[name]:
        torchvision_dataset(DataSpec("x", "torchvision", name, {"split": split}), tmp_path)
    assert len(taken) == len(TORCHVISION_SETS[name])


def test_other_kinds_cannot_be_downloaded() -> None:
    spec = DataSpec("isun", "folder", "iSUN", {"obtain": "Ask its authors."})
    with pytest.raises(DataError, match=r"'isun' cannot be downloaded from here\. Ask its authors"):
        download(spec)


def test_an_archive_is_unpacked(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """CIFAR-10 comes as a tar of pickles, each with a checksum of its own."""
    cifar = torchvision.datasets.CIFAR10
    batch = pickle.dumps(
        {"data": np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072), "labels": [3, 9]}
    )
    meta = pickle.dumps({"label_names": [f"class {i}" for i in range(10)]})
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in (("test_batch", batch), ("batches.meta", meta)):
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(data)
            tar.addfile(info, BytesIO(data))
    server.files["/cifar-10-python.tar.gz"] = out.getvalue()
    publish(monkeypatch, server, "CIFAR10")
    monkeypatch.setattr(cifar, "train_list", [])
    monkeypatch.setattr(cifar, "test_list", [["test_batch", hashlib.md5(batch).hexdigest()]])
    monkeypatch.setattr(cifar, "meta", {**cifar.meta, "md5": hashlib.md5(meta).hexdigest()})
    monkeypatch.setitem(NAMED_SETS["CIFAR10"].images, "test", 2)
    spec = DataSpec("test", "torchvision", "CIFAR10", {"split": "test", "num_classes": 10})
    download(spec)
    images = open_dataset(spec)
    np.testing.assert_array_equal(images.labels, [3, 9])
    assert images.class_names is not None
    assert images.class_names[3] == "class 3"
    with pytest.raises(DataError, match="label 9 of CIFAR10/test/000001 is out of range"):
        _ = open_dataset(
            DataSpec("t", "torchvision", "CIFAR10", {**spec.options, "num_classes": 9})
        ).labels


def test_what_torchvision_downloaded_earlier_is_found(
    svhn: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "test_32x32.mat").write_bytes(svhn)
    monkeypatch.setenv("OOD_LENS_DATA", str(tmp_path))
    assert find_named(SVHN) == tmp_path
    assert len(open_dataset(SVHN)) == 12


def test_a_damaged_set_on_disk(
    svhn: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "test_32x32.mat").write_bytes(b"half")
    monkeypatch.setenv("OOD_LENS_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"torchvision cannot read SVHN in .* Remove the folder"):
        len(open_dataset(SVHN))


def test_all_textures_are_read_as_a_folder(own_home: Path) -> None:
    from PIL import Image

    spec = DataSpec("textures", "torchvision", "DTD", {"split": "all", "role": "ood"})
    folder = own_home / "data" / "torchvision" / "DTD" / "dtd" / "dtd" / "images" / "banded"
    folder.mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(folder / "banded_0001.jpg")
    assert open_dataset(spec).ids == ("banded/banded_0001.jpg",)

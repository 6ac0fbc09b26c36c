"""Torchvision sets: nothing unasked, progress, stop and resume, clear words offline."""

from __future__ import annotations

import hashlib
import inspect
import pickle
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets
from scipy.io import savemat

from ood_core.data import dataset_status, download, open_dataset
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

SVHN = DataSpec("svhn", "torchvision", "SVHN", {"split": "test", "role": "ood"})


class Server(ThreadingHTTPServer):
    """Serves `files`, honours Range, remembers what was asked for."""

    files: dict[str, bytes]
    asked: list[tuple[str, str | None]]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        given = self.headers.get("Range")
        self.server.asked.append((self.path, given))
        data = self.server.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        start = int(given.removeprefix("bytes=").removesuffix("-")) if given else 0
        if start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if given else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start:])

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    httpd = Server(("127.0.0.1", 0), Handler)
    httpd.files, httpd.asked = {}, []
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield httpd
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def url(server: Server, path: str) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}{path}"


@pytest.fixture
def svhn(server: Server, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A tiny SVHN on the local server, under torchvision's own attributes."""
    rng = np.random.default_rng(0)
    out = BytesIO()
    pixels = rng.integers(0, 256, (32, 32, 3, 12), dtype=np.uint8)
    savemat(out, {"X": pixels, "y": np.arange(1, 13, dtype=np.uint8)[:, None] % 10 + 1})
    data = out.getvalue()
    server.files["/test_32x32.mat"] = data
    md5 = hashlib.md5(data).hexdigest()
    entry = [url(server, "/test_32x32.mat"), "test_32x32.mat", md5]
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", {"test": entry})
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


def test_opening_downloads_nothing_and_says_what_to_run(server: Server, svhn: bytes) -> None:
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


def test_what_is_there_is_not_fetched_again(server: Server, svhn: bytes) -> None:
    download(SVHN)
    asked = len(server.asked)
    download(SVHN)
    assert len(server.asked) == asked


def test_a_stopped_download_goes_on_where_it_stopped(
    server: Server, svhn: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ood_core.data.downloading._CHUNK", 1000)
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
    entry = ["http://127.0.0.1:9/test_32x32.mat", "test_32x32.mat", "0" * 32]
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", {"test": entry})
    with pytest.raises(DataError, match=r"cannot download SVHN \(.*\)\. Check the network"):
        download(SVHN)


def test_a_page_that_is_gone(server: Server, svhn: bytes) -> None:
    server.files.clear()
    with pytest.raises(DataError, match=r"cannot download SVHN \(Not Found\)"):
        download(SVHN)


def test_a_wrong_checksum(server: Server, svhn: bytes) -> None:
    server.files["/test_32x32.mat"] = svhn[:-1] + b"x"
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


def test_torchvisions_own_function_is_put_back(svhn: bytes) -> None:
    from torchvision.datasets import utils

    before = utils._urlretrieve
    download(SVHN)
    assert utils._urlretrieve is before


def test_a_download_killed_while_unpacking_is_not_taken_for_whole(
    server: Server, svhn: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = named_folder("SVHN") / "test_32x32.mat"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    (half.parent / ".unfinished-test_32x32.mat").touch()
    assert find_named(SVHN) is None
    download(SVHN)
    assert half.read_bytes() == svhn


def test_a_part_that_cannot_be_continued_is_fetched_anew(server: Server, svhn: bytes) -> None:
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


def test_an_archive_is_unpacked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
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
    server.files["/cifar.tar.gz"] = out.getvalue()
    monkeypatch.setattr(cifar, "url", url(server, "/cifar.tar.gz"))
    monkeypatch.setattr(cifar, "tgz_md5", hashlib.md5(out.getvalue()).hexdigest())
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

"""Each torchvision set that is offered, small: we fetch its files, torchvision unpacks them."""

from __future__ import annotations

import gzip
import json
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from ood_core.data import download, open_dataset
from ood_core.data.torchvision_files import NAMED_FILES
from ood_core.data.torchvision_names import NAMED_SETS, find_named
from ood_core.experiments import DataSpec
from ood_core.experiments.sources import TORCHVISION_SETS
from tests.data.publishing import publish
from tests.file_server import FileServer

Files = dict[str, bytes]


def image(format: str = "JPEG") -> bytes:
    out = BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 30)).save(out, format)
    return out.getvalue()


def tar(files: Files) -> bytes:
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, BytesIO(data))
    return out.getvalue()


def plain_tar(files: Files) -> bytes:
    return gzip.decompress(tar(files))


def zipped(files: Files) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def mat(**arrays: np.ndarray) -> bytes:
    out = BytesIO()
    savemat(out, arrays)
    return out.getvalue()


def cifar(folder: str, batches: list[str], meta: str, labels: str, names: str) -> Files:
    batch = pickle.dumps({"data": np.zeros((2, 3072), np.uint8), labels: [0, 1]})
    inside = {f"{folder}/{name}": batch for name in batches}
    inside[f"{folder}/{meta}"] = pickle.dumps({names: ["a", "b"]})
    return {f"{folder.replace('-batches-py', '-python')}.tar.gz": tar(inside)}


def digits() -> Files:
    images = (b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (2, 28, 28))
              + bytes(2 * 28 * 28))  # fmt: skip
    labels = b"\0\0\x08\x01" + (2).to_bytes(4, "big") + bytes([0, 1])
    return {
        f"{part}-{kind}-ubyte.gz": gzip.compress(data)
        for part in ("train", "t10k")
        for kind, data in (("images-idx3", images), ("labels-idx1", labels))
    }


def svhn() -> Files:
    data = mat(X=np.zeros((32, 32, 3, 2), np.uint8), y=np.array([[1], [2]], np.uint8))
    return {f"{split}_32x32.mat": data for split in ("train", "test", "extra")}


def stl10() -> Files:
    pixels, labels = bytes(2 * 3 * 96 * 96), bytes([1, 2])
    inside = {f"stl10_binary/{split}_X.bin": pixels for split in ("train", "test", "unlabeled")}
    inside |= {f"stl10_binary/{split}_y.bin": labels for split in ("train", "test")}
    return {"stl10_binary.tar.gz": tar({**inside, "stl10_binary/class_names.txt": b"a\nb\n"})}


def textures() -> Files:
    lines = b"banded/banded_0001.jpg\nwoven/woven_0001.jpg\n"
    inside = {f"dtd/labels/{split}1.txt": lines for split in ("train", "val", "test")}
    inside |= {f"dtd/images/{line}": image() for line in lines.decode().split()}
    return {"dtd-r1.0.1.tar.gz": tar(inside)}


def places() -> Files:
    names = [f"Places365_val_0000000{i}.jpg" for i in (1, 2)]
    lists = {
        "categories_places365.txt": b"/a/airfield 0\n/a/alley 1\n",
        "places365_val.txt": "".join(f"{name} {i}\n" for i, name in enumerate(names)).encode(),
    }
    return {
        "filelist_places365-standard.tar": plain_tar(lists),
        "val_256.tar": plain_tar({f"val_256/{name}": image() for name in names}),
    }


def food() -> Files:
    listed = json.dumps({"pie": ["pie/1"], "soup": ["soup/1"]}).encode()
    inside = {f"food-101/meta/{split}.json": listed for split in ("train", "test")}
    inside |= {f"food-101/images/{name}/1.jpg": image() for name in ("pie", "soup")}
    return {"food-101.tar.gz": tar(inside)}


def flowers() -> Files:
    splits = {key: np.array([1, 2]) for key in ("trnid", "valid", "tstid")}
    return {
        "102flowers.tgz": tar({f"jpg/image_0000{i}.jpg": image() for i in (1, 2)}),
        "imagelabels.mat": mat(labels=np.array([1, 2])),
        "setid.mat": mat(**splits),
    }


def pets() -> Files:
    listed = b"Abyssinian_1 1 1 1\nbeagle_1 2 2 1\n"
    return {
        "images.tar.gz": tar({f"images/{n}_1.jpg": image() for n in ("Abyssinian", "beagle")}),
        "annotations.tar.gz": tar(
            {f"annotations/{split}.txt": listed for split in ("trainval", "test")}
        ),
    }


def eurosat() -> Files:
    return {"EuroSAT.zip": zipped({f"2750/{n}/{n}_1.jpg": image() for n in ("Forest", "River")})}


def signs() -> Files:
    table = b"Filename;ClassId\n00000.ppm;0\n00001.ppm;1\n"
    seen = {f"GTSRB/Final_Test/Images/0000{i}.ppm": image("PPM") for i in (0, 1)}
    return {
        "GTSRB-Training_fixed.zip": zipped(
            {f"GTSRB/Training/0000{i}/00000.ppm": image("PPM") for i in (0, 1)}
        ),
        "GTSRB_Final_Test_Images.zip": zipped(seen),
        "GTSRB_Final_Test_GT.zip": zipped({"GT-final_test.csv": table}),
    }


SMALL: dict[str, Callable[[], Files]] = {
    "CIFAR10": lambda: cifar(
        "cifar-10-batches-py", [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"],
        "batches.meta", "labels", "label_names",
    ),
    "CIFAR100": lambda: cifar(
        "cifar-100-python", ["train", "test"], "meta", "fine_labels", "fine_label_names"
    ),
    "MNIST": digits, "FashionMNIST": digits, "KMNIST": digits, "SVHN": svhn, "STL10": stl10,
    "DTD": textures, "Places365": places, "Food101": food, "Flowers102": flowers,
    "OxfordIIITPet": pets, "EuroSAT": eurosat, "GTSRB": signs,
}  # fmt: skip


def test_every_set_is_tried() -> None:
    assert set(SMALL) == set(NAMED_SETS) == set(NAMED_FILES)


@pytest.mark.parametrize(
    ("name", "split"), [(name, split) for name in SMALL for split in TORCHVISION_SETS[name]]
)
def test_a_set_arrives_is_unpacked_and_opens(
    name: str, split: str, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files = {f"/{file}": data for file, data in SMALL[name]().items()}
    of_split = split if split in NAMED_FILES[name] else ""
    publish(monkeypatch, server, name, of_split, trust_unpacked=True)
    n_images = {"CIFAR10": {"train": 10}}.get(name, {}).get(split, 2)
    monkeypatch.setitem(NAMED_SETS[name].images, split, n_images)
    spec = DataSpec("set", "torchvision", name, {"split": split, "role": "ood"})
    root = download(spec)
    assert find_named(spec) == root
    images = open_dataset(spec)
    assert len(images) == n_images
    assert images.load(1).size[0] >= 8
    wanted = [f"/{file.name}" for file in NAMED_FILES[name][of_split]]
    assert [path for path, _ in server.asked] == wanted
    download(spec)
    assert len(server.asked) == len(wanted), "asked for again"

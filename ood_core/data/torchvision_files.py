"""Files of torchvision's data sets: where they are published, and where torchvision unpacks them.

Some of torchvision's classes hold this as public data, some as private data, and EuroSAT and GTSRB
only write it in the body of `download`. So it stands here, once for all sets, and a test compares
it with what the installed torchvision asks for. Torchvision compares the checksum of each file; it
would fetch one itself if ours differed.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["NAMED_FILES", "NamedFile", "named_files"]


@dataclass(frozen=True)
class NamedFile:
    """One file of a data set.

    Parameters
    ----------
    folder : below the root, where torchvision looks for it before it fetches it.
    urls : where it is published; those after the first are mirrors.
    md5 : its checksum.
    """

    folder: str
    urls: tuple[str, ...]
    md5: str

    @property
    def name(self) -> str:
        """File name, the last part of its address."""
        return self.urls[0].rpartition("/")[2]


def named_files(source: str, split: str) -> tuple[NamedFile, ...]:
    """Files from which torchvision unpacks a split of a data set."""
    files = NAMED_FILES[source]
    return files.get(split) or files[""]


def _at(url: str, md5: str, folder: str = "") -> NamedFile:
    return NamedFile(folder, (url,), md5)


def _digits(name: str, bases: tuple[str, ...], *md5: str) -> dict[str, tuple[NamedFile, ...]]:
    names = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k")
             for kind in ("images-idx3", "labels-idx1")]  # fmt: skip
    return {
        "": tuple(
            NamedFile(f"{name}/raw", tuple(base + file for base in bases), digest)
            for file, digest in zip(names, md5, strict=True)
        )
    }


_CIFAR = "https://www.cs.toronto.edu/~kriz"
_SVHN = "http://ufldl.stanford.edu/housenumbers"
_OXFORD = "https://www.robots.ox.ac.uk/~vgg/data"
_PLACES = "http://data.csail.mit.edu/places/places365"
_EUROSAT = (
    "https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
    "c877bcd43f099cd0196738f714544e355477f3fd"
)
_GTSRB = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370"

NAMED_FILES: dict[str, dict[str, tuple[NamedFile, ...]]] = {
    "CIFAR10": {"": (_at(f"{_CIFAR}/cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),)},
    "CIFAR100": {
        "": (_at(f"{_CIFAR}/cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"),)
    },
    "MNIST": _digits(
        "MNIST",
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "http://yann.lecun.com/exdb/mnist/",
        ),
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
    "FashionMNIST": _digits(
        "FashionMNIST",
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
    "KMNIST": _digits(
        "KMNIST",
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        "bdb82020997e1d708af4cf47b453dcf7",
        "e144d726b3acfaa3e44228e80efcd344",
        "5c965bf0a639b31b8f53240b1b52f4d7",
        "7320c461ea6c1c855c0b718fb2a4b134",
    ),
    "SVHN": {
        "train": (_at(f"{_SVHN}/train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373"),),
        "test": (_at(f"{_SVHN}/test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3"),),
        "extra": (_at(f"{_SVHN}/extra_32x32.mat", "a93ce644f1a588dc4d68dda5feec44a7"),),
    },
    "STL10": {
        "": (
            _at(
                "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
                "91f7769df0f17e558f3565bffb0c7dfb",
            ),
        )
    },
    "DTD": {
        "": (
            _at(
                f"{_OXFORD}/dtd/download/dtd-r1.0.1.tar.gz",
                "fff73e5086ae6bdbea199a49dfb8a4c1",
                "dtd",
            ),
        )
    },
    "Places365": {
        "": (
            _at(f"{_PLACES}/filelist_places365-standard.tar", "35a0585fee1fa656440f3ab298f8479c"),
            _at(f"{_PLACES}/val_256.tar", "e27b17d8d44f4af9a78502beb927f808"),
        )
    },
    "Food101": {
        "": (
            _at(
                "http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz",
                "85eeb15f3717b99a5da872d97d918f87",
            ),
        )
    },
    "Flowers102": {
        "": tuple(
            _at(f"{_OXFORD}/flowers/102/{name}", md5, "flowers-102")
            for name, md5 in (
                ("102flowers.tgz", "52808999861908f626f3c1f4e79d11fa"),
                ("imagelabels.mat", "e0620be6f572b9609742df49c70aed4d"),
                ("setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c"),
            )
        )
    },
    "OxfordIIITPet": {
        "": tuple(
            _at(f"{_OXFORD}/pets/data/{name}", md5, "oxford-iiit-pet")
            for name, md5 in (
                ("images.tar.gz", "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
                ("annotations.tar.gz", "95a8c909bbe2e81eed6a22bccdf3f68f"),
            )
        )
    },
    "EuroSAT": {
        "": (_at(f"{_EUROSAT}/EuroSAT.zip", "c8fa014336c82ac7804f0398fcb19387", "eurosat"),)
    },
    "GTSRB": {
        "train": (
            _at(f"{_GTSRB}/GTSRB-Training_fixed.zip", "513f3c79a4c5141765e10e952eaa2478", "gtsrb"),
        ),
        "test": tuple(
            _at(f"{_GTSRB}/{name}", md5, "gtsrb")
            for name, md5 in (
                ("GTSRB_Final_Test_Images.zip", "c7e4e6327067d32654124b0fe9e82185"),
                ("GTSRB_Final_Test_GT.zip", "fe31e9c9270bbcd7b84b7f21a9d9d9e5"),
            )
        ),
    },
}
"""Per data set, files per split; those under "" serve every split."""

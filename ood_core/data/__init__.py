"""Named data sets, folders, image lists and uploads: everything that yields images."""

from ood_core.data.class_numbers import class_numbers
from ood_core.data.decode import decode_image, decoding_note
from ood_core.data.digits import DIGITS_SOURCES
from ood_core.data.downloading import download
from ood_core.data.image_set import BrokenImageError, ImageSet, thumbnail_bytes, thumbnail_of
from ood_core.data.numbering import check_classes
from ood_core.data.opening import classes_numbered, open_dataset
from ood_core.data.status import (
    DataStatus,
    available,
    classifier_status,
    dataset_status,
    experiment_status,
)
from ood_core.data.transform import Transform
from ood_core.data.uploads import Upload, folder_identity, read_folder, read_uploads

__all__ = [
    "DIGITS_SOURCES",
    "BrokenImageError",
    "DataStatus",
    "ImageSet",
    "Transform",
    "Upload",
    "available",
    "check_classes",
    "class_numbers",
    "classes_numbered",
    "classifier_status",
    "dataset_status",
    "decode_image",
    "decoding_note",
    "download",
    "experiment_status",
    "folder_identity",
    "open_dataset",
    "read_folder",
    "read_uploads",
    "thumbnail_bytes",
    "thumbnail_of",
]

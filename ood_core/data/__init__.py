"""Named data sets, folders, image lists and uploads: everything that yields images."""

from ood_core.data.decode import decode_image
from ood_core.data.digits import DIGITS_SOURCES
from ood_core.data.image_set import BrokenImageError, ImageSet, thumbnail_bytes, thumbnail_of
from ood_core.data.opening import open_dataset
from ood_core.data.transform import Transform

__all__ = [
    "DIGITS_SOURCES",
    "BrokenImageError",
    "ImageSet",
    "Transform",
    "decode_image",
    "open_dataset",
    "thumbnail_bytes",
    "thumbnail_of",
]

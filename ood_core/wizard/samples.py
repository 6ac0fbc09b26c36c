"""Sample images as they are and as the network sees them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from ood_core.data import BrokenImageError, Transform, open_dataset, thumbnail_of
from ood_core.wizard.partial_drafts import only_set
from ood_core.wizard.proposals import preprocessings

if TYPE_CHECKING:
    from ood_core.data import ImageSet
    from ood_core.experiments import DataSpec, Preprocessing
    from ood_core.wizard.draft import Draft

__all__ = ["Look", "contact_sheet", "look", "look_at"]


@dataclass(frozen=True)
class Look:
    """One image before and after preprocessing.

    Parameters
    ----------
    name : its id in the set.
    label : its class, or "".
    before : the image as it is stored, as a thumbnail.
    after : what the network is given, before it becomes numbers; enlarged without smoothing.
    size : (width, height) of the stored image.
    """

    name: str
    label: str
    before: Image.Image
    after: Image.Image
    size: tuple[int, int]


def look(
    spec: DataSpec, preprocessing: Preprocessing, count: int = 6, size: int = 96
) -> tuple[Look, ...]:
    """A few images of a set, the same ones every time; those that cannot be read are left out.

    Raises
    ------
    DataError
        When the set cannot be opened.
    """
    limit = min(2 * count, spec.options.get("limit", 2 * count))
    images = open_dataset(dataclasses.replace(spec, options={**spec.options, "limit": limit}))
    transform, found = Transform(preprocessing), []
    for index in sorted(range(len(images)), key=lambda i: i % 2):  # every other one, then spares
        try:
            stored = images.load(index)
        except BrokenImageError:
            continue
        seen = thumbnail_of(transform.image(stored), size)
        label = _label(images, index)
        name = images.ids[index]
        found.append(Look(name, label, thumbnail_of(stored, size), seen, stored.size))
        if len(found) == count:
            break
    return tuple(found)


def look_at(draft: Draft, name: str, count: int = 6, size: int = 96) -> tuple[Look, ...]:
    """`look` at one set of an unfinished draft, with its preprocessing or the likeliest one.

    Raises
    ------
    ConfigError, DataError
        When the set cannot be opened.
    """
    seen = draft.preprocessing or preprocessings(draft)[0].preprocessing
    return look(only_set(draft, name).sets[name], seen, count, size)


def contact_sheet(looks: dict[str, tuple[Look, ...]], size: int = 96, gap: int = 6) -> Image.Image:
    """One picture of all looks: per set a row of stored images above what the network sees."""
    columns = max((len(row) for row in looks.values()), default=0)
    step = size + gap
    sheet = Image.new("RGB", (gap + columns * step, gap + 2 * len(looks) * step), "white")
    for line, row in enumerate(looks.values()):
        for column, one in enumerate(row):
            for half, image in enumerate((one.before, one.after)):
                sheet.paste(image, (gap + column * step, gap + (2 * line + half) * step))
    return sheet


def _label(images: ImageSet, index: int) -> str:
    if images.labels is None or images.labels[index] < 0:
        return ""
    number, names = int(images.labels[index]), images.class_names
    return names[number] if names else str(number)

"""What is to be said of the images that activations were made of, beside what was not read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ood_core.experiments.listing import left_out_text
from ood_core.runtime.names import shown

if TYPE_CHECKING:
    from ood_core.activations.activation_set import ActivationSet

__all__ = ["notes_text", "remarks"]


def remarks(acts: ActivationSet) -> dict[str, tuple[str, ...]]:
    """Set name -> sentences on what is left out of it and what was assumed of its pixels.

    Sets of which nothing is to be said are not in it.
    """
    found = {
        name: tuple(filter(None, (left_out_text(acts.left_out[name]), notes_text(notes))))
        for name, notes in acts.notes.items()
    }
    return {name: texts for name, texts in found.items() if texts}


def notes_text(notes: Sequence[tuple[str, str]], names: int = 3) -> str:
    """`Assumed of 2 images: a.tif: 32-bit values …; b.gif: the first frame ….`; "" for none.

    Parameters
    ----------
    notes : (id, note) of images.
    names : how many are named.
    """
    if not notes:
        return ""
    images = "1 image" if len(notes) == 1 else f"{len(notes):,} images"
    parts = [f"{shown(image)}: {note}" for image, note in notes[:names]]
    more = "; …" if len(notes) > names else ""
    return f"Assumed of {images}: {'; '.join(parts)}{more}."

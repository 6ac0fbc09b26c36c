"""Class names that a table brings along (Hugging Face), where a label map speaks of them."""

from __future__ import annotations

import dataclasses

from ood_core.data.list_entries import Entries
from ood_core.data.list_text import ListFile

__all__ = ["by_name"]


def by_name(entries: Entries, file: ListFile) -> Entries:
    """The entries with names for labels where the label map has names, not numbers.

    Elsewhere labels stay numbers and `class_names` says what the table calls them.

    Raises
    ------
    DataError
        When a number has no name.
    """
    names = entries.class_names
    if not names or not file.labels_matter or entries.labels is None:
        return dataclasses.replace(entries, class_names=None)
    numbers = [label for label in entries.labels if not isinstance(label, str)]
    if len(numbers) < len(entries.labels):
        return dataclasses.replace(entries, class_names=None)
    if (most := max(numbers, default=0)) >= len(names):
        raise file.error(f"{{}} has the label {most}, but names only {len(names)} classes.")
    if not set(names) & file.label_map.keys():
        return entries
    return Entries(entries.paths, [n if n < 0 else names[n] for n in numbers])

"""Class names that a table brings along (Hugging Face), beside those of the classifier."""

from __future__ import annotations

import dataclasses

from ood_core.data.list_entries import Entries
from ood_core.data.list_text import ListFile
from ood_core.experiments import DataSpec

__all__ = ["named_classes"]


def named_classes(entries: Entries, file: ListFile) -> tuple[DataSpec, Entries]:
    """The data set and its entries, labels being what the classifier calls the classes.

    A classifier without class names gets the table's. Where it has names and the table's are
    among them, the labels become names, so that its order counts. Where it has other names,
    numbers count, as in tables without names.

    Raises
    ------
    DataError
        When a number has no name, or some of the table's names are the classifier's at other
        numbers and the rest are not, so that neither names nor numbers can be meant.
    """
    spec, names = file.spec, entries.class_names
    if not names or not file.labels_matter or entries.labels is None:
        return spec, entries
    numbers = [label for label in entries.labels if not isinstance(label, str)]
    if len(numbers) < len(entries.labels):
        return spec, entries
    if (most := max(numbers, default=0)) >= len(names):
        raise file.error(f"{{}} has the label {most}, but names only {len(names)} classes.")
    known = list(spec.options.get("class_names") or ())
    meant = [file.label_map.get(name, name) for name in names]
    by_number = any(str(number) in file.label_map for number in range(len(names)))
    if not known and meant == list(names):
        return dataclasses.replace(spec, options={**spec.options, "class_names": names}), entries
    if not by_number and (not known or all(m in known or isinstance(m, int) for m in meant)):
        labels: list[str | int] = [n if n < 0 else names[n] for n in numbers]
        return spec, dataclasses.replace(entries, labels=labels)
    moved = [name for i, name in enumerate(names) if name in known and known.index(name) != i]
    if moved and not by_number:
        name = moved[0]
        raise file.error(
            f"{{}} calls class {names.index(name)} {name!r}, which is class {known.index(name)} of "
            f"the classifier, and has names that are none of its classes. Give a label_map from "
            "its names to the classifier's."
        )
    return spec, entries

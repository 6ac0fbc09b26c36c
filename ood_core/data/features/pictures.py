"""Pictures of rows: a folder of files named as the rows are, or an array of paths."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ood_core.data.features.array_file import ArrayFile
from ood_core.errors import DataError
from ood_core.experiments import DataSpec
from ood_core.experiments.listing import list_folder
from ood_core.runtime.paths import find_data

__all__ = ["pictures_of"]


def pictures_of(spec: DataSpec, arrays: ArrayFile, ids: Sequence[str]) -> list[Path | None] | None:
    """Path of each row's picture; None where the set names no `thumbnails`.

    In a folder a row's picture has its id as path, with or without the ending; rows without ids
    have their number. An array of paths counts from where the file of arrays lies.

    Raises
    ------
    DataError
        When `thumbnails` is neither a folder nor an array of text, or no row has a picture.
    """
    given = spec.options.get("thumbnails")
    if given is None:
        return None
    column = arrays.columns.get(given)
    if column is not None and column.kind == "text" and len(column.shape) == 1:
        if column.shape != (len(ids),):
            raise DataError(
                f"data set {spec.name!r}: thumbnails = {given!r} has {column.shape[0]:,} paths, "
                f"but features has {len(ids):,} rows. Expected one path a row, empty where there "
                "is no picture."
            )
        beside = arrays.path.parent
        paths = column.read(0, len(ids)).tolist()
        return [beside / Path(path).expanduser() if path else None for path in paths]
    folder = find_data(given)
    if folder is None or not folder.is_dir():
        texts = [c.name for c in arrays.columns.values() if c.kind == "text"]
        raise DataError(
            f"data set {spec.name!r}: thumbnails = {given!r} is neither a folder nor an array of "
            f"paths. Arrays of text: {', '.join(texts) or 'none'}."
        )
    found = list_folder(folder).images
    by_name = {name: folder / name for name in found}
    by_stem = {name.rpartition(".")[0]: folder / name for name in found}
    plain = "ids" not in arrays.columns
    keys = [name.rpartition("/")[2] if plain else name for name in ids]
    pictures = [by_name.get(key) or by_stem.get(key) for key in keys]
    if not any(pictures):
        raise DataError(
            f"data set {spec.name!r}: the folder {str(folder)!r} holds {len(found)} pictures, but "
            f"none that is called as a row is, as {keys[0]!r} with an image's ending would be."
        )
    return pictures

"""Parquet tables of paths, or of images themselves as Hugging Face stores them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ood_core.data.list_entries import Entries, collect
from ood_core.data.list_tables import Columns, column_rows
from ood_core.data.list_text import ListFile
from ood_core.errors import DataError

__all__ = ["ImageColumn", "is_parquet", "parquet_columns", "read_parquet"]

_MAGIC = b"PAR1"
_SUFFIXES = (".parquet", ".pq")


@dataclass(frozen=True)
class ImageColumn:
    """Column of encoded images.

    Parameters
    ----------
    name : of the column.
    field : of the bytes in a column of structs, else None.
    """

    name: str
    field: str | None

    @property
    def leaf(self) -> str:
        """What Parquet calls the column of bytes."""
        return f"{self.name}.{self.field}" if self.field else self.name


def is_parquet(file: ListFile) -> bool:
    """Whether a table is a Parquet file, by its name or its first and last bytes."""
    if file.suffix in _SUFFIXES:
        return True
    try:
        with open(file.path, "rb") as stream:
            if stream.read(4) != _MAGIC:
                return False
            stream.seek(-4, 2)
            return stream.read(4) == _MAGIC
    except OSError as error:
        raise file.error(f"{{}} cannot be read ({error.strerror}).") from error


def read_parquet(file: ListFile, columns: Columns) -> tuple[Entries, ImageColumn | None]:
    """Entries of a Parquet table, and the column of its images where it holds those.

    Paths are in `path_column`, else in "path"; where there is none, in the one column that
    holds images: bytes, or structs `{"bytes", "path"}`. Labels are in `label_column`, else in
    "label", else in the one column that Hugging Face's metadata calls a ClassLabel, which also
    names the classes.

    Raises
    ------
    DataError
        When it cannot be read, or a column is missing, ambiguous or of another type.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(file.path) as table:
            return _read(table, file, columns)
    except DataError:  # a ValueError too
        raise
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        reason = (str(error).split("\n") or [""])[0]
        raise file.error(f"{{}} is not a Parquet file that can be read ({reason}).") from error


def parquet_columns(file: ListFile) -> list[str]:
    """Names of the columns of a Parquet table; none where it cannot be read."""
    import pyarrow
    import pyarrow.parquet

    try:
        return list(pyarrow.parquet.read_schema(file.path).names)
    except (OSError, ValueError, pyarrow.ArrowException):
        return []


def _read(table: Any, file: ListFile, columns: Columns) -> tuple[Entries, ImageColumn | None]:
    schema = table.schema_arrow
    features = _features(schema.metadata)
    columns = Columns(
        columns.path_column or _image_column(schema, features, file),
        columns.label_column or _label_column(schema, features, file),
    )
    groups = _Groups(table, file.most is None)
    path, label = columns.find(schema.names, file)
    image, paths = _images(groups, schema.field(path), file)
    cells, names = {schema.names[path]: paths}, None
    if label is not None:
        called = schema.names[label]
        cells[called] = groups.values(called)
        names = features.get(called, {}).get("names")
    entries = collect(column_rows(cells, file, columns), file, "row")
    return Entries(entries.paths, entries.labels, tuple(names) if names else None), image


@dataclass(frozen=True)
class _Groups:
    """Rows of a table: all of them, or those of its first row group.

    Parameters
    ----------
    table : the table.
    all : whether all are meant.
    """

    table: Any
    all: bool

    @property
    def rows(self) -> int:
        """How many there are."""
        meta = self.table.metadata
        few = not self.all and meta.num_row_groups
        return int(meta.row_group(0).num_rows if few else meta.num_rows)

    def values(self, name: str, field: str | None = None) -> list[Any]:
        """All cells of a column, or of a field of its structs."""
        columns = [f"{name}.{field}" if field else name]
        few = not self.all and self.table.metadata.num_row_groups
        table = self.table
        read = table.read_row_group(0, columns=columns) if few else table.read(columns=columns)
        found = read.column(0).to_pylist()
        return [None if cell is None else cell[field] for cell in found] if field else found


def _images(groups: _Groups, field: Any, file: ListFile) -> tuple[ImageColumn | None, list[Any]]:
    """The column of images, where there are any in it, and their paths or ids."""
    from pyarrow import types

    kind, name = field.type, field.name
    if types.is_struct(kind):
        inner = {kind.field(i).name: kind.field(i).type for i in range(kind.num_fields)}
        has_paths = "path" in inner
        paths = groups.values(name, "path") if has_paths else [None] * groups.rows
        if _is_bytes(inner.get("bytes")) and not _all_null(groups.table, f"{name}.bytes"):
            return ImageColumn(name, "bytes"), _ids(paths, file)
        if has_paths:
            return None, paths
    elif _is_bytes(kind):
        return ImageColumn(name, None), _ids([None] * groups.rows, file)
    elif not types.is_nested(kind):
        return None, groups.values(name)
    raise file.error(
        f"{{}}: column {name!r} holds {kind}, neither paths nor encoded images. Set path_column, "
        "or store the images as JPEG or PNG bytes."
    )


def _ids(paths: list[Any], file: ListFile) -> list[str]:
    """Paths where they tell the images apart, else numbered rows."""
    usable = all(p and "://" not in p and "\0" not in p and len(p) < 1000 for p in paths)
    if usable and len({p.strip() for p in paths}) == len(paths):
        return paths
    return [f"{file.path.stem}/{i:06d}" for i in range(len(paths))]


def _all_null(table: Any, leaf: str) -> bool:
    """Whether a field of structs holds nothing; the first row group that holds something answers.

    The statistics of the column would say so too, but where they are damaged, pyarrow ends the
    process.
    """
    for group in range(table.num_row_groups):
        cells = table.read_row_group(group, columns=[leaf]).column(0).flatten()[0]
        if cells.null_count < len(cells):
            return False
    return True


def _image_column(schema: Any, features: dict[str, Any], file: ListFile) -> str | None:
    """The column of images in a table without a column "path"."""
    if "path" in schema.names:
        return None
    told = [name for name in schema.names if features.get(name, {}).get("_type") == "Image"]
    found = told or [field.name for field in schema if _holds_images(field.type)]
    if len(set(found)) > 1:
        raise file.error(
            f"{{}} has several columns of images: {', '.join(found)}. Set path_column to one."
        )
    return found[0] if found else None


def _label_column(schema: Any, features: dict[str, Any], file: ListFile) -> str | None:
    """The column of labels in a table without a column "label"."""
    if "label" in schema.names:
        return None
    found = [name for name in schema.names if features.get(name, {}).get("_type") == "ClassLabel"]
    if len(found) > 1 and file.labels_matter:
        raise file.error(
            f"{{}} has several columns of labels: {', '.join(found)}. Set label_column to one."
        )
    return found[0] if found else None


def _holds_images(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        return any(f.name == "bytes" and _is_bytes(f.type) for f in kind)
    return _is_bytes(kind)


def _is_bytes(kind: Any) -> bool:
    from pyarrow import types

    return kind is not None and (
        types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)
    )


def _features(metadata: dict[bytes, bytes] | None) -> dict[str, Any]:
    """What Hugging Face's `datasets` wrote of the columns, by name."""
    try:
        found = json.loads((metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {name: of for name, of in found.items() if isinstance(of, dict)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}

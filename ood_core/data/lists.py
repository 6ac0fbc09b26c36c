"""Image lists (`relative/path label`) and manifests (CSV, TSV or Parquet with named columns)."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ood_core.errors import DataError, did_you_mean
from ood_core.experiments.sources import is_image_name

__all__ = ["find_root", "read_image_list", "read_manifest"]

Entries = tuple[list[str], list[str | int] | None]
"""Paths, and a label for each or None for all."""

_NUMBER = re.compile(r"[+-]?\d+")
_IMAGE_FOLDERS = ("images_classic", "images_largescale")
"""Where OpenOOD keeps the images that the lists below `benchmark_imglist` name."""


def read_image_list(path: Path, name: str) -> Entries:
    """Entries of an OpenOOD image list: one image a line, its path, a space and its label.

    The label may be a number, a class name, or missing on all lines. Paths may hold spaces.
    Empty lines and lines that begin with # are skipped.

    Raises
    ------
    DataError
        When the list is not text, names no images, or has labels on some lines only.
    """
    lines = [line.strip() for line in _text(path, name).splitlines()]
    rows = [
        (number, *_list_entry(line))
        for number, line in enumerate(lines, 1)
        if line and not line.startswith("#")
    ]
    if not rows:
        raise DataError(f"data set {name!r}: the list {str(path)!r} names no images.")
    without = [number for number, _, label in rows if label is None]
    if without and len(without) < len(rows):
        raise DataError(
            f"data set {name!r}: line {without[0]} of {str(path)!r} has no label but others have; "
            "write -1 where it is unknown."
        )
    labels = [label for _, _, label in rows if label is not None]
    return [image for _, image, _ in rows], labels or None


def _list_entry(line: str) -> tuple[str, str | int | None]:
    head, _, tail = line.rpartition(" ") if " " in line else line.rpartition("\t")
    head = head.strip()
    if head and _NUMBER.fullmatch(tail):
        return head, int(tail)
    if head and is_image_name(os.path.basename(head)) and not is_image_name(tail):
        return head, tail
    return line, None


def read_manifest(path: Path, name: str, path_column: str, label_column: str | None) -> Entries:
    """Entries of a table with a column of paths and, if there is one, a column of labels.

    Parameters
    ----------
    path : a .csv, .tsv or .parquet file.
    path_column : name of the column of paths.
    label_column : name of the column of labels; None for "label", where there is one.

    Raises
    ------
    DataError
        When the file cannot be read, is empty, or lacks a column, with the columns it has.
    """
    columns = _parquet(path, name) if path.suffix.lower() == ".parquet" else _csv(path, name)
    for wanted in (path_column, label_column):
        if wanted is not None and wanted not in columns:
            raise DataError(
                f"data set {name!r}: {str(path)!r} has no column {wanted!r}. "
                f"{did_you_mean(wanted, columns)} Set path_column or label_column."
            )
    paths = ["" if p is None else str(p).strip() for p in columns[path_column]]
    if not paths:
        raise DataError(f"data set {name!r}: the manifest {str(path)!r} names no images.")
    if "" in paths:
        raise DataError(
            f"data set {name!r}: row {paths.index('') + 1} of {str(path)!r} has an empty "
            f"{path_column!r}."
        )
    labels = columns.get(label_column or "label")
    return paths, None if labels is None else [_cell_label(label) for label in labels]


def _cell_label(value: Any) -> str | int:
    text = "" if value is None else str(value).strip()
    if text in ("", "nan"):
        return -1
    return int(float(text)) if re.fullmatch(r"[+-]?\d+(\.0)?", text) else text


def _csv(path: Path, name: str) -> dict[str, list[str]]:
    dialect = "excel-tab" if path.suffix.lower() in (".tsv", ".tab") else "excel"
    try:
        rows = list(csv.reader(_text(path, name).splitlines(), dialect=dialect, strict=True))
    except csv.Error as error:
        raise DataError(f"data set {name!r}: {str(path)!r} is not a table ({error}).") from error
    if not rows:
        raise DataError(f"data set {name!r}: the manifest {str(path)!r} is empty.")
    header, body = [cell.strip() for cell in rows[0]], [row for row in rows[1:] if row]
    for number, row in enumerate(body, 2):
        if len(row) != len(header):
            raise DataError(
                f"data set {name!r}: row {number} of {str(path)!r} has {len(row)} cells, the "
                f"header has {len(header)}."
            )
    return {column: [row[i] for row in body] for i, column in enumerate(header)}


def _parquet(path: Path, name: str) -> dict[str, list[Any]]:
    import pyarrow.parquet

    try:
        return dict(pyarrow.parquet.read_table(path).to_pydict())
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"data set {name!r}: {str(path)!r} is not a Parquet file ({reason})."
        ) from error


def _text(path: Path, name: str) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"data set {name!r}: {str(path)!r} is not UTF-8 text, so it is no list of images."
        ) from error
    except OSError as error:
        raise DataError(
            f"data set {name!r}: {str(path)!r} cannot be read ({error.strerror})."
        ) from error


def find_root(list_file: Path, given: Path | None, paths: Sequence[str], name: str) -> Path:
    """Folder that the paths of a list are relative to.

    Without `root`, the list's own folder, or OpenOOD's image folders beside the
    `benchmark_imglist` that holds the list.

    Raises
    ------
    DataError
        When none of the first images is there, with the places looked at.
    """
    places = [given] if given else [list_file.parent]
    if not given:
        for folder in list_file.parents:
            if folder.name == "benchmark_imglist":
                places += [folder.parent / images for images in _IMAGE_FOLDERS]
    for place in places:
        if any((place / path).is_file() for path in paths[:100]):
            return place
    looked = ", ".join(str(place) for place in places)
    raise DataError(
        f"data set {name!r}: none of the images of {str(list_file)!r} is there; the first is "
        f"{paths[0]!r}, looked up in {looked}. Set root to the folder its paths are relative to."
    )

"""Taking in rows of features to score, where an experiment has features instead of images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from ood_core.activations import Activations, new_rows, open_rows, rows_joined, rows_of_upload
from ood_core.data import open_dataset
from ood_core.data.features import FeatureSet, is_features
from ood_core.errors import OODLensError
from pages.components.kit import cache
from pages.components.kit.messages import told
from pages.components.kit.plain import plain
from pages.components.kit.view import View

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["EMPTY", "TakenRows", "collect"]

MOST = 1000
"""Rows that the page scores at once; the command line takes any number."""

EMPTY = (
    "Upload a file of features with the arrays that this experiment's sets have, or take examples: "
    "each row gets a verdict, its place among the ID rows, and a receipt."
)
_FILES, _PATH, _EXAMPLES, _CLEARED = "_row_files", "_row_path", "_row_examples", "_rows_cleared"


@dataclass(frozen=True, eq=False)
class TakenRows:
    """Rows to score.

    Attributes
    ----------
    acts : their activations.
    shown : id -> picture where there is one, else its text, "" where there is neither.
    digest : identifies them.
    """

    acts: Activations
    shown: dict[str, Image.Image | str]
    digest: str


def collect(view: View) -> TakenRows | None:
    """Draw the sources and return the rows taken in; None without any."""
    st.caption(
        "This experiment has features and no network, so images cannot be scored: rows of features "
        "from the same layer can."
    )
    files, folder, examples = st.tabs(["Files", "File on this machine", "Examples"])
    with files:
        given = st.file_uploader(
            "Files of features to score", accept_multiple_files=True, key=_key("row_upload"),
            help=".npz, .npy, .safetensors, .parquet or .h5. They stay on this machine.",
        )  # fmt: skip
        if given:
            st.session_state[_FILES] = [(f.name, f.getvalue()) for f in given]
    with folder:
        st.session_state.setdefault(_key("row_path"), st.session_state.get(_PATH, ""))
        path = st.text_input("Path of a file of features", key=_key("row_path"),
                             placeholder="/data/new.npz")  # fmt: skip
        st.session_state[_PATH] = path
    with examples:
        st.caption("Two rows of the ID test set and one of each chosen OOD set, as if uploaded.")
        left, right = st.columns(2)
        if left.button("Take examples", key="take_examples", icon=":material/table_rows:"):
            test = view.experiment.test_set
            st.session_state[_EXAMPLES] = [(test, 0), (test, 1), *((n, 0) for n in view.ood_sets)]
        right.button("Clear all rows", key="clear_rows", icon=":material/clear_all:",
                     on_click=_clear)  # fmt: skip
    return _read(view, path.strip())


def _key(name: str) -> str:
    """Key of a widget: another one after each clearing, which is how it is emptied."""
    return f"{name}_{st.session_state.get(_CLEARED, 0)}"


def _clear() -> None:
    for key in (_FILES, _PATH, _EXAMPLES):
        st.session_state.pop(key, None)
    st.session_state[_CLEARED] = st.session_state.get(_CLEARED, 0) + 1


def _read(view: View, path: str) -> TakenRows | None:
    parts: list[Activations] = []
    shown: list[Image.Image | str] = []
    digest = hashlib.sha256(path.encode())

    def add(name: str, rows: Activations, pictures: Sequence[Image.Image | str]) -> None:
        parts.append(rows)
        shown.extend(pictures)
        digest.update(repr((name, rows.ids)).encode() + rows.features.tobytes())

    for name, data in st.session_state.get(_FILES, ()):
        with told():
            key = ("rows", view.fingerprint, name, hashlib.sha256(data).hexdigest())
            rows, texts, n = cache.once(key, partial(_upload, view, name, data))
            _say_more(name, n)
            add(name, rows, texts)
    if path:
        with told():
            source = open_rows(view.acts, Path(path).expanduser())
            count = _counted(source, path)
            add(path, new_rows(view.acts, source, 0, count), _pictures(source, range(count)))
    for name, index in st.session_state.get(_EXAMPLES, ()):
        spec = view.experiment.sets.get(name)
        source_of = None if spec is None else open_dataset(spec)
        if source_of is not None and is_features(source_of) and index < len(source_of):
            with told():
                rows = new_rows(view.acts, source_of, index, index + 1)
                add(f"{name}-{index}", rows, _pictures(source_of, [index]))
    if not parts:
        return None
    acts = rows_joined(parts)
    return TakenRows(acts, dict(zip(acts.ids, shown, strict=True)), digest.hexdigest()[:16])


def _upload(view: View, name: str, data: bytes) -> tuple[Activations, list[Image.Image | str], int]:
    rows, texts, n = rows_of_upload(view.acts, name, data, MOST)
    return rows, list(texts), n


def _counted(source: FeatureSet, name: str) -> int:
    _say_more(name, len(source))
    return min(MOST, len(source))


def _say_more(name: str, n: int) -> None:
    if n > MOST:
        st.info(
            f"The first {MOST:,} of the {n:,} rows of {plain(name)} are scored here; the command "
            "line takes all.", icon=":material/info:",
        )  # fmt: skip


def _pictures(source: FeatureSet, rows: Sequence[int]) -> list[Image.Image | str]:
    found: list[Image.Image | str] = []
    for row in rows:
        try:
            found.append(source.load(row) if source.has_images else source.text(row))
        except OODLensError:
            found.append(source.text(row))
    return found

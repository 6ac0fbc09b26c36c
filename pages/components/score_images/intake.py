"""Where new images come from: files and zips, the clipboard, a camera, a folder, examples.

What was taken in is kept in the session, so leaving the page and coming back loses nothing.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
from collections.abc import Callable
from typing import TypedDict

import streamlit as st

from ood_core.data import Upload, folder_identity, read_folder, read_uploads
from ood_core.errors import OODLensError
from pages.components.kit import cache
from pages.components.kit.plain import plain
from pages.components.kit.view import View

__all__ = ["collect"]

_TAKEN = "_taken"
_CLEARED = "_uploads_cleared"
"""How often the images were cleared: each time the uploader is a new, empty one."""
_PASTE_JS = """
export default function ({ parentElement, setTriggerValue }) {
  const box = parentElement.querySelector("div");
  const read = (event) => {
    for (const item of event.clipboardData?.items ?? []) {
      if (!item.type.startsWith("image/")) continue;
      const reader = new FileReader();
      reader.onload = () => setTriggerValue("pasted", reader.result);
      reader.readAsDataURL(item.getAsFile());
      event.preventDefault();
      box.textContent = "Image pasted.";
      return;
    }
  };
  document.addEventListener("paste", read);
  return () => document.removeEventListener("paste", read);
}
"""
_PASTE_CSS = """
div { border: 1px dashed var(--st-border-color); border-radius: 4px; padding: 0.7rem;
  text-align: center; color: var(--st-text-color); opacity: 0.75; font: 14px var(--st-font); }
"""
_PASTE = st.components.v2.component(
    "ood_lens_paste",
    html="<div tabindex='0' role='note'>Copy an image, then press Ctrl+V or ⌘V on this page.</div>",
    css=_PASTE_CSS,
    js=_PASTE_JS,
)


class Taken(TypedDict, total=False):
    """What was taken in, in the session: name and bytes of files, set and index of examples."""

    files: list[tuple[str, bytes]]
    paste: list[tuple[str, bytes]]
    camera: list[tuple[str, bytes]]
    folder: str
    examples: list[tuple[str, int]]


def collect(view: View) -> tuple[list[Upload], str]:
    """Draw the sources and return the images taken in, with a digest that identifies them."""
    taken: Taken = st.session_state.setdefault(_TAKEN, {})
    files, paste, camera, folder, examples = st.tabs(
        ["Files or zip", "Clipboard", "Camera", "Folder", "Examples"]
    )
    with files:
        given = st.file_uploader(
            "Images to score",
            accept_multiple_files=True,
            key=_uploader(),
            on_change=_taken_back,
            args=("files", _uploader()),
            help="PNG, JPEG, WebP, GIF, BMP, TIFF, or a zip of them. They stay on this machine.",
        )
        if given:
            taken["files"] = [(f.name, f.getvalue()) for f in given]
    with paste:
        result = _PASTE(key="paste", on_pasted_change=_ignore)
        if result.get("pasted"):
            _add_pasted(taken, str(result["pasted"]))
    with camera:
        if st.toggle("Use the camera", key="camera_on"):
            shot = st.camera_input(
                "Photograph",
                key="camera",
                on_change=_taken_back,
                args=("camera", "camera"),
                label_visibility="collapsed",
            )
            if shot is not None:
                taken["camera"] = [("camera.jpg", shot.getvalue())]
    with folder:
        if "upload_folder" not in st.session_state:
            st.session_state["upload_folder"] = taken.get("folder", "")
        path = st.text_input("Folder on this machine", key="upload_folder", placeholder="/data/new")
        if path:
            taken["folder"] = path
        else:
            taken.pop("folder", None)
    with examples:
        _examples(view, taken)
    return _read(view, taken)


def _uploader() -> str:
    """Key of the file uploader: another one after each clearing, which is how it is emptied."""
    turn = st.session_state.get(_CLEARED, 0)
    return f"upload_{turn}" if turn else "upload"


def _taken_back(kind: str, key: str) -> None:
    """Forget what the visitor took back; a widget that is empty because the page was left and
    opened again changes nothing."""
    if not st.session_state.get(key):
        st.session_state.get(_TAKEN, {}).pop(kind, None)


def _clear() -> None:
    """Forget all images and empty the widgets that would bring them back at the next run."""
    st.session_state[_TAKEN] = {}
    st.session_state[_CLEARED] = st.session_state.get(_CLEARED, 0) + 1
    st.session_state["upload_folder"] = ""
    st.session_state["camera_on"] = False


def _ignore() -> None:
    """The paste component's value is read after the run."""


def _add_pasted(taken: Taken, uri: str) -> None:
    try:
        data = base64.b64decode(uri.partition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        st.warning("The clipboard held no image that can be read.")
        return
    pasted = taken.setdefault("paste", [])
    if all(data != known for _, known in pasted):
        pasted.append((f"pasted-{len(pasted) + 1}.png", data))


def _examples(view: View, taken: Taken) -> None:
    st.caption("Two images of the ID test set and one of each chosen OOD set, as if uploaded.")
    left, right = st.columns(2)
    if left.button("Take examples", key="take_examples", icon=":material/photo_library:"):
        taken["examples"] = [(view.experiment.test_set, 0), (view.experiment.test_set, 1)]
        taken["examples"] += [(name, 0) for name in view.ood_sets]
    right.button(
        "Clear all images", key="clear_uploads", icon=":material/clear_all:", on_click=_clear
    )


def _read(view: View, taken: Taken) -> tuple[list[Upload], str]:
    raw = [*taken.get("files", ()), *taken.get("paste", ()), *taken.get("camera", ())]
    below, identity = _below(taken.get("folder"))
    digest = hashlib.sha256(repr((identity, taken.get("examples"))).encode())
    for name, data in raw:
        digest.update(name.encode() + hashlib.sha256(data).digest())
    key = digest.hexdigest()[:16]
    uploads = list(_decoded(("files", key), lambda: read_uploads(raw))) if raw else []
    uploads += below
    for name, index in taken.get("examples", ()):
        if name in view.experiment.sets:
            spec = view.experiment.sets[name]
            image = cache.image_set(repr(spec), spec).load(index)
            uploads.append(Upload(f"{name}-{index}", image))
    return _distinct(uploads), key


def _below(folder: str | None) -> tuple[list[Upload], str]:
    """Images below a folder, read again when one of them changes, and what identifies them."""
    if not folder:
        return [], ""
    try:
        identity = folder_identity(folder)
        return _decoded(("folder", identity), lambda: read_folder(folder)), identity
    except OODLensError as error:
        st.error(plain(error, keep="\n"), icon=":material/folder_off:")
        return [], ""


@st.cache_resource(max_entries=2, show_spinner=False)
def _decoded(key: tuple[str, str], _make: Callable[[], list[Upload]]) -> list[Upload]:
    """Images decoded once for all runs; few are held, because each may be large."""
    return _make()


def _distinct(uploads: list[Upload]) -> list[Upload]:
    """Names made unique: two files may share one."""
    seen: dict[str, int] = {}
    out = []
    for upload in uploads:
        seen[upload.name] = seen.get(upload.name, 0) + 1
        again = seen[upload.name]
        name = upload.name if again == 1 else f"{upload.name} ({again})"
        out.append(dataclasses.replace(upload, name=name))
    return out

"""The file with the weights, or the file or folder that holds the whole network."""

from __future__ import annotations

import contextlib

import streamlit as st

from ood_core import wizard
from ood_core.errors import OODLensError
from pages.components.wizard import drafting

__all__ = ["draw", "is_whole"]

_FILE = (
    "A .safetensors file, or what torch.save(model.state_dict()) wrote, in whatever wrapper; a "
    "TorchScript, torch.export or ONNX file; or a folder or a pattern such as runs/*.pt, of which "
    "the likeliest is taken. Nothing in it is executed."
)
_FOLDER = (
    "A folder with a config.json and the weights, as save_pretrained writes it and as it lies in "
    "the hub's cache. It is read from this machine; nothing is downloaded, none of its code run."
)


def is_whole(draft: wizard.Draft) -> bool:
    """Whether the checkpoint says itself which network it is."""
    with contextlib.suppress(OODLensError):  # the checks say it
        return wizard.whole_network(draft.checkpoint) is not None
    return False


def draw() -> None:
    """Its path, typed, found or uploaded, and where the features are in a whole network."""
    draft = drafting.current()
    survey = drafting.found()
    ranked = st.session_state.get("_new_ranked", {})  # of a folder or pattern that was typed
    why = {**survey.why, **ranked}
    known = list(dict.fromkeys([*ranked, *map(str, survey.checkpoints)]))
    folder = draft.kind == "hub"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        value = drafting.path(
            "Model folder" if folder else "Checkpoint", "new_checkpoint",
            draft.checkpoint, known,
            placeholder=f"A path such as /data/mine/{'vit-base' if folder else 'best.pth'}",
            help=_FOLDER if folder else _FILE,
        )  # fmt: skip
        if not folder:
            value = drafting.upload("Checkpoint", "new_checkpoint") or value
    if len(known) > 1 and (reason := why.get(draft.checkpoint)):
        st.caption(f"One of {len(known)} found: {reason}. The list beside it has the others.")
    if value != draft.checkpoint:
        _take(draft, value)
    if is_whole(draft) and draft.architecture != "huggingface":
        _features(draft)


def _take(draft: wizard.Draft, value: str) -> None:
    with contextlib.suppress(OODLensError):  # the checks say it
        # What a folder or pattern stands for; completing the draft takes the first.
        several = wizard.checkpoints_at(value)
        if several:
            st.session_state["_new_ranked"] = {str(path): reason for path, reason in several}
    drafting.change(**vars(wizard.with_weights(draft, value)))
    st.rerun()


def _features(draft: wizard.Draft) -> None:
    """Where the features are, for a network file in which they are not found by themselves."""
    st.caption("The file holds the whole network: no architecture is asked for.")
    with st.expander("Where its features are", expanded=bool(draft.features)):
        drafting.text(
            "Name of the tensor with the penultimate features", "features",
            placeholder="Empty: the input of its last linear layer",
        )  # fmt: skip

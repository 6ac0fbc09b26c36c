"""Fit, test and OOD images, or features in their place: found, typed or uploaded."""

from __future__ import annotations

import dataclasses

import streamlit as st

from ood_core import wizard
from ood_core.errors import OODLensError
from pages.components.kit.plain import plain
from pages.components.wizard import drafting

__all__ = ["draw"]

_DOWNLOADS = tuple(f"torchvision:{n}" for n in ("SVHN", "DTD", "Places365", "CIFAR10", "CIFAR100"))
_ROLES = {"fit": "ID training images", "test": "ID test images", "ood": "an OOD set"}
_ROWS = {"fit": "fit", "test": "test", "ood": "an OOD set", "head": "the head"}
_USES = {"fit": "fit", "test": "test", "ood": "an OOD set", "": "not used"}
_WHAT = "a folder, an image list (.txt), a table (.csv, .tsv, .json, .parquet) or a zip"
_ARRAYS = (
    "a .npz, .safetensors, .parquet or .h5 file, or a folder of .npy files, with an array features "
    "(rows, features); beside it labels, logits, ids, text and further layers where there are any"
)
_ARRAY_UPLOADS = [suffix.removeprefix(".") for suffix in wizard.FEATURE_SUFFIXES]
_UPLOADS = [
    "zip", "txt", "lst", "csv", "tsv", "tab", "json", "jsonl", "ndjson", "parquet", "pq", "gz",
    "bz2", "xz",
]  # fmt: skip


def draw() -> None:
    """The three sets."""
    features = _features()
    drafting.heading("Features" if features else "Images")
    found = drafting.found()
    if found.sets() and found.features == features:
        _found(found)
    fits, tests = ([s.source for s in sets if s.source] for sets in _pairs(found))
    if features:
        _one("fit", "Fit: features of ID training data", fits,
             f"Detectors are fitted on them: {_ARRAYS}.")  # fmt: skip
        _one("test", "Test: features of ID data it has not seen", tests, f"Held out: {_ARRAYS}.")
    else:
        _one("fit", "Fit: ID training images", fits, _fit_help())
        _one(
            "test",
            "Test: ID images it has not seen",
            tests,
            f"Held-out images of the same {'kind' if _headless() else 'classes'}: {_WHAT}.",
        )
    _id_classes()
    _ood(found)
    what = "features" if features else "a zip, list or table"
    with st.popover(f"Upload {what}", icon=":material/upload:"):
        _upload()


def _features() -> bool:
    return drafting.current().kind == "features"


def _headless() -> bool:
    return drafting.current().headless


def _pairs(found: wizard.Survey) -> tuple[list[wizard.SetDraft], list[wizard.SetDraft]]:
    """Fit sets and test sets that were found, of what is asked for."""
    pairs = found.pairs if found.features == _features() else ()
    return [fit for fit, _ in pairs], [test for _, test in pairs]


def _fit_help() -> str:
    if _headless():
        return f"Images like those it was trained on; labels are not needed: {_WHAT}."
    return (
        "Images of the classes that the network knows, from its training set: detectors are "
        f"fitted on them. One folder per class; or {_WHAT}."
    )


def _set(source: str, name: str) -> wizard.SetDraft:
    """What was typed or uploaded, with what its file needs to be read."""
    return wizard.SetDraft(source, name) if _features() else wizard.set_from(source, name)


def _id_classes() -> None:
    """One class, or some, as all that is ID."""
    shown = drafting.current().classes
    with st.expander("Only some of their classes are ID", expanded=bool(shown)):
        typed = st.text_input(
            "Classes that count as ID", key=drafting.seed("new_id_classes", ", ".join(shown)),
            placeholder="cat; empty: all", help="For one-class detection: the other classes of "
            "the test set become an OOD set of their own.",
        )  # fmt: skip
    chosen = tuple(name.strip() for name in (typed or "").split(",") if name.strip())
    if chosen != shown:
        drafting.change(classes=chosen)


def _found(found: wizard.Survey) -> None:
    """Every set of the folder, what it is used as and why; each can be used as something else."""
    undecided = not found.certain or not drafting.current().fit.source
    with st.expander("What was found, and what it is used as", expanded=undecided):
        short = [drafting.short(s.source) for s in found.sets()]
        for chosen in found.sets():
            shown, name = _use_of(chosen.source), drafting.short(chosen.source)
            name = name if short.count(name) == 1 else chosen.source
            use = st.selectbox(
                f"Use {name} as", _USES, key=drafting.seed(f"new_use_{chosen.source}", shown),
                format_func=lambda u: _USES[u],
            )  # fmt: skip
            why = found.why.get(chosen.source, "")
            st.caption(f"{why[:1].upper()}{why[1:]}{'' if why.endswith('…') else '.'}")
            if use != shown:
                _use(chosen, str(use))


def _use_of(source: str) -> str:
    """What the draft uses a set as, "" for nothing."""
    draft = drafting.current()
    roles = {s.source: "ood" for s in draft.ood} | {draft.test.source: "test"}
    return (roles | {draft.fit.source: "fit"}).get(source, "")


def _use(chosen: wizard.SetDraft, use: str) -> None:
    """Use a set as something else, in the place of what was used so."""
    draft = drafting.current()
    fields: dict[str, object] = {
        role: wizard.SetDraft("", role)
        for role in ("fit", "test")
        if getattr(draft, role).source == chosen.source
    }
    ood = [s for s in draft.ood if s.source != chosen.source]
    if use == "ood":
        named = "" if chosen.name in ("fit", "test") else chosen.name  # they need one of their own
        ood.append(dataclasses.replace(chosen, name=named))
    elif use:
        fields[use] = dataclasses.replace(chosen, name=use)
    drafting.change(ood=wizard.distinct_names(ood), **fields)


def _one(role: str, label: str, known: list[str], help: str) -> None:
    chosen: wizard.SetDraft = getattr(drafting.current(), role)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        value = drafting.path(
            label, f"new_{role}", chosen.source, known, placeholder="A path", help=help
        )
    if value != chosen.source:
        drafting.change(**{role: _set(value, role)})
    chosen = getattr(drafting.current(), role)
    drafting.change(**{role: _rooted(chosen, f"{role} list", f"new_{role}_root")})


def _name(source: str) -> str:
    """Name for an OOD set: of a file of arrays its own without the ending."""
    known = _features() and source.lower().endswith(wizard.FEATURE_SUFFIXES)
    return wizard.set_name(source.rpartition(".")[0] if known else source)


def _rooted(chosen: wizard.SetDraft, what: str, key: str) -> wizard.SetDraft:
    """The set with the folder that the paths of its list or table start from, where it is one."""
    if _features() or wizard.set_kind(chosen.source) not in ("image_list", "manifest"):
        return chosen
    root = st.text_input(
        f"Folder that the paths in the {what} start from",
        key=drafting.seed(key, chosen.options.get("root", "")),
        placeholder="Empty: the list's own folder, or OpenOOD's images_classic / images_largescale",
    )
    options = {k: v for k, v in chosen.options.items() if k != "root"}
    options |= {"root": root.strip()} if root and root.strip() else {}
    return dataclasses.replace(chosen, options=options)


def _ood(found: wizard.Survey) -> None:
    draft = drafting.current()
    features = _features()
    others = (*found.others, *found.unused) if found.features == features else ()
    known = {s.source: s for s in (*others, *draft.ood)}
    shown = [s.source for s in draft.ood]
    choices = list(dict.fromkeys([*shown, *known, *(() if features else _DOWNLOADS)]))
    st.multiselect(
        "OOD sets, near to far", choices, key=drafting.seed("new_ood", shown),
        accept_new_options=True, placeholder="Choose, or type paths", format_func=drafting.short,
        help=f"Features of things that the network does not know; each is {_ARRAYS}."
        if features
        else "Images of things that the network does not know; labels are not needed. Each is "
        f"{_WHAT}, or a torchvision set that is downloaded on request.",
    )  # fmt: skip
    chosen = [str(s).strip() for s in st.session_state["new_ood"] or ()]
    if chosen != shown:
        sets = [known.get(s) or _set(s, _name(s)) for s in chosen]
        drafting.change(ood=wizard.distinct_names(sets))
    rooted = tuple(
        _rooted(s, f"list of {s.name}", f"new_root_of_{s.source}") for s in drafting.current().ood
    )
    drafting.change(ood=rooted)
    draft = drafting.current()
    if draft.ood:
        _near(draft)


def _near(draft: wizard.Draft) -> None:
    names = [s.name for s in draft.ood]
    st.pills(
        "Of these near, hard to tell from ID", names, selection_mode="multi",
        key=drafting.seed("new_near", [s.name for s in draft.ood if s.near]),
        help="Counted in the benchmark's near mean; the others in the far mean.",
    )  # fmt: skip
    near = st.session_state["new_near"] or []
    sets = tuple(dataclasses.replace(s, near=s.name in near) for s in draft.ood)
    if sets != draft.ood:
        drafting.change(ood=sets)


def _upload() -> None:
    features = _features()
    given = st.file_uploader(
        "File of arrays to upload" if features else "Zip, list or table to upload",
        type=_ARRAY_UPLOADS if features else _UPLOADS, key="new_upload",
        help=f"{_ARRAYS[0].upper()}{_ARRAYS[1:]}." if features
        else "A zip of images, in class folders where classes matter. It is kept in "
        "OOD_LENS_HOME on this machine and read without unpacking.",
    )  # fmt: skip
    roles = _ROWS if features else _ROLES
    role = st.segmented_control("Use it as", list(roles), key="new_upload_role", default="fit",
                                format_func=lambda r: roles[r])  # fmt: skip
    if given is not None and role and st.button("Use this file", key="new_upload_use"):
        try:
            source = str(wizard.keep_upload(given.name, given))
        except OODLensError as error:
            st.error(plain(error, keep="\n"), icon=":material/error:")
            return
        if role == "ood":
            added = _set(source, _name(source))
            drafting.change(ood=wizard.distinct_names([*drafting.current().ood, added]))
        elif role == "head":
            drafting.change(head=source)
        else:
            drafting.change(**{role: _set(source, role)})
        st.rerun()

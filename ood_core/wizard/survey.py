"""What lies in a folder: checkpoints, fit and test images, and sets that may serve as OOD."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ood_core.errors import DataError
from ood_core.experiments.listing import class_folders
from ood_core.wizard.checkpoint_files import rank_checkpoints
from ood_core.wizard.folder_words import is_word
from ood_core.wizard.found_features import holds_head
from ood_core.wizard.found_pairs import Pair, find_pairs
from ood_core.wizard.remaining_sets import Role, role_of
from ood_core.wizard.set_draft import SetDraft, distinct_names, set_name
from ood_core.wizard.walking import OPENOOD_LISTS, Place, walk

__all__ = ["Survey", "survey"]

OPENOOD_NEAR = ("cifar10", "cifar100", "tin", "ssb_hard", "ninco")
"""OOD sets that OpenOOD v1.5 counts as near (arXiv 2306.09301, Table 1)."""


@dataclass(frozen=True)
class Survey:
    """What was found, likeliest first.

    Parameters
    ----------
    checkpoints : files that may hold a network's weights.
    pairs : (fit, test) images that belong together; the source of one that is missing is empty.
    others : sets that may serve as OOD.
    unused : sets that were taken for nothing, such as more images of the fit set's classes.
    certain : whether something tells the first pair from the others.
    why : path of each of these -> why it was taken for what it was.
    features : whether the sets hold features instead of images.
    head : a file with the last linear layer of these features.
    """

    checkpoints: tuple[Path, ...] = ()
    pairs: tuple[tuple[SetDraft, SetDraft], ...] = ()
    others: tuple[SetDraft, ...] = ()
    unused: tuple[SetDraft, ...] = ()
    certain: bool = True
    why: Mapping[str, str] = field(default_factory=dict)
    features: bool = False
    head: str = ""

    def sets(self) -> tuple[SetDraft, ...]:
        """Every set that was found, each once."""
        found = (*(s for pair in self.pairs for s in pair), *self.others, *self.unused)
        return tuple({s.source: s for s in reversed(found) if s.source}.values())[::-1]


def survey(
    folder: str | os.PathLike[str], fit: SetDraft | None = None, features: bool = False
) -> Survey:
    """Look through a folder, four levels deep; of files, lists and tables alone are read.

    A training part beside a test or validation part (`train/`, `cifar_train/`, `fit.csv`,
    `train_cifar10.txt`) gives fit and test images. Folders whose images a list names are not
    taken beside it. Sets with the class names of the fit images are ID too, whatever they are
    called; what is called `ood`, and what is left, may serve as OOD.

    Parameters
    ----------
    folder : to look through.
    fit : ID training images that are known already, for their class names.
    features : whether files of features are looked for, even where there are images.

    Raises
    ------
    DataError
        When it is not a folder, or holds neither images nor checkpoints.
    """
    root = Path(folder).expanduser().absolute()
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise DataError(f"{str(root)!r} {what}.")
    paths, places = walk(root)
    if not (paths or places):
        raise DataError(f"{str(root)!r} holds neither images nor checkpoints.")
    features = features or all(place.kind == "features" for place in places)
    places = [place for place in places if (place.kind == "features") is features]
    checkpoints = rank_checkpoints(paths)
    free, roles = _without_covered(places)
    pairs = find_pairs(free, [path for path, _ in checkpoints])
    chosen = pairs[0] if pairs else None
    classes = chosen.classes if chosen is not None else _class_names(fit)
    if chosen is not None:
        roles |= {place: Role(part, why) for part, place, why in chosen.parts()}
    have = {role.name for role in roles.values()} | ({"fit"} if fit and fit.source else set())
    for place in free:
        if place not in roles:
            role = role_of(place, chosen, free, classes, {"fit", "test"} - have)
            roles[place] = role
            have.add(role.name)
    test = next((p for p, role in roles.items() if role.name == "test"), None)
    return Survey(
        tuple(path for path, _ in checkpoints),
        _drafts(pairs, test, root),
        distinct_names(_draft(p, root) for p, r in roles.items() if r.name == "ood"),
        tuple(_draft(p, root) for p, r in roles.items() if not r.name),
        len(pairs) < 2 or pairs[0].rank > pairs[1].rank,
        {str(path): why for path, why in checkpoints}
        | {str(p.path): role.why for p, role in roles.items()},
        features and bool(places),
        _head(root) if features and places else "",
    )


def _head(root: Path) -> str:
    """A last linear layer that lies beside files of features."""
    found = (p for p in sorted(root.rglob("*")) if not p.is_dir() and holds_head(p))
    return str(next(found, ""))


def _without_covered(places: Sequence[Place]) -> tuple[list[Place], dict[Place, Role]]:
    """Places but for folders whose images a list names, or lists that folders say better."""
    roles: dict[Place, Role] = {}
    for listed in (p for p in places if p.kind == "list"):
        covered = [p for p in places if p.kind == "folder" and listed.covers(p)]
        split = any(p.words.split for p in covered)
        if covered and ((split and not listed.words.split) or not _tells_more(listed, covered)):
            roles[listed] = Role("", f"lists the images of {_names(covered)}")
            continue
        for place in covered:
            roles.setdefault(place, Role("", f"its images are those of {listed.path.name}"))
    return [p for p in places if p not in roles], roles


def _tells_more(listed: Place, covered: Sequence[Place]) -> bool:
    return listed.labelled or not any(p.labelled for p in covered)


def _names(places: Sequence[Place]) -> str:
    shown = [p.path.name for p in places[:3]]
    return ", ".join(shown) + (", …" if len(places) > 3 else "")


def _class_names(fit: SetDraft | None) -> frozenset[str]:
    """Class folders of fit images that were chosen before."""
    path = Path(fit.source).expanduser() if fit and fit.source else None
    return frozenset(class_folders(path)) if path is not None and path.is_dir() else frozenset()


def _drafts(
    pairs: Sequence[Pair], test: Place | None, root: Path
) -> tuple[tuple[SetDraft, SetDraft], ...]:
    found = []
    for place, pair in enumerate(pairs):
        second = pair.test if pair.test is not None or place else test
        found.append((_part(pair.fit, "fit", root), _part(second, "test", root)))
    if not pairs and test is not None:
        found.append((_part(None, "fit", root), _part(test, "test", root)))
    return tuple(found)


def _part(place: Place | None, name: str, root: Path) -> SetDraft:
    return SetDraft("", name) if place is None else SetDraft(
        str(place.path), name, options=place.options
    )  # fmt: skip


def _draft(place: Place, root: Path) -> SetDraft:
    """A set as an OOD set, under the name of its data set."""
    name = _name(place, root)
    listed = OPENOOD_LISTS in (place.path.parent.name, place.path.parent.parent.name)
    near = place.words.near or (listed and name in OPENOOD_NEAR)
    return SetDraft(str(place.path), name, near, place.options)


def _name(place: Place, root: Path) -> str:
    """The data set's name; a name that says nothing gets its parent's in front."""
    path, key = place.path, place.words.key
    if path.name.lower() in ("images", "data") and path.parent != root:
        return f"{path.parent.name}-{path.name}"
    if place.kind in ("list", "features"):
        return key[-1] if key else set_name(str(path))
    above = path.parent
    return above.name if place.words.split and is_word(path.name) and above != root else path.name

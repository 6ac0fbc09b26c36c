"""What was read from a checkpoint and what was not, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ood_core.errors import ModelError
from ood_core.models.normalisation import StoredNormalisation

__all__ = ["AmbiguousPartsError", "LoadedWeights"]


class AmbiguousPartsError(ModelError):
    """Several parts of a checkpoint fit and differ; `parts` are their names."""

    def __init__(self, file: str, architecture: str, parts: Sequence[str]) -> None:
        self.parts = tuple(parts)
        listed = ", ".join(map(repr, self.parts))
        super().__init__(
            f"{file} holds {len(self.parts)} sets of weights that fit {architecture!r} and differ: "
            f'{listed}. Nothing was loaded: choose one, for example part = "{self.parts[0]}" in '
            f"[classifier], or --part {self.parts[0]}."
        )


@dataclass(frozen=True)
class LoadedWeights:
    """What a network got from a checkpoint.

    Parameters
    ----------
    file : name of the file.
    part : which set of weights in it, as the key `part` names it; "." for all of it.
    tensors : how many tensors that is.
    reason : why this part, where there was a choice; else "".
    others : further sets of weights in the file: name, and what they are beside this one.
    left_out : names in the file that are in none of them and were not used.
    normalisations : means and stds of images in the file, which the network does not apply.
    notes : how tensors were read that are no plain floats.
    beside : what was left out of the part itself, and what it is.
    renamed : name in the file -> name in the network, where order or place gave it.
    """

    file: str
    part: str
    tensors: int
    reason: str = ""
    others: tuple[tuple[str, str], ...] = ()
    left_out: tuple[str, ...] = ()
    normalisations: tuple[StoredNormalisation, ...] = ()
    notes: tuple[str, ...] = ()
    beside: str = ""
    renamed: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """The whole report as sentences."""
        whole = self.part == "." and not (self.others or self.left_out)
        said = f"All {self.tensors} tensors of {self.file}"
        if not whole:
            where = "the top level" if self.part == "." else f"{self.part!r}"
            said = f"{self.tensors} tensors in {where} of {self.file}"
        said += f", because {self.reason}." if self.reason else "."
        if self.notes:
            said += f" Of these {', '.join(self.notes)}."
        if self.others:
            said += f" Not loaded: {'; '.join(f'{n!r} ({how})' for n, how in self.others)}."
        if self.left_out:
            count = len(self.left_out)
            names = f"{count} name{'s' if count > 1 else ''} of the file"
            shown = ", ".join(self.left_out[:4]) + (", …" if count > 4 else "")
            said += f" {names} {'were' if count > 1 else 'was'} left out ({shown})."
        if self.beside:
            said += f" Left out, because the network has no place for it: {self.beside}."
        if self.renamed:
            shown = ", ".join(f"{old} → {new}" for old, new in self.renamed[:4])
            more = ", …" if len(self.renamed) > 4 else ""
            said += f" {len(self.renamed)} names were changed ({shown}{more})."
        for pair in self.normalisations:
            mean, std = pair.names
            said += f" {mean} and {std} normalise images: they belong in the preprocessing."
        return said

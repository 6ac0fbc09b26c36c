"""Whose code may run here: asked once for each content, kept in `trusted.json` of the home."""

from __future__ import annotations

import datetime
import io
import json
import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from ood_core.errors import ModelError
from ood_core.experiments.own_code import TRUST, is_own_code
from ood_core.models.own_networks.code_files import Code, find_code
from ood_core.runtime.names import shown
from ood_core.runtime.paths import home

if TYPE_CHECKING:
    from ood_core.experiments import ClassifierSpec, Experiment

__all__ = [
    "COMMAND_LINE",
    "CodeNotTrustedError",
    "CodeRequest",
    "check_trusted",
    "code_request",
    "only_command_line_consents",
    "trust_code",
]

COMMAND_LINE = "command line"
"""Who agreed, where it was the operator: what counts where others use the dashboard too."""
FIRST_LINES = 12
LINE = 200

_shared = False


@dataclass(frozen=True)
class CodeRequest:
    """What somebody is asked to agree to.

    Attributes
    ----------
    path : file of the module that makes the network.
    name : class or function in it.
    digest : SHA-256 of the content of all its files, see `Code.digest`.
    files : every file that the hash is of.
    first_lines : how the file begins, characters escaped that do not show themselves.
    arguments : what it would be called with.
    only_operator : whether only consent given on the command line counts here.
    """

    path: Path
    name: str
    digest: str
    files: tuple[Path, ...]
    first_lines: tuple[str, ...]
    arguments: tuple[tuple[str, Any], ...]
    only_operator: bool

    @property
    def text(self) -> str:
        """The question with what to type, for terminals and messages."""
        more = f", and {len(self.files) - 1} more files" if len(self.files) > 1 else ""
        lines = "".join(f"\n    {line}" for line in self.first_lines)
        who = (
            "Others use this dashboard too (it listens beyond this machine, or OOD_LENS_NO_CODE is "
            "set), so only its operator can agree, on the command line"
            if self.only_operator
            else 'Read it; to agree, press "Run this code" on the page, call '
            "ood_core.models.trust_code(experiment) in Python, or on the command line"
        )
        return (
            f"{self.name} in {self.path} is code that can do anything on this machine, and nobody "
            f"has agreed to run this content of it here. SHA-256 {self.digest}{more}. It begins:"
            f"{lines}\n{who} add --trust: python -m ood_core extract EXPERIMENT --trust"
        )


class CodeNotTrustedError(ModelError):
    """Code of one's own that nobody agreed to run; `request` says which."""

    def __init__(self, request: CodeRequest) -> None:
        super().__init__(request.text)
        self.request = request


def only_command_line_consents(shared: bool) -> None:
    """Say that this process serves others too: consent given on pages or in Python counts no more.

    `OOD_LENS_NO_CODE=1` says the same of every process.
    """
    global _shared
    _shared = shared


def code_request(exp: Experiment) -> CodeRequest | None:
    """What has to be agreed to before the experiment's network is made; None where nothing has.

    Nothing is imported, only read.

    Raises
    ------
    ModelError
        When the code is not there.
    """
    spec = exp.classifier
    if not is_own_code(spec.architecture):
        return None
    code = find_code(spec.architecture)
    return None if _agreed(code) else _request(code, spec)


def trust_code(exp: Experiment, digest: str | None = None, by: str = "Python") -> str:
    """Agree that the code of the experiment's network runs on this machine; returns its hash.

    The consent is for this content, whichever experiment names it, and for the class or function
    of this name: changed code is asked for again.

    Parameters
    ----------
    digest : hash that was shown (`CodeRequest.digest`); other content is refused. None: as it is.
    by : who agrees: "Python", "page" or COMMAND_LINE.

    Raises
    ------
    ModelError
        When the experiment names no code, or the code changed since it was shown, or others use
        this dashboard and it is not the command line that agrees.
    """
    spec = exp.classifier
    if not is_own_code(spec.architecture):
        raise ModelError(f"{spec.architecture!r} is no code of your own: nothing to agree to.")
    _check_phrase(spec)
    code = find_code(spec.architecture)
    if digest is not None and digest != code.digest:
        raise ModelError(f"{code.path} or a file beside it changed since it was shown: read again.")
    if by != COMMAND_LINE and _only_operator():
        raise CodeNotTrustedError(_request(code, spec))
    _keep(code, by)
    return code.digest


def check_trusted(spec: ClassifierSpec) -> Code:
    """The code of a network, which may run.

    Raises
    ------
    CodeNotTrustedError
        When nobody agreed to this content.
    ModelError
        When the code is not there, or the experiment does not say `trust`.
    """
    _check_phrase(spec)
    code = find_code(spec.architecture)
    if not _agreed(code):
        raise CodeNotTrustedError(_request(code, spec))
    return code


def _check_phrase(spec: ClassifierSpec) -> None:
    if spec.trust != TRUST:
        raise ModelError(
            f"architecture {spec.architecture!r} is Python code, and the experiment does not say "
            f'trust = "{TRUST}": nothing was run.'
        )


def _request(code: Code, spec: ClassifierSpec) -> CodeRequest:
    return CodeRequest(
        path=code.path,
        name=code.name,
        digest=code.digest,
        files=tuple(dict.fromkeys((code.path, *(file.path for file in code.files)))),
        first_lines=tuple(map(_shown_line, _first_lines(code))),
        arguments=tuple(spec.arguments.items()),
        only_operator=_only_operator(),
    )


def _first_lines(code: Code) -> list[str]:
    """How the file begins, of the very bytes that were hashed where those are at hand."""
    hashed = next((f.source for f in code.files if f.path == code.path), b"")
    if hashed:
        text = io.StringIO(hashed.decode("utf-8", errors="replace"), newline=None)
        return list(islice(text, FIRST_LINES))
    try:
        with open(code.path, encoding="utf-8", errors="replace") as file:
            return list(islice(file, FIRST_LINES))
    except OSError:
        return []


def _shown_line(line: str) -> str:
    whole = line.rstrip("\r\n").expandtabs(4)
    more = f" … ({len(whole) - LINE:,} more characters)" if len(whole) > LINE else ""
    return f"{shown(whole[:LINE])}{more}"


def _only_operator() -> bool:
    return _shared or os.environ.get("OOD_LENS_NO_CODE", "") not in ("", "0")


def _file() -> Path:
    return home() / "trusted.json"


def _agreed(code: Code) -> bool:
    """Whether this content, and this name in it, was agreed to by someone who counts here."""
    by = _entry(_read(), code)["names"].get(code.target)
    return by == COMMAND_LINE or (by is not None and not _only_operator())


def _read() -> dict[str, Any]:
    """What was agreed to; nothing where the file is missing or damaged: then it is asked again."""
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _entry(kept: dict[str, Any], code: Code) -> dict[str, Any]:
    entry = kept.get(code.digest)
    names = entry.get("names") if isinstance(entry, dict) else None
    return {"names": names if isinstance(names, dict) else {}}


def _keep(code: Code, by: str) -> None:
    file = _file()
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with FileLock(f"{file}.lock"):
            kept = _read()
            names = _entry(kept, code)["names"]
            if names.get(code.target) != COMMAND_LINE:
                names = {**names, code.target: by}
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            kept[code.digest] = {"path": str(code.path), "date": now, "names": names}
            part.write_text(json.dumps(kept, indent=1), encoding="utf-8")
            os.replace(part, file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ModelError(f"{file} cannot be written ({error.strerror}).") from error

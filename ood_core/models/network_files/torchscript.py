"""TorchScript files (`torch.jit.save`), read without running anything that is in them.

`torch.jit.load` is PyTorch's own reader in C++: it unpickles no Python objects, but runs
`__setstate__` methods of the file's classes while it loads, and operators such as `aten::save` and
`aten::from_file` write and read files. So a file with such words in its code, or with classes of
`torch.classes`, is refused before it is loaded; afterwards its graph alone is used, as steps that
are PyTorch's tensor operators (`_script_graph`). Its own code never runs.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_core.errors import ModelError
from ood_core.models.checkpoint_formats import cut_off
from ood_core.models.network_files._stated import stated_class_names, stated_preprocessing
from ood_core.models.network_files._whole_graph import network_of
from ood_core.models.published_weights import package_version

if TYPE_CHECKING:
    from torch import nn

    from ood_core.experiments.experiment import ClassifierSpec, Preprocessing

__all__ = ["FORMAT", "class_names", "files", "load", "preprocessing", "version"]

FORMAT = "torchscript"
READ_BY = "steps 1"
"""How the graph becomes a network; another text where that changes what it computes."""

_HOW = 'torch.jit.script(model.eval()).save("net.pt")'
_FORBIDDEN = re.compile(rb"\b(__setstate__|from_file|save|torch\s*\.\s*classes)\b")


def load(spec: ClassifierSpec) -> nn.Module:
    """The network of the file as a module of steps, in eval mode.

    Raises
    ------
    ModelError
        When the file is damaged, holds code that would run while it is loaded, classes or
        operators that are not PyTorch's, or was traced in training mode.
    """
    from ood_core.models.network_files._script_graph import read_script

    path = spec.checkpoint
    assert path is not None
    script = _loaded(path).eval()
    try:
        program = read_script(script)
    except ModelError as error:
        raise ModelError(f"{path.name} cannot be opened: {error}") from error
    return network_of(program, spec, _HOW).eval()


def files(path: Path) -> tuple[Path, ...]:
    """The file itself."""
    return (path,)


def version() -> str:
    """Version of torch, whose operators run, and of the way in which the graph is read."""
    return f"torch {package_version('torch')}, {READ_BY}"


def preprocessing(path: Path) -> Preprocessing | None:
    """What an extra file `ood_lens.json` states."""
    return stated_preprocessing(path)


def class_names(path: Path) -> tuple[str, ...] | None:
    """What an extra file `ood_lens.json` states."""
    return stated_class_names(path)


def _loaded(path: Path) -> Any:
    import torch

    try:
        _refuse_code(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on TorchScript's future
            loaded: Any = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
            return loaded
    except ModelError:
        raise
    except (RuntimeError, ValueError, OSError, EOFError, LookupError, TypeError) as error:
        if "Unknown type name" in str(error) or "Unknown builtin op" in str(error):
            missing = next((line for line in str(error).splitlines() if "Unknown" in line), "")
            raise ModelError(
                f"{path.name} needs operators or classes that are not PyTorch's own "
                f"({missing.strip(' :')}): it is not opened. Save the network without them."
            ) from error
        raise cut_off(path, "TorchScript file") from error


def _refuse_code(path: Path) -> None:
    """Look through the code of an archive with the reader that is going to load it."""
    import torch

    reader = torch._C.PyTorchFileReader(str(path))
    names = reader.get_all_records()
    twice = len({name.casefold() for name in names}) < len(names)
    if twice:
        raise ModelError(f"{path.name} holds files of the same name: it was not loaded.")
    for name in names:
        if name.casefold().endswith((".py", ".pkl")):
            found = _FORBIDDEN.search(reader.get_record(name))
            if found and (name.casefold().endswith(".py") or b"classes" in found[0]):
                word = found[0].decode("ascii", "replace")
                raise ModelError(
                    f"{path.name} holds code that runs while it is loaded, or uses files "
                    f"({word} in {name}); quantised networks hold such code, too. It was not "
                    f"loaded. Save the float network: {_HOW}."
                )

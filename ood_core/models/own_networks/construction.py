"""From an agreed class or function to a network: what may be called, and with what."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ood_core.errors import ModelError, did_you_mean
from ood_core.models.own_networks.code_files import Code
from ood_core.models.own_networks.code_loading import guarded, load_module, module_prefix

if TYPE_CHECKING:
    from torch import nn

__all__ = ["called", "factory", "made"]


def factory(code: Code) -> Callable[..., Any]:
    """The class or function that an architecture names, from its module, which is run.

    Raises
    ------
    ModelError
        When running the module fails, it has no such name, or what it names is neither a
        subclass of nn.Module nor a function, defined in the code that was agreed to.
    """
    with guarded(code, "imported"):
        module = load_module(code)
    missing = object()
    found = vars(module).get(code.name, missing)
    if found is missing:
        with guarded(code, "imported"):
            found = getattr(module, code.name, missing)  # a module's own __getattr__
    if found is missing:
        raise ModelError(
            f"{code.path.name} has no {code.name!r}. {did_you_mean(code.name, _names(module))}"
        )
    _check_kind(found, code)
    return found  # type: ignore[no-any-return]


def made(code: Code, num_classes: int | None, arguments: Mapping[str, Any]) -> nn.Module:
    """The network that the code makes, with untrained weights.

    Parameters
    ----------
    num_classes : given as an argument where there is such a parameter, unless `arguments` has it.
    arguments : further keyword arguments.

    Raises
    ------
    ModelError
        As `factory`; when the arguments are not the ones that it takes, it raises, or returns
        something that is no nn.Module.
    """
    return called(factory(code), code, num_classes, arguments)


def called(
    make: Callable[..., Any], code: Code, num_classes: int | None, arguments: Mapping[str, Any]
) -> nn.Module:
    """As `made`, of a class or function at hand."""
    from torch import nn

    given = dict(arguments)
    signature = _signature(make)
    takes_classes = signature is not None and "num_classes" in signature.parameters
    if num_classes is not None and takes_classes:
        given.setdefault("num_classes", num_classes)
    if signature is not None:
        _check_arguments(signature, given, code)
    with guarded(code, "constructed"):
        network = make(**given)
    if not isinstance(network, nn.Module):
        raise ModelError(
            f"{code.label} returns {_a(type(network).__name__)}, no torch.nn.Module. Name a "
            "subclass of nn.Module, or a function that returns such a network."
        )
    network = _unwrapped(network)
    _check_network(network, code)
    return _without_empty_heads(network) if num_classes == 0 else network


def _check_kind(found: Any, code: Code) -> None:
    """Refuse what is no factory of networks, without calling it."""
    from torch import nn

    if inspect.isclass(found):
        if not issubclass(found, nn.Module):
            raise ModelError(
                f"{code.label} is a class, but no subclass of torch.nn.Module. Name the network's "
                "class, or a function that returns the network."
            )
    elif not inspect.isfunction(found):
        more = ". Name its class, or a function that makes it" if callable(found) else ""
        raise ModelError(
            f"{code.label} is {_a(type(found).__name__)}, neither a class nor a function of "
            f"Python{more}. Nothing was called."
        )
    if not _is_of(found, code):
        raise ModelError(
            f"{code.label} is defined in {found.__module__}, not in the code that was agreed to. "
            f"Write a function of your own in {code.path.name} that makes it. Nothing was called."
        )


def _is_of(found: Any, code: Code) -> bool:
    """Whether a class or function is defined in the code's own files."""
    top = module_prefix(code) or code.module.partition(".")[0]
    defined = [str(getattr(found, "__module__", ""))]
    if not inspect.isclass(found):
        defined.append(str(inspect.unwrap(found).__globals__.get("__name__", "")))
    return all(module.partition(".")[0] == top for module in defined)


def _names(module: ModuleType) -> list[str]:
    """Names that may be meant: classes of networks and functions of this module."""
    from torch import nn

    own = {n: v for n, v in vars(module).items() if not n.startswith("_")}
    return [
        name
        for name, value in own.items()
        if getattr(value, "__module__", None) == module.__name__
        and (inspect.isfunction(value) or (inspect.isclass(value) and issubclass(value, nn.Module)))
    ]


def _signature(make: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(make)
    except (ValueError, TypeError):
        return None


def _check_arguments(signature: inspect.Signature, given: Mapping[str, Any], code: Code) -> None:
    try:
        signature.bind(**given)
    except TypeError as error:
        known = [
            p.name for p in signature.parameters.values()
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        ]  # fmt: skip
        unknown = next((name for name in given if name not in known), None)
        hint = f" {did_you_mean(unknown, known)}" if unknown is not None else ""
        raise ModelError(
            f"{code.label} cannot be called: {error}.{hint} It takes {code.name}{signature}; got "
            f"{', '.join(given) or 'no arguments'}. Correct [classifier.arguments]."
        ) from None


def _unwrapped(network: nn.Module) -> nn.Module:
    """The network itself, where DataParallel or torch.compile was put round it."""
    from torch import nn

    while True:
        inner = getattr(network, "_orig_mod", None)
        if isinstance(network, nn.DataParallel):
            inner = network.module
        if not isinstance(inner, nn.Module):
            return network
        network = inner


def _check_network(network: nn.Module, code: Code) -> None:
    """Refuse networks whose weights cannot be counted yet, or whose layers cannot be watched."""
    import torch

    if isinstance(network, torch.jit.ScriptModule):
        raise ModelError(
            f"{code.label} returns a TorchScript module. Have it return the network as it is "
            'before torch.jit, or save it, module.save("net.ts"), and write checkpoint = "net.ts" '
            "without an architecture."
        )
    named = (*network.named_parameters(), *network.named_buffers())
    lazy = [name for name, tensor in named if torch.nn.parameter.is_lazy(tensor)]
    if lazy:
        raise ModelError(
            f"{code.label}: {', '.join(lazy[:3])} of lazy layers have no size yet. Give the sizes, "
            "nn.Linear(64, 10) for nn.LazyLinear(10), or have a function make the network and send "
            "one batch of zeros through it."
        )


def _without_empty_heads(network: nn.Module) -> nn.Module:
    """A head made for 0 classes, `nn.Linear(d, 0)`, passes its input on: those are the features."""
    from torch import nn

    for name, module in list(network.named_modules()):
        if name and isinstance(module, nn.Linear) and module.out_features == 0:
            parent, _, last = name.rpartition(".")
            setattr(network.get_submodule(parent), last, nn.Identity())
    return network


def _a(kind: str) -> str:
    return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"

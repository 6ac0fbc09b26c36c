"""The `+` grammar: from the name of a fusion to its class."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from ood_core.detectors.base import Detector
from ood_core.detectors.constraints import Flag
from ood_core.detectors.fusion import ROLES, Fusion
from ood_core.errors import ConfigError

__all__ = ["fusion_class"]


def fusion_class(name: str, known: Mapping[str, type[Detector]]) -> type[Fusion]:
    """Class of the fusion `name`, parts in any order.

    Parameters
    ----------
    name : names of detectors joined by "+".
    known : detectors that can be parts, by name and by alias.

    Raises
    ------
    ConfigError
        When a part is unknown or cannot be fused, or the parts do not make a score.
    """
    parts: dict[str, type[Detector]] = {}
    able = {n: cls for n, cls in known.items() if cls.fusion_role in ROLES}
    for piece in name.split("+"):
        cls = able.get(piece)
        if cls is None:
            problem = f"{piece!r} cannot take part" if piece in known else f"no {piece!r}"
            raise ConfigError(f"fusion {name!r}: {problem}. {_menu(able)}")
        role = str(cls.fusion_role)
        if role in parts:
            raise ConfigError(
                f"fusion {name!r}: {parts[role].name!r} and {piece!r} are both a {role}; one is "
                f"allowed. {_menu(able)}"
            )
        parts[role] = cls
    if "norm" not in parts or len(parts) < 2:
        raise ConfigError(
            f"fusion {name!r} needs one norm, and a clip or a distance or both. {_menu(able)}"
        )
    return _compose(tuple(parts[role] for role in ROLES if role in parts))


def _menu(able: Mapping[str, type[Detector]]) -> str:
    by_role = {r: [n for n, c in able.items() if (c.fusion_role, c.name) == (r, n)] for r in ROLES}
    return " ".join(f"{role.capitalize()}: {', '.join(by_role[role])}." for role in ROLES)


@cache
def _compose(members: tuple[type[Detector], ...]) -> type[Fusion]:
    parts = {str(cls.fusion_role): cls for cls in members}
    routes, defaults, constraints, sweep = _merged(parts)
    distance, clip = parts.get("distance"), parts.get("clip")
    if distance is not None:
        defaults["squared"] = distance.distance_power == 2
        constraints["squared"] = Flag("Squared distance", "Square the distance before dividing.")
        if clip is not None:
            defaults["clip_distance"] = False
            constraints["clip_distance"] = Flag(
                "Clip for distance", "Measure distance on clipped features too."
            )
    return type(
        "Fusion" + "".join(cls.__name__ for cls in members),
        (Fusion,),
        {
            "__doc__": Fusion.__doc__,
            "__module__": Fusion.__module__,
            "name": "+".join(cls.name for cls in members),
            "title": " + ".join(cls.short or cls.title for cls in members),
            "summary": _summary(parts),
            "equation": _equation(parts),
            "needs": _needs(parts),
            "layerwise": parts["norm"].layerwise,
            "nonnegative": any(cls.nonnegative for cls in members),
            "parts": parts,
            "remade": staticmethod(_remade),
            "routes": routes,
            "_defaults": defaults,
            "constraints": constraints,
            "sweep": sweep,
        },
    )


def _remade(members: tuple[type[Detector], ...]) -> Fusion:
    cls = _compose(members)
    return cls.__new__(cls)


def _merged(parts: Mapping[str, type[Detector]]) -> tuple[dict[str, Any], ...]:
    """Routes, defaults, constraints and sweeps of all parts under the fusion's names."""
    names = [key for cls in parts.values() for key in cls.defaults()]
    routes: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    constraints: dict[str, Any] = {}
    sweep: dict[str, Any] = {}
    for role, cls in parts.items():
        for own, value in cls.defaults().items():
            key = own if names.count(own) == 1 else f"{cls.name}_{own}"
            routes[key] = (role, own)
            defaults[key] = value
            if own in cls.constraints:
                constraints[key] = cls.constraints[own]
            if own in cls.sweep:
                sweep[key] = cls.sweep[own]
    return routes, defaults, constraints, sweep


def _needs(parts: Mapping[str, type[Detector]]) -> frozenset[str]:
    # A clip lends its threshold only, not the score that would need the head.
    scored = (cls.needs for role, cls in parts.items() if role != "clip")
    return frozenset({"fit"}).union(*scored)


def _summary(parts: Mapping[str, type[Detector]]) -> str:
    norm = parts["norm"].short or parts["norm"].title
    clipped = " of clipped activations" if "clip" in parts else ""
    if "distance" not in parts:
        return f"{norm}{clipped}: unusually large activations no longer count as confidence."
    distance = parts["distance"].short or parts["distance"].title
    return f"The {distance} distance, enlarged where the {norm}{clipped} is small."


def _equation(parts: Mapping[str, type[Detector]]) -> str:
    norm = parts["norm"].short or parts["norm"].title
    measured = rf"\mathrm{{{norm}}}(\min(a, c))" if "clip" in parts else rf"\mathrm{{{norm}}}(a)"
    if "distance" not in parts:
        return f"S(x) = {measured}"
    distance = parts["distance"].short or parts["distance"].title
    return rf"S(x) = -\, d_{{\mathrm{{{distance}}}}}(x) \,/\, {measured}"

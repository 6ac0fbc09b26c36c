"""Write docs/scores.md: what every detector's score means, from the detector classes themselves.

python scripts/score_list.py
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ood_core.detectors import Detector, all_detectors  # noqa: E402

TARGET = ROOT / "docs" / "scores.md"
_HEAD = """# Scores

Every score is higher for images that look more in-distribution. The sentence, the equation and
the source of each are those of the detector's class, which the dashboard shows behind the icon
beside the detector. $h$ is the penultimate feature, $z$ the logits, $a$ the activation of any
layer. `python scripts/score_list.py` writes this file; a test compares it with the classes.
"""
_NEEDS = {
    "logits": "logits",
    "head": "the classifier's last layer",
    "zero_shot": "a zero-shot head",
    "fit": "the fit set",
    "labels": "the fit set's labels",
    "model": "another forward pass",
}


def text() -> str:
    """The whole file."""
    parts, family = [_HEAD], ""
    for name, cls in all_detectors().items():
        if not cls.__module__.startswith("ood_core."):
            continue
        if cls.family != family:
            family = cls.family
            parts.append(f"## {family}\n")
        parts.append(_entry(name, cls))
    return "\n".join(parts)


def _entry(name: str, cls: type[Detector]) -> str:
    needs = ", ".join(_NEEDS[n] for n in _NEEDS if n in cls.needs) or "features alone"
    defaults = ", ".join(f"{k} = {v}" for k, v in cls.defaults().items() if k != "layer")
    told = f"Needs: {needs}. Parameters: {defaults or 'none'}."
    return (
        f"### {cls.title}: `{name}`\n\n{cls.summary}\n\n```math\n{cls.equation}\n```\n\n"
        f"{told} Source: {cls.reference}.\n"
    )


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")

"""What was checked, as lines: a mark, what was found, what to do."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ood_core.scoring import GateResult
    from ood_core.views.showcase import Remark
    from ood_core.wizard import Check

__all__ = ["lines_html", "remarks_html"]

_MARKS = {
    True: ("good", "✓", "holds"),
    False: ("bad", "✗", "fails"),
    None: ("open", "–", "cannot be checked"),
}
_OUTSIDE = ("outside", "○", "does not apply")


def lines_html(lines: Sequence[Check | GateResult]) -> str:
    """Checks as a list: a mark, what was checked, what was found, what to do."""
    rows = []
    for line in lines:
        kind, mark, word = _MARKS[line.ok] if getattr(line, "applies", True) else _OUTSIDE
        remedy = f"<span class='remedy'>{html.escape(line.remedy)}</span>" if line.remedy else ""
        rows.append(
            f"<li class='{kind}'><i role='img' aria-label='{word}' title='{word}'>{mark}</i>"
            f"<div><b>{html.escape(line.name)}</b>"
            f"<span>{html.escape(line.text)}</span>{remedy}</div></li>"
        )
    return f"<ul class='checks'>{''.join(rows)}</ul>"


def remarks_html(remarks: Sequence[Remark]) -> str:
    """Remarks as paragraphs, each with its heading in bold."""
    return "".join(
        f"<p class='remark'><b>{html.escape(r.title)}.</b> {html.escape(r.text)}</p>"
        for r in remarks
    )

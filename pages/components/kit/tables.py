"""A table of our own in a page's HTML."""

from __future__ import annotations

from html import escape

__all__ = ["wide_table"]


def wide_table(table: str, name: str) -> str:
    """HTML of a table that scrolls sideways by itself where the window is narrower.

    The keyboard reaches it, and `name` says to a screen reader what was reached.

    >>> wide_table("<table></table>", "Rates")
    "<div class='wide' role='group' tabindex='0' aria-label='Rates'><table></table></div>"
    """
    return f"<div class='wide' role='group' tabindex='0' aria-label='{escape(name)}'>{table}</div>"

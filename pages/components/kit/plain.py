"""Text that nobody vouches for, where Streamlit reads Markdown: shown as it is written."""

from __future__ import annotations

import re

from ood_core.runtime.names import in_markdown

__all__ = ["plain", "without_directives"]

_COLON = re.compile(r":(?=[\w+/-]+[:\[{])")
_JOINER = "\u2060"
"""Word joiner: nothing to see. Streamlit looks for :red[…], :smile: and :material/…: in what
Markdown has already read, so that an escape does not keep it from them."""


def plain(text: object, keep: str = "") -> str:
    """The text for a label, a caption or a message, whose Markdown nobody meant.

    Parameters
    ----------
    keep : characters that would be escaped as unreadable, such as the ends of lines of an error.
    """
    return without_directives(in_markdown(str(text), keep))


def without_directives(markdown: str) -> str:
    """Markdown in which nothing is Streamlit's own."""
    return _COLON.sub(":" + _JOINER, markdown)

"""Names of files as text that can be shown: one line, valid Unicode."""

from __future__ import annotations

import re

__all__ = ["shown"]

_UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(name: str) -> str:
    r"""The name with control characters, and bytes that are no UTF-8, as escapes.

    Such a name would break a message's line, a terminal or a page, which take valid text only.

    >>> print(shown("two\nlines"), shown("caf\udce9.png"))
    two\nlines caf\xe9.png
    """
    return _UNSHOWN.sub(_escaped, name)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return found[0].encode("unicode_escape").decode("ascii")

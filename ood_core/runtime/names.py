"""Names of files, and any text that nobody vouches for, made fit to be shown and written."""

from __future__ import annotations

import re

__all__ = ["in_markdown", "in_plotly", "in_utf8", "shown"]

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_UNREADABLE = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff{_BIDI}\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SHORT = {"\n": r"\n", "\t": r"\t", "\r": r"\r"}


def shown(text: str, keep: str = "") -> str:
    r"""The text in one line of characters that show themselves and do nothing else.

    Escaped as in Python are control characters, which drive a terminal; marks that turn the
    direction of writing, which let a name pass for another; and halves of surrogate pairs, which
    no encoding has. Among the last are bytes of a file name that are not UTF-8: `\xe9`.

    Parameters
    ----------
    keep : characters to leave as they are, such as the end of a line.

    Examples
    --------
    >>> print(shown("caf\udce9\n\x1b[31mred"))
    caf\xe9\n\x1b[31mred
    >>> print(shown("naïve 😀"))
    naïve 😀
    """
    return _UNREADABLE.sub(lambda m: m[0] if m[0] in keep else _escaped(m[0]), text)


def in_utf8(text: str) -> str:
    r"""The text with what UTF-8 has not escaped, and nothing else: for files.

    >>> print(in_utf8("caf\udce9 ü"), in_utf8("\ud83d"))
    caf\xe9 ü \ud83d
    """
    return _SURROGATE.sub(lambda m: _escaped(m[0]), text)


def in_markdown(text: str, keep: str = "") -> str:
    r"""The text, readable, where Markdown is read: shown as it is written.

    >>> print(in_markdown("**a** costs $5 for model_v2, `b` and c_"))
    \*\*a\*\* costs \$5 for model_v2, \`b\` and c\_
    """
    return _MARKDOWN.sub(lambda m: f"{m[0][:-1]}\\{m[0][-1]}", shown(text, keep))


def in_plotly(text: str) -> str:
    r"""The text, readable, where Plotly reads tags, LaTeX and templates: shown as it is written.

    >>> print(in_plotly("<b>a</b> costs $5, %{x} & more"))
    &lt;b&gt;a&lt;/b&gt; costs &#36;5, %&#123;x} &amp; more
    """
    return shown(text).translate(_PLOTLY)


_PLOTLY = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;", "{": "&#123;"})

_MARKDOWN = re.compile(
    r"""
    [`*$~<|]                        # code, emphasis, LaTeX, struck out, HTML, table
    | \\(?=[!-/:-@\[-`{-~])         # a backslash that would take the next character's meaning
    | (?<![^\W_])_ | _(?![^\W_])    # emphasis: an underscore within a word is none
    | &(?=\#?\w+;)                  # a character by its name
    | \](?=[(\[:])                  # a link
    | ^\s*[#>+=-]                   # heading, quotation, list, rule
    | ^\s*\d+[.)]                   # numbered list
    """,
    re.VERBOSE | re.MULTILINE,
)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that `os.fsdecode` could not decode
        code -= 0xDC00
    return _SHORT.get(character) or (rf"\x{code:02x}" if code < 0x100 else rf"\u{code:04x}")

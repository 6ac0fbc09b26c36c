"""Any text made fit to be shown: nothing is left that acts, and what is readable stays."""

from __future__ import annotations

import unicodedata

import pytest

from ood_core.runtime.names import in_markdown, in_utf8, shown

EVERY = [chr(code) for code in range(0x11000)] + ["\U0001f600", "\U000e0041", "\U0010ffff"]


def test_every_character_is_readable_or_escaped():
    for c in EVERY:
        written = shown(c)
        written.encode()
        assert unicodedata.category(written[0]) not in {"Cc", "Cs", "Zl", "Zp"}
        if unicodedata.category(c)[0] in "LNPS" or c == " ":
            assert written == c
        bidi = unicodedata.bidirectional(c)
        assert written == c or not written.startswith(c)
        if bidi in {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}:
            assert written == f"\\u{ord(c):04x}"


def test_only_surrogates_are_not_in_utf8():
    for c in EVERY:
        in_utf8(c).encode()
        assert (in_utf8(c) == c) is (unicodedata.category(c) != "Cs")


@pytest.mark.parametrize(
    ("text", "escaped"),
    [("a\tb\r\n", r"a\tb\r\n"), ("\udce9", r"\xe9"), ("\ud800", r"\ud800"), ("\x9b", r"\x9b")],
)
def test_escapes_are_those_of_python(text, escaped):
    assert shown(text) == escaped
    assert shown(text, keep="\n\r\t\x9b") == in_utf8(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("photo_2024 (1).png", "photo_2024 (1).png"),
        ("[detectors.nan]", "[detectors.nan]"),
        ("$x$", r"\$x\$"),
        ("<b>a</b>", r"\<b>a\</b>"),
        ("[a](b)", r"[a\](b)"),
        ("![a](b)", r"![a\](b)"),
        ("# a", r"\# a"),
        ("1. a", r"1\. a"),
        ("- a", r"\- a"),
        ("a - b", "a - b"),
        (r"a\*", r"a\\\*"),
        (r"C:\new", r"C:\new"),
        ("&lt;b&gt;", r"\&lt;b\&gt;"),
        ("_a_ b_c", r"\_a\_ b_c"),
        ("a|b", r"a\|b"),
    ],
)
def test_markdown_shows_what_was_written(text, written):
    assert in_markdown(text) == written

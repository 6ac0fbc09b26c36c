"""What the header of a FITS image says of its pixels, which Pillow does not look at."""

from __future__ import annotations

from contextlib import suppress

__all__ = ["fits_planes", "fits_range"]

_CARD, _BLOCK = 80, 2880


def fits_range(data: bytes) -> tuple[int, bool]:
    """Bits of the stored values, and whether they are shifted to hold unsigned ones.

    FITS integers of 16 and 32 bits have a sign; unsigned ones are stored less 2^(bits - 1), which
    the header names as BZERO.
    """
    cards = _cards(data)
    bits = int(_number(cards, "BITPIX"))
    unsigned = bits > 8 and _number(cards, "BSCALE", 1) == 1
    return abs(bits), unsigned and _number(cards, "BZERO") == 2 ** (bits - 1)


def fits_planes(data: bytes) -> int:
    """How many planes lie above each other, of which the first is read."""
    cards, planes = _cards(data), 1
    for axis in range(3, int(_number(cards, "NAXIS")) + 1):
        planes *= max(1, int(_number(cards, f"NAXIS{axis}", 1)))
    return planes


def _cards(data: bytes) -> dict[str, str]:
    """Keyword -> value up to the header of the first image; compressed ones keep their own."""
    cards: dict[str, str] = {}
    start = 0
    while start < len(data):
        card = data[start : start + _CARD].decode("latin-1")
        start += _CARD
        keyword = card[:8].strip()
        if keyword != "END":
            cards[keyword] = card[8:].split("/")[0].strip(" =")
            continue
        start = -(-start // _BLOCK) * _BLOCK
        if _number(cards, "NAXIS"):
            break
    own = {key[1:]: value for key, value in cards.items() if key[:1] == "Z"}
    return cards | own if "BITPIX" in own else cards


def _number(cards: dict[str, str], keyword: str, default: float = 0) -> float:
    with suppress(KeyError, ValueError):
        return float(cards[keyword].replace("D", "E"))
    return default

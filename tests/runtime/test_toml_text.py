"""What is written as TOML reads back as it was."""

from __future__ import annotations

import math
import struct
import tomllib
from pathlib import Path

import numpy as np
import pytest

from ood_core.errors import ConfigError
from ood_core.runtime.toml_text import toml_text

TEXTS = [
    "",
    "two\nlines\r\nand\ttabs",
    'quotes " and \'\'\' and """ and \\ back',
    "".join(map(chr, range(33))) + "\x7f\x85\u2028",
    "grüß 漢字 😀",
    "[ood] # = { }",
]


@pytest.mark.parametrize("text", TEXTS)
def test_text_reads_back_as_value_key_and_path(text: str) -> None:
    values = {"a": text, "b": [text, "x"], text: {text: 1}, "p": {"q": {text: [[text]]}}}
    assert tomllib.loads(toml_text(values)) == values
    plain = text.replace("\0", "")
    assert tomllib.loads(toml_text({"p": Path(plain)}))["p"] == str(Path(plain))


def test_floats_read_back_bit_by_bit() -> None:
    rng = np.random.default_rng(0)
    drawn = np.frombuffer(rng.bytes(8 * 4000), np.float64)
    edges = [0.0, -0.0, 5e-324, 1e16, 1e22, 0.1, 1 / 3, math.inf, -math.inf, 2.0**53]
    floats = [*edges, *drawn[np.isfinite(drawn)].tolist()]
    again = tomllib.loads(toml_text({"x": floats}))["x"]
    assert struct.pack(f"{len(floats)}d", *again) == struct.pack(f"{len(floats)}d", *floats)
    assert math.isnan(tomllib.loads(toml_text({"x": math.nan}))["x"])


def test_other_types_become_toml_s_own() -> None:
    values = {
        "flag": np.bool_(True), "whole": np.int64(3), "number": np.float32(0.5), "none": None,
        "row": np.arange(2.0), "pair": (1, 2), "big": 2**62, "inner": {"none": None, "x": False},
    }  # fmt: skip
    assert tomllib.loads(toml_text(values)) == {
        "flag": True, "whole": 3, "number": 0.5, "row": [0.0, 1.0], "pair": [1, 2],
        "big": 2**62, "inner": {"x": False},
    }  # fmt: skip


@pytest.mark.parametrize("values", [{"a": "x\udcff"}, {"\ud800": 1}, {"a": {"b": ["\udcff"]}}])
def test_a_lone_surrogate_is_refused(values: dict) -> None:
    with pytest.raises(ConfigError, match=r"\\ud.*' cannot be written to a TOML file.*surrogate"):
        toml_text(values)


def test_a_value_that_toml_lacks_is_named() -> None:
    with pytest.raises(ConfigError, match=r"params\.a\[1\] = None cannot be written .* NoneType"):
        toml_text({"params": {"a": [1, None]}})
    with pytest.raises(ConfigError, match=r"params\.f = .* cannot be written"):
        toml_text({"params": {"f": object()}})

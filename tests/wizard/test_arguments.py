"""Arguments of one's own code, as people write them."""

from __future__ import annotations

import pytest

from ood_core.errors import ConfigError
from ood_core.wizard.arguments import arguments_from, arguments_text

SAME = {"depth": 40, "dropout": 0.5, "bias": False, "widths": [16, 32], "norm": "batch"}


@pytest.mark.parametrize(
    "text",
    [
        'depth = 40\ndropout = 0.5\nbias = false\nwidths = [16, 32]\nnorm = "batch"',
        "depth=40\n dropout = 0.5 \n\nbias = False\nwidths = (16, 32)\nnorm = batch\n",
        '{"depth": 40, "dropout": 0.5, "bias": false, "widths": [16, 32], "norm": "batch"}',
        'depth = 40, dropout = 0.5, bias = false, widths = [16, 32], norm = "batch"',
        "depth=40,dropout=0.5, bias=False,widths=[16, 32],norm=batch",
        "depth = 40\ndropout=.5\nbias=False\nwidths=[16, 32]\nnorm='batch'",
    ],
)
def test_the_same_in_every_form(text: str) -> None:
    found = arguments_from(text)
    assert found == SAME
    assert [type(v) for v in found.values()] == [type(v) for v in SAME.values()]
    assert arguments_from(arguments_text(found)) == SAME


def test_tables_are_nested_arguments() -> None:
    found = arguments_from("[stem]\nwidth = 3\n")
    assert found == arguments_from('{"stem": {"width": 3}}') == {"stem": {"width": 3}}


def test_nothing_is_nothing() -> None:
    assert arguments_from(" \n") == {}
    assert arguments_text({}) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("depth", "name = value, got 'depth'"),
        ("two words = 3", "name = value, got 'two words = 3'"),
        ("depth = 40\ndepth = old", "given twice"),
        ('{"depth": }', "not a JSON object"),
        ("[stem\nwidth = 3", "not TOML"),
        ("stem = None", "stem is null"),
        ("depth =", "name = value"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        arguments_from(text)


def test_a_value_runs_nothing() -> None:
    call = "__import__('os').system('echo')"
    assert arguments_from(f"depth={call}") == {"depth": call}

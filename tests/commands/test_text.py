"""No text ends a command: neither what its streams cannot encode nor streams that are gone."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ood_core.commands import _main, all_commands
from ood_core.commands._terminal import Terminal, close_streams, open_streams
from ood_core.runtime.progress import Progress

ROOT = Path(__file__).parents[2]
HOSTILE = {
    "latin-1 bytes": "caf\udce9",
    "lone surrogate": "a\ud83d",
    "escape": "\x1b[31mred\x1b]0;title\x07",
    "c1": "a\x9b31mb",
    "newline": "a\nerror: b\r",
    "nul": "a\x00b",
    "right to left": "a\u202egnp.exe",
    "isolate": "a\u2066b\u2069",
    "emoji": "😀",
    "separators": "a\u2028b\u2029",
}
DRIVES = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(params=["ascii", "latin-1", "cp1252", "utf-8"])
def streams(request, monkeypatch):
    """Call it in the test: standard output and error of this encoding; then what is in them."""
    level = logging.root.level

    def opened():
        made = [io.TextIOWrapper(io.BytesIO(), encoding=request.param) for _ in range(2)]
        monkeypatch.setattr("sys.stdout", made[0])
        monkeypatch.setattr("sys.stderr", made[1])
        monkeypatch.setattr(logging.root, "handlers", [])
        open_streams()
        return lambda: [s.buffer.getvalue().decode(request.param) for s in made if not s.flush()]

    yield opened
    logging.root.setLevel(level)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_any_text_leaves_in_one_line_that_drives_nothing(streams, text):
    written = streams()
    terminal = Terminal()
    for write in (terminal.out, terminal.note):
        write(f"<{text}>")
    terminal.progress(Progress(text, 1, 2))
    terminal.progress(Progress(text, 2, 2))
    logging.getLogger("ood_core.test").error("%s", text)
    out, err = written()
    assert len(out.splitlines()) == 1
    assert re.fullmatch(r"<[^\n]+>\n", out)
    for said in (out, err):
        assert not DRIVES.search(said.replace("\r", "").replace("\x1b[A", ""))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_record_is_json_that_gives_the_text_back(streams, text):
    written = streams()
    Terminal().record({"path": text, text: 1, "other": "é"})
    (line,) = written()[0].splitlines()
    assert json.loads(line) == {"path": text, text: 1, "other": "é"}
    assert not DRIVES.search(line)


def test_readable_text_is_left_as_it_is(streams):
    written = streams()
    Terminal().out("plain, 'quoted' | table ~ $x$")
    assert written()[0] == "plain, 'quoted' | table ~ $x$\n"


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command line of bash, in which $OOD is the program."""
    env = os.environ | {"OOD": f"{sys.executable} -m ood_core"} | environment
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=ROOT, env=env, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["", *all_commands()])
def test_help_in_any_encoding(name, streams):
    written = streams()
    with pytest.raises(SystemExit) as done:
        _main.main([*([name] if name else []), "--help"])
    assert done.value.code == 0
    assert "usage" in written()[0]


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("PYTHONIOENCODING=ascii $OOD score --help", 0),
        ("LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 $OOD benchmark --help", 0),
        ("$OOD --help | true; exit 0", 0),
        ("$OOD experiments | true; exit 0", 0),
        ("$OOD experiments >&-", 0),
        ("$OOD experiments 2>&- ", 0),
        ("$OOD experiments <&- >&- 2>&-", 0),
        ("$OOD benchmark nope 2>&-", 2),
        ("$OOD benchmark nope >&- 2>&-", 2),
        ("$OOD experiments > /dev/full", 1),
        ("$OOD benchmark nope 2> /dev/full", 2),
        ("$OOD --help > /dev/full; exit 0", 0),
    ],
)
def test_streams_that_are_gone_end_nothing_in_a_traceback(command, status, tmp_path):
    done = shell(command, OOD_LENS_HOME=str(tmp_path))
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_what_was_given_cannot_drive_the_terminal_in_a_complaint(capsys):
    for argv in (["store", "--\x1b[31m"], ["frob\x1b[31m"], ["benchmark", "no\x1b]0;x\x07pe"]):
        with suppress(SystemExit):
            assert _main.main(argv) == 2
        assert not DRIVES.search(capsys.readouterr().err)


@pytest.fixture
def odd_files(tmp_path, monkeypatch) -> Path:
    """An experiment on images with names of every kind, in a file that is not named in UTF-8."""
    rng = np.random.default_rng(0)
    for folder in ("fit", "test", "odd"):
        (tmp_path / folder).mkdir()
        for i, text in enumerate(HOSTILE.values()):
            if "\x00" in text or "\ud83d" in text:
                continue
            buffer = io.BytesIO()
            image = Image.fromarray(rng.integers(0, 255, (16, 16), dtype=np.uint8))
            image.save(buffer, "PNG")
            name = f"{text.replace('/', '')}{i}.png"
            (tmp_path / folder / name).write_bytes(buffer.getvalue())
    lines = [
        'name = "e"', 'title = "t"', "[classifier]", 'architecture = "digits_cnn"',
        "random_weights = 3", "num_classes = 8", "[preprocessing]", "resize = 16",
        "center_crop = 16", "mean = [0.3]", "std = [0.3]", 'mode = "L"', "[id]",
        'fit = { folder = "fit" }', 'test = { folder = "test" }', "[[ood]]", 'name = "odd"',
        'folder = "odd"',
    ]  # fmt: skip
    file = tmp_path / "caf\udce9.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path / "home"))
    return file


def test_images_of_any_name_are_prepared_scored_and_written(odd_files, streams, tmp_path):
    written = streams()
    table = tmp_path / "t.csv"
    folder = str(tmp_path / "test")
    for argv in (
        ["extract", str(odd_files)],
        ["benchmark", str(odd_files), "--detectors", "nan", "--out", str(tmp_path / "b\udce9.csv")],
        ["theory", str(odd_files), "--out", str(table)],
        ["score", str(odd_files), "--detector", "nan", folder],
    ):
        assert _main.main(argv) == 0, written()[1]
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (len(HOSTILE) - 2)
    assert any(r"caf\xe90.png" in row.values() for row in rows)


def test_new_refuses_paths_that_toml_cannot_hold_before_any_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("ood_core.wizard.check_draft", lambda draft: pytest.fail("worked"))
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    argv = ["new", "mine", "--architecture", "digits_cnn", "--random-weights", "3"]
    argv += ["--fit", str(folder), "--test", str(folder), "--ood", f"odd={folder}"]
    assert _main.main(argv) == 2
    assert "cannot be written to a TOML file, which is UTF-8" in capsys.readouterr().err


def test_closing_twice_is_no_error():
    close_streams()
    close_streams()

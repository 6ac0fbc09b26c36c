"""`--trust`: without it no command runs an experiment's own code, with it each does."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ood_core.commands import _main as cli
from tests.models.test_own_networks import NET

FILE = """
[classifier]
architecture = "my_net.py:MyNet"
random_weights = 0
num_classes = 10
trust = "run this code"

[preprocessing]
resize = 32
center_crop = 32

[id]
fit = { builtin = "digits:fit", limit = 60 }
test = { builtin = "digits:test", limit = 60 }

[[ood]]
name = "noise"
builtin = "digits:noise"
limit = 60
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_net.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n{NET}")
    (tmp_path / "mine.toml").write_text(FILE)
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "photo.png")
    return tmp_path


COMMANDS = {
    "extract": [], "benchmark": ["--detectors", "msp,nan"],
    "score": ["--detector", "msp", "photo.png"],
    "export": ["--detector", "msp", "--out", "msp.pt2"], "theory": ["--per-set", "5"],
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs_code_with_consent_alone(mine, capsys, command) -> None:
    argv = [command, "mine.toml", *COMMANDS[command], "--quiet"]
    assert cli.main(argv) == 1
    told = capsys.readouterr().err
    assert "add --trust" in told
    assert "from torch import nn" in told
    assert str(mine / "my_net.py") in told
    assert "Traceback" not in told
    assert not (mine / "ran").exists()
    assert cli.main([*argv, "--trust"]) == 0
    assert "agreed to run MyNet" in capsys.readouterr().err
    assert (mine / "ran").exists()
    assert cli.main(argv) == 0, "asked once"


def test_trust_does_nothing_for_other_networks(mine, capsys) -> None:
    (mine / "mine.toml").write_text(
        FILE.replace("my_net.py:MyNet", "resnet20").replace('trust = "run this code"', "")
    )
    assert cli.main(["extract", "mine.toml", "--trust", "--quiet"]) == 0
    assert "agreed" not in capsys.readouterr().err


def test_new_makes_an_experiment_of_it(mine, capsys) -> None:
    for place, count in (("train", 6), ("test", 4)):
        for name in ("a", "b"):
            folder = mine / "photos" / place / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = np.full((32, 32, 3), 20 * i + len(name), np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    argv = [
        "new", "mine", "--architecture", "my_net.py:MyNet", "--random-weights", "0",
        "--num-classes", "2", "--arguments", "width = 6", "--fit", "photos/train", "--test",
        "photos/test", "--resize", "32", "--center-crop", "32", "--check", "0", "--quiet",
    ]  # fmt: skip
    assert cli.main(argv) != 0
    said = " ".join(capsys.readouterr())
    assert 'trust = "run this code"' in said
    assert "add --trust" in said
    assert not (mine / "ran").exists()
    assert cli.main([*argv, "--trust"]) == 0
    assert "2 classes, 6 penultimate features" in capsys.readouterr().out
    assert cli.main(["extract", "mine", "--quiet"]) == 0
    argv[argv.index("width = 6")] = "width 6"
    assert cli.main([*argv, "--trust", "--force"]) == 2
    assert "arguments must read name = value, got 'width 6'" in capsys.readouterr().err

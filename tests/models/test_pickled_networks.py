"""Whole pickled networks: refused, nothing in them run, and the lines that convert them work."""

from __future__ import annotations

import functools
import os
import pickle
import re
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

from ood_core.errors import ModelError
from ood_core.models.checkpoints import read_checkpoint
from ood_core.models.pickled_networks import how_to_convert, pickled_networks


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.body(x))


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(path.name)
    return str(caught.value)


SAVED = {
    "whole": (lambda net: net, ""),
    "in a table": (lambda net: {"epoch": 3, "model": net}, "['model']"),
    "deeper": (lambda net: {"a": {"nets": [1, net]}}, "['a']['nets'][1]"),
    "ordered": (lambda net: OrderedDict(x=net), "['x']"),
    "parallel": (nn.DataParallel, ".module"),
    "in a tuple": (lambda net: (net, 3), "[0]"),
}


@pytest.mark.parametrize("how", SAVED)
@pytest.mark.parametrize("form", ["zip", "legacy", "pickle", "protocol 4"])
def test_the_lines_convert_it(tmp_path, how, form) -> None:
    make, keys = SAVED[how]
    net, path = Own().eval(), tmp_path / "it's best.pt"
    if form == "pickle":
        path.write_bytes(pickle.dumps(make(net)))
    else:
        options = {"legacy": {"_use_new_zipfile_serialization": False}}
        torch.save(
            make(net), path, **options.get(form, {"pickle_protocol": 4 if "4" in form else 2})
        )
    said = refused(path)
    assert "which can run code when loaded, so it was not loaded" in said
    assert f"{__name__}.Own" in said
    assert f'architecture = "{__name__}:Own" with trust = "run this code"' in said
    lines = re.findall(r"^    (.*)$", said, re.M)
    assert len(lines) == 4
    assert lines[1].endswith(f"){keys}")
    script = tmp_path / "convert.py"
    exported = how == "whole"  # which takes seconds
    script.write_text("\n".join(lines if exported else lines[:3]))
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    state = torch.load(tmp_path / "it's best-weights.pt", weights_only=True)
    assert all(torch.equal(state[k], v) for k, v in net.state_dict().items())
    if not exported:
        return
    program = torch.export.load(tmp_path / "it's best.pt2").module()
    x = torch.randn(5, 3, 224, 224)
    torch.testing.assert_close(program(x), net(x))


def test_a_class_of_a_script_is_told_so(tmp_path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import torch\nclass Net(torch.nn.Module):\n  pass\ntorch.save(Net(), 'net.pt')\n"
    )
    subprocess.run([sys.executable, str(script)], cwd=tmp_path, check=True)
    said = refused(tmp_path / "net.pt")
    assert "after: from YOUR_FILE import Net" in said
    assert 'architecture = "YOUR_FILE.py:Net"' in said


def test_networks_of_libraries_are_told_by_their_names(tmp_path) -> None:
    import torchvision

    path = tmp_path / "net.pt"
    torch.save(torchvision.models.squeezenet1_1(), path)
    assert 'architecture = "torchvision:NAME"' in refused(path)
    torch.save(nn.Sequential(nn.Flatten(), nn.Linear(3, 3)), path)
    assert "a function of your own that builds the torch.nn.Sequential" in refused(path)


class Runs:
    """Writes a file where it is loaded."""

    def __init__(self, command: tuple) -> None:
        self.command = command

    def __reduce__(self) -> tuple:
        return self.command


class Outer:
    class Inner(Own):
        def other(self) -> None: ...


def test_a_class_inside_another_and_methods_that_are_kept(tmp_path) -> None:
    path, model = tmp_path / "net.pt", Outer.Inner()
    model.step = model.other
    torch.save(model, path)
    said = refused(path)
    assert "Outer.Inner" in said
    assert "which no network needs" not in said
    assert "torch.load(" in said
    assert 'architecture = "YOUR_FILE.py:FUNCTION"' in said


def test_a_module_of_python_inside_another_is_no_class(tmp_path) -> None:
    body = b"ctorch.serialization\nos.system\n(S'true'\ntR."
    path = tmp_path / "net.pkl"
    path.write_bytes(b"\x80\x04" + body)
    assert pickled_networks(path)[1] == ("torch.serialization.os.system",)


def _commands(marker: Path) -> list[tuple]:
    text = str(marker)
    return [
        (os.system, (f"touch {text}",)),
        (subprocess.call, (["touch", text],)),
        (eval, (f"open({text!r}, 'w')",)),
        (exec, (f"open({text!r}, 'w')",)),
        (open, (text, "w")),
        (getattr, (marker, "touch")),
        (functools.partial, (os.system, f"touch {text}")),
        (Path.touch, (marker,)),
    ]


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("form", ["zip", "legacy", "pickle", "protocol 0"])
@pytest.mark.parametrize("network", [True, False])
def test_malicious_pickles_write_no_file(tmp_path, number, form, network) -> None:
    marker, path = tmp_path / "ran", tmp_path / "net.pt"
    runs = Runs(_commands(marker)[number])
    content = {"x": runs, "model": Own()} if network else {"x": runs}
    if form == "zip":
        torch.save(content, path)
    elif form == "legacy":
        torch.save(content, path, _use_new_zipfile_serialization=False)
    else:
        path.write_bytes(pickle.dumps(content, 0 if "0" in form else 4))
    marker.unlink(missing_ok=True)
    said = refused(path)
    pickled_networks(path)
    assert not marker.exists()
    if network and form != "protocol 0":
        assert "which no network needs: do not load it" in said
        assert "torch.load(" not in said


def test_a_networks_own_state_may_not_run_either(tmp_path) -> None:
    net, marker = Own(), tmp_path / "ran"
    net.more = Runs((os.system, (f"touch {marker}",)))
    torch.save(net, tmp_path / "net.pt")
    assert "do not load it" in refused(tmp_path / "net.pt")
    assert not marker.exists()


HOSTILE = [
    b"", b"\x80", b"\x80\x02.", b"\x80\x02c", b"\x80\x04\x95" + b"\xff" * 8, b"\x80\x02(((((",
    b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00lsR.", b"\x80\x02}b.", b"\x80\x02h\xff.",
    b"\x80\x02\x82\x01.", b"\x80\x02cos\nsystem\n}b.", b"\x80\x02" + b"(" * 100000 + b".",
    b"\x80\x02" + b"]" * 100000 + b"a" * 99999 + b".", b"\x80\x05\x97.",
    b"\x80\x02c__main__\nA\nB\n)\x81.", b"\x80\x02c__main__\nA\x1b[31m\n)\x81}(X\x08\x00\x00\x00"
    b"_modules}X\x0b\x00\x00\x00_parameters}ub.",
]  # fmt: skip


@pytest.mark.parametrize("content", HOSTILE)
def test_damaged_and_hostile_pickles_find_nothing_and_do_no_harm(tmp_path, content) -> None:
    path = tmp_path / "net.pt"
    path.write_bytes(content)
    said = how_to_convert(path)
    assert said.isprintable()
    assert "torch.load(" not in said


def test_a_state_dict_is_no_network(tmp_path) -> None:
    path = tmp_path / "net.pt"
    torch.save({"model": Own().state_dict()}, path)
    assert how_to_convert(path) == ""
    assert how_to_convert(Path(__file__)) == ""

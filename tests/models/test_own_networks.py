"""Networks of one's own: nothing runs unasked, what runs is what was agreed to, errors are told."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import py_compile
import re
import sys
import textwrap
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from ood_core.errors import ModelError, OODLensError
from ood_core.experiments import Experiment
from ood_core.experiments.own_code import TRUST
from ood_core.models import (
    CodeNotTrustedError,
    code_request,
    load_model,
    model_fingerprint,
    only_command_line_consents,
    trust_code,
)
from ood_core.models.own_networks import COMMAND_LINE, find_code
from ood_core.wizard.arguments import arguments_from

NET = """
import torch
from torch import nn


class MyNet(nn.Module):
    def __init__(self, num_classes=10, width=8):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x):
        return self.fc(self.body(x))


def build(num_classes=10):
    return MyNet(num_classes)
"""


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A file that malicious code would write."""
    return tmp_path / "ran"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def writer(name: str, source: str = NET) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
        return path

    return writer


@pytest.fixture
def own(experiment: Callable[..., Experiment]) -> Callable[..., Experiment]:
    """An experiment with a network of one's own, agreed to unless asked otherwise."""

    def make(architecture: str, agreed: bool = True, **fields: object) -> Experiment:
        given = {"random_weights": 0, "trust": TRUST, **fields}
        exp = experiment(architecture, **given)
        if agreed:
            trust_code(exp)
        return exp

    return make


def evil(marker: Path) -> str:
    return f"open({str(marker)!r}, 'w').close()\n{NET}"


def test_the_same_network_as_loaded_by_hand(write, own, tmp_path) -> None:
    path = write("nets/my_net.py")
    torch.manual_seed(3)
    scope: dict = {}
    exec(path.read_text(), scope)
    known = scope["MyNet"](4, width=6).eval()
    torch.save(known.state_dict(), tmp_path / "best.pt")
    exp = own(
        f"{path}:MyNet", num_classes=4, arguments={"width": 6}, random_weights=None,
        checkpoint=tmp_path / "best.pt",
    )  # fmt: skip
    loaded = load_model(exp)
    x = torch.randn(5, 3, 32, 32)
    assert torch.equal(loaded.module(x), known(x))
    assert loaded.head is not None
    assert loaded.head.n_classes == 4
    assert loaded.head_name == "fc"


@pytest.mark.parametrize("name", ["MyNet", "build"])
def test_without_consent_nothing_runs(write, own, marker, name) -> None:
    path = write("my_net.py", evil(marker))
    exp = own(f"{path}:{name}", agreed=False)
    model_fingerprint(exp)
    request = code_request(exp)
    assert request is not None
    assert request.path == path
    with pytest.raises(CodeNotTrustedError, match="nobody has agreed") as caught:
        load_model(exp)
    assert request.digest in str(caught.value)
    assert "--trust" in str(caught.value)
    assert "import torch" in str(caught.value)
    assert not marker.exists()
    trust_code(exp)
    assert not marker.exists(), "agreeing runs nothing yet"
    assert code_request(exp) is None
    load_model(exp)
    assert marker.exists()


def test_the_file_must_say_it_too(write, own, marker) -> None:
    exp = own(f"{write('my_net.py', evil(marker))}:MyNet", agreed=False, trust=None)
    for run in (load_model, trust_code):
        with pytest.raises(ModelError, match="does not say trust"):
            run(exp)
    assert not marker.exists()


def test_consent_is_for_content_and_name(write, own, marker, tmp_path) -> None:
    path = write("my_net.py")
    exp = own(f"{path}:MyNet")
    load_model(exp)
    other = write("elsewhere/other/my_net.py")
    load_model(own(f"{other}:MyNet", agreed=False))  # the same content at another place
    with pytest.raises(CodeNotTrustedError):
        load_model(own(f"{path}:build", agreed=False))  # another function of it
    path.write_text(evil(marker))
    with pytest.raises(CodeNotTrustedError):
        load_model(exp)
    assert not marker.exists()
    kept = json.loads(_trusted().read_text())
    (entry,) = [e for e in kept.values() if e["path"] == str(path)]
    assert entry["date"].startswith("20")


def _trusted() -> Path:
    from ood_core.runtime.paths import home

    return home() / "trusted.json"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"x": 3}', "null", "[" * 100000])
def test_a_damaged_record_is_no_consent(write, own, content) -> None:
    exp = own(f"{write('my_net.py')}:MyNet")
    _trusted().write_text(content)
    assert code_request(exp) is not None
    trust_code(exp)
    assert code_request(exp) is None


def test_code_that_changed_while_it_was_shown_is_not_agreed_to(write, own) -> None:
    path = write("my_net.py")
    exp = own(f"{path}:MyNet", agreed=False)
    request = code_request(exp)
    path.write_text(NET + "\nX = 1\n")
    with pytest.raises(ModelError, match="changed since it was shown"):
        trust_code(exp, request.digest)
    assert code_request(exp) is not None


def test_consents_at_the_same_time_are_all_kept(write, own) -> None:
    exps = [own(f"{write(f'{n}/net.py', f'{NET}# {n}')}:MyNet", agreed=False) for n in range(8)]
    threads = [threading.Thread(target=trust_code, args=(exp,)) for exp in exps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(code_request(exp) is None for exp in exps)


@pytest.mark.parametrize("how", ["variable", "told"])
def test_where_others_use_it_only_the_command_line_agrees(write, own, monkeypatch, how) -> None:
    exp = own(f"{write('my_net.py')}:MyNet")
    assert code_request(exp) is None
    if how == "variable":
        monkeypatch.setenv("OOD_LENS_NO_CODE", "1")
    else:
        only_command_line_consents(True)
    try:
        request = code_request(exp)
        assert request is not None
        assert request.only_operator
        assert "operator" in request.text
        for by in ("page", "Python"):
            with pytest.raises(CodeNotTrustedError):
                trust_code(exp, by=by)
        with pytest.raises(CodeNotTrustedError):
            load_model(exp)
        trust_code(exp, by=COMMAND_LINE)
        load_model(exp)
    finally:
        only_command_line_consents(False)
    monkeypatch.delenv("OOD_LENS_NO_CODE", raising=False)
    trust_code(exp, by="page")
    monkeypatch.setenv("OOD_LENS_NO_CODE", "1")
    assert code_request(exp) is None, "a visitor's consent does not take the operator's back"


ELSEWHERE = [
    "os:system", "subprocess:Popen", "builtins:eval", "pathlib:Path", "shutil:rmtree",
    "importlib:import_module", "runpy:run_path", "ctypes:CDLL", "posix:system",
]  # fmt: skip


@pytest.mark.parametrize("architecture", ELSEWHERE)
def test_what_is_pythons_own_is_never_called(own, architecture, marker) -> None:
    exp = own(architecture, agreed=False, arguments={"command": f"touch {marker}"})
    for run in (load_model, trust_code, code_request):
        with pytest.raises(ModelError, match="belongs to Python itself"):
            run(exp)
    assert not marker.exists()


@pytest.mark.parametrize(
    "line",
    [
        "from os import system as MyNet", "from subprocess import Popen as MyNet",
        "from pathlib import Path as MyNet", "from builtins import eval as MyNet",
        "from shutil import copyfile as MyNet", "from torch.nn import Linear as MyNet",
        "from torch.hub import load as MyNet", "import os as MyNet", "MyNet = 3",
        "MyNet = torch.nn.Linear(3, 3)", "import functools; MyNet = functools.partial(print)",
        "class MyNet: pass", "class MyNet(dict): pass",
        "import shutil, functools\n@functools.wraps(lambda: 0)\ndef x(): 0\nMyNet = shutil.rmtree",
    ],
)  # fmt: skip
def test_what_is_no_network_is_not_called(write, own, line) -> None:
    exp = own(f"{write('my_net.py', 'import torch' + chr(10) + line)}:MyNet")
    with pytest.raises(ModelError, match=r"my_net.py:MyNet is "):
        load_model(exp)


def test_a_function_that_returns_something_else_is_refused(write, own) -> None:
    for text in ("return None", "return [1]", "import torch; return torch.zeros(3)"):
        exp = own(f"{write('my_net.py', f'def make(): {text}')}:make")
        with pytest.raises(ModelError, match=r"my_net.py:make returns an? .*no torch.nn.Module"):
            load_model(exp)


# Errors of someone's code.

BROKEN = {
    "raise KeyError('gone')": r"cannot be imported \(.*my_net.py, line 1: raise KeyError.*KeyError",
    "def f(:": r"\(.*my_net.py, line 1: def f\(:\).*SyntaxError",
    "import sys; sys.exit(3)": "it ends the program",
    "raise SystemExit": "it ends the program",
    "import argparse; argparse.ArgumentParser().parse_args(['--x'])": "it ends the program",
    "input('?')": "it reads standard input",
    "import nowhere_to_be_found": "'nowhere_to_be_found' is neither installed nor beside",
    "from . import nothing": "cannot be imported",
    "from ..above import nothing": "cannot be imported",
    "import my_net; my_net.MyNet": "cannot be imported",
    "class E(BaseException): pass\nraise E": "cannot be imported .*line 2.*: E",
    "def f(): f()\nf()": "RecursionError",
    "\0": "cannot be imported",
    "X = 1": "has no 'MyNet'",
    "class MyNett(__import__('torch').nn.Module): pass": "Did you mean 'MyNett'",
    "from torch import nn\nclass MyNet(nn.Module):\n  def __init__(self):\n    1/0":
        r"cannot be constructed \(.*line 4: 1/0\): ZeroDivisionError",
    "from torch import nn\nclass MyNet(nn.Module):\n  def __init__(self, depth): pass":
        "missing a required argument: 'depth'.* It takes MyNet.*depth",
    "from torch import nn\nclass MyNet(nn.Module):\n  def __init__(self, a, /): pass":
        "cannot be called",
}  # fmt: skip


@pytest.mark.parametrize("source", BROKEN)
def test_what_goes_wrong_in_it_is_told(write, own, source) -> None:
    exp = own(f"{write('my_net.py', source)}:MyNet")
    for _ in range(2):  # and told again the second time
        with pytest.raises(ModelError, match=BROKEN[source]) as caught:
            load_model(exp)
        assert "Traceback" not in str(caught.value)
        assert "_ood_lens_" not in str(caught.value)


def test_an_unknown_argument_is_told_with_the_signature(write, own) -> None:
    exp = own(f"{write('my_net.py')}:MyNet", arguments={"widht": 3})
    with pytest.raises(ModelError, match=r"'widht'.*Did you mean 'width'.*MyNet\(.*got widht"):
        load_model(exp)


FORWARD = """
from torch import nn

class MyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 4)

    def forward(self, x{more}):
        z = self.fc(x.mean((2, 3)))
        {end}
"""


@pytest.mark.parametrize(
    ("more", "end", "message"),
    [
        (
            "",
            "return z, x",
            r"got tuple of 0 \(2, 4\), 1 \(2, 3, 32, 32\)\. Have forward",
        ),
        ("", "return {'logits': z}", r"got dict of logits \(2, 4\)\. Have forward return one"),
        ("", "return [z]", r"got list of 0 \(2, 4\)\. Have forward return one"),
        ("", "return None", "got NoneType"),
        (", mask", "return z", "'mask'"),
        ("", "return z[:, missing]", "NameError"),
        ("", "return {}['x']", "KeyError"),
        ("", "import sys; sys.exit()", "SystemExit"),
        ("", "return z[:, :0]", "no number"),
        ("", "return z.detach()", "followed back.*torch.no_grad"),
        ("", "return self.fc(x.mean((2, 3)).half())", "another type of numbers.*float32"),
        ("", "raise RuntimeError('Found no NVIDIA driver')", r"graphics card.*x\.device"),
    ],
)
def test_a_forward_that_does_not_fit_is_told(write, own, more, end, message) -> None:
    exp = own(f"{write('my_net.py', FORWARD.format(more=more, end=end))}:MyNet")
    with pytest.raises(ModelError, match=message):
        load_model(exp)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("torch.jit.trace(MyNet(), torch.zeros(1, 3, 8, 8))", r"TorchScript module.*net\.ts"),
        ("nn.Sequential(nn.Flatten(), nn.LazyLinear(3))", r"1\.weight, 1\.bias of lazy layers"),
    ],
)
def test_what_cannot_be_watched_is_told(write, own, made, message) -> None:
    path = write("my_net.py", f"{NET}\ndef ready():\n    return {made}\n")
    warnings.filterwarnings("ignore", category=FutureWarning)  # torch.jit's own
    with pytest.raises(ModelError, match=message):
        load_model(own(f"{path}:ready"))


@pytest.mark.parametrize("wrapper", ["nn.DataParallel", "torch.compile"])
def test_what_training_puts_round_a_network_is_taken_off(write, own, wrapper) -> None:
    path = write("my_net.py", f"{NET}\ndef ready():\n    return {wrapper}(MyNet())\n")
    loaded = load_model(own(f"{path}:ready"))
    assert type(loaded.module).__name__ == "MyNet"
    assert loaded.head_name == "fc"


def test_a_checkpoint_goes_in_by_order(write, own, tmp_path) -> None:
    path = write("my_net.py")
    scope: dict = {}
    exec(path.read_text(), scope)
    known = scope["MyNet"](4).state_dict()
    renamed = {k.replace("body.0", "stem.c").replace("fc", "out"): v for k, v in known.items()}
    torch.save(renamed, tmp_path / "w.pt")
    given = {"num_classes": 4, "random_weights": None, "checkpoint": tmp_path / "w.pt"}
    with pytest.raises(ModelError, match="does not fit"):
        load_model(own(f"{path}:MyNet", **given))
    loaded = load_model(own(f"{path}:MyNet", keys="in order", **given))
    assert torch.equal(loaded.module.get_submodule("fc").weight, known["fc.weight"])


def test_a_checkpoint_that_does_not_fit_names_the_network(
    write, own, tmp_path, monkeypatch
) -> None:
    def searched(*_: object) -> None:
        raise AssertionError("no known architecture is searched for code of one's own")

    monkeypatch.setattr("ood_core.models.refusals.nearest_architectures", searched)
    monkeypatch.setattr("ood_core.models.refusals.nearest_to", searched)
    torch.save({"fc.weight": torch.zeros(10, 8)}, tmp_path / "w.pt")
    exp = own(
        f"{write('my_net.py')}:MyNet", random_weights=None, checkpoint=tmp_path / "w.pt"
    )  # fmt: skip
    with pytest.raises(
        ModelError, match=r"does not fit 'my_net.py:MyNet'.*missing.*body.0"
    ) as told:
        load_model(exp)
    assert "arguments that the weights were trained with" in str(told.value)


def test_a_checkpoint_of_more_classes_says_how_many(write, own, tmp_path) -> None:
    path = write("my_net.py")
    scope: dict = {}
    exec(path.read_text(), scope)
    torch.save(scope["MyNet"](7).state_dict(), tmp_path / "w.pt")
    exp = own(f"{path}:MyNet", random_weights=None, checkpoint=tmp_path / "w.pt")
    with pytest.raises(ModelError, match=r"2 of another shape.*has 7 classes.*num_classes"):
        load_model(exp)


@pytest.mark.parametrize("name", ["found", "ood_found", "ready", "temperature", "layers"])
def test_a_part_of_any_name_is_a_part(write, own, name) -> None:
    source = NET.replace("self.body", f"self.{name}")
    loaded = load_model(own(f"{write('my_net.py', source)}:MyNet"))
    assert loaded.head is not None
    assert loaded.head.n_features == 8


def test_num_classes_is_passed_where_it_is_asked_for(write, own) -> None:
    path = write("my_net.py")
    assert load_model(own(f"{path}:MyNet", num_classes=7)).head.n_classes == 7
    given = own(f"{path}:MyNet", arguments={"num_classes": 3})
    assert load_model(given).head.n_classes == 3
    plain = "\ndef three(): return MyNet(3)\ndef anything(**more): return MyNet(3)"
    path.write_text(NET + plain)
    for name in ("three", "anything"):
        assert load_model(own(f"{path}:{name}", num_classes=3)).head.n_classes == 3


def test_no_classes_are_features(write, own) -> None:
    loaded = load_model(own(f"{write('my_net.py')}:MyNet", num_classes=0))
    assert loaded.head is None
    assert loaded.module(torch.zeros(2, 3, 32, 32)).shape == (2, 8)
    source = NET.replace("self.fc = nn.Linear(width, num_classes)", "").replace("self.fc", "")
    source = source.replace("num_classes=10, ", "").replace("MyNet(num_classes)", "MyNet()")
    loaded = load_model(own(f"{write('encoder.py', source)}:MyNet", num_classes=0))
    assert loaded.head is None


# Files beside, packages, names.


def test_files_beside_are_found_hashed_and_run_as_hashed(write, own) -> None:
    write("blocks.py", "from deeper.more import WIDTH\n")
    deep = write("deeper/more.py", "WIDTH = 5\n")
    path = write("my_net.py", NET.replace("import torch\n", "from blocks import WIDTH\n", 1))
    path.write_text(path.read_text().replace("width=8", "width=WIDTH"))
    exp = own(f"{path}:MyNet")
    assert {f.path.name for f in find_code(f"{path}:MyNet").files} == {
        "my_net.py", "blocks.py", "more.py",
    }  # fmt: skip
    assert load_model(exp).head.n_features == 5
    before = model_fingerprint(exp)
    deep.write_text("WIDTH = 6\n")
    assert model_fingerprint(exp) != before
    with pytest.raises(CodeNotTrustedError):
        load_model(exp)
    trust_code(exp)
    assert load_model(exp).head.n_features == 6
    assert not {"blocks", "deeper", "my_net", "deeper.more"} & set(sys.modules)
    assert not list(path.parent.rglob("__pycache__"))


@pytest.mark.parametrize(
    "line",
    ["from .parts import WIDTH", "from nets.sub.parts import WIDTH", "from . import parts",
     "import nets.sub.parts as p; WIDTH = p.WIDTH", "import nets.sub.parts; WIDTH = 1"],
)  # fmt: skip
def test_a_package_is_taken_whole(write, own, line) -> None:
    write("nets/__init__.py", "")
    write("nets/sub/__init__.py", "")
    write("nets/unused.py", "")
    write("nets/sub/parts.py", "WIDTH = 8")
    path = write("nets/sub/my_net.py", f"{line}\n{NET}")
    exp = own(f"{path}:MyNet")
    assert len(find_code(f"{path}:MyNet").files) == 5
    load_model(exp)
    before = model_fingerprint(exp)
    write("nets/unused.py", "X = 1")
    assert model_fingerprint(exp) != before


def test_imports_in_a_circle_work_as_python_has_them(write, own) -> None:
    write("other.py", "import my_net\n\ndef width(): return 8\n")
    path = write("my_net.py", "import other\n" + NET)
    load_model(own(f"{path}:MyNet"))


def test_a_helper_that_is_imported_later_is_found(write, own) -> None:
    write("late.py", "def double(x): return 2 * x")
    source = NET.replace("return self.fc", "import late\n        return late.double(0.5) * self.fc")
    load_model(own(f"{write('my_net.py', source)}:MyNet"))


@pytest.mark.parametrize("name", ["torch.py", "numpy.py", "types.py", "my-net.py", "1st.py"])
def test_a_file_may_be_called_anything(write, own, name) -> None:
    import types

    import numpy

    there = {"torch": torch, "numpy": numpy, "types": types}
    load_model(own(f"{write(name, 'import types, numpy' + chr(10) + NET)}:MyNet"))
    assert {n: sys.modules[n] for n in there} == there


def test_a_file_beside_does_not_stand_in_for_an_installed_one(write, own) -> None:
    write("torch.py", "raise RuntimeError('not torch')")
    write("random.py", "raise RuntimeError('not random')")
    load_model(own(f"{write('my_net.py', 'import random' + NET)}:MyNet"))


def test_two_files_of_one_name_are_two_modules(write, own) -> None:
    one, two = (write(f"{n}/my_net.py", NET.replace("=8", f"={n}")) for n in (5, 6))
    for path in (one, two):
        write(f"{path.parent.name}/helper.py", f"N = {path.parent.name}")
        path.write_text("from helper import N\n" + path.read_text().replace("10", "N"))
    found = [load_model(own(f"{path}:MyNet")) for path in (one, two, one)]
    assert [f.head.n_features for f in found] == [5, 6, 5]
    assert [f.head.n_classes for f in found] == [5, 6, 5]
    assert len({f.fingerprint for f in found}) == 2


def test_what_it_changes_is_put_back(write, own, tmp_path, capsys) -> None:
    write("hidden/stray_helper_of_mine.py", "X = 1")
    path = write(
        "my_net.py",
        f"""
import sys, torch
sys.path.insert(0, {str(tmp_path / "hidden")!r})
import stray_helper_of_mine
torch.set_default_dtype(torch.float64)
print("hello")
{NET}
torch.set_default_dtype(torch.float32)
torch.set_default_dtype(torch.float16)
""",
    )
    before, stdin = list(sys.path), sys.stdin
    with pytest.raises(ModelError):
        load_model(own(f"{path}:nothing"))
    assert sys.path == before
    assert sys.stdin is stdin
    assert torch.get_default_dtype() is torch.float32
    assert "stray_helper_of_mine" not in sys.modules
    assert capsys.readouterr().out == ""


# Modules that are installed, or importable.


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package that Python finds."""
    site = tmp_path / "site"
    package = site / "my_pkg_of_tests"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "my_net.py").write_text(NET)
    (package / "other.py").write_text("")
    monkeypatch.syspath_prepend(site)
    yield package
    for name in [n for n in sys.modules if n.startswith("my_pkg_of_tests")]:
        del sys.modules[name]


def test_an_importable_module(installed, own, marker) -> None:
    (installed / "__init__.py").write_text(f"open({str(marker)!r}, 'w')")
    exp = own("my_pkg_of_tests.my_net:MyNet", agreed=False)
    model_fingerprint(exp)
    with pytest.raises(CodeNotTrustedError):
        load_model(exp)
    assert not marker.exists(), "not even the package above is imported"
    (installed / "__init__.py").write_text("")
    trust_code(exp)
    first = load_model(exp)
    (installed / "my_net.py").write_text(NET.replace("width=8", "width=9"))
    with pytest.raises(CodeNotTrustedError):
        load_model(exp)
    trust_code(exp)
    changed = load_model(exp)
    assert (first.head.n_features, changed.head.n_features) == (8, 9)
    assert first.fingerprint != changed.fingerprint


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("my_pkg_of_tests.my_nett:MyNet", r"no module .*Is it 'my_pkg_of_tests.my_net'.*Looked in"),
        ("my_pkg_of_test.my_net:MyNet", "Is it 'my_pkg_of_tests'"),
        ("nowhere_at_all:MyNet", "no module 'nowhere_at_all'.*beside the experiment file"),
        ("my_pkg_of_tests.my_net:MyNett", "Did you mean 'MyNet'"),
    ],
)
def test_a_module_that_is_not_there(installed, own, architecture, message) -> None:
    with pytest.raises(ModelError, match=message):
        load_model(own(architecture))


def test_a_module_that_leads_elsewhere_is_refused(installed, own, marker) -> None:
    (installed / "my_net.py").write_text("from torch.hub import load\nfrom os import system")
    for name in ("load", "system"):
        with pytest.raises(ModelError, match="Nothing was called"):
            load_model(own(f"my_pkg_of_tests.my_net:{name}", arguments={"command": "x"}))
    with pytest.raises(OODLensError):
        load_model(own("torch.hub:load", arguments={"repo_or_dir": "a/b", "model": "c"}))


# Identity.


def test_arguments_are_part_of_the_identity_and_the_place_is_not(write, own) -> None:
    here = own(f"{write('a/my_net.py')}:MyNet")
    there = own(f"{write('b/my_net.py')}:MyNet")
    wide = dataclasses.replace(
        here, classifier=dataclasses.replace(here.classifier, arguments={"width": 9})
    )
    assert model_fingerprint(here) == model_fingerprint(there)
    assert model_fingerprint(here) != model_fingerprint(wide)


def test_a_checkpoint_of_other_arguments_asks_for_them(write, own, tmp_path) -> None:
    path = write("my_net.py")
    torch.save(
        load_model(own(f"{path}:MyNet", arguments={"width": 6})).module.state_dict(),
        tmp_path / "a.pt",
    )
    with pytest.raises(ModelError, match="Give MyNet the arguments that the weights"):
        load_model(own(f"{path}:MyNet", random_weights=None, checkpoint=tmp_path / "a.pt"))


def test_nn_module_is_there(write, own) -> None:
    assert isinstance(load_model(own(f"{write('my_net.py')}:build")).module, nn.Module)


def test_the_example_of_the_documents_works(tmp_path, own) -> None:
    text = (Path(__file__).parents[2] / "docs" / "bring-your-own.md").read_text("utf-8")
    section = text.partition("\n## A network of your own\n")[2].partition("\n## ")[0]
    source = re.search(r"```python\n(# my_net.py\n.*?)```", section, re.S)
    command = re.search(r"--architecture (\S+) --arguments (\S+) --trust", section)
    assert source is not None
    assert command is not None
    (tmp_path / "my_net.py").write_text(source[1])
    exp = own(f"{tmp_path}/{command[1]}", arguments=arguments_from(command[2]))
    loaded = load_model(exp)
    assert loaded.head is not None
    assert (loaded.head.n_classes, loaded.head.n_features) == (3, 32)


@pytest.mark.parametrize("fc", ["nn.Linear(4, num_classes)", "nn.Identity()"])
def test_an_encoder_leaves_out_the_head_of_its_checkpoint(write, own, tmp_path, fc) -> None:
    source = """
    from torch import nn

    class MyNet(nn.Module):
        def __init__(self, num_classes=7):
            super().__init__()
            self.stem, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
            self.fc = {fc}

        def forward(self, x):
            return self.fc(self.norm(self.stem(x)).relu().mean((2, 3)))
    """
    scope: dict = {}
    exec(textwrap.dedent(source.format(fc="nn.Linear(4, num_classes)")), scope)
    torch.save(scope["MyNet"]().state_dict(), tmp_path / "w.pt")
    path = write("my_net.py", source.format(fc=fc))
    exp = own(
        f"{path}:MyNet", num_classes=0, random_weights=None, checkpoint=tmp_path / "w.pt"
    )  # fmt: skip
    loaded = load_model(exp)
    assert loaded.head is None
    assert loaded.weights is not None
    assert loaded.weights.left_out == ("fc.weight", "fc.bias")


def test_a_line_that_is_cut_says_so(write, own) -> None:
    path = write("my_net.py", f"x = 1;{' ' * 5000}import os\n{NET}")
    request = code_request(own(f"{path}:MyNet", agreed=False))
    assert request is not None
    assert re.fullmatch(r"x = 1; +… \(4,815 more characters\)", request.first_lines[0])


def test_what_a_module_of_the_working_folder_imports_is_asked_for(
    write, own, marker, tmp_path, monkeypatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    write("cwd_helper.py", "size = 1")
    write("cwd_net.py", f"import cwd_helper\n{NET}")
    exp = own("cwd_net:MyNet")
    load_model(exp)
    write("cwd_helper.py", evil(marker))
    with pytest.raises(CodeNotTrustedError):
        load_model(exp)
    assert not marker.exists()


def test_compiled_bytes_beside_a_module_are_not_run(
    write, own, marker, tmp_path, monkeypatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    path = write("cwd_compiled.py")
    hidden = write("hidden.py", evil(marker))
    py_compile.compile(
        str(hidden), importlib.util.cache_from_source(str(path)),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )  # fmt: skip
    load_model(own("cwd_compiled:MyNet"))
    assert not marker.exists()

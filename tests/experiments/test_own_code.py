"""Experiment files that name code of one's own: what they may say; reading runs nothing."""

from __future__ import annotations

import datetime
import sys
import tomllib

import pytest

from ood_core.errors import ConfigError
from ood_core.experiments import list_experiments, load_experiment, save_experiment, to_toml
from ood_core.experiments.own_code import is_own_code, resolved

FILE = """
[classifier]
architecture = "{architecture}"
random_weights = 0
{more}

[id]
fit = {{ builtin = "digits:fit" }}
test = {{ builtin = "digits:test" }}
"""
TRUST = 'trust = "run this code"'


@pytest.fixture
def read(tmp_path, monkeypatch):
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path / "home"))
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "my_net.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")

    def reader(architecture: str, more: str = TRUST):
        path = tmp_path / "mine.toml"
        path.write_text(FILE.format(architecture=architecture, more=more))
        return load_experiment(path)

    yield reader
    assert not (tmp_path / "ran").exists(), "reading a file ran its code"


def test_a_file_beside_is_found(read, tmp_path) -> None:
    spec = read("nets/my_net.py:MyNet").classifier
    assert spec.architecture == f"{tmp_path}/nets/my_net.py:MyNet"
    assert read("nets.my_net:MyNet").classifier.architecture == spec.architecture
    absolute = f"{tmp_path}/nets/my_net.py:MyNet"
    assert read(absolute).classifier.architecture == absolute


def test_it_is_written_as_it_was_read(read, tmp_path) -> None:
    more = (
        f"{TRUST}\n[classifier.arguments]\nwidth = 8\nnames = ['a', 'b']\nwhen = 2024-05-01\n"
        "inner = { depth = 3, rate = 0.1, on = true }"
    )
    exp = read("nets/my_net.py:MyNet", more)
    assert exp.classifier.arguments["when"] == datetime.date(2024, 5, 1)
    text = to_toml(exp, tmp_path)
    assert tomllib.loads(text)["classifier"]["architecture"] == "nets/my_net.py:MyNet"
    again = load_experiment(save_experiment(exp, tmp_path / "again.toml"))
    assert again.classifier == exp.classifier
    assert "arguments" not in to_toml(read("nets/my_net.py:MyNet"))


@pytest.mark.parametrize(
    ("architecture", "more", "message"),
    [
        ("nets/my_net.py:MyNet", "", r'Read it; then write trust = "run this code"'),
        ("nets/my_net.py:MyNet", "trust = 'yes'", 'trust must be "run this code", word for word'),
        ("nets/my_net.py:MyNet", "trust = true", "trust must be"),
        ("nets/gone.py:MyNet", TRUST, r"there is no file 'nets/gone.py'. Looked at .*nets/gone.py"),
        ("/etc/x.py:Y", TRUST, "there is no file '/etc/x.py'"),
        ("nets/my_net.txt:MyNet", TRUST, "no Python file"),
        ("nets/my_net.py:", TRUST, "must be a built-in name"),
        ("nets/my_net.py:My.Net", TRUST, "must be a built-in name"),
        ("nets/my_net.py:MyNet()", TRUST, "must be a built-in name"),
        ("my net:MyNet", TRUST, "must be a built-in name"),
        ("a..b:MyNet", TRUST, "must be a built-in name"),
        ("__main__:MyNet", TRUST, "__main__ is whichever program runs"),
        ("resnet20", "arguments = { width = 3 }", "arguments are for code of your own"),
        ("nets/my_net.py:MyNet", f"{TRUST}\narguments = 3", "arguments must be a table"),
        ("nets/my_net.py:MyNet", f'{TRUST}\nfeatures = "body"', "leave features out"),
        (":MyNet", TRUST, "no file or module before the colon"),
        (f"{'x' * 5000}.py:MyNet", TRUST, "there is no file"),
        ("nets/my_net.py:MyNet", f'{TRUST}\narguments = {{ "a b" = 3 }}', "'a b' in arguments"),
    ],
)
def test_what_a_file_cannot_say(read, architecture, more, message) -> None:
    with pytest.raises(ConfigError, match=message):
        read(architecture, more)


def test_a_folder_is_no_file(read, tmp_path) -> None:
    (tmp_path / "nets" / "odd.py").mkdir()
    with pytest.raises(ConfigError, match="is a folder, no Python file"):
        read("nets/odd.py:MyNet")


def test_published_weights_are_not_for_it(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    text = FILE.format(architecture="a.b:C", more=TRUST)
    path.write_text(text.replace("random_weights = 0", "weights = 'x'"))
    with pytest.raises(ConfigError, match="weights names published weights"):
        load_experiment(path)


@pytest.mark.parametrize("architecture", ["os:system", "subprocess:Popen", "this:s"])
def test_listing_imports_nothing(tmp_path, monkeypatch, architecture) -> None:
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path))
    module = architecture.partition(":")[0]
    before = module in sys.modules
    folder = tmp_path / "experiments"
    folder.mkdir()
    (folder / "evil.toml").write_text(FILE.format(architecture=architecture, more=TRUST))
    assert "evil" in [e.name for e in list_experiments()]
    assert (module in sys.modules) == before


def test_names_of_collections_are_not_code() -> None:
    for name in ("timm:resnet50", "torchvision:resnet50", "timm:vit:x", "resnet20", "onnx", ":x"):
        assert not is_own_code(name)
    assert is_own_code("torchvision.models:resnet18")
    assert is_own_code(r"C:\nets\my_net.py:MyNet")


def test_a_module_of_the_working_folder_is_its_file(tmp_path, monkeypatch) -> None:
    """`python -m` finds it there; a dashboard that is started in another folder would not."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_net_of_mine.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    named = "a_net_of_mine:Net"
    assert resolved(named, None, True) == f"{tmp_path / 'a_net_of_mine.py'}:Net"
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    assert resolved(named, None, True) == named, "importable from any folder"

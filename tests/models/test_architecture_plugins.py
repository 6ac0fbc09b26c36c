"""Architectures of installed packages: found, listed, loaded; broken ones do no harm."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
import torch

from ood_core import wizard
from ood_core.errors import ModelError
from ood_core.models import load_model, model_fingerprint
from ood_core.models.architecture_plugins import forget_plugins
from ood_core.models.architectures import architectures, build
from tests.models.test_own_networks import NET


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package with entry points of the architectures' group, for one test."""
    names = []

    def add(package: str, source: str, version: str = "1.0", **points: str) -> None:
        (tmp_path / f"{package}.py").write_text(source)
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir(exist_ok=True)
        metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
        (info / "METADATA").write_text(metadata)
        lines = [f"{name.replace('__', ':')} = {target}" for name, target in points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[ood_core.architectures]", *lines]))
        names.append(package)
        importlib.invalidate_caches()
        forget_plugins()

    monkeypatch.syspath_prepend(tmp_path)
    yield add
    for name in names:
        sys.modules.pop(name, None)
    forget_plugins()


def test_a_plugin_takes_part_like_any_other(install, experiment, tmp_path) -> None:
    install("ood_my_nets", NET, my_net="ood_my_nets:MyNet", my_build="ood_my_nets:build")
    assert {"my_net", "my_build", "resnet20"} <= set(architectures())
    assert "my_net" in wizard.architecture_names("built in")
    known = build("my_net", 4).eval()
    torch.save(known.state_dict(), tmp_path / "best.pt")
    loaded = load_model(experiment("my_net", checkpoint=tmp_path / "best.pt", num_classes=4))
    x = torch.randn(3, 3, 32, 32)
    assert torch.equal(loaded.module(x), known(x))
    assert load_model(experiment("my_build", random_weights=0)).head.n_classes == 10
    headless = load_model(experiment("my_net", random_weights=0, num_classes=0))
    assert headless.head is None
    assert headless.module(x).shape == (3, 8)


def test_its_code_and_version_are_its_identity(install, experiment) -> None:
    exp = experiment("my_net", random_weights=0)
    install("ood_my_nets", NET, my_net="ood_my_nets:MyNet")
    found = {model_fingerprint(exp)}
    install("ood_my_nets", NET, version="1.1", my_net="ood_my_nets:MyNet")
    found.add(model_fingerprint(exp))
    install("ood_my_nets", f"{NET}\n# changed", my_net="ood_my_nets:MyNet")
    found.add(model_fingerprint(exp))
    install("ood_my_nets", f"{NET}\n# changed", my_net="ood_my_nets:build")
    found.add(model_fingerprint(exp))
    assert len(found) == 4
    assert "ood_my_nets" not in sys.modules, "asking for the identity imports nothing"


def test_a_broken_one_is_told_and_does_no_harm(install, caplog) -> None:
    install("ood_broken", "raise OSError('no such table')", broken="ood_broken:Net")
    install("ood_quits", "import sys; sys.exit(3)", quits="ood_quits:Net")
    install("ood_other", "class Net: pass\nn = 3", other="ood_other:Net", number="ood_other:n")
    install("ood_gone", "", gone="ood_gone:Net", lost="ood_nowhere:Net")
    install("ood_twin", NET, resnet20="ood_twin:MyNet", onnx="ood_twin:MyNet",
            timm__x="ood_twin:MyNet")  # fmt: skip
    known = architectures()
    assert known["resnet20"].func.__module__.endswith("resnet_cifar")
    assert not {"broken", "quits", "other", "number", "gone", "lost", "onnx", "timm:x"} & set(known)
    assert "architecture plug-in broken is left out" in caplog.text
    for name, why in {
        "broken": "OSError: no such table", "quits": "SystemExit", "gone": "no attribute",
        "other": "must be a subclass of torch.nn.Module", "number": "must be a subclass",
        "lost": "ModuleNotFoundError", "onnx": "is taken",
    }.items():  # fmt: skip
        with pytest.raises(ModelError, match=f"plug-in that cannot be used: .*{why}"):
            build(name)


def test_one_that_fails_when_it_is_built_is_told(install) -> None:
    install("ood_fails", "def net(num_classes): return 1 / 0", net="ood_fails:net")
    with pytest.raises(ModelError, match=r"cannot be constructed.*line 1.*ZeroDivisionError"):
        build("net", 3)


def test_a_package_that_pip_installs_is_found(tmp_path) -> None:
    """The example of docs/extending.md, installed into a folder of its own."""
    package, target = tmp_path / "package", tmp_path / "target"
    package.mkdir()
    (package / "my_nets.py").write_text(NET)
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools>=80"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "my-nets"\nversion = "1.0"\n'
        '[project.entry-points."ood_core.architectures"]\nmy_net = "my_nets:MyNet"\n'
        '[tool.setuptools]\npy-modules = ["my_nets"]\n'
    )
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*pip, "--no-index", "--target", str(target), str(package)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode and "setuptools" in done.stderr:
        pytest.skip("setuptools is not installed")
    assert done.returncode == 0, done.stderr
    code = (
        f"import sys; sys.path.insert(0, {str(target)!r})\n"
        "from ood_core.models.architectures import build\n"
        "print(type(build('my_net', 3)).__name__)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "MyNet", ran.stderr

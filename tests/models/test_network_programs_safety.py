"""Nothing in a torch.export or TorchScript file runs: what would write a file does not."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import pickle
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from ood_core.errors import ModelError
from ood_core.experiments import ClassifierSpec
from ood_core.experiments.network_formats import network_format
from ood_core.models.loaded import inspect_module
from ood_core.models.network_files import open_network

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

SHAPE = (3, 8, 8)
NUMBERS = itertools.count()


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 3)
        self.shift = torch.ones(4)

    def forward(self, x):
        return self.fc(torch.relu(self.conv(x)).mean((2, 3)) + self.shift)


class Bomb:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.fixture
def program(tmp_path) -> Path:
    path = tmp_path / "net.pt2"
    shapes = ({0: torch.export.Dim("n")},)
    images = torch.randn(2, *SHAPE)
    torch.export.save(torch.export.export(Tiny().eval(), (images,), dynamic_shapes=shapes), path)
    return path


@pytest.fixture
def written(tmp_path) -> Path:
    return tmp_path / "written"


def changed(path: Path, change) -> None:
    """Every member (name -> content) goes through `change`, which may add and replace."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def member(members, end: str) -> str:
    return next(name for name in members if name.endswith(end))


def bombs(target: Path) -> list[bytes]:
    out = io.BytesIO()
    torch.save({"a": Bomb(target)}, out)
    return [out.getvalue(), pickle.dumps(Bomb(target))]


def script_module():
    """A module of a class of its own, whose methods are TorchScript text."""
    return type(f"Module{next(NUMBERS)}", (torch.jit.ScriptModule,), {})()


def opened(path: Path) -> nn.Module:
    return open_network(ClassifierSpec(network_format(path) or "torch.export", checkpoint=path))


def opens_or_refuses(path: Path) -> None:
    try:
        network = opened(path)
        inspect_module(network.requires_grad_(False), SHAPE)
        network(torch.randn(2, *SHAPE))
    except ModelError:
        pass


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("where", ["sample inputs", "weights", "constants", "whole", "opaque"])
def test_pickles_in_a_program(program, written, where, kind):
    bomb = bombs(written)[kind]

    def change(members):
        if where == "sample inputs":
            members[member(members, "sample_inputs/model.pt")] = bomb
            return
        if where == "whole":
            config = member(members, "weights/model_weights_config.json")
            members[config.replace("_weights_config.json", ".pt")] = bomb
            return
        what = "weights" if where == "weights" else "constants"
        name = member(members, f"{what}/model_{what}_config.json")
        config = json.loads(members[name])
        entry = next(iter(config["config"].values()))
        if where == "opaque":
            entry["path_name"] = "opaque_obj_0"
        entry["use_pickle"] = True
        members[name] = json.dumps(config).encode()
        members[str(Path(name).parent / entry["path_name"])] = bomb

    changed(program, change)
    if where == "sample inputs":
        opened(program)
    else:
        with pytest.raises(ModelError, match=r"net.pt2"):
            opened(program)
    assert not written.exists()


@pytest.mark.parametrize(
    "target",
    ["torch.os.mkdir", "torch.ops.aten.from_file.default", "torch.load", "torch.ops.aten.save",
     "torch.ops.load_library", "_operator.methodcaller", "math.__loader__", "torch.hub.load",
     "torch.ops.higher_order.cond", "#ext:x", "torch.ops.aten.__class__", "torch.compile"],
)  # fmt: skip
def test_a_node_that_is_no_tensor_operator(program, written, target):
    def change(members):
        name = member(members, "models/model.json")
        content = json.loads(members[name])
        node = content["graph_module"]["graph"]["nodes"][0]
        node["target"] = target
        node["inputs"] = [{"name": "", "arg": {"as_string": str(written)}, "kind": 1}]
        members[name] = json.dumps(content).encode()

    changed(program, change)
    with pytest.raises(ModelError, match=r"not one of PyTorch's own tensor operators"):
        opened(program)
    assert not written.exists()


def test_texts_of_sizes_are_not_evaluated(program, written):
    code = f"__import__('os').mkdir({str(written)!r})"

    def replaced(value):
        if isinstance(value, dict):
            new = {key: replaced(inner) for key, inner in value.items()}
            return new | ({"expr_str": code} if "expr_str" in new else {})
        return [replaced(v) for v in value] if isinstance(value, list) else value

    def change(members):
        name = member(members, "models/model.json")
        content = replaced(json.loads(members[name]))
        content["guards_code"] = [code]
        content["range_constraints"] = {code: {"min_val": 1, "max_val": 2}}
        members[name] = json.dumps(content).encode()

    changed(program, change)
    network = opened(program)
    inspect_module(network.requires_grad_(False), SHAPE)
    assert not written.exists()


def test_an_enumeration_of_another_module_is_not_imported(program, written, tmp_path, monkeypatch):
    (tmp_path / "planted.py").write_text(f"import os\nos.mkdir({str(written)!r})\n")
    monkeypatch.syspath_prepend(tmp_path)

    def change(members):
        name = member(members, "models/model.json")
        content = json.loads(members[name])
        leaf = {"type": None, "context": None, "children_spec": []}
        context = '{"__enum__": true, "fqn": "planted:X"}'
        spec = [1, {"type": "planted.X", "context": context, "children_spec": [leaf]}]
        for entry in content["graph_module"]["module_call_graph"][:1]:
            entry["signature"]["out_spec"] = json.dumps(spec)
        members[name] = json.dumps(content).encode()

    changed(program, change)
    opens_or_refuses(program)
    assert not written.exists()


@pytest.mark.parametrize("name", ["data/aotinductor/model/x.so", "data/aotinductor/model/x.json"])
def test_compiled_code_is_refused(program, name):
    def change(members):
        members[next(iter(members)).partition("/")[0] + "/" + name] = b"\x7fELF"

    changed(program, change)
    with pytest.raises(ModelError, match=r"compiled code.*not loaded"):
        opened(program)


def test_a_script_that_writes_when_it_runs(tmp_path, written):
    module = script_module()
    module.define(f"def forward(self, x):\n    torch.save(x, {str(written)!r})\n    return x\n")
    path = tmp_path / "net.pt"
    module.save(path)
    with pytest.raises(ModelError, match=r"code that runs .* or uses files \(save"):
        opened(path)
    assert not written.exists()


def test_a_script_that_writes_when_it_is_loaded(tmp_path, written):
    module = script_module()
    module.define(
        "def __getstate__(self):\n    return torch.ones(2)\n"
        f"def __setstate__(self, x: Tensor) -> None:\n    torch.save(x, {str(written)!r})\n"
        "def forward(self, x):\n    return x\n"
    )
    path = tmp_path / "net.pt"
    module.save(path)
    written.unlink(missing_ok=True)
    with contextlib.suppress(RuntimeError):
        torch.jit.load(path)
    assert written.exists(), "the file would write where PyTorch loads it"
    written.unlink()
    with pytest.raises(ModelError, match="code that runs while it is loaded"):
        opened(path)
    assert not written.exists()


def test_a_script_that_maps_a_file(tmp_path, written):
    module = script_module()
    module.define(
        f"def forward(self, x):\n    return x + torch.from_file({str(written)!r}, True, 3)\n"
    )
    path = tmp_path / "net.pt"
    module.save(path)
    with pytest.raises(ModelError, match="uses files"):
        opened(path)
    assert not written.exists()


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("end", ["data.pkl", "constants.pkl"])
def test_pickles_in_a_script(tmp_path, written, end, kind):
    path = tmp_path / "net.pt"
    torch.jit.script(Tiny().eval()).save(path)
    changed(path, lambda members: members.update({member(members, end): bombs(written)[kind]}))
    with pytest.raises(ModelError, match=r"net.pt"):
        opened(path)
    assert not written.exists()


def test_quantised_and_packed_scripts_are_refused(tmp_path):
    path = tmp_path / "net.pt"
    linear = nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = torch.ao.quantization.quantize_dynamic(linear, {nn.Linear}, dtype=torch.qint8)
        torch.jit.script(small).save(path)
    with pytest.raises(ModelError, match=r"quantised"):
        opened(path)

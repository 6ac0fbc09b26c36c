"""What an ONNX file may not do: each attempt is refused, and nothing outside is opened."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from ood_core.errors import ModelError
from ood_core.experiments import ClassifierSpec
from ood_core.models import WeightsMissingError
from ood_core.models.loaded import inspect_module
from ood_core.models.network_files import onnx_files
from tests import onnx_networks as nets


def load(path: Path) -> Any:
    module = onnx_files.load(ClassifierSpec("onnx", checkpoint=path)).eval()
    return inspect_module(module, nets.SHAPE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the file; beside it lies what must not be read."""
    (tmp_path / "net").mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(4 * 6 * 3 * 9))
    return tmp_path / "net"


def external(path: Path, tensor: str = "kernel", **entries: str) -> Path:
    """The small network with one tensor's values elsewhere."""
    nets.small(path)
    model = onnx.load(path)
    found = next(t for t in model.graph.initializer if t.name == tensor)
    found.ClearField("raw_data")
    found.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        found.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def opens() -> Any:
    """Paths that Python opened while the test ran: by an audit hook, which cannot be taken back."""
    seen: list[str] = []
    listening = [True]

    def hear(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and listening[0]:
            seen.append(os.fsdecode(args[0]) if isinstance(args[0], (str, bytes)) else "")

    sys.addaudithook(hear)
    yield seen
    listening[0] = False


OUTSIDE = {
    "up": "../secret.bin",
    "up within": "a/../../secret.bin",
    "up that stays": "a/../weights.bin",
    "absolute": "{}/secret.bin",
    "backslashes": r"..\secret.bin",
    "a drive": r"C:\secret.bin",
    "an address": "file:///secret.bin",
    "nothing": "",
    "a share": r"\\host\secret.bin",
    "a link": "link.bin",
    "a linked folder": "linked/secret.bin",
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_tensors_outside_the_folder_are_refused_and_not_read(
    folder: Path, opens: list[str], name: str
) -> None:
    (folder / "link.bin").symlink_to(folder.parent / "secret.bin")
    (folder / "linked").symlink_to(folder.parent)
    (folder / "weights.bin").write_bytes(bytes(648))
    path = external(folder / "net.onnx", location=OUTSIDE[name].format(folder.parent))
    opens.clear()
    for step in (load, onnx_files.files):
        with pytest.raises(ModelError, match=r"outside its own folder\. Only files beside it"):
            step(path)
    assert not [one for one in opens if "secret" in one or "weights.bin" in one]


@pytest.mark.parametrize(
    "where", ["weights.bin", "deeper/weights.bin", "within.bin", "./weights.bin"]
)
def test_tensors_within_the_folder_are_read(folder: Path, where: str) -> None:
    kernel = nets.linear_weights()["kernel"]
    (folder / "deeper").mkdir()
    for name in ("weights.bin", "deeper/weights.bin"):
        (folder / name).write_bytes(bytes(8) + kernel.tobytes() + bytes(3))
    (folder / "within.bin").symlink_to("weights.bin")
    path = external(folder / "net.onnx", location=where, offset="8", length=str(kernel.nbytes))
    plain = load(nets.small(folder / "plain.onnx"))
    np.testing.assert_array_equal(load(path).head.weight, plain.head.weight)
    assert len(onnx_files.files(path)) == 2


def test_tensors_of_attributes_are_held_to_the_same(folder: Path, opens: list[str]) -> None:
    """Constant operators and graphs within operators have tensors too."""
    hidden = TensorProto(name="k", data_type=1, dims=[6, 3, 3, 3], data_location=1)
    hidden.external_data.add(key="location", value="../secret.bin")
    constant = helper.make_node("Constant", [], ["kernel"], value=hidden)
    kernel = helper.make_tensor_value_info("kernel", 1, [6, 3, 3, 3])
    inner = helper.make_graph([constant], "inner", [], [kernel])
    weights = nets.linear_weights()
    del weights["kernel"]
    weights["yes"] = np.array(True)
    chosen = helper.make_node("If", ["yes"], ["kernel"], then_branch=inner, else_branch=inner)
    for first in (constant, chosen):
        path = nets.small(folder / "net.onnx", nodes=[first, *nets.linear()], weights=weights)
        opens.clear()
        for step in (load, onnx_files.files):
            with pytest.raises(ModelError, match="outside its own folder"):
                step(path)
        assert not [one for one in opens if "secret" in one]


WRONG = {
    "behind the end": {"offset": "9"},
    "negative": {"offset": "-8"},
    "other length": {"length": "12"},
    "no number": {"offset": "1e3"},
    "huge": {"offset": str(2**70)},
}


@pytest.mark.parametrize("name", WRONG)
def test_places_that_do_not_fit(folder: Path, name: str) -> None:
    (folder / "weights.bin").write_bytes(bytes(648))
    path = external(folder / "net.onnx", location="weights.bin", **WRONG[name])
    with pytest.raises(ModelError, match=r"shape \(6, 3, 3, 3\) takes 648 bytes"):
        load(path)


def test_what_is_missing_or_no_file(folder: Path) -> None:
    path = external(folder / "net.onnx", location="weights.bin")
    for step in (load, onnx_files.files):
        with pytest.raises(
            WeightsMissingError, match=r"'weights.bin' beside it, .* copy that file"
        ):
            step(path)
    os.mkfifo(folder / "weights.bin")  # would wait for ever
    with pytest.raises(ModelError, match="is no file"):
        load(path)
    os.unlink(folder / "weights.bin")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(os.path.relpath(folder / "weights.bin"))
        with pytest.raises(ModelError, match="is no file"):
            load(path)


def test_a_file_of_the_working_folder_is_not_taken_for_weights(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """onnxruntime looks for external data in the working folder when it is given bytes."""
    monkeypatch.chdir(folder.parent)
    path = external(folder / "net.onnx", location="secret.bin")
    with pytest.raises(WeightsMissingError):
        load(path)


OPERATORS = {
    "custom": ("Steal", "my.domain", "the operator Steal of 'my.domain'"),
    "extension": ("PyOp", "ai.onnx.contrib", "No library of operators is ever loaded"),
    "compiled": ("EPContext", "com.microsoft", "the operator EPContext"),
    "trees": ("TreeEnsembleClassifier", "ai.onnx.ml", "scikit-learn, XGBoost"),
}


@pytest.mark.parametrize("nested", [False, True], ids=["graph", "branch"])
@pytest.mark.parametrize("name", OPERATORS)
def test_foreign_operators(folder: Path, name: str, nested: bool) -> None:
    kind, domain, message = OPERATORS[name]
    node = helper.make_node(kind, ["conv"], ["extra"], domain=domain)
    weights = nets.linear_weights() | {"yes": np.array(True)}
    if nested:
        out = helper.make_tensor_value_info("extra", 1, None)
        inner = helper.make_graph([node], "inner", [], [out])
        node = helper.make_node("If", ["yes"], ["extra"], then_branch=inner, else_branch=inner)
    path = nets.small(
        folder / "net.onnx", nodes=[*nets.linear(), node], weights=weights, domains=[domain]
    )
    with pytest.raises(ModelError, match=message):
        load(path)


def with_functions(path: Path, bodies: dict[str, list[str]]) -> Path:
    """The small network with functions that call others; the first is called in its middle."""
    opset = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    functions = []
    for name, calls in bodies.items():
        steps = ["x", *(f"t{i}" for i in range(len(calls) - 1)), "y"]
        nodes = [
            helper.make_node(
                kind, [steps[i]], [steps[i + 1]], domain="" if kind == "Relu" else "own"
            )
            for i, kind in enumerate(calls)
        ]
        functions.append(helper.make_function("own", name, ["x"], ["y"], nodes, opset))
    nodes = nets.linear()
    nodes[1] = helper.make_node(next(iter(bodies)), ["conv"], ["relu"], domain="own")
    return nets.small(path, nodes=nodes, domains=["own"], functions=functions)


def test_functions_are_expanded(folder: Path) -> None:
    found = load(
        with_functions(folder / "net.onnx", {"Outer": ["Inner"], "Inner": ["Relu", "Relu"]})
    )
    assert len(found.layers) == 3


FUNCTIONS = {
    "itself": ({"A": ["A"]}, "'A' calls itself"),
    "a circle": ({"A": ["B"], "B": ["A"]}, "calls itself"),
    "a bomb": (
        {f"F{i}": [f"F{i + 1}"] * 10 if i < 30 else ["Relu"] for i in range(31)}, "operators; at"
    ),
    "deep": ({f"F{i}": [f"F{i + 1}"] if i < 5000 else ["Relu"] for i in range(5001)}, "too deeply"),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_without_end(folder: Path, name: str) -> None:
    bodies, message = FUNCTIONS[name]
    with pytest.raises(ModelError, match=message):
        load(with_functions(folder / "net.onnx", bodies))


def changed(path: Path, change: Any) -> Path:
    model = onnx.load(nets.small(path))
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def huge(model: Any) -> None:
    model.graph.initializer[0].dims[:] = [2**40, 2**20, 3, 3]


def negative(model: Any) -> None:
    model.graph.initializer[0].dims[:] = [-6, 3, 3, 3]


def unknown_type(model: Any) -> None:
    model.graph.initializer[0].data_type = 99


def sparse(model: Any) -> None:
    one = model.graph.sparse_initializer.add(dims=[2**40])
    one.values.CopyFrom(TensorProto(name="s", data_type=1, dims=[1], float_data=[1]))


def circle(model: Any) -> None:
    model.graph.node[0].input[0] = "relu"


def no_operators(model: Any) -> None:
    del model.graph.node[:]


def unknown_operator(model: Any) -> None:
    model.graph.node[1].op_type = "Rleu"


def missing_tensor(model: Any) -> None:
    model.graph.node[1].input[0] = "nowhere"


DAMAGED = {
    huge: "a tensor cannot be read",
    negative: "a tensor cannot be read|onnxruntime cannot run",
    unknown_type: "a tensor cannot be read",
    sparse: "sparse tensors",
    circle: "circle|depends on the image",
    no_operators: "no graph with operators",
    unknown_operator: "onnxruntime cannot run net.onnx: .*Rleu",
    missing_tensor: "depends on the image",
}


@pytest.mark.parametrize("change", DAMAGED, ids=lambda f: f.__name__)
def test_damaged_graphs(folder: Path, change: Any) -> None:
    with pytest.raises(ModelError, match=DAMAGED[change]):
        load(changed(folder / "net.onnx", change))


@pytest.mark.parametrize("kept", [0.01, 0.3, 0.7, 0.99])
def test_files_that_were_cut_off(folder: Path, kept: float) -> None:
    whole = nets.small(folder / "net.onnx")
    content = whole.read_bytes()
    whole.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ModelError):
        load(whole)


def test_files_with_wrong_bytes_raise_nothing_else(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = with_functions(folder / "net.onnx", {"Outer": ["Inner"], "Inner": ["Relu", "Relu"]})
    content, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(200):
        broken = np.frombuffer(content, np.uint8).copy()
        places = rng.integers(0, len(broken), 2)
        broken[places] = rng.integers(0, 256, 2)
        path.write_bytes(broken.tobytes())
        with contextlib.suppress(ModelError):
            load(path)
    assert capfd.readouterr() == ("", "")


def test_a_name_that_is_no_text(folder: Path) -> None:
    path = nets.small(folder / "net.onnx")
    path.write_bytes(path.read_bytes().replace(b"features", b"feat\xffres"))
    with pytest.raises(ModelError, match="no text in UTF-8"):
        load(path)


def test_more_memory_than_there_is(folder: Path) -> None:
    """A few bytes that ask for 4 PiB."""
    weights = nets.linear_weights() | {"shape": np.array([2**25, 2**25])}
    more = [
        helper.make_node("ConstantOfShape", ["shape"], ["huge"]),
        helper.make_node("ReduceMax", ["huge"], ["most"], keepdims=0),
        helper.make_node("Add", ["conv", "most"], ["sum"]),
    ]
    nodes = nets.linear()
    nodes[1:2] = [*more, helper.make_node("Relu", ["sum"], ["relu"])]
    with pytest.raises(ModelError, match=r"more memory than there is|cannot run"):
        load(nets.small(folder / "net.onnx", nodes=nodes, weights=weights))

"""ONNX files as networks: head, layers and outputs are those of the same network in torch."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from ood_core.errors import ModelError
from ood_core.experiments import ClassifierSpec, Preprocessing
from ood_core.models import PENULTIMATE, load_model, model_fingerprint, tail
from ood_core.models.found_network import FoundNetwork
from ood_core.models.loaded import inspect_module
from ood_core.models.network_files import onnx_files
from tests import onnx_networks as nets

N = 5


def opened(
    path: Path, shape: tuple[int, int, int] = nets.SHAPE, **fields: Any
) -> tuple[nn.Module, FoundNetwork]:
    module = onnx_files.load(ClassifierSpec("onnx", checkpoint=path, **fields)).eval()
    return module, inspect_module(module, shape, fields.get("num_classes") == 0)


def seen(module: nn.Module, images: torch.Tensor, names: Sequence[str], head: str) -> list[Any]:
    """Outputs of modules, the head's input and the network's output, by hooks."""
    found: dict[str, torch.Tensor] = {}
    handles = [
        module.get_submodule(n).register_forward_hook(
            lambda _m, _i, out, n=n: found.update({n: out.clone()})
        )
        for n in names
    ]
    handles.append(
        module.get_submodule(head).register_forward_pre_hook(
            lambda _m, given: found.update({"": given[0].clone()})
        )
    )
    with torch.no_grad():
        output = module(images)
    for handle in handles:
        handle.remove()
    return [*(found[n] for n in names), found[""], output]


def images(n: int = N, shape: Sequence[int] = nets.SHAPE) -> torch.Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(3))


def close(ours: Any, theirs: Any) -> None:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())


def check_against(module: nn.Module, path: Path, **options: Any) -> FoundNetwork:
    """Everything that is recorded of the file is what is recorded of the module."""
    ours, found = opened(path, **options)
    theirs = inspect_module(module, nets.SHAPE)
    close(found.head.weight, theirs.head.weight)
    close(found.head.bias, theirs.head.bias)
    assert [(i.shape, i.kind, i.signed, i.channel_axis) for i in found.layers] == [
        (i.shape, i.kind, i.signed, i.channel_axis) for i in theirs.layers
    ]
    got = seen(ours, images(), [i.name for i in found.layers[:-1]], found.head_name)
    wanted = seen(module, images(), [i.name for i in theirs.layers[:-1]], theirs.head_name)
    for mine, other in zip(got, wanted, strict=True):
        close(mine, other)
    return found


@pytest.mark.parametrize("dynamo", [False, True], ids=["legacy", "dynamo"])
@pytest.mark.parametrize("name", ["residual", "conv-head", "flat"])
def test_an_exported_network_is_the_network(tmp_path: Path, name: str, dynamo: bool) -> None:
    path = nets.export(nets.made(name), tmp_path / "net.onnx", dynamo=dynamo)
    module = nets.made(name)
    if name == "residual":  # its last ReLU is a function: torch's layers are its modules
        ours, found = opened(path)
        assert [layer.shape for layer in found.layers] == [(8, 12, 12), (8, 12, 12), (8,)]
        got = seen(ours, images(), [found.layers[0].name], found.head_name)
        for mine, other in zip(got, seen(module, images(), ["relu"], "head"), strict=True):
            close(mine, other)
    else:
        check_against(module, path)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_fixed_number_of_images(tmp_path: Path, batch: int) -> None:
    path = nets.export(nets.made("flat"), tmp_path / "net.onnx", batch=batch)
    check_against(nets.made("flat"), path)


def test_a_head_on_tokens(tmp_path: Path) -> None:
    module = nets.made("tokens")
    ours, found = opened(nets.export(module, tmp_path / "net.onnx"))
    assert found.layers[-1].channel_axis == -1
    features, logits = seen(ours, images(), [], found.head_name)
    close(logits, module(images()))
    close(found.head.logits(features.mean(1)), logits)


@pytest.mark.parametrize("end", ["Softmax", "LogSoftmax"])
def test_probabilities_are_left_off_and_it_is_said(
    tmp_path: Path, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    nodes = [*nets.linear(logits="raw"), helper.make_node(end, ["raw"], ["logits"], axis=1)]
    path = nets.small(tmp_path / "net.onnx", nodes=nodes)
    check_against(nets.linear_in_torch(nets.linear_weights()), path)
    assert f"ends in {end}: scores use the logits before it, 'raw'" in caplog.text


HEADS = {
    "MatMul": ([("MatMul", ["features", "Wt"])], {}),
    "MatMul and Add": ([("MatMul", ["features", "Wt"]), ("Add", ["b", "0"])], {}),
    "Gemm not transposed": ([("Gemm", ["features", "Wt", "b"])], {}),
    "Gemm with factors": (
        [("Gemm", ["features", "W", "b"])], {"transB": 1, "alpha": 2.0, "beta": 0.5}
    ),
    "transposed by the graph": (
        [("Transpose", ["W"]), ("Identity", ["0"]), ("Gemm", ["features", "1", "b"])], {}
    ),
    "scaled": (
        [("MatMul", ["features", "Wt"]), ("Add", ["0", "b"]), ("Mul", ["1", "scale"]),
         ("Sub", ["2", "b"]), ("Div", ["3", "two"])], {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_forms_of_a_head(tmp_path: Path, name: str) -> None:
    """Whatever operators make it, features times the head are the file's own logits."""
    steps, options = HEADS[name]
    weights = nets.linear_weights()
    weights |= {"Wt": weights["W"].T.copy(), "two": np.float32(2)}
    weights["scale"] = np.array([1, 2, 3, 4], np.float32)
    nodes = nets.linear()[:-1]
    for i, (kind, inputs) in enumerate(steps):
        out = "logits" if i == len(steps) - 1 else str(i)
        more = options if kind == "Gemm" else {}
        nodes.append(helper.make_node(kind, inputs, [out], **more))
    ours, found = opened(nets.small(tmp_path / "net.onnx", nodes=nodes, weights=weights))
    features, logits = seen(ours, images(), [], found.head_name)
    assert features.shape == (N, 6)
    close(found.head.logits(features), logits)
    bare = opened(nets.small(tmp_path / "bare.onnx", nodes=nodes, weights=weights), num_classes=0)
    close(bare[0](images()), logits)  # the file's own output


def nhwc(path: Path, **changes: Any) -> Path:
    turn = helper.make_node("Transpose", ["pixels"], ["images"], perm=[0, 3, 1, 2])
    given = {"nodes": [turn, *nets.linear()], "inputs": [("pixels", nets.FLOAT, [None, 12, 12, 3])]}
    return nets.small(path, **{**given, **changes})


@pytest.mark.parametrize("sizes", [[None, 12, 12, 3], ["n", "h", "w", "c"], [1, 12, 12, 3]])
def test_channels_last_images(tmp_path: Path, sizes: list[Any]) -> None:
    path = nhwc(tmp_path / "net.onnx", inputs=[("pixels", nets.FLOAT, sizes)])
    check_against(nets.linear_in_torch(nets.linear_weights()), path)


def test_half_precision(tmp_path: Path) -> None:
    ours, found = opened(in_precision(tmp_path, TensorProto.FLOAT16))
    features, logits = seen(ours, images(), [], found.head_name)
    theirs = nets.linear_in_torch(nets.linear_weights())(images())
    assert features.dtype == logits.dtype == torch.float32
    torch.testing.assert_close(logits, theirs, rtol=1e-2, atol=0.1)


def test_what_onnxruntime_cannot_run_is_said_in_its_words(tmp_path: Path) -> None:
    """It has no convolution in double precision."""
    with pytest.raises(ModelError, match=r"^onnxruntime cannot run .* Conv"):
        opened(in_precision(tmp_path, TensorProto.DOUBLE))


def in_precision(tmp_path: Path, kind: int) -> Path:
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    weights = {name: array.astype(dtype) for name, array in nets.linear_weights().items()}
    return nets.small(
        tmp_path / "net.onnx", weights=weights, inputs=[("images", kind, ["n", 3, 12, 12])],
        outputs=[("logits", kind, ["n", 4])],
    )  # fmt: skip


def bytes_network(path: Path) -> Path:
    nodes = [
        helper.make_node("Cast", ["pixels"], ["real"], to=nets.FLOAT),
        helper.make_node("Div", ["real", "most"], ["images"]),
        *nets.linear(),
    ]
    weights = nets.linear_weights() | {"most": np.float32(255)}
    pixels = ("pixels", nets.UINT8, ["n", 3, 12, 12])
    return nets.small(path, nodes=nodes, weights=weights, inputs=[pixels])


def test_a_network_of_bytes(tmp_path: Path, experiment: Any) -> None:
    path = bytes_network(tmp_path / "net.onnx")
    ours, _ = opened(path)
    pixels = torch.randint(0, 256, (N, *nets.SHAPE), generator=torch.Generator().manual_seed(1))
    given = pixels.float() / 255
    close(ours(given), nets.linear_in_torch(nets.linear_weights())(given))
    with pytest.raises(ModelError, match="leave mean and std out"):
        ours(given - 0.5)
    load_model(experiment("onnx", Preprocessing(12, 12), checkpoint=path))
    normalised = Preprocessing(12, 12, (0.5,) * 3, (0.5,) * 3)
    with pytest.raises(ModelError, match="normalises them itself: leave mean and std out"):
        load_model(experiment("onnx", normalised, checkpoint=path))


def test_a_number_of_images_that_only_seems_free(tmp_path: Path) -> None:
    """The input takes any number, an operator within only one."""
    nodes = nets.linear()
    nodes[3] = helper.make_node("Reshape", ["mean", "shape"], ["features"])
    weights = nets.linear_weights() | {"shape": np.array([1, 6])}
    path = nets.small(tmp_path / "net.onnx", nodes=nodes, weights=weights)
    check_against(nets.linear_in_torch(nets.linear_weights()), path)


def test_images_that_change_each_other_go_in_alone(tmp_path: Path) -> None:
    """Here each image is divided by the largest value of its batch."""
    divided = [
        helper.make_node("ReduceMax", ["pixels"], ["most"], keepdims=0),
        helper.make_node("Div", ["pixels", "most"], ["images"]),
    ]
    path = nets.small(
        tmp_path / "net.onnx", nodes=[*divided, *nets.linear()],
        inputs=[("pixels", nets.FLOAT, ["n", 3, 12, 12])],
    )  # fmt: skip
    ours, _ = opened(path)
    alone = torch.cat([ours(one[None]) for one in images()])
    close(ours(images()), alone)


def test_several_outputs(tmp_path: Path) -> None:
    weights = nets.linear_weights()
    rng = np.random.default_rng(8)
    weights["W2"] = rng.normal(size=(9, 6)).astype(np.float32)
    nodes = [
        *nets.linear(),
        helper.make_node("Gemm", ["features", "W2"], ["other"], transB=1),
        helper.make_node("ArgMax", ["logits"], ["label"], axis=1),
    ]
    label, other = ("label", TensorProto.INT64, ["n", 1]), ("other", nets.FLOAT, ["n", 9])
    features = ("features", nets.FLOAT, ["n", 6])
    path = nets.small(
        tmp_path / "net.onnx", nodes=nodes, weights=weights,
        outputs=[label, features, other, nets.LOGITS],
    )  # fmt: skip
    assert opened(path)[1].head.n_classes == 9  # the first that has a head
    assert opened(path, num_classes=4)[1].head.n_classes == 4
    with pytest.raises(
        ModelError, match=r"several outputs: say in features .* 'features', 'other'"
    ):
        opened(path, num_classes=0)
    bare, found = opened(path, num_classes=0, features="features")
    assert (found.head, found.head_name, found.layers[-1].shape) == (None, "", (6,))
    close(bare(images()), nets.linear_in_torch(weights)[:-1](images()))


def test_features_by_name(tmp_path: Path) -> None:
    path = nets.small(tmp_path / "net.onnx")
    module = nets.linear_in_torch(nets.linear_weights())
    for name in ("features", "mean", "relu"):  # all have the same mean over positions
        ours, found = opened(path, features=name)
        features, logits = seen(ours, images(), [], found.head_name)
        close(features.reshape(N, 6, -1).mean(2), module[:-1](images()))
        close(logits, module(images()))
        bare = opened(path, features=name, num_classes=0)
        close(bare[0](images()), module[:-1](images()))
        assert bare[1].layers[-1].shape == (6,)
    with pytest.raises(
        ModelError, match="'conv' is not what its head is given, that is 'features'"
    ):
        opened(path, features="conv")
    with pytest.raises(ModelError, match=r"no such tensor. Did you mean 'features'\?"):
        opened(path, features="featurs")


def test_a_network_without_a_linear_head_names_what_could_be_features(tmp_path: Path) -> None:
    nodes = [*nets.linear(logits="raw"), helper.make_node("Relu", ["raw"], ["logits"])]
    path = nets.small(tmp_path / "net.onnx", nodes=nodes)
    with pytest.raises(ModelError, match=r"no linear head: .* num_classes = 0 .*'features', 'raw'"):
        opened(path)
    assert opened(path, num_classes=0, features="features")[1].layers[-1].shape == (6,)


def test_a_quantised_network(tmp_path: Path) -> None:
    """Weights and features are rounded; the head is that of the rounded weights."""
    weights = nets.linear_weights()
    rounded = np.clip(np.rint(weights.pop("W") / 0.02), -127, 127).astype(np.int8)
    weights |= {"Wq": rounded, "step": np.float32(0.02), "zero": np.int8(0)}
    weights |= {"fine": np.float32(0.03), "none": np.uint8(0), "wide": np.float32(0.1)}

    def both(name: str, out: str, step: str, zero: str) -> list[onnx.NodeProto]:
        return [
            helper.make_node("QuantizeLinear", [name, step, zero], [f"{name}_q"]),
            helper.make_node("DequantizeLinear", [f"{name}_q", step, zero], [out]),
        ]

    nodes = [
        *nets.linear()[:-1],
        *both("features", "f", "fine", "none"),
        helper.make_node("DequantizeLinear", ["Wq", "step", "zero"], ["W"]),
        helper.make_node("Gemm", ["f", "W", "b"], ["raw"], transB=1),
        *both("raw", "logits", "wide", "zero"),
    ]
    ours, found = opened(nets.small(tmp_path / "net.onnx", nodes=nodes, weights=weights))
    close(found.head.weight, rounded * np.float32(0.02))
    features, logits = seen(ours, images(), [], found.head_name)
    close(found.head.logits(features), logits)
    steps = features.numpy() / np.float32(0.03)
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)


def test_layers_have_names_to_read_and_none_that_a_module_has(tmp_path: Path) -> None:
    names = ["penultimate", "train", "/block/block.0/act/Relu_output_0", "a/b:0", "37", "head", "é"]
    last, nodes = "conv", nets.linear()[:1]
    for name in names:
        nodes.append(helper.make_node("Relu", [last], [name]))
        last = name
    nodes += nets.linear()[2:]
    nodes[-3].input[0] = last
    ours, found = opened(nets.small(tmp_path / "net.onnx", nodes=nodes))
    assert [layer.name for layer in found.layers] == [
        "penultimate_2", "train_", "block.0.act", "a.b", "relu_37", "head_", "relu__", PENULTIMATE,
    ]  # fmt: skip
    got = seen(ours, images(), [layer.name for layer in found.layers[:-1]], found.head_name)
    assert [tensor.shape[1] for tensor in got[:-2]] == [6] * len(names)


def test_very_deep_networks_list_some_of_their_layers(tmp_path: Path) -> None:
    nodes = [helper.make_node("Conv", ["images", "kernel"], ["x0"])]
    for i in range(60):  # paths double at every step
        nodes.append(helper.make_node("Relu", [f"x{i}"], [f"r{i}"]))
        nodes.append(helper.make_node("Add", [f"r{i}", f"x{i}"], [f"x{i + 1}"]))
    nodes += nets.linear()[2:]
    nodes[-3].input[0] = "x60"
    found = opened(nets.small(tmp_path / "net.onnx", nodes=nodes))[1]
    names = [layer.name for layer in found.layers]
    assert len(names) == 24
    assert names[-2:] == ["x60", PENULTIMATE]
    assert all(name.startswith("x") for name in names[:-1])


def test_only_what_is_recorded_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ood_core.models.network_files._onnx_sessions import Sessions

    ours, found = opened(nets.small(tmp_path / "net.onnx"))
    asked: list[list[str]] = []
    original = Sessions.run

    def counting(self: Sessions, outputs: Any, *more: Any) -> Any:
        asked.append(list(outputs))
        return original(self, outputs, *more)

    monkeypatch.setattr(Sessions, "run", counting)
    ours(images())
    seen(ours, images(), [], found.head_name)
    seen(ours, images(), [found.layers[0].name], found.head_name)
    assert asked == [["logits"], ["logits", "features"], ["relu", "logits", "features"]]


def test_copies_and_threads(tmp_path: Path) -> None:
    ours, _ = opened(nets.export(nets.made("residual"), tmp_path / "net.onnx"))
    expected = ours(images())
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        torch.testing.assert_close(other(images()), expected)
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(lambda _: ours(images()), range(12)):
            torch.testing.assert_close(got, expected)
    ours.to("cpu").to(memory_format=torch.channels_last)
    torch.testing.assert_close(
        ours(images().contiguous(memory_format=torch.channels_last)), expected
    )


def test_where_onnxruntime_has_no_cuda_it_says_so_and_uses_the_cpu(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    path = nets.small(tmp_path / "without-cuda.onnx")
    ours, _ = opened(path)
    feed = {"images": images().numpy()}
    for _ in range(2):
        got = ours._sessions.run(["logits"], feed, "cuda:0")["logits"]
        close(got, ours(images()))
    assert [r.message for r in caplog.records if "has no CUDA" in r.message] == [
        "without-cuda.onnx runs on the CPU: this onnxruntime has no CUDA (pip install "
        "onnxruntime-gpu in its place)."
    ]


def test_large_networks_keep_one_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ood_core.models.network_files import _onnx_sessions

    def kept() -> int:
        ours, found = opened(nets.small(tmp_path / "net.onnx"))
        for names in ([], [found.layers[0].name], []):
            seen(ours, images(), names, found.head_name)
            ours(images())
        return len(ours._sessions._sessions)

    assert kept() == 3
    monkeypatch.setattr(_onnx_sessions, "_MEMORY", 100)
    assert kept() == 1


WRONG_INPUTS = {
    "other size": ([("images", nets.FLOAT, ["n", 3, 24, 24])], "24 x 24 pixels, but .* 12 x 12"),
    "other channels": ([("images", nets.FLOAT, ["n", 1, 12, 12])], "images of 1 channels"),
    "two inputs": ([nets.IMAGES, ("mask", nets.FLOAT, ["n"])], "2 inputs .'images', 'mask'"),
    "whole numbers": ([("images", TensorProto.INT64, ["n", 3, 12, 12])], "int64 of shape .any, 3"),
    "a table": ([("images", nets.FLOAT, ["n", 30])], r"float of shape \(any, 30\), and not images"),
}


@pytest.mark.parametrize("name", WRONG_INPUTS)
def test_inputs_that_are_not_these_images(tmp_path: Path, name: str) -> None:
    inputs, message = WRONG_INPUTS[name]
    with pytest.raises(ModelError, match=message):
        opened(nets.small(tmp_path / "net.onnx", inputs=inputs))


def test_a_size_that_only_an_operator_refuses(tmp_path: Path) -> None:
    weights = nets.linear_weights() | {"shape": np.array([-1, 600])}
    nodes = nets.linear()
    nodes[2:4] = [helper.make_node("Reshape", ["relu", "shape"], ["features"])]
    weights["W"] = np.ones((4, 600), np.float32)
    path = nets.small(
        tmp_path / "net.onnx", nodes=nodes, weights=weights,
        inputs=[("images", nets.FLOAT, ["n", 3, "h", "w"])],
    )  # fmt: skip
    assert opened(path)[1].head.n_features == 600
    with pytest.raises(ModelError, match=r"cannot take images of shape \(3, 15, 15\)"):
        opened(path, (3, 15, 15))


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    weights = nets.linear_weights()
    weights["kernel"][0] = np.nan
    with pytest.raises(ModelError, match="NaN or infinite"):
        opened(nets.small(tmp_path / "net.onnx", weights=weights))


def test_gradients_and_tails_are_refused_with_the_reason(tmp_path: Path, experiment: Any) -> None:
    path = nets.small(tmp_path / "net.onnx")
    loaded = load_model(experiment("onnx", Preprocessing(12, 12), checkpoint=path, num_classes=4))
    with pytest.raises(ModelError, match="not differentiated"):
        tail(loaded, PENULTIMATE)
    with pytest.raises(ModelError, match=r"4 classes but .* num_classes = 7"):
        load_model(experiment("onnx", Preprocessing(12, 12), checkpoint=path, num_classes=7))


def test_what_the_metadata_says(tmp_path: Path, experiment: Any) -> None:
    def named(**notes: str) -> Path:
        path = nets.small(tmp_path / "net.onnx")
        model = onnx.load(path)
        helper.set_model_props(model, notes)
        path.write_bytes(model.SerializeToString())
        return path

    expected = ("a", "b", "c", "d")
    for text in (
        "{0: 'a', 1: 'b', 2: 'c', 3: 'd'}", '["a", "b", "c", "d"]', "a, b,c,d", "a\nb\nc\nd",
        '{"3": "d", "0": "a", "1": "b", "2": "c"}',
    ):  # fmt: skip
        assert onnx_files.class_names(named(names=text)) == expected
    path = named(task="classify", imgsz="[12, 12]", labels="a,b,c,d")
    assert onnx_files.preprocessing(path) == Preprocessing(12, 12)
    loaded = load_model(experiment("onnx", None, checkpoint=path))
    assert (loaded.class_names, loaded.preprocessing) == (expected, Preprocessing(12, 12))
    for text in ("", "only", "{0: 'a', 2: 'b'}", "[1, 2]", "[" * 5000, "{0: __import__('os')}"):
        assert onnx_files.class_names(named(names=text)) is None
    assert onnx_files.preprocessing(named(imgsz="[12, 12]")) is None


def test_the_fingerprint_follows_the_bytes_of_every_file(tmp_path: Path, experiment: Any) -> None:
    path = nets.export(nets.made("residual"), tmp_path / "net.onnx", dynamo=True)
    beside = tmp_path / "net.onnx.data"
    assert onnx_files.files(path) == (path, beside)
    exp = experiment("onnx", Preprocessing(12, 12), checkpoint=path)
    first = model_fingerprint(exp)
    content = bytearray(beside.read_bytes())
    content[5] ^= 1
    beside.write_bytes(content)
    assert model_fingerprint(exp) != first
    spec = dataclasses.replace(exp.classifier, features="mean")
    assert model_fingerprint(dataclasses.replace(exp, classifier=spec)) != first


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named(
    tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    path = nets.small(tmp_path / "net.onnx")
    for name in [n for n in sys.modules if n.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModelError, match="pip install onnx onnxruntime"):
        opened(path)
    assert onnx_files.version()


def test_the_published_resnet(real_data: Path, tmp_path: Path, experiment: Any) -> None:
    transform = Preprocessing(32, 32, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    file = real_data / "checkpoints" / "resnet20_cifar10.th"
    known = load_model(experiment("resnet20", transform, checkpoint=file))
    path = nets.export(known.module, tmp_path / "resnet20.onnx", shape=(3, 32, 32))
    loaded = load_model(experiment("onnx", transform, checkpoint=path))
    assert [i.shape for i in loaded.layers] == [i.shape for i in known.layers]
    batch = images(8, (3, 32, 32))
    got = seen(loaded.module, batch, [i.name for i in loaded.layers[:-1]], loaded.head_name)
    wanted = seen(known.module, batch, [i.name for i in known.layers[:-1]], known.head_name)
    for mine, other in zip(got, wanted, strict=True):
        close(mine, other)

"""Networks in torch.export and TorchScript files: the same numbers as PyTorch's own loaders."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import ood_core
from ood_core.errors import ModelError
from ood_core.experiments import ClassifierSpec, Preprocessing
from ood_core.experiments.network_formats import network_format
from ood_core.models import load_model
from ood_core.models.loaded import inspect_module
from ood_core.models.network_files import open_network
from ood_core.models.tail import tail

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::torch.jit.TracerWarning"
)

SHAPE = (3, 32, 32)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.bn = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.bn(self.conv(x)) + x)


class Small(nn.Module):
    """Residual blocks, one ReLU module used twice, a functional one, dropout, a view."""

    def __init__(self, classes=5):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.relu = nn.ReLU()
        self.blocks = nn.Sequential(Block(8), Block(8))
        self.mix = nn.Conv2d(8, 12, 1)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(12, classes)

    def features(self, x):
        x = self.blocks(self.relu(self.stem(x)))
        x = torch.relu(self.mix(x))
        return self.drop(x.mean((2, 3)).view(x.size(0), -1))

    def forward(self, x):
        return self.fc(self.features(x))


class Tokens(nn.Module):
    """A class token that is expanded to the batch, attention, a layer norm, a head on a slice."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        return self.head(self.norm(self.layer(x))[:, 0])


class ConvHead(Small):
    def __init__(self):
        super().__init__()
        self.last = nn.Conv2d(12, 6, 1)

    def forward(self, x):
        x = torch.relu(self.mix(self.blocks(self.relu(self.stem(x)))))
        return self.last(nn.functional.adaptive_avg_pool2d(x, 1)).flatten(1)


NETWORKS = {"residual": Small, "tokens": Tokens, "convolution head": ConvHead}


def made(make=Small, seed=0):
    torch.manual_seed(seed)
    return make().eval().requires_grad_(False)


def exported(module, path, images=2, free=True, **options):
    shapes = ({0: torch.export.Dim("n")},) if free else None
    program = torch.export.export(module, (torch.randn(images, *SHAPE),), dynamic_shapes=shapes)
    torch.export.save(program, path, **options)


def decomposed(module, path):
    shapes = ({0: torch.export.Dim("n")},)
    program = torch.export.export(module, (torch.randn(2, *SHAPE),), dynamic_shapes=shapes)
    torch.export.save(program.run_decompositions(), path)


def traced(module, path, images=2):
    torch.jit.trace(module, torch.randn(images, *SHAPE), check_trace=False).save(path)


def scripted(module, path):
    torch.jit.script(module).save(path)


def frozen(module, path):
    torch.jit.freeze(torch.jit.script(module)).save(path)


WRITTEN = {
    "export": exported,
    "export of one": lambda m, p: exported(m, p, images=1, free=False),
    "export of four": lambda m, p: exported(m, p, images=4, free=False),
    "decomposed": decomposed,
    "trace": traced,
    "trace of one": lambda m, p: traced(m, p, images=1),
    "script": scripted,
    "frozen": frozen,
}


def opened(path: Path, **fields) -> nn.Module:
    spec = ClassifierSpec(network_format(path) or "", checkpoint=path, **fields)
    return open_network(spec).requires_grad_(False)


def by_pytorch(path: Path, images: torch.Tensor) -> torch.Tensor:
    if network_format(path) == "torchscript":
        return torch.jit.load(path).eval()(images)
    return torch.export.load(path).module()(images)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("write", WRITTEN)
def test_numbers_head_and_gradients_are_those_of_the_file(write, network, tmp_path):
    module, path = made(NETWORKS[network]), tmp_path / "net.pt2"
    WRITTEN[write](module, path)
    mine = opened(path)
    if network == "tokens" and write in ("export of one", "export of four"):
        # Attention mixes the batch into other sizes: which, the file does not say.
        with pytest.raises(ModelError, match=r"written for \d images? at a time.*Write it again"):
            inspect_module(mine, SHAPE)
        return
    found = inspect_module(mine, SHAPE)
    count = {"export of one": 1, "export of four": 4, "trace of one": 1}.get(write, 3)
    images = torch.randn(count, *SHAPE)
    with torch.no_grad():
        assert torch.equal(mine(images), by_pytorch(path, images))
    more = torch.randn(7, *SHAPE)
    torch.testing.assert_close(mine(more), module(more))
    expected = inspect_module(module, SHAPE)
    np.testing.assert_array_equal(found.head.weight, expected.head.weight)
    np.testing.assert_array_equal(found.head.bias, expected.head.bias)
    assert found.layers[-1] == expected.layers[-1]
    shapes = {layer.shape for layer in expected.layers}
    if write == "frozen":
        assert network == "tokens" or len(found.layers) >= len(expected.layers)
    elif write != "decomposed":
        # A functional ReLU is a layer, too, which hooks on the original's modules do not see.
        assert set(expected.layers) <= set(found.layers)
    else:
        assert shapes <= {layer.shape for layer in found.layers}
    if found.no_gradients:
        assert "_transformer_encoder_layer_fwd is not implemented" in found.no_gradients
        assert (write[:5], network) == ("trace", "tokens")
        return
    given = more.clone().requires_grad_()
    wanted = more.clone().requires_grad_()
    (mine(given) ** 2).sum().backward()
    (module(wanted) ** 2).sum().backward()
    torch.testing.assert_close(given.grad, wanted.grad)


@pytest.fixture
def loaded(experiment):
    def load(path, **fields):
        return load_model(experiment(network_format(path), checkpoint=path, **fields))

    return load


@pytest.mark.parametrize("write", ["export", "trace", "script", "frozen"])
def test_every_layer_decides_the_logits(write, loaded, tmp_path):
    module, path = made(), tmp_path / "net.pt2"
    WRITTEN[write](module, path)
    model = loaded(path)
    images = torch.randn(4, 3, 32, 32)
    for layer in model.layers:
        seen = []
        place = model.head_module if layer.name == "penultimate" else None
        target = place or model.module.get_submodule(layer.name)
        hook = (
            target.register_forward_pre_hook(lambda _, given, s=seen: s.append(given[0]))
            if place
            else target.register_forward_hook(lambda _, __, out, s=seen: s.append(out))
        )
        logits = model.module(images)
        hook.remove()
        given = seen[0].clone().requires_grad_()
        again = tail(model, layer.name)(given)
        torch.testing.assert_close(again, logits, rtol=1e-5, atol=1e-6)
        again.sum().backward()
        assert float(given.grad.abs().sum()) > 0


class Cosine(Small):
    def forward(self, x):
        x = self.features(x)
        return 10 * (nn.functional.normalize(x) @ nn.functional.normalize(self.fc.weight).t())


class Two(Small):
    def forward(self, x):
        features = self.features(x)
        return self.fc(features), features


class Named(Small):
    def forward(self, x):
        features = self.features(x)
        return {"features": features, "logits": self.fc(features).softmax(1).log()}


class Headless(Small):
    def forward(self, x):
        return self.features(x)


@pytest.mark.parametrize("write", [exported, traced, frozen])
def test_without_a_linear_head_the_features_are_named(write, tmp_path):
    module, path = made(Cosine), tmp_path / "net.pt2"
    write(module, path)
    with pytest.raises(
        ModelError, match=r"no linear head.*features = .*\(12\).*num_classes = 0"
    ) as e:
        inspect_module(opened(path), SHAPE)
    name = re.findall(r"([\w.]+) \(12\)", str(e.value))[0]
    mine = opened(path, features=name)
    found = inspect_module(mine, SHAPE)
    assert found.head is None
    assert found.layers[-1].shape == (12,)
    assert mine(torch.randn(3, *SHAPE)).shape == (3, 12)
    with pytest.raises(ModelError, match=r"'nothing' names no value of net.pt2.*Available"):
        opened(path, features="nothing")


@pytest.mark.parametrize("write", [exported, traced])
def test_features_that_the_head_is_given_leave_the_head(write, tmp_path):
    path = tmp_path / "net.pt2"
    write(made(), path)
    name = "drop"
    assert inspect_module(opened(path, features=name), SHAPE).head_name == "fc"
    assert inspect_module(opened(path, features=name, num_classes=0), SHAPE, True).head is None


@pytest.mark.parametrize("write", [exported, traced, scripted])
def test_an_output_of_several_is_chosen_where_it_is_plain(write, tmp_path):
    module, path = made(Two), tmp_path / "net.pt2"
    write(module, path)
    images = torch.randn(2, *SHAPE)
    assert torch.equal(opened(path)(images), module(images)[0])
    features = opened(path, features="1", num_classes=0)(images)
    assert torch.equal(features, module(images)[1])


def test_an_output_is_taken_by_its_name(tmp_path):
    module, path = made(Named), tmp_path / "net.pt2"
    exported(module, path)
    images = torch.randn(2, *SHAPE)
    assert torch.equal(opened(path)(images), module(images)["logits"])
    assert torch.equal(opened(path, features="features")(images), module(images)["features"])


@pytest.mark.parametrize("write", WRITTEN)
def test_a_network_without_a_head(write, tmp_path):
    module, path = made(Headless), tmp_path / "net.pt2"
    WRITTEN[write](module, path)
    found = inspect_module(opened(path, num_classes=0), SHAPE, headless=True)
    assert found.head is None
    assert found.layers[-1].shape == (12,)
    with pytest.raises(ModelError, match="num_classes = 0"):
        inspect_module(opened(path), SHAPE)


@pytest.mark.parametrize("write", [exported, scripted, traced, frozen])
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float64])
def test_another_precision(write, kind, tmp_path):
    module, path = made().to(kind), tmp_path / "net.pt2"

    def write_in_kind(example):
        if write is exported:
            shapes = ({0: torch.export.Dim("n")},)
            torch.export.save(torch.export.export(module, example, dynamic_shapes=shapes), path)
        elif write is traced:
            torch.jit.trace(module, example, check_trace=False).save(path)
        else:
            write(module, path)

    write_in_kind((torch.randn(2, *SHAPE).to(kind),))
    mine, images = opened(path), torch.randn(2, *SHAPE)
    if write is not frozen:  # freezing folds batch normalisation into the weights
        assert torch.equal(mine(images), module(images.to(kind)).to(mine(images).dtype))
        head = inspect_module(mine, SHAPE).head
        np.testing.assert_array_equal(head.weight, module.fc.weight.double().numpy())
    assert torch.equal(mine(images), by_pytorch(path, images.to(kind)).to(mine(images).dtype))


def test_images_of_another_size_are_refused_with_the_size(tmp_path, loaded):
    path = tmp_path / "net.pt2"
    exported(made(), path)
    with pytest.raises(ModelError, match=r"images of 3 x 32 x 32 .*got 3 x 24 x 24.*resize"):
        loaded(path, preprocessing=Preprocessing(24, 24))


class Pair(Small):
    def forward(self, x, y):
        return self.fc(self.features(x + y))


def test_what_cannot_be_opened_says_why(tmp_path):
    path, images = tmp_path / "net.pt2", torch.randn(2, *SHAPE)
    torch.export.save(torch.export.export(made(Pair), (images, images)), path)
    with pytest.raises(ModelError, match=r"net.pt2: .*takes 2 inputs.*images alone"):
        opened(path)
    torch.jit.script(made(Pair)).save(path)
    with pytest.raises(ModelError, match=r"net.pt2 .*takes 2 inputs.*images alone"):
        opened(path)


@pytest.mark.parametrize("write", [exported, traced])
def test_training_mode_is_refused(write, tmp_path):
    path = tmp_path / "net.pt2"
    write(made().train(), path)
    with pytest.raises(ModelError, match=r"net.pt2 was written in training mode.*model.eval\(\)"):
        opened(path)


def test_a_script_in_training_mode_is_put_into_eval_mode(tmp_path):
    module, path = made(), tmp_path / "net.pt"
    torch.jit.script(module.train()).save(path)
    images = torch.randn(2, *SHAPE)
    assert torch.equal(opened(path)(images), module.eval()(images))


@pytest.mark.parametrize("write", [exported, traced, scripted])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.999])
def test_a_file_cut_off_is_told_so(write, share, tmp_path):
    path = tmp_path / "net.pt2"
    write(made(), path)
    kind, whole = network_format(path), path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError, match=r"net.pt2 is not a complete .*Copy or download"):
        open_network(ClassifierSpec(kind, checkpoint=path))


@pytest.mark.parametrize("write", [exported, traced, scripted])
def test_damage_anywhere_is_an_error_of_ours_or_opens(write, tmp_path):
    path = tmp_path / "net.pt2"
    write(made(), path)
    kind, whole = network_format(path), path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        try:
            open_network(ClassifierSpec(kind, checkpoint=path))
        except ModelError:
            continue


@pytest.mark.parametrize("kind", [IndexError, KeyError, TypeError, RuntimeError])
def test_whatever_pytorch_says_of_a_damaged_file_is_told_so(kind, tmp_path, monkeypatch):
    path = tmp_path / "net.pt"
    scripted(made(), path)

    def load(*_, **__):
        raise kind("Argument passed to at() was not in the map.")

    monkeypatch.setattr(torch.jit, "load", load)
    with pytest.raises(ModelError, match=r"net.pt is not a complete TorchScript file"):
        opened(path)


class Checked(nn.Module):
    """A batch norm, whose script begins with a check, first within a block."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.inner = Inner()
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        return self.fc(self.inner(self.stem(x)).mean((2, 3)))


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.bn = nn.BatchNorm2d(8)
        self.conv = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        return self.conv(self.bn(x)) + x


def test_a_check_at_the_start_of_a_scripted_block_is_part_of_it(tmp_path):
    module, path = made(Checked), tmp_path / "net.pt"
    scripted(module, path)
    assert inspect_module(opened(path), SHAPE).layers == inspect_module(module, SHAPE).layers


def test_what_the_export_page_writes_opens_again(tmp_path):
    exp = ood_core.load_experiment("digits")
    acts = ood_core.extract(exp)
    path = tmp_path / "detector.pt2"
    ood_core.export.export(acts, "energy", path)
    first = load_model(exp)
    again = load_model(
        ood_core.experiments.Experiment(
            name="again",
            title="Again",
            classifier=ClassifierSpec("torch.export", checkpoint=path),
            preprocessing=None,
            sets=exp.sets,
            fit_set=exp.fit_set,
            test_set=exp.test_set,
            ood_sets=exp.ood_sets,
        )
    )
    assert again.class_names == first.class_names
    assert again.preprocessing.mean == (0.0,)
    assert again.preprocessing.center_crop == first.preprocessing.center_crop
    images = torch.rand(4, *first.input_shape)
    normal = (images - first.preprocessing.mean[0]) / first.preprocessing.std[0]
    assert torch.equal(again.module(images), first.module(normal))
    np.testing.assert_array_equal(again.head.weight, first.head.weight)
    json.dumps([layer.name for layer in again.layers])


@pytest.mark.parametrize("write", ["export", "script", "trace"])
def test_scores_are_those_of_the_same_network(write, tmp_path):
    exp = ood_core.load_experiment("digits")
    first, path = load_model(exp), tmp_path / "net.pt2"
    images = torch.rand(2, *first.input_shape)
    if write == "export":
        shapes = ({0: torch.export.Dim("n")},)
        program = torch.export.export(first.module, (images,), dynamic_shapes=shapes)
        torch.export.save(program, path)
    elif write == "script":
        torch.jit.script(first.module).save(path)
    else:
        torch.jit.trace(first.module, images, check_trace=False).save(path)
    import dataclasses

    classifier = ClassifierSpec(network_format(path), checkpoint=path)
    other = dataclasses.replace(
        exp, name="other", classifier=classifier, preprocessing=first.preprocessing
    )
    for detector in ("energy", "negative_aware_norm", "line"):
        scores = [ood_core.scoring.score(ood_core.extract(e), detector) for e in (exp, other)]
        np.testing.assert_array_equal(scores[0].id_scores, scores[1].id_scores)
    ood_core.export.export(ood_core.extract(other), "energy", tmp_path / "again.pt2")

from __future__ import annotations

import pytest
import torch
from torch import nn

from ood_core.errors import ModelError
from ood_core.models.layer_info import PENULTIMATE, find_layer, to_positions
from ood_core.models.loaded import inspect_module
from ood_core.models.tracing import behead


class Shared(nn.Module):
    """One ReLU used everywhere, a functional residual sum, and a decoy of the logits' size."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.stage = nn.Sequential(Residual(6), Residual(6))
        self.classifier = nn.Linear(6, 4, bias=False)
        self.decoy = nn.Linear(4, 4)

    def forward(self, x):
        x = self.stage(self.relu(self.stem(x)))
        x = self.relu(x - 0.1).mean((2, 3))
        z = self.classifier(x)
        self.decoy(z)
        return z


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.conv2(self.relu(self.conv1(x))) + x)


class ConvHead(nn.Module):
    def __init__(self, pool_first: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 5, 3), nn.GELU())
        self.head = nn.Conv2d(5, 4, 1)
        self.pool_first = pool_first

    def forward(self, x):
        x = self.body(x)
        if self.pool_first:
            return self.head(x.mean((2, 3), keepdim=True)).flatten(1)
        return self.head(x).mean((2, 3))


class TokenHead(nn.Module):
    """A head that runs on every token; the logits are the mean over tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 5, 4, stride=4)
        self.act = nn.ReLU()
        self.head = nn.Linear(5, 4)

    def forward(self, x):
        tokens = self.act(self.embed(x).flatten(2).transpose(1, 2))
        return self.head(tokens).mean(1)


class ReluAfterHead(ConvHead):
    def forward(self, x):
        return torch.relu_(super().forward(x))


SHAPE = (3, 8, 8)


def inspected(module: nn.Module):
    torch.manual_seed(0)
    found = inspect_module(module.eval().requires_grad_(False), SHAPE)
    return found.head_name, found.head, found.layers


def head_error(module: nn.Module, name: str, head, info) -> float:
    """Largest |h Wᵀ + b - logits| on fresh images, h being what the head was given."""
    seen = []
    handle = module.get_submodule(name).register_forward_pre_hook(
        lambda _m, inputs: seen.append(inputs[0].detach().clone())
    )
    logits = module(torch.randn(5, *SHAPE)).detach()
    handle.remove()
    features = to_positions(seen[0], info)[..., 0].numpy()
    return float(abs(head.logits(features) - logits.numpy()).max())


@pytest.mark.parametrize(
    "make",
    [Shared, lambda: ConvHead(True), lambda: ConvHead(False), TokenHead],
    ids=["no bias", "convolution after pooling", "convolution before pooling", "tokens"],
)
def test_the_head_is_found_by_what_it_computes(make):
    torch.manual_seed(1)
    module = make()
    name, head, layers = inspected(module)
    assert name in ("classifier", "head")
    assert layers[-1].name == PENULTIMATE
    assert layers[-1].shape == (head.n_features,)
    assert head_error(module, name, head, layers[-1]) < 1e-5


def test_a_head_without_bias_has_bias_zero():
    _, head, _ = inspected(Shared())
    assert not head.bias.any()


def test_a_network_without_a_linear_head_is_refused():
    with pytest.raises(ModelError, match="ReluAfterHead has no linear head"):
        inspected(ReluAfterHead(pool_first=False))


def test_layers_are_block_outputs_in_order_and_shared_modules_are_left_out():
    _, _, layers = inspected(Shared())
    assert [layer.name for layer in layers] == ["stage.0", "stage.1", PENULTIMATE]
    assert layers[0].shape == (6, 8, 8)
    assert not any(layer.signed for layer in layers)


def test_branches_are_not_layers():
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
            self.right = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
            self.join = nn.Sequential(nn.Conv2d(8, 4, 1), nn.ReLU())
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            both = torch.cat([self.left(x), self.right(x)], 1)
            return self.head(self.join(both).mean((2, 3)))

    _, _, layers = inspected(Branches())
    assert [layer.name for layer in layers] == ["join", PENULTIMATE]


def test_signed_layers_say_so():
    _, _, layers = inspected(ConvHead(False))
    assert [(layer.name, layer.signed) for layer in layers] == [("body", True), (PENULTIMATE, True)]


def test_a_layer_that_is_the_head_input_is_listed_once():
    module = nn.Sequential(nn.Flatten(), nn.Linear(192, 9), nn.ReLU(), nn.Linear(9, 3))
    _, _, layers = inspected(module)
    assert [layer.name for layer in layers] == [PENULTIMATE]


def test_very_deep_networks_list_a_spread_of_layers():
    blocks = [nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()) for _ in range(60)]
    module = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    _, _, layers = inspected(module)
    assert len(layers) == 24
    assert layers[-2].name == "59"
    numbers = [int(layer.name) for layer in layers[:-1]]
    assert numbers == sorted(numbers)


def test_tokens_have_their_channels_last():
    layer = next(x for x in inspected(TokenHead())[2] if x.name == "act")
    assert (layer.kind, layer.shape, layer.channels, layer.positions) == ("tokens", (4, 5), 5, 4)
    tokens = torch.arange(40.0).reshape(2, 4, 5)
    assert torch.equal(to_positions(tokens, layer), tokens.transpose(1, 2))


def test_maps_and_vectors_become_positions():
    body, _ = inspected(ConvHead(False))[2]
    maps = torch.randn(2, *body.shape)
    assert torch.equal(to_positions(maps, body), maps.flatten(2))
    with pytest.raises(
        ModelError, match=r"gave shape \(2, 7, 6, 6\); expected \(images, 5, 6, 6\)"
    ):
        to_positions(torch.zeros(2, 7, 6, 6), body)


def test_unknown_layers_list_the_known_ones():
    layers = inspected(Shared())[2]
    with pytest.raises(
        ModelError, match=r"unknown layer 'stage\.2'.*Available: penultimate, stage"
    ):
        find_layer(layers, "stage.2")


def test_images_that_the_network_cannot_take():
    with pytest.raises(ModelError, match=r"cannot take images of shape \(1, 8, 8\).*Check resize"):
        inspect_module(Shared(), (1, 8, 8))


def test_networks_that_do_not_classify():
    with pytest.raises(
        ModelError, match=r"logits of shape \(images, classes\), .* got \(2, 5, 6, 6\)"
    ):
        inspected(nn.Conv2d(3, 5, 3))


def test_damaged_weights():
    module = Shared()
    with torch.no_grad():
        module.stem.weight[0] = torch.nan
    with pytest.raises(ModelError, match="NaN or infinite logits: its weights are damaged"):
        inspected(module)


@pytest.mark.parametrize("fails", [False, True])
def test_hooks_are_gone_also_after_an_error(fails):
    module = Shared()
    if fails:
        with pytest.raises(ModelError):
            inspect_module(module, (1, 8, 8))
    else:
        inspect_module(module, SHAPE)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(192, 6), nn.ReLU())
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        return self.head(self.body(x))


@pytest.mark.parametrize("make", [Plain, lambda: ConvHead(True)], ids=["linear", "convolution"])
def test_without_its_head_a_network_returns_what_the_head_was_given(make):
    torch.manual_seed(1)
    module = make().eval()
    _, head, layers = inspected(module)
    images = torch.randn(5, *SHAPE)
    logits = module(images).detach().numpy()
    headless = behead(module, SHAPE)
    found = inspect_module(headless.eval().requires_grad_(False), SHAPE, headless=True)
    features = headless(images).flatten(1).detach().numpy()
    assert abs(head.logits(features) - logits).max() < 1e-5
    assert (found.head, found.head_name) == (None, "")
    assert found.layers == layers


def test_taking_off_a_head_that_is_not_there_is_refused():
    with pytest.raises(ModelError, match="no linear head that could be taken off"):
        behead(ReluAfterHead(pool_first=False), SHAPE)


class Returns(nn.Module):
    """A body of feature maps, (n, 5, 4, 4), and what is made of them."""

    def __init__(self, make) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU())
        self.make = make

    def forward(self, x):
        return self.make(self.body(x))


def test_features_with_positions_are_averaged_over_them():
    module = Returns(lambda maps: maps).eval()
    found = inspect_module(module, (3, 6, 6), headless=True)
    assert found.head is None
    body, last = found.layers[-2:]
    assert (body.kind, body.shape) == ("map", (5, 4, 4))
    assert (last.name, last.kind, last.shape) == (PENULTIMATE, "vector", (5,))
    images = torch.randn(2, 3, 6, 6)
    found_features = to_positions(module(images), last).squeeze(2)
    torch.testing.assert_close(found_features, module(images).mean((2, 3)))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda m: m.flatten(2).transpose(1, 2), r"\(2, 16, 5\).*tokens.*x\[:, 0\]"),
        (lambda m: m.permute(0, 2, 3, 1), r"\(2, 4, 4, 5\).*permute\(0, 3, 1, 2\)"),
        (lambda m: (m, m.mean((2, 3))), r"tuple of 0 \(2, 5, 4, 4\), 1 \(2, 5\)\. Have forward"),
        (lambda m: [m], r"list of 0 \(2, 5, 4, 4\)"),
        (lambda m: {"maps": m, "n": 3}, r"dict of maps \(2, 5, 4, 4\), n int\. Have forward"),
        (lambda m: None, r"got NoneType\. Have forward return one such tensor"),
        (lambda m: m.mean(), r"got \(\)\. Have forward"),
    ],
)
def test_what_is_neither_features_nor_maps_is_named_with_what_to_do(make, said):
    with pytest.raises(ModelError, match=said):
        inspect_module(Returns(make).eval(), (3, 6, 6), headless=True)


def test_maps_are_no_logits():
    with pytest.raises(ModelError, match=r"logits .* with num_classes = 0, features"):
        inspect_module(Returns(lambda m: m).eval(), (3, 6, 6))


class Unsteady(Plain):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.calls = kind, 0

    def forward(self, x):
        h = self.body(x)
        if self.kind == "dropout":
            h = nn.functional.dropout(h)
        if self.kind == "state":
            self.calls += 1
            h = h + self.calls
        if self.kind == "batch":
            h = h - h.mean(0)
        return self.head(h)


@pytest.mark.parametrize(
    ("kind", "message"),
    [("dropout", "same images"), ("state", "same images"), ("batch", "the other images")],
)
def test_an_output_that_is_not_the_images_own_is_refused(kind, message):
    torch.manual_seed(1)
    with pytest.raises(ModelError, match=message):
        inspected(Unsteady(kind))

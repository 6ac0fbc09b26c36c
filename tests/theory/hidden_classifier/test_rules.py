"""The rules against explicit products, vmap(jacrev) and Prop. 1."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as nnf

from ood_core.errors import ModelError
from ood_core.theory.hidden_classifier.coefficients import TailRun
from tests.theory.written_out import coefficients

D = torch.float64


class Residual(nn.Module):
    """Two convolutions with batch norm and a skip connection."""

    def __init__(self, c: int, bias: bool, act=nn.ReLU) -> None:
        super().__init__()
        self.one = nn.Conv2d(c, c, 3, padding=1, bias=bias)
        self.two = nn.Conv2d(c, c, 3, padding=1, bias=bias)
        self.norm = nn.BatchNorm2d(c)
        self.act = act()

    def forward(self, x):
        return self.act(x + self.norm(self.two(self.act(self.one(x)))))


def net(kind: str, bias: bool, act=nn.ReLU) -> tuple[nn.Module, torch.Tensor]:
    """A tail and the outputs of the layer before it, with batch norm set to odd statistics."""
    torch.manual_seed(0)
    if kind == "mlp":
        tail = nn.Sequential(
            act(), nn.Linear(9, 12, bias=bias), act(), nn.Linear(12, 7, bias=bias), act(),
            nn.Linear(7, 4, bias=bias),
        )  # fmt: skip
        x = torch.randn(20, 9)
    else:
        tail = nn.Sequential(
            Residual(5, bias, act), nn.MaxPool2d(2), nn.Conv2d(5, 6, 3, bias=bias),
            nn.BatchNorm2d(6), nn.LeakyReLU(0.1) if act is nn.ReLU else act(), nn.AvgPool2d(2),
            nn.Flatten(), nn.Linear(6, 4, bias=bias),
        )  # fmt: skip
        x = torch.relu(torch.randn(20, 5, 8, 8))
    for m in tail.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_var.uniform_(0.5, 2)
            nn.init.uniform_(m.weight, 0.5, 2)
            if bias:
                m.running_mean.normal_()
                nn.init.normal_(m.bias)
    return tail.to(D).eval(), x.to(D)


@pytest.mark.parametrize("kind", ["mlp", "conv"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_proposition_1_holds_without_biases(kind, dtype):
    tail, x = net(kind, bias=False)
    tail, x = tail.to(dtype), x.to(dtype)
    c, beta = coefficients(tail, x)
    logits = tail(x).detach().numpy()
    relative = np.abs(beta).max() / np.abs(logits).max()
    assert relative < (1e-5 if dtype is torch.float32 else 1e-12)
    assert c.shape == (20, 4, x[0].numel())


@pytest.mark.parametrize("act", [nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.ELU, nn.Hardswish])
@pytest.mark.parametrize("bias", [False, True])
def test_equals_the_explicit_product_of_equation_2(act, bias):
    """C = W3 D2 W2 D1 W1 with D = diag(σ(z)/z), built by hand, 0/0 = 0."""
    tail, x = net("mlp", bias, act)
    x[3, 2] = 0
    got, _ = coefficients(tail, x)
    for i in range(len(x)):
        z, c = x[i], torch.eye(9, dtype=D)
        for m in tail:
            if isinstance(m, nn.Linear):
                z, c = m(z), m.weight @ c
            else:
                value = m(z)
                z, c = value, torch.diag(torch.where(z == 0, 0.0, value / z)) @ c
        np.testing.assert_allclose(got[i], c.detach().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_equals_vmap_jacrev_on_relu_nets(kind):
    tail, x = net(kind, bias=True)
    got, _ = coefficients(tail, x)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda a: tail(a[None])[0]))(x)
    np.testing.assert_allclose(got, jacobian.flatten(2).detach().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["mlp", "conv"])
@pytest.mark.parametrize(
    "act", [nn.GELU, nn.SiLU, nn.ELU, nn.SELU, nn.CELU, nn.Mish, nn.Hardswish, nn.ReLU6, nn.Tanh]
)
def test_secant_is_exact_where_the_jacobian_is_wrong(kind, act):
    tail, x = net(kind, bias=False, act=act)
    x = x * 3
    _, beta = coefficients(tail, x)
    scale = float(tail(x).detach().abs().max())
    assert np.abs(beta).max() / scale < 1e-12
    plain = torch.func.vmap(torch.func.jacrev(lambda a: tail(a[None])[0]))(x).flatten(2)
    missed = tail(x) - torch.einsum("nkd,nd->nk", plain, x.flatten(1))
    assert float(missed.detach().abs().max()) / scale > 1e-3


def test_bias_is_what_the_biases_add():
    """β of an MLP: the logits of the same gates driven by the biases alone."""
    tail, x = net("mlp", bias=True)
    _, beta = coefficients(tail, x)
    for i in range(len(x)):
        z, b = x[i], torch.zeros(9, dtype=D)
        for m in tail:
            if isinstance(m, nn.Linear):
                z, b = m(z), m.weight @ b + m.bias
            else:
                b, z = torch.where(z > 0, b, 0.0), torch.relu(z)
        np.testing.assert_allclose(beta[i], b.detach().numpy(), rtol=1e-9, atol=1e-12)


class Block(nn.Module):
    """Transformer block without biases, the activation in the middle a GELU."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8, bias=False, eps=0)
        self.attend = nn.MultiheadAttention(8, 2, bias=False, batch_first=True)
        self.mlp = nn.Sequential(
            nn.RMSNorm(8), nn.Linear(8, 16, bias=False), nn.GELU(), nn.Linear(16, 8, bias=False)
        )
        self.head = nn.Linear(8, 3, bias=False)
        self.fused = fused

    def forward(self, x):
        y = self.norm(x)
        if self.fused:
            x = x + self.attend(y, y, y, need_weights=False)[0]
        else:
            x = x + (y @ y.transpose(1, 2)).softmax(-1) @ y
        return self.head((x + self.mlp(x)).mean(1))


class Gates(nn.Module):
    """Squeeze and excitation, GLU, group and instance norm, cosine features."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(6, 2, 1), nn.ReLU(), nn.Conv2d(2, 6, 1), nn.Sigmoid()
        )
        self.group, self.instance = nn.GroupNorm(3, 6, affine=False), nn.InstanceNorm2d(6)
        self.head = nn.Linear(3, 4, bias=False)

    def forward(self, x):
        x = self.instance(self.group(x * self.gate(x)))
        x = nnf.local_response_norm(nnf.silu(x, inplace=True), 3)
        return self.head(nnf.normalize(nnf.glu(x, 1).mean((2, 3))))


@pytest.mark.parametrize("fused", [True, False])
def test_attention_and_layer_norm_leave_no_remainder(fused):
    torch.manual_seed(0)
    tail = Block(fused).to(D).eval()
    x = torch.randn(6, 5, 8, dtype=D)
    _, beta = coefficients(tail, x)
    assert np.abs(beta).max() / float(tail(x).detach().abs().max()) < 1e-12
    used = TailRun.start(tail, x).used
    assert used["layer_norm"] == used["rms_norm"] == "extension"
    assert used["gelu"] == "exact"


def test_gates_and_other_norms_leave_no_remainder():
    torch.manual_seed(0)
    tail, x = Gates().to(D).eval(), torch.randn(6, 6, 5, 5, dtype=D)
    run = TailRun.start(tail, x)
    _, beta = coefficients(tail, x)
    assert np.abs(beta).max() / float(tail(x).detach().abs().max()) < 1e-12
    assert set(run.used) >= {"sigmoid", "glu", "group_norm", "instance_norm", "normalize", "silu"}
    assert not run.uncovered


def test_operations_without_a_rule_are_named():
    run = TailRun.start(lambda a: torch.exp(a) * a, torch.randn(3, 2, dtype=D))
    assert run.uncovered == {"exp", "product of two activations"}


def test_a_weight_is_not_an_activation():
    """Layer scale: a product with a parameter that is still being trained."""
    scale = nn.Parameter(torch.rand(4, dtype=D))
    run = TailRun.start(lambda a: a * scale, torch.randn(3, 4, dtype=D))
    assert not run.uncovered


def test_a_tail_may_begin_with_an_inplace_activation():
    tail = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 3, bias=False)).to(D)
    x = torch.randn(5, 4, dtype=D)
    before = x.clone()
    _, beta = coefficients(tail, x)
    assert np.abs(beta).max() < 1e-12
    assert torch.equal(x, before)


def test_errors():
    x = torch.randn(4, 3, 2, 2)
    norm = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))
    with pytest.raises(ModelError, match=r"batch norm uses the statistics.*model\.eval"):
        coefficients(norm.train(), x)
    dropout = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 2))
    with pytest.raises(ModelError, match="dropout is active"):
        coefficients(dropout.train(), x)
    with pytest.raises(ModelError, match=r"logits of shape \(4, classes\), got \(4, 3, 2, 2\)"):
        coefficients(nn.ReLU(), x)
    with pytest.raises(ModelError, match="do not depend on this layer"):
        coefficients(lambda a: torch.zeros(4, 2), x)
    with pytest.raises(ModelError, match="other logits under the rules"):
        coefficients(lambda a: a.flatten(1) + torch.randn(4, 12), x)

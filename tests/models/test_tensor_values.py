"""Tensors of every kind are read as the weights that they mean, or refused by name."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ood_core.errors import ModelError
from ood_core.models import nearest
from ood_core.models.fitting import load_weights, randomise


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 3)
        self.register_buffer("index", torch.arange(4))
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))


STATE = dict(randomise(Network, 1).state_dict())
NAME = "conv.weight"
WEIGHT = STATE[NAME]


@pytest.fixture(autouse=True)
def few_architectures(monkeypatch):
    monkeypatch.setattr(nearest, "_names", lambda: ("digits_cnn",))


def load(path, **changed):
    torch.save(STATE | {k.replace("__", "."): v for k, v in changed.items()}, path)
    fresh = randomise(Network, 2)
    before = {k: v.clone() for k, v in fresh.state_dict().items()}
    try:
        report = load_weights(fresh, path, "mine")
    except ModelError:
        assert all(torch.equal(v, before[k]) for k, v in fresh.state_dict().items())
        raise
    return fresh, report


EXACT = {
    "bfloat16": (WEIGHT.bfloat16(), WEIGHT.bfloat16().float()),
    "float16": (WEIGHT.half(), WEIGHT.half().float()),
    "float64": (WEIGHT.double(), WEIGHT),
    "float8": (WEIGHT.to(torch.float8_e4m3fn), WEIGHT.to(torch.float8_e4m3fn).float()),
    "another float8": (WEIGHT.to(torch.float8_e5m2), WEIGHT.to(torch.float8_e5m2).float()),
    "a parameter": (nn.Parameter(WEIGHT), WEIGHT),
    "not contiguous": (WEIGHT.transpose(2, 3).contiguous().transpose(2, 3), WEIGHT),
    "channels last": (WEIGHT.to(memory_format=torch.channels_last), WEIGHT),
    "expanded": (torch.ones(1).expand(4, 1, 3, 3), torch.ones(4, 1, 3, 3)),
}


@pytest.mark.parametrize(("given", "meant"), EXACT.values(), ids=EXACT)
def test_floats_keep_their_values(given, meant, tmp_path):
    fresh, _ = load(tmp_path / "net.pth", conv__weight=given)
    assert fresh.conv.weight.dtype == torch.float32
    assert torch.equal(fresh.conv.weight, meant)


@pytest.mark.filterwarnings("ignore:Sparse CSR:UserWarning")
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_sparse_weights_are_read(layout, tmp_path):
    thin = STATE["head.weight"].clone()
    thin[:, 1:] = 0
    fresh, report = load(tmp_path / "net.pth", head__weight=thin.to_sparse(layout=layout))
    assert torch.equal(fresh.head.weight, thin)
    assert "sparse" in report.text


def quantised(kind):
    if kind == "tensor":
        return torch.quantize_per_tensor(WEIGHT, 0.1, 0, torch.qint8)
    scales, zeros = torch.full((4,), 0.1), torch.zeros(4, dtype=torch.long)
    return torch.quantize_per_channel(WEIGHT, scales, zeros, 0, torch.qint8)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("kind", ["tensor", "channel"])
def test_quantised_weights_are_read_as_the_floats_they_stand_for(kind, tmp_path):
    given = quantised(kind)
    fresh, report = load(tmp_path / "net.pth", conv__weight=given)
    assert torch.equal(fresh.conv.weight, given.dequantize())
    assert "quantised" in report.text


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_quantised_network_is_refused_as_one(tmp_path):
    """Its activations have scales of their own: as floats it is another network."""
    more = {"conv.scale": torch.tensor(0.1), "conv.zero_point": torch.tensor(0)}
    with pytest.raises(ModelError, match=r"unexpected.*quantised.*Save .* before it is quantised"):
        load(tmp_path / "net.pth", conv__weight=quantised("tensor"), **more)


REFUSED = {
    "int8": (WEIGHT.to(torch.int8), "conv.weight holds whole numbers (int8)"),
    "int64": (WEIGHT.long(), "conv.weight holds whole numbers (int64)"),
    "uint8": (WEIGHT.to(torch.uint8), "conv.weight holds whole numbers (uint8)"),
    "uint16": (WEIGHT.abs().to(torch.uint16), "conv.weight holds whole numbers (uint16)"),
    "bool": (WEIGHT > 0, "conv.weight holds whole numbers (bool)"),
    "complex": (WEIGHT.to(torch.complex64), "conv.weight holds complex numbers"),
    "meta": (WEIGHT.to("meta"), "conv.weight has a shape but no values (a meta tensor)"),
    "nan": (WEIGHT.clone().fill_(torch.nan), "conv.weight holds NaN or infinity (36 of 36"),
    "one inf": (WEIGHT.index_fill(0, torch.tensor([1]), torch.inf), "NaN or infinity (9 of 36"),
    "half inf": (WEIGHT.half() * 1e6, "conv.weight holds NaN or infinity"),
    "too large": (WEIGHT.double() * 1e300, "conv.weight holds values beyond float32"),
    "zero size": (torch.zeros(0), "shards"),
}


@pytest.mark.parametrize(("given", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_weight_is_refused_by_name(given, said, tmp_path):
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "net.pth", conv__weight=given)
    assert said in str(caught.value)
    assert "net.pth" in str(caught.value)
    assert "othing was loaded" in str(caught.value)


def test_a_number_in_place_of_a_vector(tmp_path):
    with pytest.raises(ModelError, match=r"head.bias: file \(\), network \(3,\)"):
        load(tmp_path / "net.pth", head__bias=torch.tensor(1.0))


def test_plain_numbers_are_no_weights(tmp_path):
    with pytest.raises(ModelError, match=r"1 missing \(conv.weight\)"):
        load(tmp_path / "net.pth", conv__weight=3)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_nested_tensors_are_refused(tmp_path):
    with pytest.raises(ModelError, match="nested"):
        load(tmp_path / "net.pth", conv__weight=torch.nested.nested_tensor([torch.ones(2)]))


def test_whole_numbers_stay_where_the_network_has_whole_numbers(tmp_path):
    index = torch.tensor([3, 2, 1, 0], dtype=torch.int32)
    fresh, _ = load(tmp_path / "net.pth", index=index)
    assert fresh.index.dtype == torch.int64
    assert fresh.index.tolist() == [3, 2, 1, 0]
    fresh, _ = load(tmp_path / "net.pth", index=index.float())
    assert fresh.index.tolist() == [3, 2, 1, 0]
    with pytest.raises(ModelError, match="index holds fractions"):
        load(tmp_path / "net.pth", index=torch.full((4,), 0.5))


def test_infinity_stays_where_the_network_has_it(tmp_path):
    fresh, _ = load(tmp_path / "net.pth")
    assert torch.equal(fresh.mask, STATE["mask"])


def test_weights_that_share_their_storage(tmp_path):
    store = torch.arange(36.0 + 12).div(100)
    conv, head = store[:36].view(4, 1, 3, 3), store[36:].view(3, 4)
    fresh, _ = load(tmp_path / "net.pth", conv__weight=conv, head__weight=head)
    assert torch.equal(fresh.conv.weight, conv)
    assert torch.equal(fresh.head.weight, head)


def test_a_damaged_average_is_refused_and_the_other_named(tmp_path):
    bad = {
        k: torch.full_like(v, torch.nan) if v.is_floating_point() else v for k, v in STATE.items()
    }
    torch.save({"model": STATE, "model_ema": bad}, tmp_path / "net.pth")
    with pytest.raises(ModelError, match=r"NaN or infinity.*Also in the file: 'model'"):
        load_weights(Network(), tmp_path / "net.pth", "mine")
    load_weights(Network(), tmp_path / "net.pth", "mine", part="model")

"""Which of several sets of weights in one file is loaded, and what is said of the others."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import nn

from ood_core.errors import ModelError
from ood_core.models import nearest
from ood_core.models.fitting import AmbiguousPartsError, load_weights, randomise
from ood_core.models.nearest import checkpoint_classes


def network(classes: int = 3) -> nn.Module:
    parts = OrderedDict(conv=nn.Conv2d(1, 4, 3), bn=nn.BatchNorm2d(4), head=nn.Linear(4, classes))
    return nn.Sequential(parts)


@pytest.fixture(autouse=True)
def few_architectures(monkeypatch):
    monkeypatch.setattr(nearest, "_names", lambda: ("digits_cnn", "resnet20"))


def weights(seed: int) -> dict[str, torch.Tensor]:
    return dict(randomise(network, seed).state_dict())


LAST, AVERAGED, THIRD = weights(1), weights(2), weights(3)


def under(prefix: str, state):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def load(content, tmp_path, part=None):
    path = tmp_path / "net.pth"
    torch.save(content, path)
    fresh = randomise(network, 9)
    report = load_weights(fresh, path, "mine", part=part)
    return report, fresh.head.weight


def swa(state, count=3):
    return {"n_averaged": torch.tensor(count), **under("module.", state)}


TWO = {
    "flat": (lambda: under("model.", LAST) | under("ema_model.", AVERAGED), "ema_model", "model"),
    "flat, averaged first": (
        lambda: under("ema.", AVERAGED) | under("backbone.", LAST), "ema", "backbone",
    ),
    "lightning": (
        lambda: {"state_dict": under("net.", LAST) | under("net_ema.", AVERAGED)},
        "state_dict.net_ema", "state_dict.net",
    ),
    "timm": (
        lambda: {"arch": "x", "state_dict": LAST, "state_dict_ema": AVERAGED},
        "state_dict_ema", "state_dict",
    ),
    "torchvision": (
        lambda: {"model": LAST, "model_ema": swa(AVERAGED)}, "model_ema.module", "model",
    ),
    "averaged model inside": (
        lambda: {"state_dict": under("net.", LAST) | under("avg.", swa(AVERAGED))},
        "state_dict.avg.module", "state_dict.net",
    ),
    "told by its counter": (
        lambda: {"net": LAST, "second": swa(AVERAGED)}, "second.module", "net",
    ),
    "camel case": (lambda: {"net": LAST, "netEMA": AVERAGED}, "netEMA", "net"),
    "one word": (lambda: {"model": LAST, "modelema": AVERAGED}, "modelema", "model"),
    "swa": (lambda: {"model": LAST, "swa_state": AVERAGED}, "swa_state", "model"),
    "nested": (
        lambda: {"model": {"state_dict": LAST}, "ema": {"state_dict": AVERAGED}},
        "ema.state_dict", "model.state_dict",
    ),
    "compiled": (
        lambda: {"model": under("_orig_mod.", LAST), "ema": under("_orig_mod.", AVERAGED)},
        "ema._orig_mod", "model._orig_mod",
    ),
    "lightning averaging": (
        lambda: {
            "state_dict": AVERAGED, "current_model_state": LAST,
            "averaging_state": {"n_averaged": torch.tensor(4)},
        },
        "state_dict", "current_model_state",
    ),
    "mmengine swaps": (
        lambda: {
            "meta": {}, "state_dict": AVERAGED,
            "ema_state_dict": {"steps": torch.tensor(4), **under("module.", LAST)},
        },
        "state_dict", "ema_state_dict.module",
    ),
    "dino": (
        lambda: {
            "student": under("module.", LAST), "teacher": under("module.", AVERAGED),
            "dino_loss": {},
        },
        "teacher.module", "student.module",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "taken", "other"), TWO.values(), ids=TWO)
def test_averaged_weights_win_wherever_they_lie(make, taken, other, tmp_path):
    report, head = load(make(), tmp_path)
    assert torch.equal(head, AVERAGED["head.weight"])
    assert report.part == taken
    assert [name for name, _ in report.others] == [other]
    assert "averaged" in report.reason
    assert report.left_out == ()


@pytest.mark.parametrize(("make", "taken", "other"), TWO.values(), ids=TWO)
def test_the_other_part_is_loaded_when_it_is_named(make, taken, other, tmp_path):
    report, head = load(make(), tmp_path, part=other)
    assert torch.equal(head, LAST["head.weight"])
    assert report.part == other
    assert [name for name, _ in report.others] == [taken]
    report, head = load(make(), tmp_path, part=taken)
    assert torch.equal(head, AVERAGED["head.weight"])


UNDECIDED = {
    "last and best": lambda: {"state_dict": LAST, "best_state_dict": THIRD},
    "distillation": lambda: {"teacher": THIRD, "student": LAST},
    "moco": lambda: {"state_dict": under("encoder_q.", LAST) | under("encoder_k.", THIRD)},
    "folds": lambda: {0: LAST, 1: THIRD},
    "a list": lambda: {"models": [LAST, THIRD]},
    "co-teaching": lambda: under("net1.", LAST) | under("net2.", THIRD),
    "two averages": lambda: {"model": LAST, "ema": AVERAGED, "swa": THIRD},
    "four networks": lambda: (
        under("m0.", LAST) | under("m1.", THIRD) | under("m2.", LAST) | under("m3.", THIRD)
    ),
}


@pytest.mark.parametrize("make", UNDECIDED.values(), ids=UNDECIDED)
def test_what_the_rule_cannot_decide_is_refused(make, tmp_path):
    with pytest.raises(AmbiguousPartsError) as caught:
        load(make(), tmp_path)
    assert len(caught.value.parts) >= 2
    for name in caught.value.parts:
        assert name in str(caught.value)
        load(make(), tmp_path, part=name)
    assert "part = " in str(caught.value)
    assert "--part" in str(caught.value)


def test_the_same_weights_twice_are_no_question(tmp_path):
    again = {name: tensor.clone() for name, tensor in LAST.items()}
    report, head = load({"model": LAST, "state_dict": again}, tmp_path)
    assert torch.equal(head, LAST["head.weight"])
    assert {report.part, report.others[0][0]} == {"model", "state_dict"}
    assert report.others[0][1] == "the same"


def test_an_average_of_nothing_does_not_win(tmp_path):
    """Before its first update an AveragedModel holds the network as it began."""
    report, head = load({"model": LAST, "model_ema": swa(THIRD, 0)}, tmp_path)
    assert torch.equal(head, LAST["head.weight"])
    assert report.part == "model"
    assert "n_averaged = 0" in dict(report.others)["model_ema.module"]


def test_an_average_without_the_buffers_is_named(tmp_path):
    shadow = {k: v for k, v in AVERAGED.items() if "running" not in k}
    report, head = load({"model": LAST, "ema": {"decay": 0.9, "shadow": shadow}}, tmp_path)
    assert torch.equal(head, LAST["head.weight"])
    name, how = report.others[0]
    assert name == "ema.shadow"
    assert "2 missing (bn.running_mean, bn.running_var)" in how


def test_an_optimizer_is_no_part(tmp_path):
    moments = {"exp_avg": THIRD, "exp_avg_sq": THIRD, "grads": THIRD}
    report, head = load({"model": LAST, "optim": moments, **moments}, tmp_path)
    assert torch.equal(head, LAST["head.weight"])
    assert report.others == ()


def test_what_was_left_out_is_named(tmp_path):
    extra = {"loss.weight": torch.ones(3), "projection.0.weight": torch.ones(2, 2)}
    report, _ = load({"epoch": 2, "state_dict": under("model.", LAST) | extra}, tmp_path)
    assert report.part == "state_dict.model"
    assert report.left_out == ("state_dict.loss.weight", "state_dict.projection.0.weight")
    assert "2 names of the file were left out (state_dict.loss.weight, " in report.text


def test_a_plain_file_has_nothing_to_say(tmp_path):
    report, _ = load(LAST, tmp_path)
    assert (report.part, report.others, report.left_out) == (".", (), ())
    assert report.text == "All 9 tensors of net.pth."


def test_an_unknown_part_names_those_there_are(tmp_path):
    with pytest.raises(ModelError, match=r"has no part 'emma'.*Did you mean 'ema'.*model"):
        load({"model": LAST, "ema": AVERAGED}, tmp_path, part="emma")


def test_a_part_that_does_not_fit_is_not_replaced_by_another(tmp_path):
    bad = {k: v for k, v in AVERAGED.items() if k != "conv.bias"}
    with pytest.raises(ModelError, match=r"nothing was loaded: 1 missing \(conv.bias\)"):
        load({"model": LAST, "ema": bad}, tmp_path, part="ema")


def test_classes_are_those_of_the_part(tmp_path):
    from ood_core.models.architectures import build

    path = tmp_path / "net.pth"
    teacher, student = build("resnet20", 100).state_dict(), build("resnet20", 7).state_dict()
    torch.save({"teacher": teacher, "student": student}, path)
    assert checkpoint_classes(path, "resnet20", "student") == 7
    assert checkpoint_classes(path, "resnet20", "teacher") == 100
    assert checkpoint_classes(path, "resnet20") is None
    torch.save({"model": student, "model_ema": teacher}, path)
    assert checkpoint_classes(path, "resnet20") == 100


def test_wrappers_of_all_libraries_at_once(tmp_path):
    report, head = load({"state_dict": under("_orig_mod.module.model.net.", LAST)}, tmp_path)
    assert torch.equal(head, LAST["head.weight"])
    assert report.part == "state_dict._orig_mod.module.model.net"

from __future__ import annotations

import argparse
import pickle
from collections import OrderedDict, defaultdict
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ood_core.errors import ModelError
from ood_core.models import nearest
from ood_core.models.checkpoints import candidates, read_checkpoint
from ood_core.models.fitting import load_weights, randomise
from ood_core.models.mismatch import compare
from ood_core.models.nearest import nearest_architectures


def network(classes: int = 3) -> nn.Module:
    parts = OrderedDict(conv=nn.Conv2d(1, 4, 3), bn=nn.BatchNorm2d(4), head=nn.Linear(4, classes))
    return nn.Sequential(parts)


@pytest.fixture(autouse=True)
def few_architectures(monkeypatch):
    """Comparing with all of torchvision takes seconds; one test does it."""
    monkeypatch.setattr(nearest, "_names", lambda: ("digits_cnn", "resnet20", "resnet32"))


@pytest.fixture
def state():
    return randomise(network, 7).state_dict()


def prefixed(state, prefix):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


WRAPPERS = {
    "bare": lambda s: s,
    "state_dict": lambda s: {"epoch": 3, "state_dict": s},
    "model": lambda s: {"model": s, "optimizer": {"state": {}, "param_groups": []}},
    "net": lambda s: {"net": s, "acc": 91.5},
    "nested": lambda s: {"checkpoint": {"model": {"state_dict": s}}},
    "data parallel": lambda s: {"state_dict": prefixed(s, "module.")},
    "lightning": lambda s: {"state_dict": {**prefixed(s, "model."), "loss.weight": torch.ones(3)}},
    "compiled": lambda s: prefixed(s, "_orig_mod.module."),
    "averaged": lambda s: {"n_averaged": torch.tensor(5), **prefixed(s, "module.")},
    "numpy scalar": lambda s: {"best": np.float64(0.9), "state_dict": s},
    "arguments": lambda s: {"args": argparse.Namespace(lr=0.1), "model": s},
    "random state": lambda s: {"numpy_rng": np.random.RandomState(0).get_state(), "model": s},
    "histories": lambda s: {"log": defaultdict(list, loss=[1.0]), "f1": np.arange(5.0), "model": s},
    "numpy bool": lambda s: {"is_best": np.bool_(True), "half": np.float16(1), "model": s},
    "path and time": lambda s: {"dir": Path("runs/1"), "at": datetime(2026, 1, 1), "model": s},
    "arrays": lambda s: {name: tensor.numpy() for name, tensor in s.items()},
    "blocks compiled": lambda s: {
        k.replace("bn.", "bn._orig_mod."): v for k, v in prefixed(s, "model.").items()
    },
    "blocks wrapped": lambda s: {
        k.replace("bn.", "bn._fsdp_wrapped_module._checkpoint_wrapped_module."): v
        for k, v in prefixed(s, "module.").items()
    },
    "head renamed": lambda s: {k.replace("head.", "linear."): v for k, v in s.items()},
    "no counters": lambda s: {k: v for k, v in s.items() if "num_batches" not in k},
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_finds_the_weights_in_any_wrapper(wrap, state, tmp_path):
    path = tmp_path / "net.pth"
    torch.save(wrap(state), path)
    fresh = randomise(network, 8)
    load_weights(fresh, path, "mine")
    for name, tensor in fresh.state_dict().items():
        if "num_batches" not in name:
            assert torch.equal(tensor, state[name]), name


def test_averaged_weights_win_over_the_last_ones(state, tmp_path):
    path = tmp_path / "net.pth"
    averaged = {name: tensor + 1 for name, tensor in state.items()}
    torch.save({"state_dict": state, "state_dict_ema": averaged}, path)
    fresh = network()
    load_weights(fresh, path, "mine")
    assert torch.equal(fresh.head.bias, state["head.bias"] + 1)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_checkpoint_to_resume_from(state, tmp_path, optimizer):
    """After one step the optimizer holds tensors under numbers, not names."""
    network = torch.nn.Linear(3, 2)
    kind = {"sgd": partial(torch.optim.SGD, momentum=0.9), "adam": torch.optim.Adam}[optimizer]
    stepped = kind(network.parameters(), lr=0.1)
    network(torch.ones(1, 3)).sum().backward()
    stepped.step()
    saved = {"epoch": 1, "state_dict": state, "optimizer": stepped.state_dict(), 7: {"best": 0.9}}
    torch.save(saved, tmp_path / "last.pth")
    found = dict(candidates(read_checkpoint(tmp_path / "last.pth")))
    assert found["state_dict"].keys() == state.keys()
    assert not any("optimizer" in place for place in found)


def test_folds_under_numbers_are_found(state, tmp_path):
    torch.save({0: state, (1, "b"): state}, tmp_path / "folds.pth")
    assert {"0", "(1, 'b')"} <= set(dict(candidates(read_checkpoint(tmp_path / "folds.pth"))))


def test_reads_safetensors(state, tmp_path):
    path = tmp_path / "net.safetensors"
    save_file(state, path)
    fresh = network()
    load_weights(fresh, path, "mine")
    assert torch.equal(fresh.head.weight, state["head.weight"])


def test_a_mismatch_names_keys_and_shapes_and_changes_nothing(state, tmp_path):
    path = tmp_path / "net.pth"
    bad = {k: v for k, v in state.items() if k != "conv.bias"}
    bad |= {"extra.scale": torch.ones(2), "bn.weight": torch.ones(5)}
    torch.save(bad, path)
    fresh = network()
    before = {k: v.clone() for k, v in fresh.state_dict().items()}
    with pytest.raises(ModelError) as caught:
        load_weights(fresh, path, "mine")
    message = str(caught.value)
    assert "net.pth does not fit 'mine', nothing was loaded" in message
    assert "1 missing (conv.bias)" in message
    assert "1 unexpected (extra.scale)" in message
    assert "bn.weight: file (5,), network (4,)" in message
    assert "No other known architecture fits better" in message
    assert all(torch.equal(v, before[k]) for k, v in fresh.state_dict().items())


def test_another_class_count_says_which(tmp_path):
    path = tmp_path / "net.pth"
    torch.save(network(classes=7).state_dict(), path)
    with pytest.raises(ModelError, match="The checkpoint has 7 classes: set num_classes to that"):
        load_weights(network(), path, "mine")


def test_half_a_network_is_never_loaded(state, tmp_path):
    path = tmp_path / "net.pth"
    torch.save({k: v for k, v in state.items() if not k.startswith("head")}, path)
    with pytest.raises(ModelError, match=r"2 missing \(head.weight, head.bias\)"):
        load_weights(network(), path, "mine")


class Runs:
    def __reduce__(self):
        return print, ("this must not be printed",)


def test_pickled_objects_are_refused_and_never_run(tmp_path, capsys):
    path = tmp_path / "net.pth"
    torch.save({"model": Runs()}, path)
    with pytest.raises(ModelError, match=r"can run code when loaded, so it was not loaded. Save"):
        read_checkpoint(path)
    assert capsys.readouterr().out == ""


def test_a_whole_pickled_network_is_refused(tmp_path):
    path = tmp_path / "net.pt"
    torch.save(network(), path)
    with pytest.raises(ModelError, match="Save the weights alone"):
        read_checkpoint(path)


def test_a_cut_off_checkpoint(state, tmp_path):
    whole, path = tmp_path / "whole.pth", tmp_path / "net.pth"
    torch.save(state, whole)
    path.write_bytes(whole.read_bytes()[:-200])
    with pytest.raises(ModelError, match="Copy or download it again"):
        read_checkpoint(path)


def test_a_cut_off_safetensors_file(state, tmp_path):
    path = tmp_path / "net.safetensors"
    save_file(state, path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModelError, match="not a complete safetensors file"):
        read_checkpoint(path)


def test_a_git_lfs_pointer_is_named(tmp_path):
    path = tmp_path / "net.pth"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(ModelError, match="git lfs pull"):
        read_checkpoint(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(ModelError, match=r"cannot read checkpoint .*: No such file"):
        read_checkpoint(tmp_path / "none.pth")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 1}, {"a": {"b": {}}}])
def test_a_checkpoint_without_weights(content, tmp_path):
    path = tmp_path / "net.pth"
    torch.save(content, path)
    with pytest.raises(ModelError, match="holds no network weights"):
        load_weights(network(), path, "mine")


def test_old_pickles_without_zip_are_read(state, tmp_path):
    path = tmp_path / "net.pth"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    assert read_checkpoint(path).keys() == state.keys()


def test_plain_pickles_of_arrays_are_not_checkpoints(tmp_path):
    path = tmp_path / "net.pth"
    path.write_bytes(pickle.dumps({"a": np.ones((2, 2))}))
    with pytest.raises(ModelError, match=r"net\.pth"):
        read_checkpoint(path)


def test_candidates_keep_the_file_as_it_is_first(state):
    places = [place for place, _ in candidates({"state_dict": prefixed(state, "module.")})]
    assert places[:2] == ["state_dict", "state_dict:module."]


def test_share_counts_names_on_both_sides():
    found = compare({"a": (1,), "b": (2,), "x": (1,)}, {"a": (1,), "b": (3,), "c": (1,)})
    assert (found.matched, found.share) == (1, 0.25)
    assert not found.fits


@pytest.mark.slow
def test_torchvision_networks_are_recognised(tmp_path, monkeypatch):
    from ood_core.models.architectures import build

    monkeypatch.undo()
    path = tmp_path / "net.pth"
    torch.save({"net": build("torchvision:densenet121", 5).state_dict()}, path)
    assert nearest_architectures(path) == [("torchvision:densenet121", 1.0)]


def test_the_nearest_architecture_is_named(tmp_path):
    from ood_core.models.architectures import build

    path = tmp_path / "net.pth"
    torch.save({"state_dict": prefixed(build("resnet32", 17).state_dict(), "module.")}, path)
    assert nearest_architectures(path) == [("resnet32", 1.0)]
    with pytest.raises(ModelError, match="Architecture 'resnet32' fits completely"):
        load_weights(build("resnet20", 17), path, "resnet20")


@pytest.mark.parametrize("architecture", ["resnet20", "digits_cnn", "torchvision:convnext_tiny"])
def test_the_class_count_does_not_hang_on_the_order_of_names(tmp_path, architecture):
    from safetensors.torch import save_file

    from ood_core.models.architectures import build
    from ood_core.models.nearest import checkpoint_classes

    path = tmp_path / "net.safetensors"
    save_file({k: v.contiguous() for k, v in build(architecture, 17).state_dict().items()}, path)
    assert checkpoint_classes(path, architecture) == 17
    if not architecture.startswith("torchvision"):
        assert nearest_architectures(path) == [(architecture, 1.0)]


def test_says_how_a_file_was_saved_that_torch_cannot_read(state, tmp_path):
    torch.save(state, tmp_path / "new.pt", pickle_protocol=4)
    with pytest.raises(ModelError, match="a newer pickle protocol"):
        read_checkpoint(tmp_path / "new.pt")


def test_arrays_of_objects_are_still_refused(state, tmp_path):
    torch.save({"model": state, "log": np.array([1, None], dtype=object)}, tmp_path / "objects.pt")
    with pytest.raises(ModelError, match="can run code"):
        read_checkpoint(tmp_path / "objects.pt")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (3, "it has no named tensors"),
        ([torch.zeros(2, 2)], "it has no named tensors"),
        (torch.optim.SGD(network().parameters(), lr=0.1).state_dict(), "state of an optimizer"),
    ],
)
def test_a_file_without_weights_is_said_to_have_none(content, said, tmp_path):
    """With an architecture and without one."""
    torch.save(content, tmp_path / "none.pt")
    with pytest.raises(ModelError, match=f"none.pt holds no network weights: .*{said}"):
        load_weights(network(), tmp_path / "none.pt", "mine")
    with pytest.raises(ModelError, match=f"none.pt holds no network weights: .*{said}"):
        nearest_architectures(tmp_path / "none.pt")


REWRITTEN = {
    "pruned": (["conv.weight_orig", "conv.weight_mask"], "prune.remove"),
    "weight norm": (["conv.weight_g", "conv.weight_v"], "remove_weight_norm"),
    "quantised": (["conv.scale", "conv.zero_point"], "before it is quantised"),
}


@pytest.mark.parametrize(("names", "said"), REWRITTEN.values(), ids=REWRITTEN)
def test_weights_in_another_form_are_named(names, said, state, tmp_path):
    weight = state.pop("conv.weight")
    torch.save({**state, **dict.fromkeys(names, weight)}, tmp_path / "form.pt")
    with pytest.raises(ModelError, match=said):
        load_weights(network(), tmp_path / "form.pt", "mine")


def test_parameters_without_statistics_are_named(tmp_path):
    torch.save(dict(network().named_parameters()), tmp_path / "parameters.pt")
    with pytest.raises(ModelError, match="running statistics are missing"):
        load_weights(network(), tmp_path / "parameters.pt", "mine")


def test_a_comparison_that_ran_out_of_time_is_not_repeated(state, tmp_path, monkeypatch):
    monkeypatch.setattr(nearest, "SECONDS", -0.5)
    torch.save(state, tmp_path / "mine.pt")
    assert nearest_architectures(tmp_path / "mine.pt") == []
    monkeypatch.setattr(nearest, "_best_share", lambda *_: pytest.fail("compared again"))
    assert nearest_architectures(tmp_path / "mine.pt") == []
    with pytest.raises(ModelError, match="does not fit 'mine'"):
        load_weights(network(9), tmp_path / "mine.pt", "mine")

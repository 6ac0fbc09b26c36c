"""Training of the digits network: seeded, the same on every machine, once, kept on disk."""

from __future__ import annotations

import hashlib
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock

from ood_core.data import open_dataset
from ood_core.data.subsets import every_class
from ood_core.data.transform import Transform
from ood_core.errors import ModelError
from ood_core.models.preprocessing import resolve_preprocessing
from ood_core.runtime.paths import weights_dir
from ood_core.runtime.progress import Meter
from ood_core.runtime.threads import one_torch_thread

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

    from ood_core.experiments import Experiment
    from ood_core.models.architectures.digits_cnn import DigitsCNN
    from ood_core.runtime.progress import ProgressCallback, StopCheck

__all__ = ["TRAINED_HERE", "ensure_trained", "fit_images", "save_network", "train", "trained_path"]

TRAINED_HERE = "trained-here"
"""Value of `weights` in an experiment whose classifier is trained on its own fit set."""

EPOCHS = 20
BATCH_SIZE = 64
LEARNING_RATE = 0.2
WEIGHT_DECAY = 1e-3
SEED = 20230401
VERSION = 2
"""Raised when training changes in a way that the constants above do not say."""


def trained_path(exp: Experiment) -> Path:
    """Where the weights of this experiment's recipe are, or will be. Never imports torch.

    The name holds a hash of the fit set, the preprocessing, the network's code and the recipe, so
    changing any of them trains anew instead of serving weights of another recipe.
    """
    if exp.classifier.architecture != "digits_cnn":
        raise ModelError(
            f"weights = {TRAINED_HERE!r} works with architecture 'digits_cnn' only, got "
            f"{exp.classifier.architecture!r}. Give a checkpoint file instead."
        )
    network = Path(__file__).parent / "architectures" / "digits_cnn.py"
    recipe = hashlib.sha256(network.read_bytes())
    settings = (VERSION, EPOCHS, BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY, SEED)
    recipe.update(repr(settings).encode())
    recipe.update(open_dataset(every_class(exp.sets[exp.fit_set])).identity.encode())
    recipe.update(repr((exp.preprocessing, exp.classifier.num_classes)).encode())
    return weights_dir() / f"digits_cnn-{recipe.hexdigest()[:16]}.safetensors"


def ensure_trained(
    exp: Experiment,
    progress: ProgressCallback | None = None,
    should_stop: StopCheck | None = None,
) -> Path:
    """Train the experiment's classifier unless its weights are there; return their file.

    Two processes that ask at once train once: the second waits for the first. A stopped or
    killed training leaves nothing behind.

    Raises
    ------
    ModelError
        When the experiment's architecture is not one that is trained here.
    StoppedError
        When `should_stop` says so.
    """
    path = trained_path(exp)
    if path.exists():
        return path

    with FileLock(f"{path}.lock"):
        if not path.exists():
            images, labels = fit_images(exp)
            network = train(images, labels, progress=progress, should_stop=should_stop)
            save_network(network, path)
    return path


def fit_images(exp: Experiment) -> tuple[np.ndarray, np.ndarray]:
    """Fit set as the network sees it: images (n, c, h, w) float32 and labels (n,) int64."""
    dataset = open_dataset(every_class(exp.sets[exp.fit_set]))
    if dataset.labels is None:
        raise ModelError(f"the fit set of {exp.name!r} has no labels, so nothing can be trained.")
    transform = Transform(resolve_preprocessing(exp))
    images = np.stack([transform(dataset.load(i)) for i in range(len(dataset))])
    return images, np.asarray(dataset.labels)


def train(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int = SEED,
    progress: ProgressCallback | None = None,
    should_stop: StopCheck | None = None,
) -> DigitsCNN:
    """Train a `DigitsCNN` and return it in eval mode with the hidden batch norm folded in.

    SGD with Nesterov momentum and a one-cycle rate, cross-entropy. The choices are ordinary ones
    that hold over seeds: a high rate and weight decay make a sparse hidden layer whose norm falls
    on strange images. One thread and one generator give the same numbers on every run. Processors
    round sums differently, and training enlarges the differences by many orders of magnitude; in
    float64 they stay below what the finished float32 weights can show.

    Parameters
    ----------
    images : (n, 1, 16, 16) float32.
    labels : (n,) int64 class numbers.
    seed : seed of initial weights and batch order.
    """
    import torch
    from torch.nn import functional

    x, y = torch.from_numpy(images).double(), torch.from_numpy(labels.copy())
    generator = torch.Generator().manual_seed(seed)
    steps = len(x) // BATCH_SIZE
    meter = Meter("Training the classifier", EPOCHS, progress, should_stop)
    with one_torch_thread():
        network = _initial(int(y.max()) + 1, generator)
        optimizer = torch.optim.SGD(
            network.parameters(),
            lr=LEARNING_RATE,
            momentum=0.9,
            nesterov=True,
            weight_decay=WEIGHT_DECAY,
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, LEARNING_RATE, total_steps=EPOCHS * steps
        )
        for _ in range(EPOCHS):
            order = torch.randperm(len(x), generator=generator)
            for batch in torch.split(order[: steps * BATCH_SIZE], BATCH_SIZE):
                loss = functional.cross_entropy(network(x[batch]), y[batch])
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
            meter.advance(1)
        return _folded(network).float()


def _initial(num_classes: int, generator: torch.Generator) -> DigitsCNN:
    """Network in float64 with PyTorch's default initialisation, drawn from `generator`.

    Its small scale matters: from larger initial weights the random part of the hidden layer
    survives training and responds to anything. Weights are drawn here because PyTorch's own
    functions round by the processor's instructions.
    """
    import torch
    from torch import nn

    from ood_core.models.architectures.digits_cnn import DigitsCNN

    with torch.random.fork_rng(devices=[]):
        network = DigitsCNN(num_classes, hidden_norm=True).double()
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            weight, bias = module.weight.detach(), module.bias
            drawn = torch.rand(weight.shape, generator=generator, dtype=torch.float64)
            weight.copy_((2 * drawn - 1) / math.sqrt(weight[0].numel()))
            if bias is not None:
                nn.init.zeros_(bias)
    return network.train()


def _folded(network: DigitsCNN) -> DigitsCNN:
    """The same function in eval mode, without the batch norm of the hidden layer."""
    from torch import nn
    from torch.nn.utils.fusion import fuse_linear_bn_eval

    network.eval()
    norm = network.hidden_norm
    assert isinstance(norm, nn.BatchNorm1d)
    network.hidden = fuse_linear_bn_eval(network.hidden, norm)
    network.hidden_norm = nn.Identity()
    return network


def save_network(network: nn.Module, path: Path) -> None:
    """Write a network's weights as safetensors; the file appears complete or not at all."""
    from safetensors.torch import save_file

    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        save_file({k: v.contiguous() for k, v in network.state_dict().items()}, partial)
        with open(partial, "rb") as written:
            os.fsync(written.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)

"""Train one network of the lab and look at it on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import torch
from torch.nn import functional as nnf

from ood_core.runtime.threads import one_torch_thread
from ood_core.theory.lab.network import LabNetwork, augmented
from ood_core.theory.lab.observing import Observation, look
from ood_core.theory.lab.plan import DEPTH, EPOCHS, HIDDEN, Run
from ood_core.theory.lab.vectors import LabImages

__all__ = ["train_run"]

BATCH = 64
RATE = 0.05
WEIGHT_DECAY = 5e-4


def train_run(
    run: Run,
    images: LabImages,
    after_epoch: Callable[[int], None] | None = None,
    *,
    epochs: int = EPOCHS,
    snapshots: tuple[int, ...] | None = None,
) -> Observation:
    """Train the run's network and return what was seen at each snapshot.

    SGD with Nesterov momentum and weight decay, a one-cycle rate, cross-entropy: an ordinary
    recipe, the same for every scheme; it was settled on after exploratory runs in which AUROC
    was seen too, not on training loss alone. An epoch has as many steps as one pass over all
    fit images, so a network of one class trains as long as the others. One generator, one thread
    and float64 give the same numbers on every run and every machine: these matrices are too small
    to share between threads.

    Parameters
    ----------
    run : what to train.
    images : the lab's images.
    after_epoch : called with the number of epochs finished; may raise to stop.
    snapshots : epochs after which to look; the run's own for None.
    """
    with one_torch_thread():
        return _train(run, images, after_epoch, epochs, snapshots or run.snapshots)


def _train(
    run: Run,
    images: LabImages,
    after_epoch: Callable[[int], None] | None,
    epochs: int,
    snapshots: tuple[int, ...],
) -> Observation:
    chosen = slice(None) if run.only_class is None else images.fit_labels == run.only_class
    labels, outputs = run.labels(images.fit_labels[chosen])
    x, y = torch.from_numpy(images.fit[chosen]), torch.tensor(labels)
    generator = torch.Generator().manual_seed(run.seed)
    network = LabNetwork((x.shape[1], *[HIDDEN] * (DEPTH - 1), run.width, outputs), generator)
    optimizer = torch.optim.SGD(
        network.parameters(), RATE, momentum=0.9, nesterov=True, weight_decay=WEIGHT_DECAY
    )
    steps = -(-len(images.fit) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=epochs * steps)
    batches = _batches(len(x), generator)
    seen = Observation(run)
    if 0 in snapshots:
        look(seen, network, images, labels, 0, trained=False)
    for epoch in range(1, epochs + 1):
        for batch in islice(batches, steps):
            inputs = augmented(x[batch], generator) if run.augmented else x[batch]
            loss = nnf.cross_entropy(network(inputs), y[batch])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
        if epoch in snapshots:
            look(seen, network, images, labels, epoch, trained=epoch == epochs)
        if after_epoch:
            after_epoch(epoch)
    return seen


def _batches(n: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Batches of image numbers, pass after pass, each in a new order."""
    while True:
        yield from torch.split(torch.randperm(n, generator=generator), BATCH)

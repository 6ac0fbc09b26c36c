"""Extraction: one forward pass per image, ever, into the store."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from filelock import Timeout

from ood_core.activations.activation_set import (
    ActivationSet,
    chosen_layers,
    open_sources,
    open_stored,
    set_keys,
    stored_manifest,
)
from ood_core.activations.distributed import compute_with_ray
from ood_core.activations.engine import EngineOptions, Runner
from ood_core.activations.feature_rows import check_arrays, compute_rows
from ood_core.activations.manifest import Manifest, write_manifest
from ood_core.activations.resident_models import resident_model
from ood_core.activations.shard_passes import compute_shards
from ood_core.activations.shard_tasks import SetFiller, ShardResult, ShardTask
from ood_core.activations.store import SHARD_IMAGES, max_bytes, prune, set_lock, store_usage
from ood_core.data import Transform, check_classes, open_dataset
from ood_core.data.features import is_features
from ood_core.errors import ConfigError, DataError
from ood_core.models import TRAINED_HERE, ensure_trained
from ood_core.models.features_classifier import features_classifier
from ood_core.runtime import paths
from ood_core.runtime.progress import Meter, ProgressCallback, StopCheck
from ood_core.runtime.threads import DaemonPool

if TYPE_CHECKING:
    from ood_core.data import ImageSet
    from ood_core.experiments import Experiment
    from ood_core.models import LayerInfo

__all__ = ["extract"]


def extract(
    exp: Experiment,
    device: str = "auto",
    layers: Sequence[str] | None = None,
    sets: Sequence[str] | None = None,
    progress: ProgressCallback | None = None,
    should_stop: StopCheck | None = None,
    *,
    amp: bool = False,
    channels_last: bool = False,
    compile: bool = False,
    batch_size: int | None = None,
    workers: int | None = None,
    engine: str = "local",
) -> ActivationSet:
    """Activations of every image of the experiment; what is stored is not computed again.

    A run that is killed or stopped continues from its last shard. Of two processes that ask for
    the same set, the second waits and then reads. Images that cannot be read have no row and are
    listed in `ActivationSet.skipped`.

    Parameters
    ----------
    device : "auto" (cuda, else mps, else cpu), "cpu", "cuda", "cuda:1", "mps".
    layers : names of layers to record; every useful layer for None. PENULTIMATE always is.
    sets : names of data sets; all of the experiment's for None.
    progress, should_stop : called while it works, see ood_core.runtime.progress.
    amp, channels_last, compile, batch_size, workers, engine : see EngineOptions.

    Raises
    ------
    ConfigError, DataError, ModelError
        When options, images or the classifier are not usable.
    StoppedError
        When `should_stop` says so. Finished shards are kept.
    """
    options = EngineOptions(device, amp, channels_last, compile, batch_size, workers, engine)
    sources = open_sources(exp, sets)
    manifest = stored_manifest(exp, sources) or _new_manifest(exp, sources, progress, should_stop)
    wanted, keys = chosen_layers(manifest.layers, layers), set_keys(manifest, sources, amp)
    stored = open_stored(exp, manifest, wanted, keys, sources)
    if stored is None:
        _Extraction(exp, manifest, wanted, options).run(sources, keys, progress, should_stop)
        stored = open_stored(exp, manifest, wanted, keys, sources)
    if stored is None:
        raise DataError(
            f"stored activations of {exp.name!r} were removed while the rest was extracted. Raise "
            "OOD_LENS_STORE_GB, or run it again."
        )
    return stored


def _new_manifest(
    exp: Experiment,
    sources: Mapping[str, ImageSet],
    progress: ProgressCallback | None,
    should_stop: StopCheck | None,
) -> Manifest:
    """What is to know of a classifier seen first; it is trained when its weights are to be."""
    if exp.classifier.features_only:
        return write_manifest(exp, features_classifier(exp), sources.get(exp.fit_set))
    if exp.classifier.weights == TRAINED_HERE:
        ensure_trained(exp, progress, should_stop)
    return write_manifest(exp, resident_model(exp), sources.get(exp.fit_set))


@dataclass
class _Extraction:
    """One call of `extract` that has something to compute."""

    exp: Experiment
    manifest: Manifest
    layers: tuple[LayerInfo, ...]
    options: EngineOptions
    runner: Runner | None = None

    def run(
        self,
        sources: Mapping[str, ImageSet],
        keys: Mapping[str, str],
        progress: ProgressCallback | None,
        should_stop: StopCheck | None,
    ) -> None:
        """Fill every set; what was not used for longest makes room."""
        exp = self.exp
        n_classes = self._n_classes(sources)
        if n_classes:
            for name in {exp.fit_set, exp.test_set} & sources.keys():
                check_classes(sources[name], n_classes)
        total = sum(map(len, sources.values()))
        _check_room(total, self.layers, n_classes, keys.values())
        meter = Meter(f"extracting {exp.name}", total, progress, should_stop)
        for name, source in sources.items():
            named = {"experiment": exp.name, "set": name, "model": self.manifest.model}
            info = named if n_classes else {**named, "logits": False}
            filler = SetFiller(keys[name], source, self.layers, info)
            with _held(keys[name], meter, name):
                meter.stage = f"extracting {name}"
                self._fill(filler, meter)
            prune(keep=set(keys.values()))

    def _n_classes(self, sources: Mapping[str, ImageSet]) -> int:
        """Number of logits: the head's, or of features from elsewhere those there are; else 0."""
        head = self.manifest.head
        features = [source for source in sources.values() if is_features(source)]
        fit = open_dataset(self.exp.sets[self.exp.fit_set]) if features else None
        logits = fit is not None and is_features(fit) and fit.has_logits
        for source in features:
            check_arrays(source, self.manifest.layers, head, logits)
        if head is not None:
            return head.n_classes
        widths = {s.arrays.columns["logits"].shape[1] for s in features} if logits else {0}
        if len(widths) > 1:
            raise DataError(
                f"the sets of {self.exp.name!r} have logits of different numbers of classes: "
                f"{', '.join(map(str, sorted(widths)))}. They must be of the same network."
            )
        n_classes, names = widths.pop() if widths else 0, self.exp.classifier.class_names
        if n_classes and names is not None and len(names) != n_classes:
            raise DataError(
                f"experiment {self.exp.name!r} names {len(names)} classes but its logits have "
                f"{n_classes} columns. Give one name a class in class_names, in their order."
            )
        return n_classes

    def _fill(self, filler: SetFiller, meter: Meter) -> None:
        """Compute what one set lacks. Sweeps again when an image became readable meanwhile."""
        tasks = filler.begin()
        meter.skip(len(filler.source) - sum(task.n_images for task in tasks))
        for _ in range(3):
            if not tasks:
                return filler.finish()
            self._compute(filler, tasks, meter)
            tasks = filler.missing()
        raise DataError(
            f"images of {filler.source.name!r} change while they are read. Extract again when "
            "they are complete."
        )

    def _compute(self, filler: SetFiller, tasks: Sequence[ShardTask], meter: Meter) -> None:
        """Pass images through the network while the shard before is written."""
        results = self._results(filler.source, tasks, meter.advance)
        written: Future[None] | None = None
        with DaemonPool(1, "ood-write") as writer:
            for result in results:
                if written is not None:
                    written.result()
                written = writer.submit(filler.write, result)
        if written is not None:
            written.result()

    def _results(
        self, source: ImageSet, tasks: Sequence[ShardTask], advanced: Callable[[int], None]
    ) -> Iterator[ShardResult]:
        if is_features(source):
            return compute_rows(source, self.manifest.head, tasks, advanced)
        preprocessing = self.manifest.preprocessing
        assert preprocessing is not None  # of every network
        if self.options.engine == "ray":
            return compute_with_ray(self.exp, self.options, preprocessing, source, tasks, advanced)
        if self.runner is None:
            self.runner = Runner(resident_model(self.exp), self.options)
        return compute_shards(self.runner, source, Transform(preprocessing), tasks, advanced)


@contextmanager
def _held(key: str, meter: Meter, name: str) -> Iterator[None]:
    """Hold a set's lock. Another process that has it is waited for, visibly and stoppably."""
    lock = set_lock(key)
    while True:
        try:
            lock.acquire(timeout=0.25)
            break
        except Timeout:
            meter.stage = f"waiting for another process that extracts {name}"
            meter.check(force=True)
    try:
        yield
    finally:
        lock.release()


def _check_room(
    n_images: int, layers: Sequence[LayerInfo], n_classes: int, keys: Collection[str]
) -> None:
    """Refuse at once what the store or the disk could never hold."""
    an_image = 4 * n_classes + sum(
        6 * layer.channels + 32 + 2 * layer.channels * layer.positions / SHARD_IMAGES
        for layer in layers
    )
    needed, limit = n_images * an_image, max_bytes()
    there = sum(entry.bytes for entry in store_usage() if entry.set_key in keys)
    free = shutil.disk_usage(paths.store_dir()).free + there
    if needed > limit:
        raise ConfigError(
            f"these activations take about {needed / 1e9:.1f} GB, more than the store's limit of "
            f"{limit / 1e9:.1f} GB. Record fewer layers (--layers penultimate), use fewer images "
            "(limit or per_class), or set OOD_LENS_STORE_GB higher."
        )
    if needed > free:
        raise ConfigError(
            f"these activations take about {needed / 1e9:.1f} GB but {free / 1e9:.1f} GB are "
            "free. Make room, record fewer layers, or set OOD_LENS_HOME to another disk."
        )

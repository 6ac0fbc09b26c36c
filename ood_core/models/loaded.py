"""From an experiment to a classifier that is ready to run: weights, head, layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ood_core.data import open_dataset
from ood_core.errors import DataError, ModelError
from ood_core.experiments.experiment import Preprocessing
from ood_core.experiments.network_formats import NETWORK_FORMATS
from ood_core.experiments.own_code import is_own_code
from ood_core.models.architecture_plugins import is_plugin
from ood_core.models.architectures import adapter, build
from ood_core.models.checkpoints import logger
from ood_core.models.digits_training import TRAINED_HERE, ensure_trained
from ood_core.models.fingerprint import model_fingerprint, weights_file
from ood_core.models.fitting import load_weights, randomise
from ood_core.models.found_network import BYTES_ONLY, FoundNetwork, KnowsItself
from ood_core.models.head import ClassifierHead
from ood_core.models.inspection import inspect_traced
from ood_core.models.known_shapes import head_places
from ood_core.models.layer_info import PENULTIMATE, LayerInfo, find_layer
from ood_core.models.loaded_weights import LoadedWeights
from ood_core.models.network_files import network_class_names, open_network
from ood_core.models.own_networks import check_trusted, made
from ood_core.models.preprocessing import resolve_preprocessing
from ood_core.models.published_weights import published_weights
from ood_core.models.tracing import behead

if TYPE_CHECKING:
    from torch import nn

    from ood_core.experiments import Experiment
    from ood_core.runtime.progress import ProgressCallback, StopCheck

__all__ = ["LoadedModel", "inspect_module", "load_model"]


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A classifier in eval mode with everything that was found out about it.

    Attributes
    ----------
    module : the network; its parameters take no gradients.
    head : its last linear layer, float64; None for a network without a head.
    head_name : path of the head's module; "" without one.
    layers : useful layers in order of depth; the last is PENULTIMATE.
    preprocessing : transform of its images.
    input_shape : (channels, height, width) of one image.
    class_names : names of the classes, or None.
    fingerprint : identity of weights and architecture, see `model_fingerprint`.
    weights : what was read from which file and what was not; None for random weights.
    no_gradients : why nothing can be differentiated through the network; "" where it can.
    """

    module: nn.Module
    head: ClassifierHead | None
    head_name: str
    layers: tuple[LayerInfo, ...]
    preprocessing: Preprocessing
    input_shape: tuple[int, int, int]
    class_names: tuple[str, ...] | None
    fingerprint: str
    weights: LoadedWeights | None = None
    no_gradients: str = ""

    @property
    def head_module(self) -> nn.Module:
        """The head's module; its input is the penultimate activation.

        Raises
        ------
        ModelError
            When the network has no head.
        """
        if not self.head_name:
            raise ModelError("the network has no head: what it returns are features, not logits.")
        return self.module.get_submodule(self.head_name)

    def layer(self, name: str = PENULTIMATE) -> LayerInfo:
        """The layer of this name; ModelError with the names there are when there is none."""
        return find_layer(self.layers, name)


def load_model(
    exp: Experiment,
    progress: ProgressCallback | None = None,
    should_stop: StopCheck | None = None,
) -> LoadedModel:
    """Build the experiment's network, load its weights and find its head and layers.

    Trains a `trained-here` classifier when it was not trained yet; `progress` and `should_stop`
    belong to that.

    Raises
    ------
    ModelError
        When the architecture is unknown, the weights are missing or do not fit, the number of
        classes differs, the network has no linear head and is not said to have none, or there is no
        network because features come from elsewhere.
    """
    spec = exp.classifier
    if spec.features_only:
        raise ModelError(
            f"experiment {exp.name!r} has no network: its features were computed elsewhere. What "
            "needs pixels, gradients or a forward pass is not to be had; scores of more rows are, "
            "from a file of their features."
        )
    if spec.weights == TRAINED_HERE:
        ensure_trained(exp, progress, should_stop)
    fingerprint = model_fingerprint(exp)
    preprocessing = resolve_preprocessing(exp)
    shape = input_shape(preprocessing)
    network, weights = _network(exp, shape)
    if spec.text is not None or spec.head is not None:
        from ood_core.models.encoder_heads import with_head

        network = with_head(network, spec)
    module = network.eval().requires_grad_(False)
    _warn(exp, weights, preprocessing)
    found = inspect_module(module, shape, spec.headless)
    if found.takes_bytes and (any(preprocessing.mean) or set(preprocessing.std) != {1.0}):
        raise ModelError(BYTES_ONLY)
    head, names = _named_head(exp, found.head)
    return LoadedModel(
        module=module,
        head=head,
        head_name=found.head_name,
        layers=found.layers,
        preprocessing=preprocessing,
        input_shape=shape,
        class_names=names,
        fingerprint=fingerprint,
        weights=weights,
        no_gradients=found.no_gradients,
    )


def inspect_module(
    module: nn.Module, shape: tuple[int, int, int], headless: bool = False
) -> FoundNetwork:
    """Head and useful layers of any network, found by tracing it.

    Parameters
    ----------
    module : network in eval mode.
    shape : (channels, height, width) of its images.
    headless : whether its output is features rather than logits.

    Raises
    ------
    ModelError
        When the network cannot take such images, or has no linear head and is not `headless`.
    """
    if isinstance(module, KnowsItself):
        return module.ood_found_network(shape, headless)
    return inspect_traced(module, shape, headless)


def input_shape(preprocessing: Preprocessing) -> tuple[int, int, int]:
    """(channels, height, width) of one preprocessed image."""
    size = preprocessing.center_crop or preprocessing.resize
    if isinstance(size, tuple):
        return len(preprocessing.mean), *size
    if size is None:
        raise ModelError(
            "preprocessing needs resize or center_crop: without them images of different sizes "
            "cannot go through the network together."
        )
    return len(preprocessing.mean), size, size


def class_names(exp: Experiment, n_classes: int) -> tuple[str, ...] | None:
    """Names from the experiment, else of the network's file or published weights, else of the fit
    set, else None."""
    spec = exp.classifier
    if spec.class_names is not None:
        return spec.class_names
    if spec.encoder:
        return _fit_names(exp, n_classes)  # others are those of a head that was taken off
    stated = network_class_names(spec)
    if stated and len(stated) == n_classes:
        return stated
    if spec.weights not in (None, TRAINED_HERE):
        found = published_weights(spec.architecture, spec.weights)
        if found and found.class_names and len(found.class_names) == n_classes:
            return found.class_names
    return _fit_names(exp, n_classes)


def _fit_names(exp: Experiment, n_classes: int) -> tuple[str, ...] | None:
    try:
        names = open_dataset(exp.sets[exp.fit_set]).class_names
    except DataError:
        return None  # the images are reported missing where they are needed
    return tuple(names) if names and len(names) == n_classes else None


def _named_head(
    exp: Experiment, head: ClassifierHead | None
) -> tuple[ClassifierHead | None, tuple[str, ...] | None]:
    """The head with the names of its classes, held against what the experiment says."""
    if head is None:
        return None, None
    _check_classes(exp, head)
    names = class_names(exp, head.n_classes)
    return replace(head, class_names=names), names


def _network(
    exp: Experiment, shape: tuple[int, int, int]
) -> tuple[nn.Module, LoadedWeights | None]:
    spec = exp.classifier
    if spec.architecture in NETWORK_FORMATS:
        return open_network(spec), None

    if is_own_code(spec.architecture):
        return _own_network(exp)

    def built() -> nn.Module:
        named = spec.weights if ":" in spec.architecture else None
        channels = shape[0] if spec.checkpoint is not None else None
        network = build(spec.architecture, spec.num_classes, named, channels)
        has_head = getattr(network, "num_classes", None) != 0  # timm's say so
        behind = has_head and not is_plugin(spec.architecture)  # theirs are features as they are
        return behead(network, shape) if spec.encoder and behind else network

    if spec.random_weights is not None:
        return randomise(built, spec.random_weights), None
    network = randomise(built, seed=0)
    file, adapt = weights_file(exp), adapter(spec.architecture)
    heads = head_places(spec.architecture) if spec.encoder else None
    loaded = load_weights(
        network, file, spec.architecture, adapt, spec.part, heads=heads, keys=spec.keys
    )
    return network, loaded


def _own_network(exp: Experiment) -> tuple[nn.Module, LoadedWeights | None]:
    """The network that a user's own code makes; nothing of it is run without consent."""
    spec = exp.classifier
    code = check_trusted(spec)

    def built() -> nn.Module:
        return made(code, spec.num_classes, spec.arguments)

    if spec.random_weights is not None:
        return randomise(built, spec.random_weights), None
    network = randomise(built, 0)
    heads = () if spec.encoder else None  # which names are a head's they say themselves
    loaded = load_weights(
        network, weights_file(exp), code.label, None, spec.part, heads=heads, keys=spec.keys
    )
    return network, loaded


def _warn(exp: Experiment, weights: LoadedWeights | None, used: Preprocessing) -> None:
    """Say what a user of a checkpoint should know, and what would be lost in a long run."""
    if weights is None or exp.classifier.checkpoint is None:
        return
    if weights.reason and exp.classifier.part is None:
        logger.warning("%s: %s part in [classifier] chooses another.", exp.name, weights.text)
    stored = weights.normalisations
    if stored and not any(one.agrees(used.mean, used.std) for one in stored):
        logger.warning(
            "%s: %s stores mean = %s and std = %s, which the network does not apply and the "
            "preprocessing does not have.",
            exp.name, weights.file, list(stored[0].mean), list(stored[0].std),
        )  # fmt: skip


def _check_classes(exp: Experiment, head: ClassifierHead) -> None:
    spec = exp.classifier
    if spec.num_classes and head.n_classes != spec.num_classes:
        raise ModelError(
            f"the network of {exp.name!r} has {head.n_classes} classes but the experiment says "
            f"num_classes = {spec.num_classes}. Correct num_classes or choose other weights."
        )
    if spec.class_names is not None and len(spec.class_names) != head.n_classes:
        raise ModelError(
            f"experiment {exp.name!r} names {len(spec.class_names)} classes but its network has "
            f"{head.n_classes}. Give one name a class in class_names, in the network's order."
        )

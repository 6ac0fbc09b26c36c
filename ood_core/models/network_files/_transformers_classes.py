"""Which class of transformers a config.json asks for, and what of its output is taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ood_core.errors import ModelError, did_you_mean

__all__ = ["Chosen", "choose"]

Output = Literal["logits", "features of the head", "image features", "pooled"]


@dataclass(frozen=True)
class Chosen:
    """A network of transformers and what is read from it.

    Attributes
    ----------
    config_class, network_class : of transformers.
    output : "logits" of a classifier; "features of the head", what its head would be given;
        "image features" of a network of images and texts, pooled and projected to the space of
        the texts; "pooled", the output of that name of a network that has no classifier.
    head_off : whether the weights have a head that is to be taken off.
    """

    config_class: Any
    network_class: Any
    output: Output
    head_off: bool = False

    def may_hold(self, name: str, state: Mapping[str, Any]) -> bool:
        """Whether a tensor that the network has no place for may be left: heads for other tasks."""
        if self.output == "logits":
            return False
        prefix = f"{self.network_class.base_model_prefix}."
        prefixed = prefix != "." and any(key.startswith(prefix) for key in state)
        of_head = prefixed and not name.startswith(prefix)
        steps = name.split(".")
        extras = {"pooler", "mask_token", "classifier", "head", "decoder", "lm_head"}
        text = self.output == "pooled" and steps[0] in {"text_model", "text_projection"}
        scales = {"logit_scale", "logit_bias"}
        return of_head or text or bool(extras & set(steps)) or bool(scales & set(steps))


def choose(name: str, config: Mapping[str, Any], headless: bool) -> Chosen:
    """The classes for a folder called `name`.

    Raises
    ------
    ModelError
        When transformers has no such network, it takes no images, or it has no head and is not
        `headless`.
    """
    from transformers import CONFIG_MAPPING
    from transformers.models.auto import modeling_auto as auto

    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        known = sorted(auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES)
        raise ModelError(
            f"the config.json of {name} says model_type = {kind!r}, which the installed "
            f"transformers does not know. {did_you_mean(str(kind), known)[:300]}"
        )
    named = _named(config)
    if headless or "ForImageClassification" in named:
        return _chosen(name, CONFIG_MAPPING[kind], kind, named, headless)
    _takes_images(name, kind, named)
    raise ModelError(
        f"{name} holds {named or kind}, which has no head for classes: set num_classes = 0 for its "
        "features, or add a head with text or head."
    )


def _named(config: Mapping[str, Any]) -> str:
    """The class that the weights were saved from, or ""."""
    found = config.get("architectures")
    return str(found[0]) if isinstance(found, list) and found else ""


def _chosen(name: str, config_class: Any, kind: str, named: str, headless: bool) -> Chosen:
    import transformers
    from transformers.models.auto import modeling_auto as auto

    found = auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES.get(kind, ())
    classifiers = (found,) if isinstance(found, str) else tuple(found)
    if "ForImageClassification" in named:
        if named not in classifiers:
            raise ModelError(f"transformers has no {named} for model_type = {kind!r} ({name}).")
        return Chosen(config_class, getattr(transformers, named), "logits", headless)
    both = auto.MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES.get(kind)
    if both and "Vision" not in named:
        if "Text" in named:
            raise _no_images(name, named)
        return Chosen(config_class, getattr(transformers, both), "image features")
    if "Vision" in named and kind.endswith("vision_model"):
        network = getattr(transformers, named, None)
        if network is None:
            raise ModelError(f"the installed transformers has no {named} ({name}).")
        return Chosen(network.config_class, network, "pooled")
    _takes_images(name, kind, named)
    if classifiers:
        network = getattr(transformers, classifiers[0])
        return Chosen(config_class, network, "features of the head")
    network = getattr(transformers, _first(auto.MODEL_MAPPING_NAMES[kind]))
    return Chosen(config_class, network, "pooled")


def _takes_images(name: str, kind: str, named: str) -> None:
    """Raise ModelError for networks of texts or sounds."""
    import transformers
    from transformers.models.auto import modeling_auto as auto

    base = getattr(transformers, _first(auto.MODEL_MAPPING_NAMES.get(kind, "")), None)
    if base is None or base.main_input_name != "pixel_values":
        raise _no_images(name, named or kind)


def _first(names: Any) -> str:
    return names if isinstance(names, str) else next(iter(names), "")


def _no_images(name: str, named: str) -> ModelError:
    return ModelError(
        f"{name} holds {named}, which takes no images alone: name a folder of a network for images."
    )

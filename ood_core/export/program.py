"""A deployable detector: classifier, score and threshold in one file that only needs torch."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ood_core.data import Transform, open_dataset
from ood_core.detectors import detector_class, exportable
from ood_core.errors import ConfigError, DataError
from ood_core.models import load_model
from ood_core.models.network_files import network_no_gradients
from ood_core.scoring.params import params_text
from ood_core.scoring.score_set import score
from ood_core.thresholds import at as threshold_at

if TYPE_CHECKING:
    from torch import nn

    from ood_core.activations import ActivationSet

__all__ = ["ExportReport", "export", "not_exportable"]

MOST_IMAGES = 4096
"""Images that the program takes at once, at most."""
CHECKED = 64
"""ID test images on which the file is compared with the library before it is kept."""
TOLERANCE = 1e-4
"""Largest relative difference allowed: features are float32, and batches round differently."""


@dataclass(frozen=True)
class ExportReport:
    """What was written and how it was checked.

    Attributes
    ----------
    path : the .pt2 file.
    megabytes : its size.
    threshold : accepted as ID is score >= threshold.
    how : one sentence on how the threshold was chosen.
    checked : images on which the file was run.
    largest_difference : largest relative difference of its scores from the library's.
    same_verdicts : whether every verdict is the same.
    input_shape : (channels, height, width) of one image that the program takes.
    """

    path: Path
    megabytes: float
    threshold: float
    how: str
    checked: int
    largest_difference: float
    same_verdicts: bool
    input_shape: tuple[int, int, int]


def export(
    acts_set: ActivationSet,
    detector: str,
    out: str | Path,
    *,
    at: str = "tpr=0.95",
    params: Mapping[str, Any] | None = None,
) -> ExportReport:
    """Write classifier + detector + threshold as a `torch.export` program.

    The program takes one argument, `images`: float32 (n, channels, height, width) in [0, 1], n
    from 1 to `MOST_IMAGES`, already resized and cropped as `metadata["preprocessing"]` says; it
    normalises them itself. It returns a dict: `logits` (n, c), `score` (n,), `is_id` (n,) bool.
    Load it with `torch.export.load(path).module()`; the JSON extra file `ood_lens.json` holds the
    recipe.

    Parameters
    ----------
    acts_set : activations of the experiment, for fitting and for the threshold.
    detector : an exportable detector's name (`ood_core.detectors.exportable()`).
    out : path ending in .pt2.
    at : how the threshold is chosen, as for `score --at`.
    params : detector parameters that differ from the experiment's.

    Raises
    ------
    ConfigError
        When the path does not end in .pt2, or detector or network cannot be exported.
    DataError
        When the written program does not agree with the library on the ID test images.
    """
    path = Path(out)
    if path.suffix != ".pt2":
        raise ConfigError(f"out must end in .pt2, the suffix of a torch.export program, got {out}.")
    if not detector_class(detector).has_torch_form():
        raise ConfigError(
            f"detector {detector!r} cannot be exported. Exportable: {', '.join(exportable())}."
        )
    reason = not_exportable(acts_set)
    if reason:
        raise ConfigError(reason)
    scores = score(acts_set, detector, params)
    form = scores.fitted.torch_form()
    point = threshold_at(at, scores.sample())
    loaded = load_model(acts_set.experiment)
    program = _Program(loaded, form, point.threshold).module
    images, expected = _images(acts_set, loaded, scores)
    metadata = _metadata(acts_set, loaded, scores, point, at)
    difference, same = _write(program, images, expected, point.threshold, path, metadata)
    return ExportReport(
        path=path,
        megabytes=path.stat().st_size / 1e6,
        threshold=point.threshold,
        how=point.how,
        checked=len(images),
        largest_difference=difference,
        same_verdicts=same,
        input_shape=loaded.input_shape,
    )


def not_exportable(acts_set: ActivationSet) -> str:
    """Why the network of these activations cannot become a torch program; "" where it can."""
    architecture = acts_set.experiment.classifier.architecture
    if not network_no_gradients(architecture):
        return ""
    return (
        f"a network in the format {architecture!r} is no torch module, so no torch program can be "
        "made of it. Deploy the recipe, or give the PyTorch network itself or a torch.export file."
    )


class _Program:
    """Builds the module; torch is imported only here."""

    def __init__(self, loaded: Any, form: Any, threshold: float) -> None:
        import torch

        class Detector(torch.nn.Module):
            """Normalise, classify, score, decide."""

            def __init__(self) -> None:
                super().__init__()
                self.classifier = loaded.module
                self.form = form
                shape = (1, -1, 1, 1)
                mean = torch.tensor(loaded.preprocessing.mean, dtype=torch.float32)
                std = torch.tensor(loaded.preprocessing.std, dtype=torch.float32)
                self.mean = torch.nn.Buffer(mean.reshape(shape))
                self.std = torch.nn.Buffer(std.reshape(shape))
                if loaded.head is not None:
                    self.weight = torch.nn.Buffer(torch.as_tensor(loaded.head.weight))
                    self.bias = torch.nn.Buffer(torch.as_tensor(loaded.head.bias))

            def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
                if loaded.head is None:
                    return self._without_head((images - self.mean) / self.std)
                seen: list[torch.Tensor] = []
                head = self.classifier.get_submodule(loaded.head_name)
                hook = head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
                try:
                    logits = self.classifier((images - self.mean) / self.std)
                finally:
                    hook.remove()
                features = seen[0].flatten(2).mean(2) if seen[0].dim() == 4 else seen[0]
                value = self.form(features.double(), logits.flatten(1).double())
                return {"logits": logits, "score": value, "is_id": value >= threshold}

            def _without_head(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
                features = self.classifier(images)
                if features.dim() == 4:
                    features = features.flatten(2).mean(2)
                none = features.double()[:, :0]  # the form of a detector that reads no logits
                value = self.form(features.double(), none)
                return {"features": features, "score": value, "is_id": value >= threshold}

        self.module: nn.Module = Detector().eval()


def _images(acts_set: ActivationSet, loaded: Any, scores: Any) -> tuple[Any, np.ndarray]:
    """The first ID test images as the program takes them, and the library's scores of them."""
    import torch

    experiment = acts_set.experiment
    acts = acts_set[experiment.test_set]
    data = open_dataset(experiment.sets[experiment.test_set])
    rows = {name: i for i, name in enumerate(data.ids)}
    names = acts.ids[:CHECKED]
    transform = Transform(loaded.preprocessing)
    stack = np.stack([transform(data.load(rows[name])) for name in names])
    shape = (1, -1, 1, 1)
    mean = np.asarray(loaded.preprocessing.mean, np.float32).reshape(shape)
    std = np.asarray(loaded.preprocessing.std, np.float32).reshape(shape)
    return torch.as_tensor(stack * std + mean), scores.id_scores[: len(names)]


def _metadata(acts_set: ActivationSet, loaded: Any, scores: Any, point: Any, at: str) -> str:
    experiment = acts_set.experiment
    return json.dumps(
        {
            "made_by": "OOD Lens",
            "experiment": experiment.name,
            "model_fingerprint": loaded.fingerprint,
            "detector": scores.detector,
            "params": params_text(scores.params),
            "at": at,
            "threshold": point.threshold,
            "how": point.how,
            "id_accepted": point.tpr,
            "class_names": list(acts_set.class_names),
            "input_shape": list(loaded.input_shape),
            "preprocessing": asdict(loaded.preprocessing),
        },
        indent=1,
    )


def _write(
    program: Any, images: Any, expected: np.ndarray, threshold: float, path: Path, metadata: str
) -> tuple[float, bool]:
    """Export, save, load again, compare; a file that does not agree is removed."""
    import torch

    batch = torch.export.Dim("batch", min=1, max=MOST_IMAGES)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # notices of torch.export about its own internals
        made = torch.export.export(program, (images[:2],), dynamic_shapes={"images": {0: batch}})
        handle, name = tempfile.mkstemp(suffix=".pt2", dir=path.parent if path.parent.name else ".")
        os.close(handle)
        try:
            torch.export.save(made, name, extra_files={"ood_lens.json": metadata})
            result = torch.export.load(name).module()(images)
            found = result["score"].numpy()
            finite = np.isfinite(expected)
            gap = np.abs(found - expected)[finite] / np.maximum(np.abs(expected[finite]), 1e-3)
            difference = float(gap.max(initial=0.0))
            if difference > TOLERANCE or not np.array_equal(np.isfinite(found), finite):
                raise DataError(
                    f"the exported program differs from the library by {difference:.2g} "
                    f"(allowed {TOLERANCE:g}) on {len(images)} images; nothing was written."
                )
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)
    return difference, bool(np.array_equal(found >= threshold, expected >= threshold))

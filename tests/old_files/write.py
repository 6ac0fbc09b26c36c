"""Write the files beside this one as version 956e8ce did: run there, never with a later version.

    git worktree add ../old 956e8ce && cd ../old
    PYTHONPATH=. python ../checkout/tests/old_files/write.py ../checkout/tests/old_files

`tests/test_old_files.py` says what each must still do.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np

import ood_core
from ood_core import cli, lab, recipes, scoring
from ood_core.data.digits import DIGITS_SOURCES, DigitsSet
from ood_core.data.files import FileSet
from ood_core.experiments import Experiment, Preprocessing, load_experiment, save_experiment
from ood_core.models import model_fingerprint
from ood_core.models.architectures import architectures
from ood_core.wizard import Draft, SetDraft, new_experiment


def experiment() -> Experiment:
    """What the wizard saves of a network without training, on some of the digits."""
    grey = Preprocessing(resize=16, center_crop=16, mean=(0.3,), std=(0.32,), mode="L")
    return new_experiment(
        Draft(
            name="old-digits",
            title="Digits, untrained",
            architecture="digits_cnn",
            random_weights=3,
            num_classes=8,
            class_names=tuple("01234567"),
            preprocessing=grey,
            fit=SetDraft("digits:fit", options={"per_class": 5}),
            test=SetDraft("digits:test", options={"per_class": 5}),
            ood=(
                SetDraft("digits:held-out", "held-out", True, {"limit": 24}),
                SetDraft("digits:noise", "noise", False, {"limit": 24}),
            ),
            detectors={"line": {"p_a": 80.0}},
        )
    )


def folder_identity() -> str:
    """Identity of a folder of two images, whose sizes and times are made up."""
    files = FileSet("photos", Path("/photos"), ["a.png", "b/ö.png"], np.array([0, 1]), ("x", "y"))
    stat = SimpleNamespace(st_size=1234, st_mtime_ns=1_700_000_000_123_456_789)
    with mock.patch("os.stat", return_value=stat):
        return files.identity


def fingerprint(own: Experiment, architecture: str) -> str:
    """Of another architecture with the experiment's random weights."""
    classifier = dataclasses.replace(own.classifier, architecture=architecture)
    return model_fingerprint(dataclasses.replace(own, classifier=classifier))


def keys(own: Experiment) -> dict[str, object]:
    """What names on disk are made of, under the versions of the packages named."""
    return {
        "versions": {name: version(name) for name in ("scikit-learn", "pillow")},
        "digits": {source: DigitsSet(source).identity for source in DIGITS_SOURCES},
        "folder": folder_identity(),
        "classifiers": {name: fingerprint(own, name) for name in sorted(architectures())},
        "lab": lab.results.recipe(),
    }


def main(target: Path) -> None:
    """Write everything."""
    shutil.rmtree(target / "home", ignore_errors=True)
    os.environ["OOD_LENS_HOME"] = str(target / "home")
    own = experiment()
    save_experiment(own)
    acts = ood_core.extract(load_experiment("old-digits"))
    shutil.rmtree(target / "home" / "activations" / "locks")
    recipe = recipes.of_view(scoring.score(acts, "nan"), "old-digits", "cost=10", layerwise=True)
    (target / "recipe.toml").write_text(recipe.to_toml(), encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()):
        cli.main(["benchmark", "old-digits", "--out", str(target / "results.csv"), "--quiet"])
    lab.run_lab([lab.Run("one_label", 0, width=8)])
    (target / "home" / "lab" / lab.results.recipe() / "lock").unlink()
    text = json.dumps(keys(own), indent=1, sort_keys=True, ensure_ascii=False)
    (target / "keys.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())

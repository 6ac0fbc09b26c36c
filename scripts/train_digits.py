"""Train the network of the `digits` experiment and write it to the file that ships.

    python scripts/train_digits.py [FILE]

Takes some ten seconds on one core. FILE is ood_core/models/weights/digits_cnn.safetensors unless
another is named. The training is seeded and runs in float64, so that every machine gets the same
weights up to the last bits of float32. Nobody needs to run it; after a change of the recipe in
ood_core/models/digits_training.py it must be run, and the figures of the documents and the pictures
follow.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ood_core.experiments import load_experiment  # noqa: E402
from ood_core.models import digits_training  # noqa: E402
from ood_core.models.published_weights import SHIPPED_DIR  # noqa: E402

TARGET = SHIPPED_DIR / "digits_cnn.safetensors"


def main(target: Path = TARGET) -> None:
    """Train on the fit set of `digits` and write the weights."""
    images, labels = digits_training.fit_images(load_experiment("digits"))
    digits_training.save_network(digits_training.train(images, labels), target)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))

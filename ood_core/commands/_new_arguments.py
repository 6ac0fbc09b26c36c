"""Options of `new` that say which network, and how images become its input."""

from __future__ import annotations

import argparse

from ood_core.commands._arguments import names
from ood_core.experiments.experiment import IN_ORDER

__all__ = ["add_classifier", "add_preprocessing"]


def add_classifier(parser: argparse.ArgumentParser) -> None:
    """Which network, or the head of features that are there already."""
    parser.add_argument(
        "--architecture", default="", help="built in, torchvision:…, timm:… or net.py:Net"
    )
    parser.add_argument(
        "--arguments", default="", metavar="NAME=VALUE,…",
        help="what your own code is called with: 'width=64, kind=small', or a JSON object",
    )  # fmt: skip
    parser.add_argument(
        "--checkpoint",
        help="file with the weights or the whole network, a folder from a model hub, or a folder "
        "or pattern with several",
    )
    parser.add_argument("--part", default="", help="weights in a checkpoint that holds several")
    parser.add_argument(
        "--keys", default="", choices=(IN_ORDER,),
        help="tell a checkpoint's tensors by their order and shapes, not by their names",
    )  # fmt: skip
    parser.add_argument("--weights", default="", help="name of published weights")
    parser.add_argument("--random-weights", type=int, metavar="SEED", help="weights by chance")
    parser.add_argument("--num-classes", type=int, help="default: from the weights; 0: no head")
    parser.add_argument("--class-names", type=names, default=[], help="in the network's order")
    parser.add_argument("--expected-accuracy", type=float, help="on the ID test set, 0-1")
    parser.add_argument(
        "--head",
        help="last linear layer of features, or of an encoder: a file of weight and bias",
    )
    parser.add_argument(
        "--text", help="zero-shot head of an encoder: a file of embeddings of the classes' texts"
    )
    parser.add_argument(
        "--temperature", type=float, help="of --text; default: the network's own, else 0.01"
    )
    parser.add_argument(
        "--features", default="", metavar="TENSOR",
        help="tensor of a file with a whole network that holds its penultimate features",
    )  # fmt: skip


def add_preprocessing(parser: argparse.ArgumentParser) -> None:
    """Values of the preprocessing, each on its own."""
    # Without a default here: what is not given stays as the weights or the likeliest guess have it.
    parser.add_argument(
        "--resize", type=_resize, help="shorter side, or height,width; pixels; no crop is larger"
    )
    parser.add_argument("--center-crop", type=int, help="side of the square, pixels")
    parser.add_argument("--mean", type=_numbers, help="r,g,b")
    parser.add_argument("--std", type=_numbers, help="r,g,b")
    parser.add_argument("--interpolation", help="nearest, bilinear, bicubic, box or lanczos")
    parser.add_argument("--mode", choices=("RGB", "L"), help="L: one channel")
    parser.add_argument(
        "--measure", action="store_true",
        help="try each likely preprocessing on ID test images and take the best",
    )  # fmt: skip


def _resize(text: str) -> int | tuple[int, int]:
    try:
        sides = tuple(int(part) for part in text.split(","))
    except ValueError:
        sides = ()
    if len(sides) == 1:
        return sides[0]
    if len(sides) == 2:
        return sides
    raise argparse.ArgumentTypeError(
        f"must be the shorter side, or height,width, in pixels, got {text!r}"
    )


def _numbers(text: str) -> tuple[float, ...]:
    plain = text.strip().removeprefix("[").removesuffix("]")
    try:
        return tuple(float(part) for part in plain.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be numbers with commas between, such as 0.485,0.456,0.406, got {text!r}"
        ) from None

"""Score images and say whether each is in-distribution.

The threshold is chosen on the ID test set; an image is accepted when score >= threshold. With
--json, one object a line: path, prediction, probability, score, threshold, is_id,
id_percentile, or path, error. A score of -inf is null. Exit status 1 when an image could not be
read; the others are scored all the same. A note says what was assumed of an image's pixels.
In an experiment of features the files hold features too, with the same arrays; a path is then the
row's id.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ood_core.commands._arguments import (
    add_experiment,
    add_json,
    add_params,
    add_pass,
    prepared_set,
)
from ood_core.commands._terminal import Terminal
from ood_core.errors import ConfigError, DataError
from ood_core.experiments import load_experiment
from ood_core.experiments.listing import left_out_text, list_folder
from ood_core.runtime.names import shown

BATCH = 64
"""Most images decoded at a time."""
ROWS = 4096
"""Most rows of features in memory at a time."""
BATCH_PIXELS = 200_000_000
"""Pixels after which no more images are decoded before those are scored."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_experiment(parser)
    parser.add_argument("--detector", required=True, help="name of a detector, or a fusion a+b")
    parser.add_argument(
        "--at", default="tpr=0.95",
        help="threshold: tpr=0.95 (default), fpr=0.05, alpha=0.05 (conformal), threshold=1.25 or "
        "cost=10,prevalence=0.1; rates in 0-1",
    )  # fmt: skip
    parser.add_argument("--layer", help="layer, for a layer-wise detector")
    add_params(parser)
    add_pass(parser)
    add_json(parser)
    parser.add_argument(
        "images",
        metavar="IMAGE",
        nargs="+",
        type=Path,
        help="files or folders; files of features where the experiment has such",
    )


def run(args: argparse.Namespace, terminal: Terminal) -> bool:
    """Score every image given; False when one could not be read."""
    from ood_core import scoring, thresholds
    from ood_core.detectors import make_detector
    from ood_core.scoring.params import params_from

    exp = load_experiment(args.experiment)
    thresholds.check_at(args.at)
    params = params_from(args.params)
    make_detector(args.detector, **params)
    of_rows = exp.classifier.features_only
    files, lost = (args.images, []) if of_rows else _files(args.images, terminal)
    with_ood = args.at.startswith(("fpr", "cost"))
    ood_sets = exp.ood_sets if with_ood else ()
    acts = prepared_set(args, terminal, ood_sets=ood_sets)
    scores = scoring.score(acts, args.detector, params, args.layer, ood_sets)
    point = thresholds.at(args.at, scores.sample())
    for warning in scores.warnings:
        terminal.note(f"{scores.detector}: {warning}")
    if args.layer and scores.layer != args.layer:
        terminal.note(f"{scores.detector} reads the penultimate features: --layer changes nothing.")
    if not args.json:
        terminal.note(f"threshold {point.threshold:.6g}. {point.how}")
    good = not lost
    for record in lost:
        terminal.record(record) if args.json else terminal.out(_line(record))
    found = (
        _row_records(files, scores, point.threshold, acts)
        if of_rows
        else _records(files, scores, point.threshold, acts, args.device)
    )
    for record in found:
        if terminal.should_stop():
            raise KeyboardInterrupt
        terminal.record(record) if args.json else terminal.out(_line(record))
        if "note" in record and not args.json:
            terminal.note(f"{shown(record['path'])}: {record['note']}.")
        good &= "error" not in record
    return good


def _files(paths: Sequence[Path], terminal: Terminal) -> tuple[list[Path], list[dict[str, str]]]:
    """Files as given and the images below each folder, and records of what is no file there.

    What else lies in a folder is counted in a note.
    """
    files: list[Path] = []
    lost: list[dict[str, str]] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        found = list_folder(path)
        beside = left_out_text(found.left_out)
        if not found.images:
            raise ConfigError(f"the folder {path} holds no images. {beside}".rstrip())
        if beside:
            terminal.note(f"{shown(str(path))}: {beside}")
        files += [path / image for image in found.images]
        lost += [
            {"path": str(path / out.path), "error": f"{shown(str(path))}/{out}"}
            for out in found.left_out
            if out.lost
        ]
    return files, lost


def _records(
    files: Sequence[Path], scores: Any, threshold: float, acts: Any, device: str
) -> Iterator[dict[str, Any]]:
    """One record per file, in order; at most `BATCH` images are in memory at a time."""
    from ood_core.activations import embed
    from ood_core.data import BrokenImageError, decode_image, decoding_note
    from ood_core.scoring.new_images import verdicts

    start = 0
    while start < len(files):
        records: dict[str, dict[str, Any]] = {}
        images, pixels, first = {}, 0, start
        while start < len(files) and start - first < BATCH and pixels < BATCH_PIXELS:
            path = files[start]
            start += 1
            try:
                images[str(path)] = image = decode_image(path)
                pixels += image.width * image.height
            except BrokenImageError as error:
                records[str(path)] = {"path": str(path), "error": str(error)}
        if images:
            new = embed(acts.experiment, list(images.values()), list(images), device)
            at = {scores.detector: threshold}
            (found,) = verdicts([scores], new, acts.head, thresholds=at)
            records |= {record["path"]: record for record in found.records()}
            for name, image in images.items():
                if note := decoding_note(image):
                    records[name]["note"] = note
        yield from (records[str(path)] for path in files[first:start])


def _row_records(
    files: Sequence[Path], scores: Any, threshold: float, acts: Any
) -> Iterator[dict[str, Any]]:
    """One record per row of files of features, in order; some thousand rows are in memory."""
    from ood_core.activations import new_rows, open_rows
    from ood_core.scoring.new_images import verdicts

    at = {scores.detector: threshold}
    for path in files:
        try:
            source = open_rows(acts, path)
            for start in range(0, len(source), ROWS):
                rows = new_rows(acts, source, start, start + ROWS)
                (found,) = verdicts([scores], rows, acts.head, thresholds=at)
                yield from found.records()
        except DataError as error:
            yield {"path": str(path), "error": str(error)}


def _line(record: dict[str, Any]) -> str:
    if "error" in record:
        return f"error  {record['error']}"
    verdict = "ID " if record["is_id"] else "OOD"
    predicted = (
        ""  # a network without a head names no class
        if record["prediction"] is None
        else f", predicted {record['prediction']} ({100 * record['probability']:.2f} %)"
    )
    return (
        f"{verdict}    {shown(record['path'])}: score {record['score']:.6g}, "
        f"above {record['id_percentile']:.2f} % of the ID test set{predicted}"
    )

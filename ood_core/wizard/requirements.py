"""What an experiment still needs, and downloads in the background, on request only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ood_core.data import download, experiment_status
from ood_core.errors import OODLensError
from ood_core.models import TRAINED_HERE, WeightsMissingError, download_weights
from ood_core.models.published_weights import own_file, published_file, published_weights
from ood_core.runtime.jobs import Lane

if TYPE_CHECKING:
    from ood_core.data import DataStatus
    from ood_core.experiments import Experiment
    from ood_core.runtime.jobs import Job
    from ood_core.runtime.progress import ProgressCallback, StopCheck

__all__ = ["CLASSIFIER", "LANE", "Missing", "fetch", "find_fetch", "missing", "missing_weights"]

CLASSIFIER = "classifier"
"""Name under which the classifier's weights are missing or fetched."""


@dataclass(frozen=True)
class Missing:
    """Something that the experiment needs and this machine lacks.

    Parameters
    ----------
    name : of the data set, or CLASSIFIER.
    title : what it is, in words.
    message : what is missing, and where from and where to when it is fetched by hand.
    download : whether `fetch` gets it.
    megabytes : about how much that is; 0 where unknown.
    folder : where it goes.
    """

    name: str
    title: str
    message: str
    download: bool
    megabytes: int = 0
    folder: str = ""


def missing(exp: Experiment) -> tuple[Missing, ...]:
    """What has to be there before the experiment can be prepared, and is not."""
    found = [m for m in (missing_weights(exp),) if m is not None]
    # Sets of one archive are one download; what is fetched by hand is listed one by one.
    groups: dict[tuple[str, ...], list[tuple[str, DataStatus]]] = {}
    for name, status in experiment_status(exp).items():
        if not status.ready:
            download = status.fetch == "download"
            key = (status.folder, status.message) if download else (name,)
            groups.setdefault(key, []).append((name, status))
    for group in groups.values():
        name, status = group[0]
        title = "Checkpoint" if name == CLASSIFIER else "Images of " + " and ".join(dict(group))
        offered = status.fetch == "download"
        found.append(Missing(name, title, status.message, offered, status.megabytes, status.folder))
    return tuple(found)


def missing_weights(exp: Experiment) -> Missing | None:
    """Published weights that are not on this machine."""
    spec = exp.classifier
    if not spec.weights or spec.weights == TRAINED_HERE:
        return None
    try:
        published_file(spec.architecture, spec.weights)
    except WeightsMissingError:
        found = published_weights(spec.architecture, spec.weights)
        assert found is not None
        size = round(found.size / 2**20)
        message = (
            f"The weights {spec.weights} of {spec.architecture} are not on this machine. They are "
            f"published at {found.url}."
        )
        return Missing(
            CLASSIFIER, "Weights", message, bool(found.url), size, str(own_file(found).parent)
        )
    except OODLensError as error:
        return Missing(CLASSIFIER, "Weights", str(error), False)
    return None


LANE = Lane("ood-fetch", workers=8)
"""Downloads wait for servers, not for cores: they run beside each other."""


def fetch(exp: Experiment, name: str) -> Job:
    """Start downloading a data set by name, or the weights (CLASSIFIER); returns at once.

    A download that runs already is the same one. What arrived of one that is stopped is kept.
    """

    def work(progress: ProgressCallback, should_stop: StopCheck) -> None:
        if name == CLASSIFIER:
            download_weights(exp, progress, should_stop)
        else:
            download(exp.sets[name], progress, should_stop)

    return LANE.submit(_key(exp, name), work)


def find_fetch(exp: Experiment, name: str) -> Job | None:
    """The last download of this, or None."""
    return LANE.find(_key(exp, name))


def _key(exp: Experiment, name: str) -> str:
    """Two experiments that name the same set share its download."""
    spec = exp.classifier
    if name == CLASSIFIER:
        return f"{spec.architecture} {spec.weights}"
    return f"{exp.sets[name].source} {exp.sets[name].options.get('split')}"

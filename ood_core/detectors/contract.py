"""The contract suite: what every detector, built in or plugged in, must hold to.

`python -m ood_core check-detector NAME` prints its results; the tests run it over all detectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ood_core.detectors._checks import SCORE_CHECKS, BrokenError, Check
from ood_core.detectors._torch_checks import TORCH_CHECKS
from ood_core.detectors._toy import Toy
from ood_core.detectors.base import Detector, logger
from ood_core.detectors.discovery import detector_class
from ood_core.errors import ConfigError

__all__ = ["CHECKS", "CheckResult", "check_detector"]

CHECKS: dict[str, Check] = {**SCORE_CHECKS, **TORCH_CHECKS}
"""Title -> check, in the order in which they run."""


@dataclass(frozen=True)
class CheckResult:
    """Outcome of one check.

    Attributes
    ----------
    check : what is checked, in words.
    passed : whether it holds.
    message : what was found where it does not; empty where it does.
    """

    check: str
    passed: bool
    message: str = ""


def check_detector(detector: str | type[Detector]) -> list[CheckResult]:
    """Run the contract suite on a detector, with its default parameters.

    Parameters
    ----------
    detector : name as for `make_detector`, or a class that is not installed yet.

    Returns
    -------
    one CheckResult per check, in order; a check that crashes has failed, with the error's text.

    Raises
    ------
    ConfigError
        For an unknown name, or a detector that needs a forward pass, which the suite cannot give.
    """
    cls = detector_class(detector) if isinstance(detector, str) else detector
    if "model" in getattr(cls, "needs", ()):
        raise ConfigError(f"detector {cls.name!r} needs a model: the suite has activations only.")
    toy = Toy.make().suited_to(getattr(cls, "needs", ()))
    with _silenced():
        return [_run(title, check, cls, toy) for title, check in CHECKS.items()]


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep the toy data's warnings out of the log; detectors still collect them."""
    was = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = was


def _run(title: str, check: Check, cls: type[Detector], toy: Toy) -> CheckResult:
    try:
        check(cls, toy)
    except BrokenError as broken:
        return CheckResult(title, False, str(broken))
    except Exception as error:  # noqa: BLE001 - a plug-in may raise anything; report it
        return CheckResult(title, False, f"{type(error).__name__}: {error}")
    return CheckResult(title, True)

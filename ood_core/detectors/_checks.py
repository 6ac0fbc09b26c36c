"""The contract suite's checks of fit and score: each raises BrokenError where it does not hold."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._toy import Toy
from ood_core.detectors.base import Detector
from ood_core.detectors.declarations import DECLARED, FAMILIES, NEEDS
from ood_core.detectors.fusion import Fusion
from ood_core.errors import ConfigError, DataError, NotFittedError

__all__ = ["SCORE_CHECKS", "BrokenError", "Check", "fitted", "require", "same"]

Check = Callable[[type[Detector], Toy], None]


class BrokenError(Exception):
    """A check failed; the message says what was expected and what was found."""


def require(holds: bool, message: str) -> None:
    if not holds:
        raise BrokenError(message)


def _raises(kind: type[Exception], what: str, call: Callable[[], object], *mentions: str) -> None:
    """The call must raise `kind` with a message that holds every one of `mentions`."""
    try:
        call()
    except kind as error:
        lacking = [m for m in mentions if m not in str(error)]
        require(not lacking, f"{what}: the message {str(error)!r} does not mention {lacking}")
    except Exception as error:
        raise BrokenError(
            f"{what} must raise {kind.__name__}, raised {type(error).__name__}: {error}"
        ) from error
    else:
        raise BrokenError(f"{what} must raise {kind.__name__}, and nothing was raised")


def same(found: np.ndarray, expected: np.ndarray, what: str, tolerance: float = 1e-5) -> None:
    """Scores must agree to `tolerance` times the largest: room for a detector's own float32."""
    scale = np.abs(expected[np.isfinite(expected)]).max(initial=0.0)
    equal = np.isclose(found, expected, rtol=0.0, atol=tolerance * scale)
    if not equal.all():
        row = int(np.argmin(equal))
        raise BrokenError(
            f"{what}: {int((~equal).sum())} of {len(equal)} scores differ, the first in row {row}: "
            f"{found[row]!r} against {expected[row]!r}"
        )


def fitted(cls: type[Detector], toy: Toy) -> Detector:
    return cls().fit(toy.fit, toy.head)


def _declares(cls: type[Detector], toy: Toy) -> None:
    for attribute in DECLARED:
        value = getattr(cls, attribute, None)
        require(
            isinstance(value, str) and bool(value.strip()),
            f"class attribute {attribute!r} must be a non-empty string, got {value!r}",
        )
    forbidden = set(" ,") if issubclass(cls, Fusion) else set(" ,+")
    require(
        not forbidden & set(cls.name), f"name must be without space, comma and +, got {cls.name!r}"
    )
    unknown = sorted(set(cls.needs) - set(NEEDS))
    require(not unknown, f"needs may hold {', '.join(NEEDS)}; got {unknown}")
    require(cls.family in FAMILIES, f"family must be one of {FAMILIES}, got {cls.family!r}")


def _parameters(cls: type[Detector], toy: Toy) -> None:
    defaults = cls.defaults()
    require(cls().get_params() == defaults, f"parameters must be stored as given: {defaults}")
    stray = sorted((set(cls.constraints) | set(cls.sweep)) - set(defaults))
    require(not stray, f"constraints and sweep name parameters that do not exist: {stray}")
    cls.check_params(defaults)
    for key, values in cls.sweep.items():
        for value in values:
            cls.check_params({key: value})
    _raises(ConfigError, "an unknown parameter", lambda: cls.check_params({"no_such": 1}))
    for key, rule in cls.constraints.items():
        detector = cls()
        setattr(detector, key, rule.wrong_value())
        what = f"fit with a wrong {key!r}"
        _raises(ConfigError, what, lambda d=detector: d.fit(toy.fit, toy.head), key)  # type: ignore[misc]


def _fit_returns_self(cls: type[Detector], toy: Toy) -> None:
    detector = cls()
    require(detector.fit(toy.fit, toy.head) is detector, "fit must return the detector itself")
    kinds = {type(w) for w in detector.warnings_}
    require(kinds <= {str}, f"warnings_ must be a list of sentences, holds {kinds}")


def _not_fitted(cls: type[Detector], toy: Toy) -> None:
    _raises(NotFittedError, "scoring before fit", lambda: cls().score_samples(toy.test), cls.name)


def _shape(cls: type[Detector], toy: Toy) -> None:
    scores = fitted(cls, toy).score_samples(toy.test)
    require(
        scores.shape == (len(toy.test),) and scores.dtype == np.float64,
        f"scores must be float64 of shape ({len(toy.test)},), got {scores.dtype} {scores.shape}",
    )
    none = fitted(cls, toy).score_samples(toy.test.take(slice(0, 0)))
    require(none.shape == (0,), f"no images must give no scores, got shape {none.shape}")


def _finite(cls: type[Detector], toy: Toy) -> None:
    scores = fitted(cls, toy).score_samples(toy.zero)
    bad = np.flatnonzero(np.isnan(scores) | np.isposinf(scores))
    require(
        len(bad) == 0,
        f"scores must be finite or -inf; rows {bad.tolist()[:5]} are not (row {toy.zero_row} is "
        "all zero)",
    )


def _deterministic(cls: type[Detector], toy: Toy) -> None:
    detector = fitted(cls, toy)
    first = detector.score_samples(toy.test)
    same(detector.score_samples(toy.test), first, "scoring twice", 0.0)
    same(fitted(cls, toy).score_samples(toy.test), first, "fitting and scoring twice", 0.0)


def _batch_invariant(cls: type[Detector], toy: Toy) -> None:
    detector = fitted(cls, toy)
    whole = detector.score_samples(toy.test)
    for size in (1, 7):
        parts = [detector.score_samples(part) for part in toy.test.chunks(size)]
        same(np.concatenate(parts), whole, f"scoring {size} at a time")
    back = np.arange(len(toy.test))[::-1]
    same(detector.score_samples(toy.test.take(back)), whole[back], "scoring in reverse order")


def _refit(cls: type[Detector], toy: Toy) -> None:
    expected = fitted(cls, toy).score_samples(toy.test)
    detector = cls().fit(toy.other, toy.head)
    detector.score_samples(toy.test)
    found = detector.fit(toy.fit, toy.head).score_samples(toy.test)
    same(found, expected, "fitting again on other data must forget the first fit")


def _input_unchanged(cls: type[Detector], toy: Toy) -> None:
    before = [toy.fit.features.copy(), toy.test.features.copy()]
    fitted(cls, toy).score_samples(toy.test)  # arrays are read-only: writing raises
    for kept, acts in zip(before, (toy.fit, toy.test), strict=True):
        require(np.array_equal(kept, acts.features), f"features of {acts.name!r} were changed")


def _float32(cls: type[Detector], toy: Toy) -> None:
    wide = fitted(cls, toy).score_samples(toy.test)
    narrow = cls().fit(toy.narrow(toy.fit), toy.head).score_samples(toy.narrow(toy.test))
    finite = np.isfinite(wide)
    scale = np.abs(wide[finite]).max(initial=1e-30)
    require(bool((np.isfinite(narrow) == finite).all()), "float32 changes which scores are finite")
    worst = np.abs(wide[finite] - narrow[finite]).max(initial=0.0) / scale
    require(worst < 1e-4, f"float32 activations move a score by {worst:.1e} of the largest score")


def _wrong_shapes(cls: type[Detector], toy: Toy) -> None:
    detector = fitted(cls, toy)
    d = toy.fit.features.shape[1]
    fewer = toy.narrow(toy.test, columns=d - 1)
    _raises(DataError, "scoring with a feature less", lambda: detector.score_samples(fewer),
            str(d), str(d - 1))  # fmt: skip


def _missing(cls: type[Detector], toy: Toy) -> None:
    lacking: dict[str, tuple[Activations, object]] = {
        "head": (toy.fit, None),
        "labels": (toy.without(toy.fit, labels=True), toy.head),
        "logits": (toy.without(toy.fit, logits=True), None),
        "zero_shot": (toy.fit, replace(toy.head, temperature=None)),
    }
    for need in sorted(set(cls.needs) & set(lacking)):
        acts, head = lacking[need]
        _raises(DataError, f"fit without {need}", lambda a=acts, h=head: cls().fit(a, h), cls.name)  # type: ignore[misc]
        require(
            bool(cls.unavailable_reason(acts, head)),  # type: ignore[arg-type]
            f"unavailable_reason must say that {need} is missing",
        )


def _less(cls: type[Detector], toy: Toy) -> None:
    """With any of head, logits and labels taken away it runs, or names one that it lacks."""
    for head, logits, labels in product((True, False), repeat=3):
        kept = [w for w, there in zip(_SPARED, (head, logits, labels), strict=True) if there]
        with_only = f"with {' and '.join(kept) or 'features'} alone"
        fit = toy.without(toy.fit, logits=not logits, labels=not labels)
        test = toy.without(toy.test, logits=not logits, labels=not labels)
        given = toy.head if head else None
        reason = cls.unavailable_reason(fit, given)
        if reason is None:
            try:
                scores = cls().fit(fit, given).score_samples(test)
            except Exception as error:
                raise BrokenError(
                    f"{with_only} it must run or declare in needs what it lacks; "
                    f"{type(error).__name__}: {error}"
                ) from error
            require(scores.shape == (len(test),), f"{with_only}: shape {scores.shape}")
            continue
        lacks = [what for what in _SPARED if what not in kept and what in reason]
        require(bool(lacks), f"{with_only}: {reason!r} names nothing that is lacking")
        _raises(DataError, f"fit {with_only}", lambda a=fit, h=given: cls().fit(a, h), cls.name)  # type: ignore[misc]


_SPARED = ("head", "logits", "labels")


def _orientation(cls: type[Detector], toy: Toy) -> None:
    detector = fitted(cls, toy)
    known, unknown = detector.score_samples(toy.test), detector.score_samples(toy.ood)
    higher = (known[:, None] > unknown).mean() + 0.5 * (known[:, None] == unknown).mean()
    require(
        higher > 0.5,
        f"higher must mean more in-distribution: a known image scores above an unknown one in only "
        f"{higher:.0%} of pairs (is the sign flipped?)",
    )


def _copies(cls: type[Detector], toy: Toy) -> None:
    detector = fitted(cls, toy)
    copy = pickle.loads(pickle.dumps(detector))
    same(copy.score_samples(toy.test), detector.score_samples(toy.test), "a pickled copy")


SCORE_CHECKS: dict[str, Check] = {
    "declares name, title, summary, equation, reference and needs": _declares,
    "declares and validates its parameters": _parameters,
    "fit returns the detector, with warnings as sentences": _fit_returns_self,
    "scoring before fit is a clear error": _not_fitted,
    "scores have shape (n,) and are float64": _shape,
    "scores are finite or -inf, for an all-zero image too": _finite,
    "same input, same scores": _deterministic,
    "scores do not depend on the batch": _batch_invariant,
    "a second fit forgets the first": _refit,
    "activations are not changed": _input_unchanged,
    "float32 and float64 activations agree": _float32,
    "a wrong number of features is a clear error": _wrong_shapes,
    "what it needs and lacks is a clear error": _missing,
    "without head, logits or labels it runs or says what it lacks": _less,
    "higher means more in-distribution": _orientation,
    "a pickled copy scores the same": _copies,
}
"""Title -> check, in the order in which they run."""

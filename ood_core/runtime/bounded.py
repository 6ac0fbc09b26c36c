"""What was used lately stays in memory: a bounded cache that threads may share."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Bounded"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def _one(_value: object) -> int:
    return 1


class Bounded(Generic[K, V]):
    """Values by key, up to a limit; those used longest ago go first, the newest always stays.

    Parameters
    ----------
    limit : total weight of what is held.
    weight : weight of a value, one by default, so that `limit` is a number of values.

    >>> squares = Bounded(2)
    >>> [squares.get(n, lambda n=n: n * n) for n in (1, 2, 1, 3)]
    [1, 4, 1, 9]
    >>> squares.find(1), squares.find(2)
    (1, None)
    """

    def __init__(self, limit: float, weight: Callable[[V], float] = _one) -> None:
        self.limit = limit
        self._weight = weight
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value under `key`, from `make()` when it is not held.

        Nobody waits while it is made. Of two threads that make it at once both get the value
        of the first to finish, so that one key has one object.
        """
        held = self.find(key)
        if held is not None:
            return held
        made = make()
        with self._lock:
            self._values.setdefault(key, made)
            return self._used(key)

    def find(self, key: K) -> V | None:
        """The value under `key`, or None."""
        with self._lock:
            return self._used(key) if key in self._values else None

    def put(self, key: K, value: V) -> None:
        """Hold `value` under `key` in place of what was there."""
        with self._lock:
            self._values[key] = value
            self._used(key)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()

    @property
    def total(self) -> float:
        """Weight of what is held."""
        with self._lock:
            return self._total()

    def _total(self) -> float:
        return sum(map(self._weight, self._values.values()))

    def _used(self, key: K) -> V:
        """The value, now the last to go; others go while there is too much."""
        self._values.move_to_end(key)
        while len(self._values) > 1 and self._total() > self.limit:
            self._values.popitem(last=False)
        return self._values[key]

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ood_core.runtime.bounded import Bounded


def never() -> object:
    raise AssertionError("made although it is held")


def test_what_was_used_longest_ago_goes_first() -> None:
    cache: Bounded[str, object] = Bounded(2)
    one, two = cache.get("one", object), cache.get("two", object)
    assert cache.get("one", never) is one
    cache.get("three", object)
    assert cache.find("two") is None
    assert cache.get("one", never) is one
    assert len(cache) == 2
    cache.put("two", two)
    assert cache.get("two", never) is two
    assert cache.find("three") is None


def test_looking_counts_as_use() -> None:
    cache: Bounded[int, int] = Bounded(2)
    cache.put(1, 10)
    cache.put(2, 20)
    assert cache.find(1) == 10
    cache.put(3, 30)
    assert (cache.find(1), cache.find(2), cache.find(3)) == (10, None, 30)


def test_a_value_may_be_false_or_empty() -> None:
    cache: Bounded[str, object] = Bounded(4)
    cache.put("zero", 0)
    cache.put("nothing", ())
    assert cache.get("zero", never) == 0
    assert cache.get("nothing", never) == ()


def test_weights_count_and_the_newest_stays_however_heavy() -> None:
    cache: Bounded[str, bytes] = Bounded(10, len)
    cache.put("a", b"1234")
    cache.put("b", b"123456")
    assert cache.total == 10
    cache.put("c", b"1")
    assert (cache.find("a"), cache.total) == (None, 7)
    cache.put("d", b"x" * 99)
    assert (len(cache), cache.total) == (1, 99)
    cache.put("d", b"x")
    assert cache.total == 1
    cache.clear()
    assert (len(cache), cache.total) == (0, 0)


def test_a_failure_is_not_kept() -> None:
    cache: Bounded[str, int] = Bounded(2)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 // 0)
    assert cache.get("a", lambda: 1) == 1


def test_threads_that_make_at_once_get_one_object() -> None:
    cache: Bounded[str, object] = Bounded(4)
    together = threading.Barrier(8, timeout=30)

    def make() -> object:
        together.wait()  # all have found nothing before any has made it
        return object()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: cache.get("key", make), range(8)))
    assert len(set(map(id, found))) == 1


def test_threads_neither_break_it_nor_exceed_its_limit() -> None:
    cache: Bounded[int, int] = Bounded(8)
    over: list[int] = []

    def use(seed: int) -> None:
        for step in range(3000):
            key = (seed * 7 + step * step) % 40
            assert cache.get(key, lambda key=key: key * 2) == key * 2
            if len(cache) > 9:  # one that another thread is adding
                over.append(len(cache))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(8)))
    assert not over
    assert len(cache) == 8

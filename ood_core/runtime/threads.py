"""Work shared by threads, and the libraries' own threads held back while it runs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any

__all__ = ["THREADS", "one_blas_thread", "one_torch_thread", "share_out"]

THREADS = max(1, min(4, os.cpu_count() or 1))
"""Threads that share long work; each needs its own scratch memory."""

_lock = threading.Lock()
_inside = 0
_limit: Any = None
_in_torch = 0
_torch_threads = 1


def share_out(work: Callable[[Sequence[Any]], None], parts: Sequence[Any]) -> None:
    """Call `work` with a share of the parts in each thread; shares interleave, so they are even."""
    n = min(THREADS, len(parts))
    if n <= 1:
        work(parts)
        return
    with one_blas_thread(), ThreadPoolExecutor(n) as pool:
        list(pool.map(work, [parts[t::n] for t in range(n)]))


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold matrix products to one thread: two layers of threads fight for the cores.

    The limit belongs to the process, so users are counted: the first sets it, the last lifts it.
    threadpoolctl obeys one thread per process as long as that thread lives, so both are done by a
    thread kept for it, whoever the first and the last user are.
    """
    global _inside, _limit
    with _lock:
        if _inside == 0:
            _limit = _keeper().submit(_blas().limit, limits=1, user_api="blas").result()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _keeper().submit(_limit.restore_original_limits).result()


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Sums of torch in one fixed order, whatever the number of cores: training repeats exactly."""
    import torch

    global _in_torch, _torch_threads
    with _lock:
        if _in_torch == 0:  # another user has set it to one
            _torch_threads = torch.get_num_threads()
        _in_torch += 1
        before = _torch_threads
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        with _lock:
            _in_torch -= 1


@cache
def _keeper() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="ood-core-blas")


@cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()

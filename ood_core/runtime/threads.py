"""Work shared by threads, and the libraries' own threads held back while it runs."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import Any

from threadpoolctl import ThreadpoolController

__all__ = ["THREADS", "DaemonPool", "one_blas_thread", "one_torch_thread", "share_out"]

THREADS = max(1, min(4, os.cpu_count() or 1))
"""Threads that share long work; each needs its own scratch memory."""

_lock = threading.Lock()
_inside = 0
_limit: Any = None
_in_torch = 0
_torch_threads = 1


class DaemonPool(Executor):
    """Threads as those of a ThreadPoolExecutor, except that the process ends without them.

    `concurrent.futures` joins its threads at exit, so that a server stopped with Ctrl-C would
    wait for whatever runs. Calls begin in the order in which they were submitted.

    Parameters
    ----------
    workers : threads at most; each is started when a call needs it.
    name : of the threads.
    """

    def __init__(self, workers: int, name: str) -> None:
        self._workers, self._name = workers, name
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]
        self._calls = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._guard = threading.Lock()
        self._closed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Ask for a call; its result, error and cancelling by the future."""
        future: Future[Any] = Future()
        with self._guard:
            if self._closed:
                raise RuntimeError(f"the pool {self._name} is shut down")
            self._calls.put((future, partial(fn, *args, **kwargs)))
            if len(self._threads) < self._workers:
                name = f"{self._name}-{len(self._threads)}"
                self._threads.append(threading.Thread(target=self._work, name=name, daemon=True))
                self._threads[-1].start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; wait for those submitted, or cancel those that have not begun."""
        with self._guard:
            self._closed = True
            with suppress(queue.Empty):
                while cancel_futures:
                    call = self._calls.get_nowait()
                    if call is not None:
                        call[0].cancel()
            for _ in self._threads:
                self._calls.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            future, work = call
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
                    future.set_exception(error)
            del call, future, work  # an idle thread keeps no result alive


def share_out(work: Callable[[Sequence[Any]], None], parts: Sequence[Any]) -> None:
    """Call `work` with a share of the parts in each thread; shares interleave, so they are even."""
    n = min(THREADS, len(parts))
    if n <= 1:
        work(parts)
        return
    with one_blas_thread(), DaemonPool(n, "ood-share") as pool:
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
def _keeper() -> DaemonPool:
    return DaemonPool(1, "ood-core-blas")


@cache
def _blas() -> Any:
    return ThreadpoolController()

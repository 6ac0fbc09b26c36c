"""The terminal as commands see it: results out, notes and progress beside them, Ctrl-C heard."""

from __future__ import annotations

import json
import math
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self, TextIO

from tqdm import tqdm

from ood_core.runtime.progress import Progress

__all__ = ["Terminal"]


class Terminal:
    """Results on standard output; notes and progress bars on standard error.

    Within `with Terminal():` the first Ctrl-C asks work to stop at the next safe point
    (`should_stop`), so that nothing done is lost; the second ends it at once. A process that was
    started with Ctrl-C ignored, as a shell's background job is, goes on ignoring it.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self._stop = threading.Event()
        self._bar: Any = None
        self._previous: Any = None

    def __enter__(self) -> Self:
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        if not ignored and threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._interrupted)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close_bar()
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def should_stop(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._stop.is_set()

    def out(self, text: str) -> None:
        """One line of results."""
        self._pause_bar()
        sys.stdout.write(_writable(text, sys.stdout) + "\n")
        sys.stdout.flush()

    def record(self, values: Mapping[Any, Any]) -> None:
        """One result as a line of JSON; numbers that JSON has not (−inf, NaN) become null."""
        plain = {k: _plain(v) for k, v in values.items()}
        text = json.dumps(plain, ensure_ascii=False)
        # A file's name may hold bytes that are no text: escapes keep them where an output cannot.
        self.out(text if _writable(text, sys.stdout) == text else json.dumps(plain))

    def note(self, text: str) -> None:
        """One line beside the results; shown even when quiet."""
        self._pause_bar()
        sys.stderr.write(_writable(text, sys.stderr) + "\n")
        sys.stderr.flush()

    def progress(self, step: Progress) -> None:
        """Draw where long work stands: a bar with its rate and the time left."""
        if self.quiet:
            return
        bar = self._bar
        if bar is None or bar.total != step.total or step.done < bar.n:
            bar = self._new_bar(step)
        bar.set_description_str(step.stage, refresh=False)
        bar.update(step.done - bar.n)
        if step.done >= step.total:
            self._close_bar()

    def _new_bar(self, step: Progress) -> Any:
        self._close_bar()
        seconds = 0.1 if sys.stderr.isatty() else 5.0
        self._bar = tqdm(
            total=step.total, unit="", mininterval=seconds, file=sys.stderr, leave=True
        )
        return self._bar

    def _pause_bar(self) -> None:
        if self._bar is not None:
            self._bar.clear()

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self._stop.is_set():
            raise KeyboardInterrupt
        self._stop.set()
        with suppress(RuntimeError):  # the signal came while a line was being written
            self.note("stopping at the next safe point; Ctrl-C again ends at once.")


def _writable(text: str, stream: TextIO) -> str:
    """The text with what the stream's encoding lacks as escapes."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _plain(value: Any) -> Any:
    import numpy as np  # here, so that --help does not wait for it

    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value

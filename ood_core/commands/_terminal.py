"""The terminal as commands see it: results out, notes and progress beside them, Ctrl-C heard."""

from __future__ import annotations

import io
import json
import logging
import math
import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

from tqdm import tqdm

from ood_core.runtime.names import shown
from ood_core.runtime.progress import Progress

__all__ = ["Terminal", "close_streams", "open_streams"]


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
        self._line(shown(text))

    def record(self, values: Mapping[Any, Any]) -> None:
        """One result as a line of JSON; numbers that JSON has not (−inf, NaN) become null.

        What is not readable, or not in the encoding of standard output, is escaped as JSON does
        it, so that a reader of the line gets the very text.
        """
        text = json.dumps({k: _plain(v) for k, v in values.items()}, ensure_ascii=False)
        if shown(text) != text or not _has(sys.stdout, text):
            text = json.dumps({k: _plain(v) for k, v in values.items()}).replace("\x7f", r"\u007f")
        self._line(text)

    def note(self, text: str) -> None:
        """A line beside the results, shown even when quiet; lost where nobody can hear it."""
        with suppress(OSError):
            self._pause_bar()
            sys.stderr.write(shown(text, keep="\n") + "\n")
            sys.stderr.flush()

    def _line(self, text: str) -> None:
        with suppress(OSError):  # standard error may be closed where standard output is not
            self._pause_bar()
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def progress(self, step: Progress) -> None:
        """Draw where long work stands: a bar with its rate and the time left."""
        if not self.quiet:
            with suppress(OSError):
                self._draw(step)

    def _draw(self, step: Progress) -> None:
        bar = self._bar
        if bar is None or bar.total != step.total or step.done < bar.n:
            bar = self._new_bar(step)
        bar.set_description_str(shown(step.stage), refresh=False)
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
        bar, self._bar = self._bar, None
        if bar is not None:
            with suppress(OSError):
                bar.close()

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self._stop.is_set():
            raise KeyboardInterrupt
        self._stop.set()
        with suppress(RuntimeError):  # the signal came while a line was being written
            self.note("stopping at the next safe point; Ctrl-C again ends at once.")


def open_streams() -> None:
    """Make standard output and error take any text, escaped where their encoding lacks it.

    Where there is none, as under `pythonw` or `>&-`, what is written goes nowhere.
    """
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    handler = _Handler(sys.stderr)
    handler.setFormatter(_Formatter("%(message)s"))
    logging.basicConfig(level=logging.ERROR, handlers=[handler])


def close_streams() -> None:
    """Write what is left; where nobody reads any more (`| head`), drop it without a complaint."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):  # Python flushes again at its end
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)


class _Formatter(logging.Formatter):
    """Messages may quote names of files."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The record's own line, without the traceback that may follow."""
        return shown(super().formatMessage(record), keep="\n")


class _Handler(logging.StreamHandler[Any]):
    """A remark that cannot be written is lost; it does not end in a traceback of its own."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Say nothing: standard error is closed."""


def _has(stream: Any, text: str) -> bool:
    """Whether the stream's encoding has every character."""
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _plain(value: Any) -> Any:
    import numpy as np  # here, so that --help does not wait for it

    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value

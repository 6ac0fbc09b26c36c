"""A local HTTP server for tests of downloads: it can do, and fail to do, what real ones do."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """Serves `files` and remembers what was asked for.

    Attributes
    ----------
    files : content by path.
    versions : ETag by path; honoured in If-Range.
    dates : Last-Modified by path; honoured in If-Range.
    ranges : whether it continues files.
    obeys_if_range : whether it looks at If-Range at all.
    says_length : whether it says how long a file is.
    wrong_range : whether it says that a part begins elsewhere.
    hold : what it waits for before it hangs up.
    cut : bytes after which it hangs up; None to send everything.
    pause : seconds it waits before each file.
    asked : path and Range header of each request, in order.
    conditions : If-Range header of each request, in order.
    sent : bytes of content that it set out to send.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.versions: dict[str, str] = {}
        self.dates: dict[str, str] = {}
        self.ranges = self.obeys_if_range = self.says_length = True
        self.wrong_range = False
        self.hold: threading.Event | None = None
        self.cut: int | None = None
        self.pause = 0.0
        self.asked: list[tuple[str, str | None]] = []
        self.conditions: list[str | None] = []
        self.sent = 0

    def url(self, path: str) -> str:
        """Address of a path."""
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        server, given = self.server, self.headers.get("Range")
        condition = self.headers.get("If-Range")
        server.asked.append((self.path, given))
        server.conditions.append(condition)
        data = server.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        known = (server.versions.get(self.path), server.dates.get(self.path))
        if not server.ranges or (server.obeys_if_range and condition and condition not in known):
            given = None
        start = int(given.removeprefix("bytes=").removesuffix("-")) if given else 0
        if given and start >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._answer(data, start, partial=bool(given))

    def _answer(self, data: bytes, start: int, *, partial: bool) -> None:
        server = self.server
        time.sleep(server.pause)
        body = data[start:] if server.cut is None else data[start : server.cut]
        server.sent += len(body)  # before the client can know
        self.send_response(206 if partial else 200)
        if partial:
            first = start + server.wrong_range
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        for header, known in (("ETag", server.versions), ("Last-Modified", server.dates)):
            if self.path in known:
                self.send_header(header, known[self.path])
        if server.says_length:
            self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(body)
        if server.hold is not None:
            server.hold.wait(30)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[FileServer]:
    """A server that runs until the block ends."""
    server = FileServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

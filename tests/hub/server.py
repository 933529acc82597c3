"""The loopback HTTP server around the hub's protocol, which is also the proxy that lets nothing else out.

A process with :meth:`HubServer.environment` asks this server for what it would ask the hub for, and sends
requests for any other host to it too: those are refused and kept. Imports the protocol.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

from tests.hub.protocol import Protocol, Question
from tests.hub.repositories import Access, Repository


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was answered.

    Args:
        method: Of HTTP.
        target: Path and query; the whole address where another host was asked for.
        status: Of the answer.
        known: Whether the stand-in understood it.
    """

    method: str
    target: str
    status: int
    known: bool


class HubServer(AbstractContextManager["HubServer"]):
    """The stand-in hub: serves on a free port of this machine until its context ends.

    Attributes:
        requests: All that were answered, in their order.
        protocol: Its repositories and tokens.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._port = 0
        self._start()
        self.protocol = Protocol(self._port)

    def __exit__(self, *_: object) -> None:
        self._stop()
        self.protocol.uploads.close()

    @contextmanager
    def gone(self) -> Iterator[None]:
        """Meanwhile every connection is refused."""
        self._stop()
        try:
            yield
        finally:
            self._start()

    def _start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), _handler(self))
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        # The interval is how long stopping it takes.
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def _stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(
        self,
        kind: Literal["models", "datasets"],
        name: str,
        folder: Path,
        *,
        revision: str = "main",
        access: Access = "open",
    ) -> str:
        """Serve a folder's files as a branch or tag of a repository; returns the commit's hash."""
        repositories = self.protocol.repositories
        return repositories.setdefault((kind, name), Repository(kind, name, access)).add(folder, revision)

    @property
    def address(self) -> str:
        """What takes the place of https://huggingface.co."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def strange(self) -> list[str]:
        """Paths that it did not understand, and hosts that were asked for beside it."""
        return [request.target for request in self.requests if not request.known]

    @property
    def downloads(self) -> list[str]:
        """Paths of the files that were read, or read in part."""
        paths = [
            request.target for request in self.requests if request.method == "GET" and request.status < 300
        ]
        return [path for path in paths if path.startswith(("/storage/", "/api/resolve-cache/"))]

    def environment(self) -> dict[str, str]:
        """Variables for a process that is to take this for the hub, and to reach and tell nothing else."""
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), self.address)
        proxies["NO_PROXY"] = "127.0.0.1,localhost"
        lower = {name.lower(): value for name, value in proxies.items()}
        own = {"HF_ENDPOINT": self.address, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1"}
        return own | proxies | lower


def _handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        # As by default, HTTP/1.0: no connection outlives its answer, so none is left when the hub is gone.
        def answer(self) -> None:
            body = self.read_body()
            # Names of headers are in any case in a message, and only there.
            question = Question(self.command, self.path, self.headers, body)
            answer = hub.protocol.answer(question)
            hub.requests.append(Request(self.command, self.path, answer.status, answer.known))
            self.send_response(answer.status)
            for name, value in (answer.headers | {"Content-Length": str(len(answer.body))}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        def read_body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while size := int(self.rfile.readline().strip(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        do_GET = do_HEAD = do_POST = do_PUT = do_CONNECT = answer

        def log_message(self, *_: object) -> None:
            """Tests read ``requests`` instead."""

    return Handler

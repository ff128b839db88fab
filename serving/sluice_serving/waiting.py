"""What listens while there is nothing to serve yet: alive, not ready, and why."""

from __future__ import annotations

import json
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ALIVE: dict[str, dict[str, Any]] = {"/": {"status": "alive"}, "/v2/health/live": {"live": True}}
_LARGEST = 16 * 2**20


class WaitingRoom:
    """Answers on a listening socket in a thread, until `leave` hands the socket on. No caller sees a closed port."""

    def __init__(self, listener: socket.socket) -> None:
        self.why = "starting"
        self._listener = listener
        self._server = _Server(listener, self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="waiting", daemon=True)
        self._thread.start()

    def leave(self) -> socket.socket:
        """The listening socket; connections made from now on wait for its next owner."""
        self._server.shutdown()
        self._thread.join()
        return self._listener


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, listener: socket.socket, room: WaitingRoom) -> None:
        super().__init__(listener.getsockname()[:2], _Answer, bind_and_activate=False)
        self.socket.close()
        self.socket, self.room = listener, room

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller who goes away is nobody's error."""


class _Answer(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5.0

    def do_GET(self) -> None:
        """The server is alive; everything else is not ready."""
        found = ALIVE.get(self.path)
        if found is not None:
            self._send(HTTPStatus.OK, found)
            return
        content = {"error": f"not ready: {self.server.room.why}", "hint": "try again", "problems": []}
        self._send(HTTPStatus.SERVICE_UNAVAILABLE, content)

    def do_POST(self) -> None:
        """Not ready. The body is read, so that its sender can read the answer."""
        left = min(int(self.headers.get("Content-Length") or 0), _LARGEST)
        while left > 0 and (chunk := self.rfile.read(min(left, 65536))):
            left -= len(chunk)
        self.do_GET()

    def _send(self, status: HTTPStatus, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Probes are no news."""

"""What the updater answers: whether it is alive and ready, and its metrics."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

LIVE, READY, METRICS = "/health/live", "/health/ready", "/metrics"


class Health:
    """Answers in a thread until closed; port 0 takes a free one.

    Args:
        why_not_ready: "" when it is.
        alive: seconds since the loop last went round, and how many it may be.
    """

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        why_not_ready: Callable[[], str],
        alive: Callable[[], bool] = lambda: True,
    ) -> None:
        class Answer(BaseHTTPRequestHandler):
            timeout = 5.0

            def do_GET(self) -> None:
                if self.path == METRICS:
                    self._send(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry))
                elif self.path == LIVE:
                    lives = alive()
                    status = HTTPStatus.OK if lives else HTTPStatus.SERVICE_UNAVAILABLE
                    self._send(status, "application/json", json.dumps({"live": lives}).encode())
                elif self.path == READY:
                    why = why_not_ready()
                    status = HTTPStatus.SERVICE_UNAVAILABLE if why else HTTPStatus.OK
                    self._send(status, "application/json", json.dumps({"ready": not why, "why": why}).encode())
                else:
                    self._send(HTTPStatus.NOT_FOUND, "application/json", b'{"error": "not here"}')

            def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Probes are no news."""

        self._server = ThreadingHTTPServer((host, port), Answer)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="health", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where it listens."""
        return "http://{}:{}".format(*self._server.server_address[:2])

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

"""A small front on one address: passes each request on to one of several servers, by weight.

It splits by request, not by connection, and forwards bytes as they are: HTTP/1.1 with Content-Length, as our clients
and servers speak it. It is for one machine; on a cluster the gateway does this.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections import Counter
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, TypeVar

from sluice_serving.traffic.mirror import Mirror, Pool, Target

__all__ = ["Front", "Target"]

T = TypeVar("T")

_HEAD_LIMIT = 64 * 1024
_BROKEN = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError)


class Front:
    """The address that clients know, in a thread with an event loop of its own.

    Args:
        seed: of the split.
        timeout: seconds that a server has for an answer; a client gets 504 then.

    Attributes:
        unanswered: requests to each target, copies among them, that its server did not answer, or not in time.
        dropped: copies that were not sent, because too many waited already.
    """

    def __init__(self, host: str, port: int, seed: int, timeout: float = 5.0) -> None:
        self._random, self._timeout = random.Random(seed), timeout
        self._targets: list[Target] = []
        self._weights: list[float] = []
        self._in_flight: Counter[Target] = Counter()
        self.unanswered: Counter[Target] = Counter()
        self.dropped: Counter[Target] = Counter()
        self._mirror: Mirror | None = None
        self._broken: dict[Target, float] = {}
        self._clients: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="front", daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._client, host, port, limit=_HEAD_LIMIT))
        self.address = "http://{}:{}".format(*self._server.sockets[0].getsockname()[:2])

    def split(self, weights: Mapping[Target, float]) -> None:
        """From the next request on; targets with weight 0 get none."""

        async def switch() -> None:
            self._targets = [target for target, weight in weights.items() if weight]
            self._weights = [weight for weight in weights.values() if weight]

        self._run(switch())

    def mirror(self, target: Target | None, percent: int = 100) -> None:
        """From the next request on send a copy of this percent of them to a target whose answers nobody gets."""

        async def switch() -> None:
            if self._mirror is not None:
                await self._mirror.close()
            self._mirror = None if target is None else Mirror(target, percent / 100, self._copy, self.dropped)

        self._run(switch())

    def break_answers(self, target: Target, share: float) -> None:
        """From now on fail this share of the requests to a target: a fault injected to see it found."""

        async def inject() -> None:
            self._broken[target] = share

        self._run(inject())

    def drain(self, target: Target, timeout: float) -> bool:
        """Wait until all requests to a target are answered; False when some are not in `timeout` seconds."""

        async def wait() -> None:
            while self._in_flight[target]:
                await asyncio.sleep(0.005)

        try:
            self._run(asyncio.wait_for(wait(), timeout))
        except TimeoutError:
            return False
        return True

    def idle(self) -> bool:
        """Whether no request and no copy is under way or waits."""

        async def look() -> bool:
            return not any(self._in_flight.values()) and (self._mirror is None or self._mirror.is_empty())

        return self._run(look())

    def close(self) -> None:
        """Stop listening, let go of all connections and end the thread."""

        async def stop() -> None:
            self._server.close()
            if self._mirror is not None:
                await self._mirror.close()
            for task in self._clients:
                task.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)

        self._run(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        pool: Pool = {}
        try:
            while (message := await _read(reader)) is not None:
                writer.write(await self._pass_on(message, pool))
                await writer.drain()
        except (*_BROKEN, asyncio.CancelledError):
            pass
        finally:
            self._clients.discard(task)
            for _, upstream in pool.values():
                upstream.close()
            writer.close()

    async def _pass_on(self, message: bytes, pool: Pool) -> bytes:
        """One request to one target."""
        if not self._targets:
            return _unavailable("no version has weight")
        if self._mirror is not None:
            self._mirror.offer(message, self._random.random())
        return await self._ask(self._random.choices(self._targets, self._weights)[0], message, pool)

    async def _copy(self, target: Target, message: bytes, pool: Pool) -> None:
        await self._ask(target, message, pool)

    async def _ask(self, target: Target, message: bytes, pool: Pool) -> bytes:
        """A target's answer, or ours when it gives none in time."""
        if self._random.random() < self._broken.get(target, 0.0):
            self.unanswered[target] += 1
            return _unavailable("a fault was injected here")
        self._in_flight[target] += 1
        try:
            async with asyncio.timeout(self._timeout):
                return await _answer_of(target, message, pool)
        except TimeoutError:
            said = _refusal(HTTPStatus.GATEWAY_TIMEOUT, f"the version's server does not answer in {self._timeout:g} s")
        except _BROKEN as error:
            said = _unavailable(f"the version's server does not answer: {type(error).__name__}")
        finally:
            self._in_flight[target] -= 1
        # What may still come over this connection is an answer to nobody.
        if target in pool:
            pool.pop(target)[1].close()
        self.unanswered[target] += 1
        return said


async def _answer_of(target: Target, message: bytes, pool: Pool) -> bytes:
    """The answer; a kept connection that has gone is opened anew, once."""
    if target in pool:
        with suppress(*_BROKEN):
            return await _exchange(message, pool[target])
        pool.pop(target)[1].close()
    pool[target] = await asyncio.open_connection(*target, limit=_HEAD_LIMIT)
    return await _exchange(message, pool[target])


async def _exchange(message: bytes, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bytes:
    reader, writer = connection
    writer.write(message)
    await writer.drain()
    answer = await _read(reader, has_body=not message.startswith(b"HEAD "))
    if answer is None:
        raise ConnectionResetError
    return answer


async def _read(reader: asyncio.StreamReader, *, has_body: bool = True) -> bytes | None:
    """One message, head and body; None when the connection ended before it began."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        if name.lower() == b"transfer-encoding":
            raise ValueError("chunked bodies are not passed on")
    return head + await reader.readexactly(length) if has_body and length else head


def _unavailable(why: str) -> bytes:
    return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, why)


def _refusal(status: HTTPStatus, why: str) -> bytes:
    body = json.dumps({"error": why, "hint": "try again", "problems": []}).encode()
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body

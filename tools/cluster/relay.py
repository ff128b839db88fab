"""From a loopback port outside to an address inside the cluster's network.

Nothing on the machine's own network changes: a socket stays in the network namespace of the thread that made it,
so one thread listens outside, steps inside, and connects from there.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from types import TracebackType

from tools.cluster.namespace import Namespace


class Relay:
    """A loopback port that leads to `host:port` inside; open between `__enter__` and `__exit__`."""

    def __init__(self, namespace: Namespace, host: str, port: int) -> None:
        self._namespace = namespace
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name=f"relay to {host}:{port}", daemon=True)

    @property
    def address(self) -> str:
        """Where to connect to."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve(self) -> None:
        inside = os.open(f"/proc/{self._namespace.first}/ns/net", os.O_RDONLY)
        try:
            _enter_network(inside)
        finally:
            os.close(inside)
        loop = self._loop
        server = loop.run_until_complete(asyncio.start_server(self._carry, sock=self._listener))
        loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, back), _copy(there, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


def _enter_network(descriptor: int) -> None:
    """This thread's new sockets belong to that namespace."""
    import ctypes

    clone_newnet = 0x40000000
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, clone_newnet):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

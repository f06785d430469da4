"""A network between clients and a broker that can be made unclean: a TCP proxy on loopback.

A broker *behind* the proxy has a second listener that advertises the proxy's port: clients that start from the
proxy's address stay on it, all others have a clean network.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from tests.kit.broker import KafkaBroker, free_port, listeners
from tests.kit.waiting import PATIENCE_SECONDS

CHUNK_BYTES = 65_536
CHUNKS_ON_THE_WAY = 64
_RESET = struct.pack("ii", 1, 0)  # closing throws away what is unsent, and says so


class Proxy:
    """Forwards each connection to one port. A context manager; used from any thread.

    Attributes:
        delay_seconds: every piece of data is on its way for so long, in both directions.
    """

    def __init__(self, to_port: int) -> None:
        """Listen at once, so that the port is known; forward from `start` on."""
        self._to_port = to_port
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listening.getsockname()[1]
        self.delay_seconds = 0.0
        self._silent = False
        self._connections: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """Where clients reach it."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin to forward."""
        self._thread.start()
        self._wait_for(self._start())

    def cut(self) -> int:
        """Reset every connection (RST); new ones are welcome. How many there were."""
        return self._wait_for(self._cut())

    def fall_silent(self) -> int:
        """Let every connection stay open and forward nothing ever again; how many there were.

        New ones are accepted and forwarded as little, until `speak`.
        """
        return self._wait_for(self._fall_silent())

    def speak(self) -> None:
        """Forward what new connections send. Those from before stay silent: nobody tells their ends."""
        self._silent = False

    def close(self) -> None:
        """Cut everything, and listen no more."""
        if self._thread.is_alive():
            self._wait_for(self._stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE_SECONDS)
        self._loop.close()
        self._listening.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wait_for(self, work: Coroutine[Any, Any, int]) -> int:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    async def _start(self) -> int:
        self._server = await asyncio.start_server(self._serve, sock=self._listening)
        return 0

    async def _cut(self) -> int:
        cut = list(self._connections)
        for connection in cut:
            connection.reset()
        await asyncio.gather(*(connection.ended.wait() for connection in cut))
        return len(cut)

    async def _fall_silent(self) -> int:
        self._silent = True
        for connection in self._connections:
            connection.silent = True
        return len(self._connections)

    async def _stop(self) -> int:
        if self._server is not None:
            self._server.close()
        return await self._cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, writer, silent=self._silent)
        self._connections.add(connection)
        try:
            await connection.run(reader, self._to_port)
        finally:
            self._connections.discard(connection)
            connection.ended.set()


class _Connection:
    """One connection of a client, and ours to the broker for it."""

    def __init__(self, proxy: Proxy, client: asyncio.StreamWriter, *, silent: bool) -> None:
        self.silent = silent
        self.ended = asyncio.Event()
        self._proxy = proxy
        self._writers = [client]
        self._task: asyncio.Task[None] | None = asyncio.current_task()

    async def run(self, reader: asyncio.StreamReader, to_port: int) -> None:
        """Forward until one side ends it."""
        try:
            from_broker, to_broker = await asyncio.open_connection("127.0.0.1", to_port)
            self._writers.append(to_broker)
            ways = [self._forward(reader, to_broker), self._forward(from_broker, self._writers[0])]
            tasks = [asyncio.ensure_future(way) for way in ways]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass  # the broker is away, or the connection was cut: the client sees its end
        finally:
            for writer in self._writers:
                writer.transport.abort()

    def reset(self) -> None:
        """End it on both sides without a word of farewell."""
        for writer in self._writers:
            if not writer.is_closing():
                own: socket.socket = writer.get_extra_info("socket")
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if self._task is not None:
            self._task.cancel()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction."""
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_ON_THE_WAY)
        arriving = asyncio.ensure_future(self._deliver(on_the_way, writer))
        try:
            clock = asyncio.get_running_loop().time
            while data := await reader.read(CHUNK_BYTES):
                if not self.silent:
                    await on_the_way.put((clock() + self._proxy.delay_seconds, data))
        finally:
            arriving.cancel()

    async def _deliver(
        self, on_the_way: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter
    ) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due, data = await on_the_way.get()
            if (left := due - clock()) > 0:
                await asyncio.sleep(left)
            if not self.silent:
                writer.write(data)
                await writer.drain()


def broker_behind_proxy() -> tuple[KafkaBroker, Proxy]:
    """A broker and the proxy to it, neither started: the proxy's address is an unclean way to the broker.

    Raises:
        JavaUnavailable: no Java, or Kafka is not here and cannot be fetched.
    """
    port, controller, inner = free_port(), free_port(), free_port()
    proxy = Proxy(inner)
    config = {
        **listeners(port, controller, PROXIED=(inner, proxy.port)),
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
    }
    try:
        return KafkaBroker(port, config=config), proxy
    except BaseException:
        proxy.close()
        raise

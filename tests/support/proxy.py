"""A TCP proxy that can cut its connections, or swallow what goes through them.

It knows nothing of what it carries. It never delivers bytes out of order or twice: what a black
hole has swallowed is lost together with its connection.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

_CHUNK = 65_536
_LINGER_RESET = struct.pack("ii", 1, 0)


@dataclass(slots=True, eq=False)
class Proxy:
    """A running proxy; `target` may be set, and changed, at any time."""

    port: int = 0
    target: tuple[str, int] = ("127.0.0.1", 0)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _swallowed: set[asyncio.StreamWriter] = field(default_factory=set)
    _silent: set[asyncio.StreamWriter] = field(default_factory=set)
    _hole: bool = False
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def address(self) -> str:
        """Where clients reach it, as host:port."""
        return f"127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._tasks)

    def cut(self) -> int:
        """Reset every connection, on both sides; how many clients there were."""
        clients = len(self._writers) // 2
        for writer in list(self._writers):
            _reset(writer)
        return clients

    def black_hole(self) -> None:
        """From now on nothing comes through, and nobody is told; connecting still works."""
        self._hole = True

    def open_hole(self) -> None:
        """Let new connections through; those of before stay silent, and nobody is told."""
        self._hole = False
        self._silent |= self._writers
        self._swallowed.clear()

    def resume(self) -> None:
        """Let everything through again; connections from which bytes are missing are reset."""
        self._hole = False
        for writer in self._swallowed:
            _reset(writer)
        self._swallowed.clear()

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Carry one client's bytes until either side ends."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a connection is served in a task")
        self._tasks.add(task)
        self._writers.add(to_client)
        to_server = None
        try:
            server, to_server = await asyncio.open_connection(*self.target)
            self._writers.add(to_server)
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._carry(client, to_server, back=to_client))
                ways.create_task(self._carry(server, to_client, back=to_server))
        except OSError:
            _reset(to_client)  # the server is away: as if nobody listened
        except asyncio.CancelledError:
            pass  # the end of the run; the stream's own task would log it
        finally:
            for writer in (to_client, to_server):
                if writer is not None:
                    writer.transport.abort()
                    self._writers.discard(writer)
                    self._swallowed.discard(writer)
                    self._silent.discard(writer)
            self._tasks.discard(task)

    async def _carry(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        *,
        back: asyncio.StreamWriter,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(_CHUNK):
                if sink in self._silent:
                    continue
                if self._hole:
                    self._swallowed |= {sink, back}
                    continue
                if sink.is_closing():  # cut meanwhile
                    break
                sink.write(data)
                await sink.drain()
        if self._hole:
            self._swallowed |= {sink, back}  # the end as well
        else:
            sink.close()  # passes it on, once what was written is gone

    async def close(self) -> None:
        """End every connection."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is None:
        return  # it is closed already, and uvloop has given the socket up
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
    writer.transport.abort()


@contextlib.asynccontextmanager
async def running_proxy() -> AsyncIterator[Proxy]:
    """A proxy that listens on a free port; it leads nowhere before its target is set."""
    proxy = Proxy()
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()

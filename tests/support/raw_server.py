"""A TCP server that does what a script says, byte by byte, and a tiny outgoing proxy.

For tests of HTTP clients against servers that misbehave. It knows just enough HTTP to tell where a
request ends.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Peer:
    """One accepted connection, as its script sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    seen: list[bytes]

    async def request(self) -> bytes:
        """The next whole request; raises asyncio.IncompleteReadError where the client is gone."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        whole = head + await self.reader.readexactly(length)
        self.seen.append(whole)
        return whole

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    def reset(self) -> None:
        """End with RST instead of FIN."""
        self.writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


@dataclass(slots=True)
class RawServer:
    """What a running server has seen."""

    port: int
    requests: list[bytes] = field(default_factory=list)  #: of all connections
    connections: int = 0
    #: one permit per connection whose script is over and whose socket is closed
    ended: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))


@contextlib.asynccontextmanager
async def raw_server(
    *scripts: Script, ssl_context: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """Serve on a loopback port: the first connection runs the first script; the last one stays."""
    running = RawServer(port=0)
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            tasks.add(task)
        script = scripts[min(running.connections, len(scripts) - 1)]
        running.connections += 1
        peer = Peer(reader, writer, running.requests)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await script(peer)
            await peer.close()
        except asyncio.CancelledError:
            pass  # the end of the test; the stream's own task would log it
        finally:
            writer.transport.abort()
            running.ended.release()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=ssl_context)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Copy until the end, and pass the end on."""
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
        sink.write_eof()


async def proxy(peer: Peer) -> None:
    """Script of an outgoing proxy: CONNECT tunnels and absolute-form requests."""
    head = await peer.reader.readuntil(b"\r\n\r\n")
    peer.seen.append(head)
    method, target, _ = head.split(b" ", 2)
    authority = target if method == b"CONNECT" else target.split(b"/")[2]
    host, _, port = authority.decode().rpartition(":")
    try:
        upstream, to_upstream = await asyncio.open_connection(host, int(port))
    except OSError:
        await peer.send(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        return
    try:
        if method == b"CONNECT":
            await peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            to_upstream.write(head.replace(b"http://" + authority, b"", 1))
        answers = asyncio.create_task(pipe(upstream, peer.writer))
        asks = asyncio.create_task(pipe(peer.reader, to_upstream))
        await answers
        asks.cancel()
        await asyncio.gather(asks, return_exceptions=True)
    finally:
        to_upstream.transport.abort()

"""The proxy of the chaos runs: carries, cuts, swallows, and carries again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import uvloop

from tests.support.proxy import Proxy, running_proxy


@contextlib.asynccontextmanager
async def echo_behind_proxy() -> AsyncIterator[tuple[Proxy, list[bytes]]]:
    """A server that answers every line with itself, and the lines that have reached it."""
    seen: list[bytes] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                seen.append(line)
                writer.write(line)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with running_proxy() as proxy:
        proxy.target = server.sockets[0].getsockname()
        yield proxy, seen
    server.close()
    await server.wait_closed()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, line: bytes) -> bytes:
        self.writer.write(line)
        async with asyncio.timeout(5):
            return await self.reader.readline()


@contextlib.asynccontextmanager
async def client(proxy: Proxy) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


async def test_it_carries_both_ways() -> None:
    async with echo_behind_proxy() as (proxy, _), client(proxy) as one:
        assert await one.ask(b"hello\n") == b"hello\n"
        assert proxy.connections == 1


async def test_a_cut_resets_every_connection_and_the_next_one_works() -> None:
    async with echo_behind_proxy() as (proxy, _):
        async with client(proxy) as one, client(proxy) as other:
            await one.ask(b"1\n")
            await other.ask(b"2\n")
            assert proxy.cut() == 2
            for each in (one, other):
                with pytest.raises(ConnectionResetError):
                    await each.ask(b"3\n")
        async with client(proxy) as again:
            assert await again.ask(b"4\n") == b"4\n"


async def test_a_black_hole_swallows_and_tells_nobody_until_it_is_lifted() -> None:
    async with echo_behind_proxy() as (proxy, seen), client(proxy) as one, client(proxy) as idle:
        await one.ask(b"1\n")
        await idle.ask(b"2\n")
        proxy.black_hole()
        one.writer.write(b"lost\n")
        async with client(proxy) as connected:
            connected.writer.write(b"lost as well\n")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(connected.reader.readline(), 0.1)
        assert not one.reader.at_eof()

        proxy.resume()
        # What has lost bytes is gone; what was idle goes on.
        with pytest.raises(ConnectionResetError):
            await one.ask(b"3\n")
        assert await idle.ask(b"4\n") == b"4\n"
        assert seen == [b"1\n", b"2\n", b"4\n"]


async def test_an_end_that_was_swallowed_shows_once_the_black_hole_is_lifted() -> None:
    async with echo_behind_proxy() as (proxy, _), client(proxy) as one:
        await one.ask(b"1\n")
        proxy.black_hole()
        one.writer.write_eof()  # the echo server would end, and its client hear of it
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(one.reader.read(), 0.1)
        proxy.resume()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(one.reader.read(), 5)


async def test_while_the_server_is_away_clients_are_reset() -> None:
    async with running_proxy() as proxy:
        proxy.target = ("127.0.0.1", 1)
        async with client(proxy) as one:
            with pytest.raises(ConnectionResetError):
                await one.ask(b"1\n")


def test_a_connection_that_is_closed_already_needs_no_reset() -> None:
    """Its socket is gone then, where uvloop made it; the proxy's own task has not seen it yet."""

    async def main() -> None:
        async with running_proxy() as proxy:
            _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.close()
            await writer.wait_closed()
            assert writer.get_extra_info("socket") is None
            proxy._writers.add(writer)
            assert proxy.cut() == 0

    uvloop.run(main())

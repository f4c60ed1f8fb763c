"""The server's own bounds: slow callers, large heads, many connections, taken ports, the end."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from consumer.api import protocol
from consumer.api.guard import LARGEST_HEAD, Guard
from consumer.api.protocol import BoundedProtocol
from consumer.api.server import ApiServer
from consumer.api.share import Share
from consumer.settings import SettingsError
from tests.integration.api.conftest import Api
from tests.support.api import bearer


@contextlib.asynccontextmanager
async def connected(
    port: int,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the connection is closed, or cut off."""
    read = b""
    with contextlib.suppress(ConnectionError):
        while some := await reader.read(65_536):
            read += some
    return read


def port_of(api: Api) -> int:
    return int(api.url.rpartition(":")[2])


async def test_a_head_that_does_not_come_in_whole_is_not_waited_for(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedProtocol, "head_seconds", 0.1)
    for begun in (b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nhost: x\r\n"):
        async with connected(port_of(api)) as (reader, writer):
            writer.write(begun)
            assert await rest(reader) == b""


async def test_a_head_that_drips_in_is_cut_off_all_the_same(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedProtocol, "head_seconds", 0.2)
    async with connected(port_of(api)) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\n")

        async def drip() -> None:
            with contextlib.suppress(ConnectionError):
                while not writer.is_closing():
                    writer.write(b"x: y\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        assert await rest(reader) == b""
        dripping.cancel()


async def test_a_body_that_does_not_come_in_is_not_waited_for(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedProtocol, "request_seconds", 0.1)
    async with connected(port_of(api)) as (reader, writer):
        token = bearer()["authorization"]
        writer.write(
            b"PUT /api/sedna/hotel-mappings HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n"
            b"content-type: application/json\r\nauthorization: " + token.encode() + b"\r\n\r\n{"
        )
        assert await rest(reader) == b""


async def test_a_head_that_is_too_large_is_refused_as_a_problem(api: Api) -> None:
    for line in (b"x: " + b"y" * LARGEST_HEAD, b"x: y\r\n" * (LARGEST_HEAD // 6)):
        async with connected(port_of(api)) as (reader, writer):
            writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n" + line)
            answer = await rest(reader)
            assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
            assert b"application/problem+json" in answer
            assert b'"status":400' in answer


@pytest.mark.parametrize("path", ["/healthz", "/api/sedna/syncs", "/nowhere"])
async def test_a_head_that_is_too_large_is_refused_also_where_it_comes_in_whole(
    api: Api, path: str
) -> None:
    async with httpx2.AsyncClient(base_url=api.url, headers=bearer()) as http:
        for url, headers in (
            (path, {"x": "y" * LARGEST_HEAD}),
            (path, {f"x{number}": "y" * 100 for number in range(LARGEST_HEAD // 100)}),
            (f"{path}?x={'y' * LARGEST_HEAD}", {}),
        ):
            response = await http.get(url, headers=headers)
            assert response.status_code == 400
            assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("sent", [b"\x00\x01\x02\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"x\r\n\r\n"])
async def test_what_is_no_http_is_refused_as_a_problem(api: Api, sent: bytes) -> None:
    async with connected(port_of(api)) as (reader, writer):
        writer.write(sent)
        answer = await rest(reader)
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"application/problem+json" in answer


async def test_connections_beyond_the_cap_are_closed_and_the_others_served(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 2)
    request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    async with connected(port_of(api)) as (first, writer), connected(port_of(api)) as (_, other):
        for each in (writer, other):
            each.write(request)
        assert await first.readline() == b"HTTP/1.1 200 OK\r\n"
        async with connected(port_of(api)) as (third, _):
            assert await rest(third) == b""


async def test_requests_that_are_sent_ahead_are_answered_in_turn(api: Api) -> None:
    async with connected(port_of(api)) as (reader, writer):
        request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n%s\r\n"
        writer.write(request % b"" + request % b"" + request % b"connection: close\r\n")
        assert (await rest(reader)).count(b"HTTP/1.1 200 OK") == 3


async def test_no_reply_says_what_serves_it(api: Api) -> None:
    async with httpx2.AsyncClient(base_url=api.url) as http:
        assert "server" not in (await http.get("/healthz")).headers


async def listens(port: int) -> bool:
    try:
        async with connected(port):
            return True
    except ConnectionError:
        # Reset, not refused, where the port was given up while this connection was being made.
        return False


class Held:
    """An application that answers once it is let go."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        self.begun.set()
        await self.go.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


async def test_a_request_in_flight_is_answered_before_the_server_ends() -> None:
    app = Held()
    server = ApiServer(app, host="127.0.0.1", port=0)
    server.bind()
    port = server.port
    running = asyncio.create_task(server.run())
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        asked = asyncio.create_task(http.get("/"))
        await app.begun.wait()
        server.stop()
        async with asyncio.timeout(10):
            while await listens(port):
                await asyncio.sleep(0.01)
        app.go.set()
        assert (await asked).status_code == 204
    await running


async def test_a_request_that_does_not_end_does_not_keep_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("consumer.api.server._GOODBYE", 0.2)
    app = Held()
    server = ApiServer(
        Guard(app, authenticate=None, share=Share(), probes=Share()), host="127.0.0.1", port=0
    )
    server.bind()
    running = asyncio.create_task(server.run())
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as http:
        asked = asyncio.create_task(http.get("/", timeout=30))
        await app.begun.wait()
        server.stop()
        await running
        assert (await asked).status_code == 503


async def test_a_port_that_is_taken_is_said_in_one_line_that_names_the_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = ApiServer(Held(), host="127.0.0.1", port=port)
        with pytest.raises(SettingsError) as caught:
            server.bind()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert "SEDNA_SYNC_API_PORT" in message
    assert str(port) in message


@pytest.mark.parametrize("host", ["nowhere.invalid", "192.0.2.1"])
async def test_an_address_that_is_not_ours_is_said_likewise(host: str) -> None:
    with pytest.raises(SettingsError, match="SEDNA_SYNC_API_HOST"):
        ApiServer(Held(), host=host, port=0).bind()


async def test_a_name_with_several_addresses_is_served_on_one_port() -> None:
    server = ApiServer(Held(), host="localhost", port=0)
    server.bind()
    assert {each.getsockname()[1] for each in server._sockets} == {server.port}
    server.close()


async def test_signals_stay_the_services() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    server = ApiServer(Held(), host="127.0.0.1", port=0)
    server.bind()
    running = asyncio.create_task(server.run())
    async with asyncio.timeout(10):
        while not server._server.started:
            await asyncio.sleep(0.01)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    server.stop()
    await running

"""HTTP as the fake Sedna speaks it, seen from a bare socket."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import trustme

from consumer.demo.fake import Account, FakeSedna

PATH = "/SednaAgencyb2bApi/api/Service2/GetBoardList"
GET = f"GET {PATH} HTTP/1.1\r\nHost: x\r\n".encode()


@asynccontextmanager
async def connected(
    fake: FakeSedna,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


async def read_reply(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return head + await reader.readexactly(length)


async def test_a_connection_serves_one_request_after_the_other(fake: FakeSedna) -> None:
    async with connected(fake) as (reader, writer):
        for _ in range(3):
            writer.write(GET + b"\r\n")
            assert (await read_reply(reader)).startswith(b"HTTP/1.1 401 Unauthorized\r\n")


async def test_requests_sent_at_once_are_answered_in_their_order(fake: FakeSedna) -> None:
    async with connected(fake) as (reader, writer):
        other = GET.replace(b"GetBoardList", b"Nothing")
        writer.write((GET + b"\r\n" + other + b"\r\n") * 200)
        for _ in range(200):
            assert b" 401 " in (await read_reply(reader))[:20]
            assert b" 404 " in (await read_reply(reader))[:20]


async def test_a_request_may_come_in_pieces(fake: FakeSedna) -> None:
    async with connected(fake) as (reader, writer):
        for piece in (GET[:7], GET[7:30], GET[30:] + b"\r", b"\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        assert (await read_reply(reader)).startswith(b"HTTP/1.1 401")


async def test_a_client_that_wants_a_close_gets_it(fake: FakeSedna) -> None:
    async with connected(fake) as (reader, writer):
        writer.write(GET + b"Connection: close\r\n\r\n")
        assert b"Connection: close" in await reader.read()


async def test_what_is_no_http_gets_400_and_a_close(fake: FakeSedna) -> None:
    async with connected(fake) as (reader, writer):
        writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400")


async def test_a_body_that_is_too_large_gets_413(fake: FakeSedna) -> None:
    async with connected(fake) as (reader, writer):
        size = 16 * 1024 * 1024 + 1
        writer.write(GET.replace(b"GET", b"POST") + f"Content-Length: {size}\r\n\r\n".encode())
        writer.write(b"x" * size)
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 413")


async def test_a_path_outside_is_not_found(fake: FakeSedna) -> None:
    async with connected(fake) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await read_reply(reader)).startswith(b"HTTP/1.1 404")


async def test_an_idle_connection_is_closed(accounts: tuple[Account, Account]) -> None:
    async with (
        FakeSedna(accounts=accounts, idle_seconds=0.02) as fake,
        connected(fake) as (reader, writer),
    ):
        writer.write(GET + b"\r\n")
        await read_reply(reader)
        assert await reader.read() == b""


async def test_it_speaks_https_where_it_is_given_a_certificate(
    accounts: tuple[Account, Account],
) -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with (
        FakeSedna(accounts=accounts, tls=server) as fake,
        httpx2.AsyncClient(base_url=fake.base_url, verify=trusting) as client,
    ):
        assert fake.base_url.startswith("https://")
        assert (await client.get("/api/Service2/GetBoardList")).status_code == 401

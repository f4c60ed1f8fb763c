"""The same promises through an outgoing proxy, as the environment variables name it."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
import trustme

from consumer.sedna.http1 import build_request
from consumer.sedna.proxy import CarriedTransport, build_transport
from consumer.sedna.sent import surely_not_sent
from tests.support.raw_server import Peer, Script, proxy, raw_server

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

Send = Callable[..., Awaitable[httpx2.Response]]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
async def send(authority: trustme.CA) -> AsyncIterator[Send]:
    """Sends one request to `url` through the proxy at `port`."""
    made: list[httpx2.AsyncBaseTransport] = []
    context = ssl.create_default_context()
    authority.configure_trust(context)

    async def through(
        url: str, port: int, *, allow_private_addresses: bool = True, **extensions: Any
    ) -> httpx2.Response:
        transport = build_transport(
            base_url=url,
            max_connections=2,
            ssl_context=context,
            allow_private_addresses=allow_private_addresses,
            environ={"ALL_PROXY": f"http://user:pass-word@127.0.0.1:{port}"},
        )
        assert isinstance(transport, CarriedTransport)
        made.append(transport)
        request = build_request(
            "POST",
            httpx2.URL(url),
            target=b"/api/Insert?password=secret",
            headers=[],
            content=b"[]",
            extensions={"timeout": {"connect": 5.0, "read": 5.0}, **extensions},
        )
        return await transport.handle_async_request(request)

    yield through
    for transport in made:
        await transport.aclose()


async def failure(sending: Awaitable[httpx2.Response]) -> httpx2.TransportError:
    with pytest.raises(httpx2.TransportError) as caught:
        await sending
    assert "pass-word" not in repr(caught.value)
    assert "secret" not in repr(caught.value)
    return caught.value


def answering(reply: bytes) -> Script:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(reply)

    return script


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.reader.read()


async def test_a_request_in_the_clear_is_forwarded(send: Send) -> None:
    async with raw_server(answering(OK)) as server, raw_server(proxy) as forward:
        response = await send(f"http://127.0.0.1:{server.port}", forward.port)
        assert response.status_code == 200
        assert server.requests[0].startswith(b"POST /api/Insert?password=secret HTTP/1.1\r\n")
        assert b"Proxy-Authorization: Basic " in forward.requests[0]


async def test_a_request_over_tls_goes_through_a_tunnel(
    send: Send, server_context: ssl.SSLContext
) -> None:
    async with (
        raw_server(answering(OK), ssl_context=server_context) as server,
        raw_server(proxy) as forward,
    ):
        calls: list[str] = []
        response = await send(
            f"https://127.0.0.1:{server.port}",
            forward.port,
            before_write=lambda: calls.append("now"),
        )
        assert response.status_code == 200
        assert calls == ["now"]
        assert forward.requests[0].startswith(b"CONNECT ")
        assert b"secret" not in forward.requests[0]


async def test_a_close_after_the_request_through_a_tunnel_is_in_doubt(
    send: Send, server_context: ssl.SSLContext
) -> None:
    async with (
        raw_server(answering(b""), ssl_context=server_context) as server,
        raw_server(proxy) as forward,
    ):
        error = await failure(send(f"https://127.0.0.1:{server.port}", forward.port))
        assert not surely_not_sent(error)


async def test_a_deadline_after_the_request_through_a_proxy_is_in_doubt(send: Send) -> None:
    async with raw_server(silent) as server, raw_server(proxy) as forward:
        url = f"http://127.0.0.1:{server.port}"
        error = await failure(send(url, forward.port, deadline=0.3))
        assert isinstance(error, httpx2.ReadTimeout)
        assert not surely_not_sent(error)


async def test_a_proxy_that_is_not_there_is_surely_not_sent(send: Send) -> None:
    async with raw_server(proxy) as forward:
        closed_port = forward.port
    for url in ("http://sedna.test", "https://sedna.test"):
        error = await failure(send(url, closed_port))
        assert isinstance(error, httpx2.ConnectError)
        assert surely_not_sent(error)


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        b"rubbish\r\n\r\n",
        b"",
    ],
)
async def test_a_tunnel_that_does_not_come_about_is_surely_not_sent(
    send: Send, reply: bytes
) -> None:
    async with raw_server(answering(reply)) as forward:
        error = await failure(send("https://sedna.test", forward.port))
        assert surely_not_sent(error)


async def test_a_silent_proxy_before_the_tunnel_is_surely_not_sent(send: Send) -> None:
    async with raw_server(silent) as forward:
        error = await failure(send("https://sedna.test", forward.port, deadline=0.2))
        assert surely_not_sent(error)


async def test_a_veto_before_the_write_keeps_the_request_inside(
    send: Send, server_context: ssl.SSLContext
) -> None:
    def refuse() -> None:
        raise RuntimeError("the lease ends first")

    async with (
        raw_server(answering(OK), ssl_context=server_context) as server,
        raw_server(proxy) as forward,
    ):
        with pytest.raises(RuntimeError, match="lease") as caught:
            await send(f"https://127.0.0.1:{server.port}", forward.port, before_write=refuse)
        assert surely_not_sent(caught.value)
        assert server.requests == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "169.254.169.254", "[fd00::1]", "127.1"]
)
async def test_a_private_address_in_the_url_is_refused_before_the_proxy_is_asked(
    send: Send, host: str
) -> None:
    async with raw_server(proxy) as forward:
        error = await failure(send(f"http://{host}", forward.port, allow_private_addresses=False))
        assert surely_not_sent(error)
        assert "SEDNA_SYNC_ALLOW_PRIVATE_ADDRESSES" in str(error)
        assert forward.connections == 0

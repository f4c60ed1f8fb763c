"""What both transports promise: the kind of every failure, and whether it was surely not sent.

`own` is SednaTransport; `carried` is httpx2's own transport inside the wrapper that is used where
an outgoing proxy is set.
"""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
import trustme

from consumer.sedna.http1 import build_request
from consumer.sedna.proxy import CarriedTransport
from consumer.sedna.sent import surely_not_sent
from consumer.sedna.transport import SednaTransport
from tests.support.raw_server import Peer, Script, raw_server

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"RecId":1}'
BODY = b'[{"HotelId":18}]'
MAX_BODY = 200_000

Make = Callable[..., httpx2.AsyncBaseTransport]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture(params=["own", "carried"])
async def make(request: pytest.FixtureRequest, authority: trustme.CA) -> AsyncIterator[Make]:
    made: list[httpx2.AsyncBaseTransport] = []

    def build(*, allow_private_addresses: bool = True) -> httpx2.AsyncBaseTransport:
        context = client_context(authority)
        transport: httpx2.AsyncBaseTransport
        if request.param == "own":
            transport = SednaTransport(
                max_connections=4,
                ssl_context=context,
                allow_private_addresses=allow_private_addresses,
                max_body_bytes=MAX_BODY,
            )
        else:
            inner = httpx2.AsyncHTTPTransport(
                verify=context,
                limits=httpx2.Limits(max_connections=4, max_keepalive_connections=0),
            )
            transport = CarriedTransport(
                inner, allow_private_addresses=allow_private_addresses, max_body_bytes=MAX_BODY
            )
        made.append(transport)
        return transport

    yield build
    for transport in made:
        await transport.aclose()


def post(
    url: str, *, method: str = "POST", content: bytes = BODY, **extensions: Any
) -> httpx2.Request:
    timeout = {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 5.0}
    timeout.update(extensions.pop("timeout", {}))
    return build_request(
        method,
        httpx2.URL(url),
        target=b"/api/Insert?password=secret",
        headers=[(b"Accept-Encoding", b"identity")],
        content=content,
        extensions={"timeout": timeout, "deadline": 20.0, **extensions},
    )


async def failure(
    transport: httpx2.AsyncBaseTransport, request: httpx2.Request
) -> httpx2.TransportError:
    with pytest.raises(httpx2.TransportError) as caught:
        await transport.handle_async_request(request)
    assert "secret" not in str(caught.value)
    return caught.value


def answering(*replies: bytes, then_close: bool = True) -> Script:
    """One reply per request, then the end or silence."""

    async def script(peer: Peer) -> None:
        for reply in replies:
            await peer.request()
            await peer.send(reply)
        if not then_close:
            await peer.reader.read()

    return script


async def silent(peer: Peer) -> None:
    await peer.reader.read()


async def reset_after_the_request(peer: Peer) -> None:
    await peer.request()
    peer.reset()


async def reset_within_the_reply(peer: Peer) -> None:
    await peer.request()
    await peer.send(OK[:-3])
    peer.reset()


async def trickle(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        await peer.send(b"x")
        await asyncio.sleep(0.02)


def whole(head: bytes, body: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + body


PROTOCOL = (httpx2.RemoteProtocolError,)
BROKEN = (httpx2.RemoteProtocolError, httpx2.ReadError)

# Each of these servers got the request: whatever happens then, it may have taken effect.
PERHAPS_SENT: dict[str, tuple[Script, tuple[type[httpx2.TransportError], ...]]] = {
    "closes after the request": (answering(b""), BROKEN),
    "resets after the request": (reset_after_the_request, BROKEN),
    "resets within the reply": (reset_within_the_reply, BROKEN),
    "sends half a header": (answering(b"HTTP/1.1 200 OK\r\nContent-Le"), PROTOCOL),
    "sends half a status line": (answering(b"HTTP/1"), PROTOCOL),
    "sends half a body": (answering(OK[:-3]), PROTOCOL),
    "sends half a chunk": (
        answering(whole(b"Transfer-Encoding: chunked\r\n", b"5\r\nab")),
        PROTOCOL,
    ),
    "forgets the last chunk": (
        answering(whole(b"Transfer-Encoding: chunked\r\n", b"1\r\na\r\n")),
        PROTOCOL,
    ),
    "sends a wrong chunk size": (
        answering(whole(b"Transfer-Encoding: chunked\r\n", b"xyz\r\n")),
        PROTOCOL,
    ),
    "sends rubbish": (answering(b"\x00\x01rubbish\r\n\r\n"), PROTOCOL),
    "sends two lengths": (
        answering(whole(b"Content-Length: 2\r\nContent-Length: 3\r\n", b"abc")),
        PROTOCOL,
    ),
    "sends too big a header": (answering(whole(b"X: " + b"x" * 150_000)), PROTOCOL),
    "sends too many headers": (answering(whole(b"X: xxxxxxxxxx\r\n" * 12_000)), PROTOCOL),
    "declares and sends too big a body": (
        answering(whole(b"Content-Length: 300000\r\n", b"x" * 300_000)),
        PROTOCOL,
    ),
    "sends too big a body in chunks": (
        answering(
            whole(b"Transfer-Encoding: chunked\r\n", b"10000\r\n%b\r\n" % (b"x" * 65536) * 5)
        ),
        PROTOCOL,
    ),
    "sends a body that unpacks too big": (
        answering(
            whole(
                b"Content-Encoding: gzip\r\nContent-Length: %d\r\n"
                % len(packed := gzip.compress(b"x" * 2_000_000)),
                packed,
            )
        ),
        PROTOCOL,
    ),
    "sends a body that cannot be unpacked": (
        answering(whole(b"Content-Encoding: gzip\r\nContent-Length: 3\r\n", b"abc")),
        PROTOCOL,
    ),
    "switches protocols": (
        answering(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
        PROTOCOL,
    ),
}


@pytest.mark.parametrize("what", PERHAPS_SENT)
async def test_a_server_that_got_the_request_and_fails_leaves_it_in_doubt(
    make: Make, what: str
) -> None:
    script, family = PERHAPS_SENT[what]
    async with raw_server(script) as server:
        error = await failure(make(), post(f"http://127.0.0.1:{server.port}"))
        assert isinstance(error, family)
        assert not surely_not_sent(error)
        assert len(server.requests) == 1


async def test_a_server_that_never_answers_ends_in_a_read_timeout_in_doubt(make: Make) -> None:
    async with raw_server(silent) as server:
        request = post(f"http://127.0.0.1:{server.port}", timeout={"read": 0.2})
        error = await failure(make(), request)
    assert isinstance(error, httpx2.ReadTimeout)
    assert not surely_not_sent(error)


async def test_a_trickling_reply_ends_at_the_deadline_in_doubt(make: Make) -> None:
    async with raw_server(trickle) as server:
        error = await failure(make(), post(f"http://127.0.0.1:{server.port}", deadline=0.3))
    assert isinstance(error, httpx2.ReadTimeout)
    assert not surely_not_sent(error)


async def test_a_server_that_stops_reading_ends_in_a_timeout_in_doubt(make: Make) -> None:
    async def deaf(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it can, for TCP
        await asyncio.Event().wait()

    async with raw_server(deaf) as server:
        request = post(
            f"http://127.0.0.1:{server.port}", content=b"x" * 50_000_000, timeout={"write": 0.3}
        )
        error = await failure(make(), request)
    assert isinstance(error, httpx2.WriteTimeout | httpx2.ReadTimeout)
    assert not surely_not_sent(error)


async def test_a_refused_connection_is_surely_not_sent(make: Make) -> None:
    async with raw_server(silent) as server:
        closed_port = server.port
    error = await failure(make(), post(f"http://127.0.0.1:{closed_port}"))
    assert isinstance(error, httpx2.ConnectError)
    assert surely_not_sent(error)


async def test_a_server_that_closes_at_once_is_told_truthfully(make: Make) -> None:
    got = bytearray()

    async def close_and_listen(peer: Peer) -> None:
        peer.writer.write_eof()
        got.extend(await peer.reader.read())

    async with raw_server(close_and_listen) as server:
        error = await failure(make(), post(f"http://127.0.0.1:{server.port}"))
        await server.ended.acquire()
    assert isinstance(error, (httpx2.ConnectError, *BROKEN))
    assert not (surely_not_sent(error) and got)


async def test_a_name_that_does_not_resolve_is_surely_not_sent(make: Make) -> None:
    error = await failure(make(), post("http://sedna.invalid"))
    assert isinstance(error, httpx2.ConnectError)
    assert surely_not_sent(error)


async def test_a_silent_tls_handshake_ends_in_a_connect_timeout_not_sent(make: Make) -> None:
    async with raw_server(silent) as server:
        request = post(f"https://127.0.0.1:{server.port}", timeout={"connect": 0.2})
        error = await failure(make(), request)
    assert isinstance(error, httpx2.ConnectTimeout)
    assert surely_not_sent(error)


async def test_a_deadline_that_ends_while_connecting_is_surely_not_sent(make: Make) -> None:
    async with raw_server(silent) as server:
        request = post(f"https://127.0.0.1:{server.port}", deadline=0.2)
        error = await failure(make(), request)
    assert isinstance(error, httpx2.ConnectTimeout)
    assert surely_not_sent(error)


async def test_a_server_that_speaks_no_tls_is_surely_not_sent(make: Make) -> None:
    async def plain(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.reader.read()

    async with raw_server(plain) as server:
        error = await failure(make(), post(f"https://127.0.0.1:{server.port}"))
    assert isinstance(error, httpx2.ConnectError)
    assert surely_not_sent(error)


async def test_a_certificate_for_the_right_name_is_accepted(
    make: Make, authority: trustme.CA
) -> None:
    context = server_context(authority, "localhost")
    async with raw_server(answering(OK), ssl_context=context) as server:
        response = await make().handle_async_request(post(f"https://localhost:{server.port}"))
    assert response.json() == {"RecId": 1}


async def test_a_certificate_for_the_address_is_accepted(make: Make, authority: trustme.CA) -> None:
    context = server_context(authority, "127.0.0.1")
    async with raw_server(answering(OK), ssl_context=context) as server:
        response = await make().handle_async_request(post(f"https://127.0.0.1:{server.port}"))
    assert response.status_code == 200


async def test_a_certificate_for_another_name_is_surely_not_sent(
    make: Make, authority: trustme.CA
) -> None:
    context = server_context(authority, "other.test")
    async with raw_server(answering(OK), ssl_context=context) as server:
        error = await failure(make(), post(f"https://localhost:{server.port}"))
        assert server.requests == []
    assert isinstance(error, httpx2.ConnectError)
    assert surely_not_sent(error)


async def test_a_certificate_of_a_stranger_is_surely_not_sent(make: Make) -> None:
    context = server_context(trustme.CA(), "localhost")
    async with raw_server(answering(OK), ssl_context=context) as server:
        error = await failure(make(), post(f"https://localhost:{server.port}"))
    assert isinstance(error, httpx2.ConnectError)
    assert surely_not_sent(error)


async def test_a_close_after_a_request_over_tls_is_in_doubt(
    make: Make, authority: trustme.CA
) -> None:
    context = server_context(authority, "localhost")
    async with raw_server(answering(b""), ssl_context=context) as server:
        error = await failure(make(), post(f"https://localhost:{server.port}"))
    assert isinstance(error, BROKEN)
    assert not surely_not_sent(error)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http:///path"])
async def test_a_url_that_is_not_http_is_surely_not_sent(make: Make, url: str) -> None:
    error = await failure(make(), post(url))
    assert surely_not_sent(error)


async def test_a_header_that_breaks_out_of_its_line_is_surely_not_sent(make: Make) -> None:
    async with raw_server(answering(OK)) as server:
        request = post(f"http://127.0.0.1:{server.port}")
        request.headers["X-Note"] = "a\r\nX-Other: b"
        error = await failure(make(), request)
        assert server.requests == []
    assert isinstance(error, httpx2.LocalProtocolError)
    assert surely_not_sent(error)


async def test_a_loopback_address_is_refused_unless_private_ones_are_allowed(make: Make) -> None:
    async with raw_server(answering(OK)) as server:
        transport = make(allow_private_addresses=False)
        for host in ("127.0.0.1", "localhost", "127.1", "[::1]", "[::ffff:127.0.0.1]"):
            error = await failure(transport, post(f"http://{host}:{server.port}"))
            assert isinstance(error, httpx2.ConnectError)
            assert "SEDNA_SYNC_ALLOW_PRIVATE_ADDRESSES" in str(error)
            assert surely_not_sent(error)
        assert server.connections == 0


async def test_what_before_write_raises_goes_through_and_nothing_is_sent(make: Make) -> None:
    class TooLateError(Exception):
        pass

    veto = TooLateError("the lease ends first")

    def refuse() -> None:
        raise veto

    async with raw_server(answering(OK)) as server:
        with pytest.raises(TooLateError) as caught:
            await make().handle_async_request(
                post(f"http://127.0.0.1:{server.port}", before_write=refuse)
            )
        assert server.requests == []
    assert caught.value is veto
    assert surely_not_sent(veto)


async def test_before_write_is_called_once_per_request(make: Make) -> None:
    calls: list[str] = []
    async with raw_server(answering(OK)) as server:
        await make().handle_async_request(
            post(f"http://127.0.0.1:{server.port}", before_write=lambda: calls.append("now"))
        )
    assert calls == ["now"]


async def test_the_request_arrives_as_it_was_built(make: Make) -> None:
    async with raw_server(answering(OK)) as server:
        response = await make().handle_async_request(post(f"http://127.0.0.1:{server.port}"))
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/Insert?password=secret HTTP/1.1\r\n")
    assert b"\r\nHost: 127.0.0.1:%d\r\n" % server.port in head
    assert body == BODY
    assert response.content == b'{"RecId":1}'


WHOLE: dict[str, tuple[bytes, str, int, bytes]] = {
    "declared length": (OK, "POST", 200, b'{"RecId":1}'),
    "chunks": (
        whole(b"Transfer-Encoding: chunked\r\n", b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: t\r\n\r\n"),
        "POST",
        200,
        b"abcde",
    ),
    "until the close": (whole(b"Connection: close\r\n", b"abc"), "POST", 200, b"abc"),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nabc", "POST", 200, b"abc"),
    "an interim reply first": (
        b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" + OK,
        "POST",
        200,
        OK[-11:],
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", "POST", 204, b""),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "GET", 304, b""),
    "to HEAD": (whole(b"Content-Length: 9\r\n"), "HEAD", 200, b""),
    "a refusal": (b"HTTP/1.1 503 Busy\r\nContent-Length: 1\r\n\r\nx", "POST", 503, b"x"),
    "a redirect": (
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        "GET",
        302,
        b"",
    ),
    "compressed": (
        whole(
            b"Content-Encoding: gzip\r\nContent-Length: %d\r\n" % len(gzip.compress(b"abc")),
            gzip.compress(b"abc"),
        ),
        "POST",
        200,
        b"abc",
    ),
    "no reason phrase": (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "POST", 200, b""),
}


@pytest.mark.parametrize("what", WHOLE)
async def test_a_valid_reply_is_read_whole(make: Make, what: str) -> None:
    reply, method, status, body = WHOLE[what]
    async with raw_server(answering(reply)) as server:
        request = post(
            f"http://127.0.0.1:{server.port}",
            method=method,
            content=BODY if method == "POST" else b"",
        )
        response = await make().handle_async_request(request)
    assert (response.status_code, response.content) == (status, body)
    assert await response.aread() == body


async def test_repeated_headers_are_all_kept(make: Make) -> None:
    reply = whole(b"Set-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Length: 0\r\n")
    async with raw_server(answering(reply)) as server:
        response = await make().handle_async_request(post(f"http://127.0.0.1:{server.port}"))
    assert response.headers.get_list("Set-Cookie") == ["a=1", "b=2"]


async def test_a_connection_closed_while_idle_costs_no_request(make: Make) -> None:
    async with raw_server(answering(OK)) as server:
        transport = make()
        for _ in range(3):
            response = await transport.handle_async_request(post(f"http://127.0.0.1:{server.port}"))
            assert response.status_code == 200
            await server.ended.acquire()
        assert (server.connections, len(server.requests)) == (3, 3)


async def test_surplus_bytes_behind_a_reply_never_answer_the_next_request(make: Make) -> None:
    other = OK.replace(b"1}", b"2}")
    first = answering(OK + other, then_close=False)
    async with raw_server(first, answering(OK.replace(b"1}", b"3}"))) as server:
        transport = make()
        replies = [
            (await transport.handle_async_request(post(f"http://127.0.0.1:{server.port}"))).json()
            for _ in range(2)
        ]
    assert replies == [{"RecId": 1}, {"RecId": 3}]


async def test_a_cancelled_request_closes_its_connection(make: Make) -> None:
    async with raw_server(silent) as server:
        transport = make()
        writing = asyncio.Event()
        task = asyncio.create_task(
            transport.handle_async_request(
                post(f"http://127.0.0.1:{server.port}", before_write=writing.set)
            )
        )
        await writing.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.ended.acquire()

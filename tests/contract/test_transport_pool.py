"""What the own transport promises beyond the contract: its pool, its timeouts, its addresses."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import httpx2
import pytest
import trustme
import uvloop

from consumer.sedna.addresses import AddressRefused
from consumer.sedna.http1 import build_request
from consumer.sedna.sent import surely_not_sent
from consumer.sedna.transport import SednaTransport, build_ssl_context
from tests.support.raw_server import Peer, raw_server

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

Make = Callable[..., SednaTransport]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[SednaTransport] = []

    def build(**options: Any) -> SednaTransport:
        defaults: dict[str, Any] = {
            "max_connections": 4,
            "ssl_context": ssl.create_default_context(),
            "allow_private_addresses": True,
        }
        made.append(SednaTransport(**(defaults | options)))
        return made[-1]

    yield build
    for transport in made:
        await transport.aclose()


def get(url: str, **extensions: Any) -> httpx2.Request:
    timeout = {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 5.0}
    timeout.update(extensions.pop("timeout", {}))
    return build_request(
        "GET",
        httpx2.URL(url),
        target=extensions.pop("target", b"/"),
        headers=[],
        extensions={"timeout": timeout, **extensions},
    )


async def echo(peer: Peer) -> None:
    """Answers every request on the connection."""
    while True:
        await peer.request()
        await peer.send(OK)


class Gate:
    """A server script that answers only when it is let."""

    def __init__(self) -> None:
        self.asked = asyncio.Semaphore(0)
        self.open = asyncio.Semaphore(0)
        self.targets: list[bytes] = []
        self.now = self.most = 0

    async def __call__(self, peer: Peer) -> None:
        while True:
            request = await peer.request()
            self.targets.append(request.split(b" ")[1])
            self.now += 1
            self.most = max(self.most, self.now)
            self.asked.release()
            await self.open.acquire()
            self.now -= 1
            await peer.send(OK)


async def failure(task: "asyncio.Task[httpx2.Response]") -> httpx2.TransportError:
    with pytest.raises(httpx2.TransportError) as caught:
        await task
    return caught.value


def start(transport: SednaTransport, request: httpx2.Request) -> "asyncio.Task[httpx2.Response]":
    return asyncio.create_task(transport.handle_async_request(request))


async def test_requests_in_turn_share_one_connection(make: Make) -> None:
    async with raw_server(echo) as server:
        transport = make()
        for _ in range(5):
            await transport.handle_async_request(get(f"http://127.0.0.1:{server.port}"))
        assert (server.connections, len(server.requests)) == (1, 5)


async def test_the_connection_used_last_is_used_first(make: Make) -> None:
    used: list[int] = []

    async def note(peer: Peer) -> None:
        while True:
            await peer.request()
            used.append(id(peer))
            await peer.send(OK)

    gate = Gate()
    async with raw_server(gate, note) as server:
        transport = make()
        url = f"http://127.0.0.1:{server.port}"
        older = start(transport, get(url))
        await gate.asked.acquire()
        newer = start(transport, get(url))
        await newer
        gate.open.release()
        await older  # back last: the next request takes its connection
        third = start(transport, get(url))
        await gate.asked.acquire()
        gate.open.release()
        await third
        assert (server.connections, len(gate.targets), len(used)) == (2, 2, 1)


async def test_no_more_connections_than_allowed_and_waiters_in_their_order(make: Make) -> None:
    gate = Gate()
    async with raw_server(gate) as server:
        transport = make(max_connections=1)
        tasks = [
            start(transport, get(f"http://127.0.0.1:{server.port}", target=b"/%d" % number))
            for number in range(5)
        ]
        for _ in tasks:
            gate.open.release()
        await asyncio.gather(*tasks)
        assert gate.targets == [b"/0", b"/1", b"/2", b"/3", b"/4"]
        assert (server.connections, gate.most) == (1, 1)


@pytest.mark.parametrize("limit", [{"timeout": {"pool": 0.1}}, {"deadline": 0.1}])
async def test_waiting_too_long_for_a_connection_is_surely_not_sent(
    make: Make, limit: dict[str, Any]
) -> None:
    gate = Gate()
    async with raw_server(gate) as server:
        transport = make(max_connections=1)
        url = f"http://127.0.0.1:{server.port}"
        busy = start(transport, get(url))
        await gate.asked.acquire()
        error = await failure(start(transport, get(url, **limit)))
        assert isinstance(error, httpx2.PoolTimeout)
        assert surely_not_sent(error)
        gate.open.release()
        await busy
        assert len(server.requests) == 1


async def test_a_cancelled_waiter_does_not_take_the_slot_with_it(make: Make) -> None:
    gate = Gate()
    async with raw_server(gate) as server:
        transport = make(max_connections=1)
        url = f"http://127.0.0.1:{server.port}"
        busy = start(transport, get(url))
        await gate.asked.acquire()
        waiting = start(transport, get(url, target=b"/cancelled"))
        granted = start(transport, get(url, target=b"/next"))
        await asyncio.sleep(0)
        waiting.cancel()
        gate.open.release()
        await busy
        gate.open.release()
        await granted
        assert gate.targets == [b"/", b"/next"]


async def test_a_slot_granted_to_a_waiter_that_is_cancelled_at_once_is_passed_on(
    make: Make,
) -> None:
    gate = Gate()
    async with raw_server(gate) as server:
        transport = make(max_connections=1)
        url = f"http://127.0.0.1:{server.port}"
        waiting: asyncio.Task[httpx2.Response] | None = None

        async def finish_and_cancel() -> None:
            await transport.handle_async_request(get(url))
            # The slot has changed hands, and nobody has woken yet.
            assert waiting is not None
            waiting.cancel()

        busy = asyncio.create_task(finish_and_cancel())
        await gate.asked.acquire()
        waiting = start(transport, get(url, target=b"/cancelled"))
        await asyncio.sleep(0)
        gate.open.release()
        await busy
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.open.release()
        assert (await transport.handle_async_request(get(url))).status_code == 200
        assert gate.targets == [b"/", b"/"]


async def test_a_cancelled_request_frees_its_slot(make: Make) -> None:
    gate = Gate()
    async with raw_server(gate, echo) as server:
        transport = make(max_connections=1)
        url = f"http://127.0.0.1:{server.port}"
        request = start(transport, get(url))
        await gate.asked.acquire()
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        assert (await transport.handle_async_request(get(url))).status_code == 200
        assert server.connections == 2


async def test_a_request_cancelled_while_connecting_frees_its_slot(make: Make) -> None:
    asked = asyncio.Event()

    async def resolve(host: str, *_: Any, **__: Any) -> Any:
        asked.set()
        if host == "slow.test":
            await asyncio.Event().wait()
        return [(0, 0, 0, "", ("127.0.0.1", 0))]

    async with raw_server(echo) as server:
        transport = make(max_connections=1, resolve=resolve)
        request = start(transport, get("http://slow.test"))
        await asked.wait()
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        response = await transport.handle_async_request(get(f"http://sedna.test:{server.port}"))
        assert response.status_code == 200


@pytest.mark.parametrize(
    "reply",
    [
        b"rubbish\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
async def test_no_connection_serves_another_request_after_an_error(
    make: Make, reply: bytes
) -> None:
    async def fail(peer: Peer) -> None:
        await peer.request()
        await peer.send(reply)
        await echo(peer)

    async with raw_server(fail, echo) as server:
        transport = make()
        url = f"http://127.0.0.1:{server.port}"
        error = await failure(start(transport, get(url)))
        assert not surely_not_sent(error)
        assert (await transport.handle_async_request(get(url))).status_code == 200
        assert server.connections == 2


@pytest.mark.parametrize(
    "reply, connections",
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", 2),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", 2),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}", 1),
        (OK + b"surplus", 2),
        (OK, 1),
    ],
)
async def test_a_connection_is_reused_only_where_the_reply_allows_it(
    make: Make, reply: bytes, connections: int
) -> None:
    async def answer(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(reply)

    async with raw_server(answer) as server:
        transport = make()
        for _ in range(2):
            await transport.handle_async_request(get(f"http://127.0.0.1:{server.port}"))
        assert server.connections == connections


async def test_a_reply_that_overtakes_its_request_ends_the_connection(make: Make) -> None:
    async def hasty(peer: Peer) -> None:
        await peer.reader.readexactly(1)
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it can, for TCP
        await asyncio.Event().wait()

    async with raw_server(hasty, echo) as server:
        transport = make()
        url = f"http://127.0.0.1:{server.port}"
        big = httpx2.Request("POST", url, content=b"x" * 50_000_000)
        assert (await transport.handle_async_request(big)).status_code == 413
        assert (await transport.handle_async_request(get(url))).status_code == 200
        assert server.connections == 2


async def test_a_veto_before_the_write_leaves_the_connection_for_the_next_request(
    make: Make,
) -> None:
    def refuse() -> None:
        raise RuntimeError("the lease ends first")

    async with raw_server(echo) as server:
        transport = make(max_connections=1)
        url = f"http://127.0.0.1:{server.port}"
        for _ in range(2):
            with pytest.raises(RuntimeError, match="lease"):
                await transport.handle_async_request(get(url, before_write=refuse))
            assert (await transport.handle_async_request(get(url))).status_code == 200
        assert (server.connections, len(server.requests)) == (1, 2)


async def test_an_idle_connection_is_closed_after_its_time(make: Make) -> None:
    async with raw_server(echo) as server:
        transport = make(idle_seconds=0.05)
        await transport.handle_async_request(get(f"http://127.0.0.1:{server.port}"))
        await server.ended.acquire()  # the server sees the close; nobody asked for anything else


async def test_an_idle_connection_that_says_something_is_dropped(make: Make) -> None:
    async def chatty(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await answered.wait()
        await peer.send(OK)
        await peer.reader.read()

    answered = asyncio.Event()
    async with raw_server(chatty, echo) as server:
        transport = make()
        url = f"http://127.0.0.1:{server.port}"
        await transport.handle_async_request(get(url))
        answered.set()
        await server.ended.acquire()
        await transport.handle_async_request(get(url))
        assert server.connections == 2


async def test_a_close_that_the_event_loop_has_not_read_yet_costs_no_request(make: Make) -> None:
    closed = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            connection.recv(65_536)
            connection.sendall(OK)
            connection.close()
            closed.set()

    thread = threading.Thread(target=serve)
    thread.start()
    transport = make()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    await transport.handle_async_request(get(url))
    closed.wait(10)  # blocks the event loop on purpose: it cannot have read the farewell
    response = await transport.handle_async_request(get(url))
    assert response.status_code == 200
    await asyncio.to_thread(thread.join)
    listener.close()


def resolving(*addresses: str) -> Callable[..., Any]:
    async def resolve(*_: Any, **__: Any) -> Sequence[tuple[Any, Any, Any, Any, Any]]:
        return [(0, 0, 0, "", (address, 0)) for address in addresses]

    return resolve


async def test_a_name_that_resolves_to_a_private_address_is_refused(make: Make) -> None:
    transport = make(allow_private_addresses=False, resolve=resolving("10.0.0.1"))
    error = await failure(start(transport, get("http://sedna.test")))
    assert isinstance(error, AddressRefused)
    assert surely_not_sent(error)
    assert "sedna.test" in str(error)


async def test_of_a_mixed_answer_only_the_public_address_is_connected_to(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    async def create_connection(_: object, host: str, *__: Any, **___: Any) -> None:
        tried.append(host)
        raise OSError("not in a test")

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "create_connection", create_connection)
    resolve = resolving("10.0.0.1", "93.184.216.34", "::ffff:127.0.0.1")
    transport = make(allow_private_addresses=False, resolve=resolve)
    error = await failure(start(transport, get("http://sedna.test")))
    assert tried == ["93.184.216.34"]
    assert surely_not_sent(error)


async def test_the_next_address_is_tried_where_the_first_refuses(make: Make) -> None:
    async with raw_server(echo) as server:
        transport = make(resolve=resolving("127.0.0.2", "127.0.0.1"))
        response = await transport.handle_async_request(get(f"http://sedna.test:{server.port}"))
        assert response.status_code == 200


async def test_tls_is_checked_against_the_name_and_not_the_address(make: Make) -> None:
    authority = trustme.CA()
    client = ssl.create_default_context()
    authority.configure_trust(client)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("sedna.test").configure_cert(context)
    async with raw_server(echo, ssl_context=context) as server:
        transport = make(ssl_context=client, resolve=resolving("127.0.0.1"))
        for _ in range(3):
            response = await transport.handle_async_request(
                get(f"https://sedna.test:{server.port}")
            )
            assert response.status_code == 200
        assert server.connections == 1
        error = await failure(start(transport, get(f"https://other.test:{server.port}")))
        assert isinstance(error, httpx2.ConnectError)
        assert surely_not_sent(error)


async def test_a_resolution_that_hangs_ends_in_a_connect_timeout_not_sent(make: Make) -> None:
    async def hang(*_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()

    transport = make(resolve=hang)
    error = await failure(start(transport, get("http://sedna.test", timeout={"connect": 0.1})))
    assert isinstance(error, httpx2.ConnectTimeout)
    assert surely_not_sent(error)


async def test_requests_at_the_same_time_share_one_resolution(make: Make) -> None:
    asked = 0
    answer = asyncio.Event()

    async def resolve(*_: Any, **__: Any) -> Any:
        nonlocal asked
        asked += 1
        await answer.wait()
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    transport = make(resolve=resolve)
    tasks = [start(transport, get("http://sedna.test")) for _ in range(3)]
    await asyncio.sleep(0)
    answer.set()
    errors = [await failure(task) for task in tasks]
    assert asked == 1
    assert all(isinstance(error, httpx2.ConnectError) for error in errors)
    assert all(surely_not_sent(error) for error in errors)


async def test_closing_ends_everything_and_tells_what_was_sent(make: Make) -> None:
    gate = Gate()

    async def resolve(host: str, *_: Any, **__: Any) -> Any:
        if host == "slow.test":
            await asyncio.Event().wait()
        return [(0, 0, 0, "", ("127.0.0.1", 0))]

    async with raw_server(gate) as server:
        transport = make(max_connections=2, resolve=resolve)
        url = f"http://sedna.test:{server.port}"
        in_flight = start(transport, get(url))
        await gate.asked.acquire()
        connecting = start(transport, get("http://slow.test"))
        waiting = start(transport, get(url))
        await asyncio.sleep(0)
        await transport.aclose()
        assert not surely_not_sent(await failure(in_flight))
        assert surely_not_sent(await failure(connecting))
        assert surely_not_sent(await failure(waiting))
        assert surely_not_sent(await failure(start(transport, get(url))))
        gate.open.release()
        await server.ended.acquire()
        assert (server.connections, len(server.requests)) == (1, 1)


async def test_closing_ends_a_tls_handshake_that_hangs(make: Make) -> None:
    accepted = asyncio.Event()

    async def silent(peer: Peer) -> None:
        accepted.set()
        await peer.reader.read()

    async with raw_server(silent) as server:
        transport = make()
        request = get(f"https://127.0.0.1:{server.port}", timeout={"connect": None})
        connecting = start(transport, request)
        await accepted.wait()
        await transport.aclose()
        assert surely_not_sent(await failure(connecting))


async def test_a_connection_closed_before_the_request_is_surely_not_sent(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def bye(peer: Peer) -> None:
        peer.writer.write_eof()

    loop = asyncio.get_running_loop()
    connect = loop.create_connection

    async def connect_slowly(*args: Any, **options: Any) -> Any:
        transport, connection = await connect(*args, **options)
        while connection.open:
            await asyncio.sleep(0)
        return transport, connection

    monkeypatch.setattr(loop, "create_connection", connect_slowly)
    async with raw_server(bye) as server:
        error = await failure(start(make(), get(f"http://127.0.0.1:{server.port}")))
        assert isinstance(error, httpx2.ConnectError)
        assert surely_not_sent(error)


async def test_it_works_on_uvloop_and_over_tls() -> None:
    authority = trustme.CA()
    client = build_ssl_context()
    authority.configure_trust(client)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)

    async def talk() -> list[int]:
        async with raw_server(echo, ssl_context=context) as server:
            async with SednaTransport(
                max_connections=2, ssl_context=client, allow_private_addresses=True
            ) as transport:
                url = f"https://localhost:{server.port}"
                replies = await asyncio.gather(
                    *(transport.handle_async_request(get(url)) for _ in range(10))
                )
            return [server.connections, *(reply.status_code for reply in replies)]

    def run() -> list[int]:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(talk())

    assert await asyncio.to_thread(run) == [2, *[200] * 10]

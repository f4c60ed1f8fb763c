"""Carries requests to one tenant's Sedna over a small pool of connections of its own.

Every error that it raises says whether a byte of the request may have left (see
`consumer.sedna.sent`). It must never send a request twice, follow a redirect, reuse a connection
after anything went wrong, connect to an address that it has not checked, or log a URL.

`request.extensions` that it reads:

* `timeout`: `{"connect", "read", "write", "pool"}`, seconds or None, as in httpx2. `connect` spans
  name resolution, TCP and TLS.
* `deadline`: seconds that the whole request may take, waiting for a connection included.
* `before_write`: called without arguments right before the first byte is written. What it raises
  goes through unchanged; then nothing is sent and the connection serves the next request.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

import httpx2
from typing_extensions import override

from consumer.sedna.addresses import allowed_addresses, literal_address
from consumer.sedna.connection import Connection, Limits
from consumer.sedna.http1 import encode_request
from consumer.sedna.sent import with_fact

MAX_HEADER_BYTES: Final = 65_536
MAX_BODY_BYTES: Final = 16 * 1024 * 1024

_NEVER: Final = float("inf")
_PORTS: Final = {"http": 80, "https": 443}

#: As `loop.getaddrinfo`: (host, port, type=...) -> rows whose last element is a socket address.
Resolve = Callable[..., Awaitable[Sequence[tuple[Any, Any, Any, Any, Any]]]]


class Origin(NamedTuple):
    """What a connection is good for."""

    scheme: str
    host: str
    port: int


def build_ssl_context() -> ssl.SSLContext:
    """A context with the system's roots, for all tenants: building one costs 10 ms and 0.8 MB."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class SednaTransport(httpx2.AsyncBaseTransport):
    """A pool of at most `max_connections` connections, for one tenant.

    Idle connections are reused last in, first out, and closed after `idle_seconds`, early enough
    that a server's own idle timeout (IIS: 120 s) seldom crosses a request. Requests that find all
    connections busy wait in the order they came.
    """

    def __init__(
        self,
        *,
        max_connections: int,
        ssl_context: ssl.SSLContext,
        allow_private_addresses: bool,
        idle_seconds: float = 20,
        max_header_bytes: int = MAX_HEADER_BYTES,
        max_body_bytes: int = MAX_BODY_BYTES,
        resolve: Resolve | None = None,
    ) -> None:
        self._max_connections = max_connections
        self._ssl_context = ssl_context
        self._allow_private = allow_private_addresses
        self._idle_seconds = idle_seconds
        self._max_header_bytes = max_header_bytes
        self._max_body_bytes = max_body_bytes
        self._resolve = resolve
        self._busy = 0  # slots held by requests, at most max_connections
        self._waiters: deque[asyncio.Future[httpx2.TransportError | None]] = deque()
        self._idle: dict[Connection, Origin] = {}  # the most recently used one last
        self._open: set[Connection] = set()
        self._connecting: set[asyncio.Timeout] = set()
        self._lookups: dict[Origin, asyncio.Task[list[str]]] = {}
        self._closed = False
        self._all_lost: asyncio.Future[None] | None = None

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send `request` once and return its reply, the body read whole and decoded.

        Raises httpx2.TransportError, with the fact for `surely_not_sent` on it, or what
        `before_write` raised.
        """
        loop = asyncio.get_running_loop()
        extensions = request.extensions
        timeout = extensions.get("timeout") or {}
        deadline = loop.time() + _seconds(extensions.get("deadline"))
        sent = holds_slot = False
        try:
            payload = encode_request(request)
            origin = _origin(request.url)
            await self._take_slot(timeout.get("pool"), deadline)
            holds_slot = True
            connection = self._reusable(origin)
            if connection is None:
                connection = await self._connect(origin, timeout.get("connect"), deadline)
            before_write = extensions.get("before_write")
            if before_write is not None:
                try:
                    before_write()
                except BaseException:
                    self._put_back(connection, origin)
                    raise
            sent = True
            response = await connection.exchange(
                payload,
                to_head=request.method == "HEAD",
                limits=Limits(
                    _seconds(timeout.get("read")), _seconds(timeout.get("write")), deadline
                ),
            )
            self._put_back(connection, origin)
        except Exception as error:
            with_fact(error, sent=sent)
            raise
        finally:
            if holds_slot:
                self._free_slot()
        return response

    @override
    async def aclose(self) -> None:
        """Close everything, requests in flight included, and wait until the sockets are gone.

        What was in flight fails as perhaps sent, what was waiting or connecting as not sent.
        """
        self._closed = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(_closed())
        self._waiters.clear()
        loop = asyncio.get_running_loop()
        for scope in self._connecting:
            scope.reschedule(loop.time())
        for lookup in self._lookups.values():
            lookup.cancel()
        for connection in tuple(self._open):
            connection.abort()
        if self._open:
            if self._all_lost is None:
                self._all_lost = loop.create_future()
            await asyncio.shield(self._all_lost)

    # Slots: one per request that has or opens a connection.

    async def _take_slot(self, pool_seconds: float | None, deadline: float) -> None:
        if self._closed:
            raise _closed()
        if self._busy < self._max_connections:
            self._busy += 1
            return
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[httpx2.TransportError | None] = loop.create_future()
        self._waiters.append(waiter)
        until = min(loop.time() + _seconds(pool_seconds), deadline)
        timer = None if until == _NEVER else loop.call_at(until, self._give_up, waiter)
        try:
            error = await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled() and waiter.result() is None:
                self._free_slot()  # it was granted in the same turn of the loop
            raise
        finally:
            if timer is not None:
                timer.cancel()
        if error is not None:
            raise error

    def _give_up(self, waiter: asyncio.Future[httpx2.TransportError | None]) -> None:
        if not waiter.done():
            self._waiters.remove(waiter)
            waiter.set_result(
                httpx2.PoolTimeout(f"All {self._max_connections} connections stayed busy.")
            )

    def _free_slot(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)  # the slot changes hands
                return
        self._busy -= 1

    # Connections: open, and either idle or in the hands of a request.

    def _reusable(self, origin: Origin) -> Connection | None:
        while True:
            newest_first = reversed(self._idle.items())
            connection = next((idle for idle, at in newest_first if at == origin), None)
            if connection is None:
                return None
            del self._idle[connection]
            if connection.usable():
                return connection
            connection.abort()

    def _put_back(self, connection: Connection, origin: Origin) -> None:
        if connection.rest():
            self._idle[connection] = origin

    def _forget_idle(self, connection: Connection) -> None:
        self._idle.pop(connection, None)

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        if not self._open and self._all_lost is not None:
            self._all_lost.set_result(None)
            self._all_lost = None

    def _new_connection(self) -> Connection:
        return Connection(
            loop=asyncio.get_running_loop(),
            idle_seconds=self._idle_seconds,
            max_header_bytes=self._max_header_bytes,
            max_body_bytes=self._max_body_bytes,
            on_made=self._open.add,
            on_unusable=self._forget_idle,
            on_lost=self._forget,
        )

    async def _connect(
        self, origin: Origin, connect_seconds: float | None, deadline: float
    ) -> Connection:
        if self._idle and self._busy + len(self._idle) > self._max_connections:
            next(iter(self._idle)).abort()  # of another origin, else it would have been reused
        until = min(asyncio.get_running_loop().time() + _seconds(connect_seconds), deadline)
        scope = asyncio.timeout_at(None if until == _NEVER else until)
        self._connecting.add(scope)
        try:
            async with scope:
                addresses = allowed_addresses(
                    origin.host,
                    await self._addresses(origin),
                    allow_private=self._allow_private,
                )
                return await self._connect_first(origin, addresses, until)
        except TimeoutError:
            if self._closed:
                raise _closed() from None
            raise _too_slow(origin) from None
        finally:
            self._connecting.discard(scope)

    async def _connect_first(
        self, origin: Origin, addresses: Sequence[str], until: float
    ) -> Connection:
        """Try the addresses in order, each with an even share of the time that is left."""
        loop = asyncio.get_running_loop()
        tls = origin.scheme == "https"
        failure: httpx2.TransportError = httpx2.ConnectError(f"{origin.host} has no address.")
        for tried, address in enumerate(addresses):
            share = (until - loop.time()) / (len(addresses) - tried)
            try:
                async with asyncio.timeout(None if share == _NEVER else share):
                    _, connection = await loop.create_connection(
                        self._new_connection,
                        address,
                        origin.port,
                        flags=socket.AI_NUMERICHOST,  # the checked address, no second resolution
                        ssl=self._ssl_context if tls else None,
                        server_hostname=origin.host.rstrip(".") if tls else None,
                    )
            except TimeoutError:
                failure = _too_slow(origin)
            except (OSError, ValueError) as error:
                failure = httpx2.ConnectError(
                    f"Cannot connect to {origin.host}:{origin.port}: {error}"
                )
            else:
                if connection.open:
                    return connection
                failure = httpx2.ConnectError(
                    f"{origin.host}:{origin.port} closed the connection before a request."
                )
        raise failure

    async def _addresses(self, origin: Origin) -> Sequence[str]:
        """The addresses of the origin's host; one look-up at a time, shared by all who wait.

        A look-up that hangs holds a thread of the loop's executor, which all tenants share: so one
        tenant can hold only one.
        """
        literal = literal_address(origin.host)
        if literal is not None:
            return [literal]
        lookup = self._lookups.get(origin)
        if lookup is None:
            lookup = asyncio.create_task(self._look_up(origin))
            self._lookups[origin] = lookup
            lookup.add_done_callback(lambda task: self._looked_up(origin, task))
        try:
            return await asyncio.shield(lookup)
        except asyncio.CancelledError:
            if lookup.cancelled():
                raise _closed() from None
            raise
        except (OSError, UnicodeError) as error:
            raise httpx2.ConnectError(f"{origin.host} cannot be resolved: {error}") from None

    async def _look_up(self, origin: Origin) -> list[str]:
        resolve = self._resolve or asyncio.get_running_loop().getaddrinfo
        rows = await resolve(origin.host, origin.port, type=socket.SOCK_STREAM)
        return [str(row[4][0]) for row in rows]

    def _looked_up(self, origin: Origin, lookup: asyncio.Task[list[str]]) -> None:
        del self._lookups[origin]
        if not lookup.cancelled():
            lookup.exception()  # seen, even where everybody who waited for it has gone


def _seconds(seconds: float | None) -> float:
    return _NEVER if seconds is None else seconds


def _origin(url: httpx2.URL) -> Origin:
    port = _PORTS.get(url.scheme)
    host = url.raw_host.decode("ascii")
    if port is None or not host:
        raise httpx2.UnsupportedProtocol("The tenant's URL must begin with http:// or https://.")
    return Origin(url.scheme, host, url.port or port)


def _closed() -> httpx2.ConnectError:
    return httpx2.ConnectError("The transport is closed.")


def _too_slow(origin: Origin) -> httpx2.ConnectTimeout:
    return httpx2.ConnectTimeout(f"No connection to {origin.host}:{origin.port} in time.")

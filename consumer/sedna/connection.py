"""One HTTP/1.1 connection to a tenant's Sedna: at most one request at a time, and its timeouts.

It is where the bytes are handed over, so it is where "sent?" is known. It never pipelines, never
serves a second request after anything went wrong, and never retries.
"""

import asyncio
import select
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

import httpx2
from typing_extensions import override

from consumer.sedna.http1 import ReplyReader

_NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class Limits:
    """How long one exchange may take; points in time are by the event loop's clock."""

    read_seconds: float  #: longest silence of the server once the request is out
    write_seconds: float  #: longest time that the server may take nothing while we write
    deadline: float  #: when the whole request ends, whatever happened


class Connection(asyncio.Protocol):
    """A connected socket, TLS included.

    `on_made` is called when the connection is there, `on_unusable` once it can take no request any
    more, and `on_lost` once its socket is gone.
    """

    __slots__ = (
        "_done",
        "_idle_seconds",
        "_limits",
        "_loop",
        "_max_body_bytes",
        "_max_header_bytes",
        "_on_lost",
        "_on_made",
        "_on_unusable",
        "_paused",
        "_poll",
        "_reply",
        "_since",
        "_timer",
        "_timer_at",
        "_transport",
        "_usable",
    )

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        idle_seconds: float,
        max_header_bytes: int,
        max_body_bytes: int,
        on_made: Callable[["Connection"], None],
        on_unusable: Callable[["Connection"], None],
        on_lost: Callable[["Connection"], None],
    ) -> None:
        self._loop = loop
        self._idle_seconds = idle_seconds
        self._max_header_bytes = max_header_bytes
        self._max_body_bytes = max_body_bytes
        self._on_made = on_made
        self._on_unusable = on_unusable
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self._usable = False
        self._paused = False
        # One exchange: its reply so far, and a future of the whole reply or of what went wrong,
        # which is a result as well: nobody may be left to retrieve an exception.
        self._reply: ReplyReader | None = None
        self._done: asyncio.Future[httpx2.Response | httpx2.TransportError] | None = None
        self._limits = Limits(_NEVER, _NEVER, _NEVER)
        # One lazy timer serves all timeouts. It is armed anew only if it would fire too late, so
        # that an exchange with a connection at hand usually touches no timer at all.
        self._since = 0.0  # when the server was last heard, or writing came to a halt
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = _NEVER

    @property
    def open(self) -> bool:
        """Whether the peer has neither closed it nor said anything unasked, as far as was read."""
        return self._usable

    def usable(self) -> bool:
        """Whether another request may be written now.

        Looks at the socket itself as well: what the event loop has not read yet can only be the
        server's farewell or bytes that nobody asked for, and a request behind it would be in doubt.
        """
        return self._usable and not self._poll.poll(0)

    async def exchange(
        self,
        payload: bytes,
        *,
        to_head: bool,
        limits: Limits,
    ) -> httpx2.Response:
        """Write the request, before anything else runs, and wait for its whole reply.

        Raises httpx2.TransportError: the request was perhaps sent, and the connection is closed.
        """
        transport = cast("asyncio.Transport", self._transport)
        reply = self._reply = ReplyReader(
            to_head=to_head,
            max_header_bytes=self._max_header_bytes,
            max_body_bytes=self._max_body_bytes,
        )
        done: asyncio.Future[httpx2.Response | httpx2.TransportError] = self._loop.create_future()
        self._done = done
        self._limits = limits
        self._since = self._loop.time()
        transport.write(payload)
        self._arm()
        try:
            outcome = await done
        except asyncio.CancelledError:
            self.abort()
            raise
        if isinstance(outcome, httpx2.TransportError):
            self.abort()
            raise outcome
        if not reply.keep_alive or self._paused or transport.get_write_buffer_size():
            # A reply that overtook its request says that the server stopped reading.
            self.abort()
        self._reply = self._done = None
        return outcome

    def rest(self) -> bool:
        """Begin to be idle; says whether the connection can take another request."""
        if self._usable:
            self._since = self._loop.time()
            self._arm()
        return self._usable

    def abort(self) -> None:
        """Close at once, dropping what is unsent. Safe to call at any time, and again."""
        self._spoil()
        if self._transport is not None:
            self._transport.abort()

    # What follows is called by the event loop.

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self._usable = True
        self._on_made(self)

    @override
    def data_received(self, data: bytes) -> None:
        reply = self._reply
        if reply is None or self._done is None or self._done.done():
            self.abort()
            return
        try:
            if reply.feed(data):
                self._settle(reply.response())
            else:
                self._since = self._loop.time()
        except httpx2.RemoteProtocolError as error:
            self._settle(error)

    @override
    def eof_received(self) -> bool:
        self._spoil()
        if self._reply is not None:
            try:
                self._reply.end()
                self._settle(self._reply.response())
            except httpx2.RemoteProtocolError as error:
                self._settle(error)
        return False  # close our side as well

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._spoil()
        if exc is None:
            self._settle(httpx2.ReadError("The connection was closed before the whole reply came."))
        else:
            self._settle(httpx2.ReadError(f"The connection broke: {exc}."))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._on_lost(self)

    @override
    def pause_writing(self) -> None:
        self._paused = True
        self._since = self._loop.time()
        self._arm()

    @override
    def resume_writing(self) -> None:
        self._paused = False
        self._since = self._loop.time()
        self._arm()

    def _spoil(self) -> None:
        if self._usable:
            self._usable = False
            self._on_unusable(self)

    def _settle(self, outcome: httpx2.Response | httpx2.TransportError) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(outcome)

    def _due_at(self) -> float:
        if self._done is None:
            return self._since + self._idle_seconds
        limits = self._limits
        seconds = limits.write_seconds if self._paused else limits.read_seconds
        return min(self._since + seconds, limits.deadline)

    def _arm(self) -> None:
        due = self._due_at()
        if due < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = due
            self._timer = self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_at = _NEVER
        due = self._due_at()
        if due > self._loop.time():
            self._arm()
        elif self._done is None:
            self.abort()
        elif due == self._limits.deadline:
            self._settle(httpx2.ReadTimeout("No whole reply came within the request's deadline."))
        elif self._paused:
            self._settle(httpx2.WriteTimeout("The server did not take the request in time."))
        else:
            self._settle(httpx2.ReadTimeout("The server was silent for too long."))

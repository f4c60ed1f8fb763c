"""HTTP/1.1 on one connection: reads requests with httptools, writes replies, and can break off.

Knows nothing of Sedna. Never answers two requests of one connection at once: the next waits for the
reply to the one before.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import cast
from urllib.parse import unquote

import httptools
from typing_extensions import override

from consumer.demo.fake.accounts import Framing
from consumer.demo.fake.calls import Reply, Request

_MAX_BODY = 16 * 1024 * 1024
_FLOOD_CHUNK = b"x" * 65_536
_LINGER_RESET = struct.pack("ii", 1, 0)
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(
        self,
        *,
        handle: Callable[[Request, "Connection"], None],
        idle_seconds: float,
        connections: "set[Connection]",
    ) -> None:
        self.on_lost: Callable[[], None] | None = None
        self.gone = asyncio.Event()
        self._handle = handle
        self._idle_seconds = idle_seconds
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._current: Request | None = None
        self._pumping = False
        self._closed = False  # nothing more is written
        self._lost = False  # the transport is gone
        self._paused = False
        self._flood_left = 0
        self._idle: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport
        self._start_message()

    # -- asyncio -------------------------------------------------------------------------------

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._connections.add(self)
        self._arm_idle()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """It is over, by whoever's doing."""
        del exc
        self._closed = self._lost = True
        self._disarm_idle()
        self._connections.discard(self)
        self.gone.set()
        if self.on_lost is not None:
            self.on_lost()

    @override
    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        self._disarm_idle()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._transport.write(_head(400, (), "Content-Length: 0\r\nConnection: close"))
            self.close()
            return
        self._pump()

    @override
    def pause_writing(self) -> None:
        """The client reads more slowly than we write."""
        self._paused = True

    @override
    def resume_writing(self) -> None:
        """The client caught up."""
        self._paused = False
        self._pour()

    # -- httptools -----------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        self._start_message()

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._size += len(body)
        if self._size <= _MAX_BODY:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        if self._size > _MAX_BODY:
            self._transport.write(_head(413, (), "Content-Length: 0\r\nConnection: close"))
            self.close()
            return
        path, _, query_string = self._url.decode("latin-1").partition("?")
        self._waiting.append(
            Request(
                method=self._parser.get_method().decode("latin-1"),
                path=unquote(path),
                query_string=query_string,
                headers=self._headers,
                body=b"".join(self._body),
                keep_alive=self._parser.should_keep_alive(),
            )
        )

    def _start_message(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0

    # -- replies -------------------------------------------------------------------------------

    def send(self, reply: Reply, framing: Framing = Framing.LENGTH) -> bool:
        """Answers the request in hand and goes on to the next; false if the client is gone."""
        if self._closed or self._current is None:
            return False
        keep_alive = self._current.keep_alive and framing is not Framing.CLOSE
        self._current = None
        self._transport.write(_encode(reply, framing, keep_alive=keep_alive))
        if not keep_alive:
            self.close()
            return True
        self._arm_idle()
        self._pump()
        return True

    def send_part(self, reply: Reply, *, of_body: bool) -> None:
        """Sends half of the head, or the head and half of the body, and closes."""
        whole = _encode(reply, Framing.LENGTH, keep_alive=True)
        head = len(whole) - len(reply.body)
        part = head + len(reply.body) // 2 if of_body else head // 2
        if not self._closed:
            self._transport.write(whole[:part])
        self.close()

    def flood(self, size: int) -> None:
        """Answers 200 with so many bytes, no faster than they are read, and closes."""
        if self._closed:
            return
        kind = (("Content-Type", "application/json; charset=utf-8"),)
        self._transport.write(_head(200, kind, f"Content-Length: {size}"))
        self._flood_left = size
        self._pour()

    def reset(self) -> None:
        """Ends the connection with a TCP reset."""
        if not self._lost:
            sock: socket.socket = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
            self._end()
            self._transport.abort()

    def close(self) -> None:
        """Ends the connection in order, once what was written is sent."""
        if not self._closed:
            self._end()
            self._transport.close()

    def _end(self) -> None:
        self._closed = True
        self._waiting.clear()
        self._disarm_idle()

    def _pump(self) -> None:
        """Hands over waiting requests, one at a time; a loop, so that pipelining cannot recurse."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._waiting and self._current is None and not self._closed:
                self._disarm_idle()
                self._current = self._waiting.popleft()
                self._handle(self._current, self)
        finally:
            self._pumping = False

    def _pour(self) -> None:
        while self._flood_left and not self._paused and not self._closed:
            chunk = _FLOOD_CHUNK[: self._flood_left]
            self._flood_left -= len(chunk)
            self._transport.write(chunk)
            if not self._flood_left:
                self.close()

    def _arm_idle(self) -> None:
        loop = asyncio.get_running_loop()
        self._idle = loop.call_later(self._idle_seconds, self.close)

    def _disarm_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None


def _head(status: int, headers: tuple[tuple[str, str], ...], last: str) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    phrase = _PHRASES.get(status, "")
    return (
        f"HTTP/1.1 {status} {phrase}\r\nServer: Microsoft-IIS/10.0\r\n{lines}{last}\r\n\r\n"
    ).encode("latin-1")


def _encode(reply: Reply, framing: Framing, *, keep_alive: bool) -> bytes:
    body = reply.body
    close = "" if keep_alive else "\r\nConnection: close"
    match framing:
        case Framing.LENGTH:
            return _head(reply.status, reply.headers, f"Content-Length: {len(body)}{close}") + body
        case Framing.CLOSE:
            return _head(reply.status, reply.headers, "Connection: close") + body
        case Framing.CHUNKED:
            head = _head(reply.status, reply.headers, f"Transfer-Encoding: chunked{close}")
            middle = len(body) // 2 or len(body)
            parts = [part for part in (body[:middle], body[middle:]) if part]
            return head + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"

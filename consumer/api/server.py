"""The HTTP server, in the service's own loop.

The service owns the process: signals, logging and the end of it all are not the server's. What the
server cannot do, such as listening on a port that is taken, it says before anything has begun.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from consumer.api.guard import LARGEST_HEAD
from consumer.api.protocol import IDLE_SECONDS, BoundedProtocol
from consumer.logs import get_logger
from consumer.settings import PREFIX, SettingsError

_log = get_logger(__name__)

#: Seconds that requests in flight may take to end once the server is told to stop.
_GOODBYE = 5
#: Connections that wait to be accepted.
_BACKLOG = 512


class ApiServer:
    """Serves an application on one address, from `bind` to `stop`."""

    def __init__(self, app: ASGIApp, *, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._sockets: list[socket.socket] = []
        self._server = _Server(
            uvicorn.Config(
                app,
                http=BoundedProtocol,
                ws="none",
                loop="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=_BACKLOG,
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=_GOODBYE,
                h11_max_incomplete_event_size=LARGEST_HEAD,
            )
        )

    def bind(self) -> None:
        """Take the port.

        Raises:
            SettingsError: it cannot be had; the message says why, and which setting to change.
        """
        try:
            found = socket.getaddrinfo(
                self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            for family, _, _, _, address in dict.fromkeys(found):
                # Port 0 takes a free one: the same for all addresses of the name.
                self._sockets.append(_bound(family, (address[0], self.port, *address[2:])))
        except OSError as error:
            self.close()
            raise SettingsError(
                f"{PREFIX}API_HOST and {PREFIX}API_PORT: cannot listen on {self._host} port "
                f"{self._port}: {error.strerror or error}; set another port (0 takes a free one), "
                "or end what listens there"
            ) from None

    @property
    def port(self) -> int:
        """The port that was taken, or that will be."""
        if not self._sockets:
            return self._port
        port: int = self._sockets[0].getsockname()[1]
        return port

    async def run(self) -> None:
        """Serve until stopped."""
        self._server.on_started = lambda: _log.info(
            "api_listening", host=self._host, port=self.port
        )
        try:
            await self._server.serve(sockets=self._sockets)
        finally:
            for each in self._server.servers:
                each.close()

    def stop(self) -> None:
        """Let :meth:`run` end once requests in flight have, or some seconds are over."""
        self._server.should_exit = True

    def close(self) -> None:
        """Give the port back, whatever runs."""
        for each in self._sockets:
            each.close()
        self._sockets.clear()


class _Server(uvicorn.Server):
    on_started: Callable[[], None]
    servers: list[asyncio.base_events.Server] = []  # noqa: RUF012 - replaced when it starts

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals are the service's.
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_started()


def _bound(family: int, address: tuple[object, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        # Here, so that a port that another process listens on is refused here as well.
        made.listen(_BACKLOG)
        made.setblocking(False)  # noqa: FBT003 - as the standard library has it
    except OSError:
        made.close()
        raise
    return made

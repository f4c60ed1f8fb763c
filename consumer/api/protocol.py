"""A connection of the API, with the bounds that uvicorn's own lacks.

uvicorn waits without end for the head of a first request, for a body, and for a caller who does not
read his reply. Here each of them has a deadline, after which the connection is cut off.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from consumer.api.guard import REQUEST_SECONDS
from consumer.api.problems import Problem

#: Connections at once; one more is closed without a word.
MOST_CONNECTIONS = 1_024
#: Seconds for the head of a request to come in whole, and of silence between two requests.
HEAD_SECONDS, IDLE_SECONDS = 10.0, 30
#: Seconds beyond the request's own time, for a refusal to go out.
_GRACE = 5.0


class BoundedProtocol(H11Protocol):
    """One connection."""

    head_seconds = HEAD_SECONDS
    request_seconds = REQUEST_SECONDS + _GRACE

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._deadline: asyncio.TimerHandle | None = None
        self._timed: object = None  # the request that the deadline is of

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        else:
            self._allow(self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Take in what has come; a request that has begun gets its own time."""
        super().handle_events()
        cycle: Any = self.cycle
        # There is none yet before the first request, whatever uvicorn's types say.
        if cycle is not None and cycle is not self._timed and not cycle.response_complete:
            self._timed = cycle
            self._allow(self.request_seconds)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request, or for the rest of this one's body."""
        # A request that was sent ahead is taken up inside, and gets its own time there.
        self._allow(self.timeout_keep_alive + self.head_seconds)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP request, or has too large a head, as a problem."""
        body = Problem(title="Bad Request", status=400, detail=msg).model_dump_json(
            exclude_none=True
        )
        head = [("content-type", "application/problem+json"), ("connection", "close")]
        for event in (
            h11.Response(status_code=400, headers=head, reason="Bad Request"),
            h11.Data(data=body.encode()),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _allow(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self.transport.abort)

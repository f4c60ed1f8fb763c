"""What the way of an event is told as, to whoever traces it; by default nobody does.

The core says through `Tracing` what it is at, and never imports a tracing library: what listens is
:mod:`consumer.otel`, where it is turned on. Untraced, a context goes on as it came. Nothing here
may fail, wait, or change what becomes of an event.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import Token
from types import TracebackType
from typing import Final, Self

from consumer.arrivals import Readable, Unreadable
from consumer.registrar import Fate
from consumer.sedna.calls import TraceCall, Untraced, trace_of_calls
from consumer.sync import Sync
from consumer.verdict import Verdict
from db.records import OutboxRow
from schemas.trace import TraceContext


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Whether OpenTelemetry's own variables ask for traces: an exporter, or where to send them."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    endpoints = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return exporter != "none" and bool(exporter or any(environ.get(name) for name in endpoints))


class Batch:
    """Records that were read together, from the poll's return to the commit of what they are."""

    def read(
        self, readable: Sequence[Readable], unreadable: Sequence[Unreadable]
    ) -> tuple[Sequence[Readable], Sequence[Unreadable]]:
        """They are read: returns them with the contexts in which all that follows stands."""
        return readable, unreadable

    def registered(self, fates: Sequence[Fate]) -> None:
        """They are stored, and these are the fates of the readable ones."""

    def given_up(self, why: str) -> None:
        """They are not, and will be read again."""


class Attempt:
    """One attempt at a sync; while it is entered, the task's calls to Sedna stand in its trace."""

    __slots__ = ("_token", "context")

    def __init__(self, context: TraceContext | None) -> None:
        self.context = context
        self._token: Token[TraceContext | None] | None = None

    def __enter__(self) -> Self:
        self._token = trace_of_calls.set(self.context)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is not None:
            trace_of_calls.reset(self._token)

    def came_to(self, verdict: Verdict) -> None:
        """There is a verdict on it. Of an attempt that comes to nothing, nothing is told."""

    def gave_way(self, error: Exception) -> None:
        """It ended without an outcome: its turn comes later, elsewhere, or is somebody else's."""


class Tracing:
    """Traces nothing: the base of what does."""

    #: Told of each call to Sedna.
    call: TraceCall = Untraced

    def batch(self) -> Batch:
        """A poll has returned records."""
        return _UNTRACED

    def attempt(self, sync: Sync) -> Attempt:
        """An attempt at a sync begins, and its wait is over."""
        return Attempt(sync.trace)

    def settling(self, sync: Sync, verdict: Verdict) -> AbstractContextManager[object]:
        """A verdict is written to Postgres."""
        del sync, verdict
        return _NOTHING

    def publishing(self, rows: Sequence[OutboxRow]) -> AbstractContextManager[object]:
        """Messages are sent to Kafka and acknowledged."""
        del rows
        return _NOTHING

    async def aclose(self) -> None:
        """Tell what is left to tell, within a bounded time."""


_UNTRACED: Final = Batch()
_NOTHING: Final = nullcontext()

"""Traces of events for OpenTelemetry: the one module that imports it, and only if it is turned on.

Of each event one trace, below what upstream began: `read`, then as its children `register`, `wait`,
`attempt` with each call to `sedna` and `settle`, and `publish`. The context of `read` is stored
with the sync, so that whatever is done about it later, in this process or after a crash in another
one, stands in the same trace, and so does the result event.

Spans hold no payload and no URL's query; in texts of errors what looks like a secret is blanked, as
in the logs, and a tenant's own never gets so far. Nothing here waits: spans go to a queue, which a
thread of the library's own sends on, and what it has no room for is dropped.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from importlib.metadata import entry_points, version
from types import TracebackType
from typing import Final, assert_never
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)

from consumer.arrivals import Readable, Unreadable
from consumer.events import set_within
from consumer.redaction import blank
from consumer.registrar import Fate
from consumer.sedna.calls import CallDetails, CallTrace, Untraced, trace_of_calls
from consumer.sedna.operations import Operation
from consumer.settings import SettingsError
from consumer.sync import Sync
from consumer.tracing import Attempt, Batch, Tracing
from consumer.verdict import Failed, InDoubt, Postponed, RetryAt, Synced, Verdict, Waits
from db.records import Origin, OutboxRow
from schemas.headers import read_headers
from schemas.kinds import Kind
from schemas.trace import TraceContext

_SERVICE: Final = "sedna-sync"
_EXPORTERS: Final = "opentelemetry_traces_exporter"  # the group that the library's packages enter
#: Spans that wait to be sent, unless OTEL_BSP_MAX_QUEUE_SIZE says otherwise: a batch of 500 events
#: brings a thousand at once, and the library's own 2048 are few then.
_QUEUE: Final = 20_000
#: Seconds that sending what is left may take at the end.
_GOODBYE: Final = 5.0
#: Characters of a text.
_LONGEST: Final = 500

_Attributes = dict[str, str | int | bool]


def build(*, instance: str) -> "OpenTelemetry":
    """What the standard environment variables ask for, OTEL_TRACES_EXPORTER and so on.

    Args:
        instance: this process' name, for the attribute `service.instance.id`.

    Raises:
        SettingsError: one of them cannot be used; the message names it, and not what it says.
    """
    _check(os.environ)
    # It repeats headers that it cannot read, and those are keys: they were checked above.
    logging.getLogger("opentelemetry.util.re").setLevel(logging.CRITICAL)
    resource = Resource.create(
        {"service.version": version("sedna-sync"), "service.instance.id": instance}
    )
    if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: _SERVICE}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    queue = None if os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE") else _QUEUE
    for exporter in _exporters(os.environ):
        provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=queue))
    return OpenTelemetry(provider)


def _check(environ: Mapping[str, str]) -> None:
    for of in ("", "_TRACES"):
        name = f"OTEL_EXPORTER_OTLP{of}_ENDPOINT"
        endpoint = environ.get(name)
        if endpoint and urlsplit(endpoint).scheme not in {"http", "https"}:
            raise SettingsError(f"{name}: must be a URL such as http://collector:4318")
        name = f"OTEL_EXPORTER_OTLP{of}_HEADERS"
        if not all("=" in each for each in environ.get(name, "").split(",") if each.strip()):
            raise SettingsError(
                f"{name}: must be a list such as x-api-key=KEY,x-other=VALUE, percent-encoded"
            )


def _exporters(environ: Mapping[str, str]) -> list[SpanExporter]:
    named = environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    exporters = []
    for name in (each.strip() for each in named.split(",")):
        wanted = f"otlp_proto_{_protocol(environ)}" if name == "otlp" else name
        found = next(iter(entry_points(group=_EXPORTERS, name=wanted)), None)
        if found is None:
            there = sorted({each.name for each in entry_points(group=_EXPORTERS)})
            raise SettingsError(
                f"OTEL_TRACES_EXPORTER: no exporter {wanted!r} is installed; there are otlp (over "
                f"HTTP), {', '.join(there)}: name one of them, or install the package that has it"
            )
        exporters.append(found.load()())
    return exporters


def _protocol(environ: Mapping[str, str]) -> str:
    named = (
        environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        or "http/protobuf"
    )
    return "http" if named == "http/protobuf" else named


class OpenTelemetry(Tracing):
    """Traces the way of events."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(_SERVICE, version("sedna-sync"))

    def batch(self) -> Batch:
        """See `Tracing`; the span `read` begins now."""
        return _Batch(self._tracer)

    def attempt(self, sync: Sync) -> Attempt:
        """See `Tracing`."""
        return super().attempt(sync) if _is_left_out(sync.trace) else _Attempt(self._tracer, sync)

    def call(self, operation: Operation, *, host: str, port: int | None) -> CallTrace:
        """See `Tracing`; below the attempt of the running task."""
        if _is_left_out(trace_of_calls.get()):
            return Untraced(operation, host=host, port=port)
        return _Call(self._tracer, operation, host, port)

    def settling(self, sync: Sync, verdict: Verdict) -> AbstractContextManager[object]:
        """See `Tracing`; below the attempt of the running task."""
        parent = trace_of_calls.get()
        if _is_left_out(parent):
            return super().settling(sync, verdict)
        return self._settling(sync, verdict, parent)

    @contextmanager
    def _settling(
        self, sync: Sync, verdict: Verdict, parent: TraceContext | None
    ) -> Iterator[None]:
        span = self._tracer.start_span("settle", context=_parent(parent), attributes=_of_sync(sync))
        _judge(span, verdict)
        try:
            yield
        except BaseException as error:
            _fail(span, type(error).__name__, str(error))
            raise
        finally:
            span.end()

    @contextmanager
    def publishing(self, rows: Sequence[OutboxRow]) -> Iterator[None]:
        """See `Tracing`; each message below what its own headers say."""
        begun = time.time_ns()
        try:
            yield
        except BaseException as error:
            self._published(rows, begun, error)
            raise
        self._published(rows, begun, None)

    def _published(
        self, rows: Sequence[OutboxRow], begun: int, error: BaseException | None
    ) -> None:
        now = time.time_ns()
        for row in rows:
            trace = read_headers(row.headers).trace
            if trace is None or _is_left_out(trace):
                continue  # it belongs to no trace, and begins none
            span = self._tracer.start_span(
                f"publish {row.topic}",
                context=_parent(trace),
                kind=SpanKind.PRODUCER,
                start_time=begun,
                attributes=_of_topic(row.topic, "publish", "send"),
            )
            if error is not None:
                _fail(span, type(error).__name__, str(error))
            span.end(now)

    async def aclose(self) -> None:
        """Send what is left, for some seconds at the most: the service's end waits for it."""
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        def shut_down() -> None:
            self._provider.shutdown()
            with suppress(RuntimeError):  # the loop has ended: nobody waits any more
                loop.call_soon_threadsafe(done.set)

        # A daemon: with the collector away it may take longer than we wait, and keeps nobody.
        threading.Thread(target=shut_down, name="send the last traces", daemon=True).start()
        await set_within(done, _GOODBYE)


class _Batch(Batch):
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._polled = self._read = time.time_ns()
        self._readable: Sequence[Readable] = ()
        self._unreadable: Sequence[Unreadable] = ()

    def read(
        self, readable: Sequence[Readable], unreadable: Sequence[Unreadable]
    ) -> tuple[Sequence[Readable], Sequence[Unreadable]]:
        self._read = time.time_ns()
        self._readable = [self._read_one(event) for event in readable]
        self._unreadable = [self._rejected(event) for event in unreadable]
        return self._readable, self._unreadable

    def _read_one(self, event: Readable) -> Readable:
        arrival = event.arrival
        attributes = _of_event(arrival.event_id, arrival.tenant_id, arrival.kind)
        span = self._span(arrival.origin, arrival.trace, attributes)
        span.end(self._read)
        return replace(event, arrival=replace(arrival, trace=_context(span)))

    def _rejected(self, event: Unreadable) -> Unreadable:
        rejection = event.rejection
        attributes: _Attributes = {"sedna_sync.kind": event.kind.value}
        if rejection.tenant_id is not None:
            attributes["sedna_sync.tenant"] = rejection.tenant_id
        span = self._span(rejection.origin, event.trace, attributes)
        _fail(span, rejection.error_code, rejection.error_message)
        span.end(self._read)
        return replace(event, trace=_context(span))

    def _span(self, origin: Origin, trace: TraceContext | None, attributes: _Attributes) -> Span:
        return self._tracer.start_span(
            f"read {origin.topic}",
            context=_parent(trace),
            kind=SpanKind.CONSUMER,
            start_time=self._polled,
            attributes={
                **_of_topic(origin.topic, "read", "receive"),
                "messaging.destination.partition.id": str(origin.partition),
                "messaging.kafka.offset": origin.offset,
                **attributes,
            },
        )

    def registered(self, fates: Sequence[Fate]) -> None:
        now = time.time_ns()
        for fate in fates:
            attributes: _Attributes = {"sedna_sync.outcome": fate.seen.name.lower()}
            if fate.place is not None:
                attributes["sedna_sync.sync"] = fate.place.id
            self._register(fate.event.arrival.trace, attributes).end(now)
        for event in self._unreadable:
            self._register(event.trace, {"sedna_sync.outcome": "rejected"}).end(now)

    def given_up(self, why: str) -> None:
        now = time.time_ns()
        readable = [event.arrival.trace for event in self._readable]
        for trace in (*readable, *(event.trace for event in self._unreadable)):
            span = self._register(trace, {})
            _fail(span, "given_up", why)
            span.end(now)

    def _register(self, trace: TraceContext | None, attributes: _Attributes) -> Span:
        """Below the `read` whose context an event carries by now."""
        if _is_left_out(trace):
            return INVALID_SPAN
        return self._tracer.start_span(
            "register", context=_parent(trace), start_time=self._read, attributes=attributes
        )


class _Attempt(Attempt):
    __slots__ = ("_begun", "_parent", "_span", "_sync", "_told", "_tracer", "_waiting_since")

    def __init__(self, tracer: Tracer, sync: Sync) -> None:
        self._tracer = tracer
        self._sync = sync
        self._begun = time.time_ns()
        self._waiting_since = sync.waiting_since
        self._parent = _parent(sync.trace)
        self._span = tracer.start_span(
            "attempt",
            context=self._parent,
            start_time=self._begun,
            attributes={**_of_sync(sync), "sedna_sync.attempt": sync.attempts + 1},
        )
        self._told = False
        super().__init__(_context(self._span))

    def came_to(self, verdict: Verdict) -> None:
        self._tell()
        _judge(self._span, verdict)

    def gave_way(self, error: Exception) -> None:
        self._tell()
        self._span.set_attribute("sedna_sync.outcome", type(error).__name__)

    def _tell(self) -> None:
        self._told = True
        if self._waiting_since is not None and self._span.is_recording():
            # By Postgres' clock, which may differ a little from ours.
            since = min(_nanoseconds(self._waiting_since), self._begun)
            wait = self._tracer.start_span(
                "wait", context=self._parent, start_time=since, attributes=_of_sync(self._sync)
            )
            wait.end(self._begun)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        if error is not None:
            if not self._told:
                self._tell()
            _fail(self._span, type(error).__name__, "the service ended, or something unforeseen")
        if self._told:
            self._span.end()


class _Call:
    __slots__ = ("_span", "context")

    def __init__(self, tracer: Tracer, operation: Operation, host: str, port: int | None) -> None:
        call = operation.value
        attributes: _Attributes = {
            "http.request.method": call.method,
            "url.path": call.path,
            "server.address": host,
        }
        if port is not None:
            attributes["server.port"] = port
        self._span = tracer.start_span(
            f"sedna {call.name}",
            context=_parent(trace_of_calls.get()),
            kind=SpanKind.CLIENT,
            attributes=attributes,
        )
        self.context = _context(self._span)

    def end(self, details: CallDetails) -> None:
        """It has come to this."""
        span = self._span
        span.set_attribute("sedna_sync.result", details.result)
        if details.status is not None:
            span.set_attribute("http.response.status_code", details.status)
        if details.problem is not None:
            _fail(span, details.result, details.problem)
        span.end()


# -- contexts -------------------------------------------------------------------------------------


def _is_left_out(trace: TraceContext | None) -> bool:
    """Whether its reading left it out: then it goes on as it is, since all further spans would be.

    One that is not recorded costs nearly as much as one that is.
    """
    return trace is not None and not trace.is_sampled


def _parent(trace: TraceContext | None) -> Context:
    """Below what a span stands; an empty one begins a trace."""
    if trace is None:
        return Context()
    _, trace_id, span_id, flags = trace.parent.split("-")
    return set_span_in_context(
        NonRecordingSpan(
            SpanContext(
                int(trace_id, 16),
                int(span_id, 16),
                is_remote=True,
                trace_flags=TraceFlags(int(flags, 16)),
                trace_state=None if trace.state is None else TraceState.from_header([trace.state]),
            )
        ),
        Context(),
    )


def _context(span: Span) -> TraceContext:
    """What is carried on from a span."""
    context = span.get_span_context()
    parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    return TraceContext(parent, context.trace_state.to_header() or None)


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1e9)


# -- what spans say -------------------------------------------------------------------------------


def _of_topic(topic: str, name: str, type_: str) -> _Attributes:
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": name,
        "messaging.operation.type": type_,
        "messaging.destination.name": topic,
    }


def _of_event(event_id: str, tenant_id: str, kind: Kind) -> _Attributes:
    return {
        "messaging.message.id": event_id,
        "sedna_sync.tenant": tenant_id,
        "sedna_sync.kind": kind.value,
    }


def _of_sync(sync: Sync) -> _Attributes:
    return {
        **_of_event(sync.event_id, sync.tenant_id, sync.kind),
        "sedna_sync.item": sync.item,
        "sedna_sync.sync": sync.id,
    }


def _judge(span: Span, verdict: Verdict) -> None:
    if not span.is_recording():
        return
    match verdict:
        case Synced(rec_id=rec_id, hotel_id=hotel_id, adopted=adopted, conflict=conflict):
            outcome = "conflict" if conflict else "synced"
            span.set_attributes(
                {
                    "sedna_sync.sedna_rec_id": rec_id,
                    "sedna_sync.sedna_hotel_id": hotel_id,
                    "sedna_sync.adopted": adopted,
                }
            )
        case Failed(code=code, message=message):
            outcome = "failed"
            _fail(span, code.value, message)
        case RetryAt(reason=reason):
            outcome = "retry"
            _fail(span, outcome, reason)
        case InDoubt(reason=reason):
            outcome = "in_doubt"
            _fail(span, outcome, reason)
        case Postponed(reason=reason) | Waits(reason=reason):
            outcome = "waits"
            _fail(span, outcome, reason)
        case never:
            assert_never(never)
    span.set_attribute("sedna_sync.outcome", outcome)


def _fail(span: Span, error_type: str, problem: str) -> None:
    span.set_attribute("error.type", error_type)
    span.set_status(StatusCode.ERROR, blank(problem)[:_LONGEST])

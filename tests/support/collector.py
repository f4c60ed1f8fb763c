"""A collector of traces: takes what is exported over HTTP, read with the official messages."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1 import trace_pb2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from consumer.api.server import ApiServer

_PATIENCE = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A span that was exported."""

    name: str
    trace_id: str
    id: str
    parent_id: str  #: empty: it begins the trace
    trace_state: str
    kind: str
    start: int  #: nanoseconds
    end: int
    attributes: dict[str, object]
    problem: str | None  #: None: it is no error
    resource: dict[str, object]


@dataclass(slots=True)
class Collector:
    """What has come so far."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def of_trace(self, trace_id: str) -> list[Span]:
        """In the order of their beginnings."""
        return sorted(
            (span for span in self.spans if span.trace_id == trace_id), key=lambda span: span.start
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what is exported now and then."""
        async with asyncio.timeout(_PATIENCE):
            while not condition():
                await asyncio.sleep(0.05)

    async def take(self, request: Request) -> Response:
        """Take one export."""
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.bodies.append(body)
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = {each.key: _value(each.value) for each in of_resource.resource.attributes}
            for of_scope in of_resource.scope_spans:
                self.spans += [_span(span, resource) for span in of_scope.spans]
        return Response(b"", media_type="application/x-protobuf")


@contextlib.asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    """A collector that listens."""
    made = Collector()
    app = Starlette(routes=[Route("/v1/traces", made.take, methods=["POST"])])
    server = ApiServer(app, host="127.0.0.1", port=0)
    server.bind()
    made.url = f"http://127.0.0.1:{server.port}"
    running = asyncio.create_task(server.run())
    try:
        yield made
    finally:
        server.stop()
        await running


def _span(span: trace_pb2.Span, resource: dict[str, object]) -> Span:
    failed = span.status.code == trace_pb2.Status.STATUS_CODE_ERROR
    return Span(
        name=span.name,
        trace_id=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        trace_state=span.trace_state,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes={each.key: _value(each.value) for each in span.attributes},
        problem=span.status.message if failed else None,
        resource=resource,
    )


def _value(value: AnyValue) -> object:
    return getattr(value, value.WhichOneof("value") or "string_value")

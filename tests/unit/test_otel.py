"""What is told to OpenTelemetry: which spans there are, below what, and what they say."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from consumer.arrivals import Readable, Record, Unreadable, read
from consumer.otel import OpenTelemetry
from consumer.registrar import Fate
from consumer.registration import Seen
from consumer.sedna.calls import CallDetails, Untraced, trace_of_calls
from consumer.sedna.operations import Operation
from consumer.sync import Sync, from_arrival
from consumer.tracing import Tracing, is_wanted
from consumer.verdict import Failed, InDoubt, Postponed, RetryAt, Synced, Verdict, Waits
from db.records import OutboxRow, Registered
from schemas import examples
from schemas.outcomes import ErrorCode
from schemas.trace import TraceContext
from tests.unit.test_arrivals import record

NOW = datetime.now(UTC)
UPSTREAM = TraceContext(examples.TRACEPARENT, "upstream=1")
TRACE_ID = UPSTREAM.trace_id
SECRET = "hunter2"


class Traced:
    """A tracing whose spans a test can look at."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracing = OpenTelemetry(provider)

    def spans(self) -> dict[str, ReadableSpan]:
        found = self.exporter.get_finished_spans()
        named = {span.name: span for span in found}
        assert len(named) == len(found)
        return named


@pytest.fixture
def traced() -> Traced:
    return Traced()


@pytest.fixture(autouse=True)
def _no_trace_is_left_behind() -> Iterator[None]:
    yield
    assert trace_of_calls.get() is None


def came(headers: tuple[tuple[str, bytes], ...] = ()) -> Record:
    return record(examples.reservation_created(), headers=headers)


TRACED = tuple((name, value.encode()) for name, value in UPSTREAM.fields())


def readable(headers: tuple[tuple[str, bytes], ...] = TRACED) -> Readable:
    event = read(came(headers))
    assert isinstance(event, Readable)
    return event


def unreadable() -> Unreadable:
    event = read(record(b"garbage", headers=TRACED))
    assert isinstance(event, Unreadable)
    return event


def sync(trace: TraceContext | None = UPSTREAM) -> Sync:
    event = readable()
    since = datetime.now(UTC) - timedelta(seconds=5)
    place = Registered(id=7, seq=1, generation=1, registered_at=since)
    made = from_arrival(event.arrival, event.data, place)
    made.trace = trace
    return made


def span_id(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.span_id:016x}"


def parent_of(span: ReadableSpan) -> str | None:
    return None if span.parent is None else f"{span.parent.span_id:016x}"


def attributes(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


# -- reading --------------------------------------------------------------------------------------


def test_an_event_is_handed_on_in_the_trace_of_its_reading(traced: Traced) -> None:
    batch = traced.tracing.batch()
    ((event,), ()) = batch.read([readable()], [])
    place = Registered(id=7, seq=1, generation=1, registered_at=NOW)
    batch.registered([Fate(event, Seen.NEW, None, place)])
    spans = traced.spans()
    reading, register = spans[f"read {event.arrival.origin.topic}"], spans["register"]
    assert event.arrival.trace == TraceContext(f"00-{TRACE_ID}-{span_id(reading)}-01", "upstream=1")
    assert parent_of(reading) == "00f067aa0ba902b7"
    assert parent_of(register) == span_id(reading)
    assert attributes(reading)["messaging.kafka.offset"] == 1207
    assert attributes(register) == {"sedna_sync.outcome": "new", "sedna_sync.sync": 7}
    # All else of the event is as it came.
    untraced = readable()
    assert event.data == untraced.data
    assert event.arrival.fingerprint == untraced.arrival.fingerprint
    assert event.arrival.content_hash == untraced.arrival.content_hash


def test_what_cannot_be_read_is_told_as_an_error(traced: Traced) -> None:
    batch = traced.tracing.batch()
    ((), (event,)) = batch.read([], [unreadable()])
    batch.registered([])
    spans = traced.spans()
    reading = spans[f"read {event.rejection.origin.topic}"]
    assert reading.status.status_code is StatusCode.ERROR
    assert attributes(reading)["error.type"] == "invalid_event"
    assert attributes(spans["register"])["sedna_sync.outcome"] == "rejected"
    assert event.trace is not None
    assert event.trace.trace_id == TRACE_ID


def test_a_batch_that_is_given_up_says_so(traced: Traced) -> None:
    batch = traced.tracing.batch()
    batch.read([readable()], [])
    batch.given_up("Postgres is away")
    register = traced.spans()["register"]
    assert (register.status.status_code, register.status.description) == (
        StatusCode.ERROR,
        "Postgres is away",
    )


def test_an_event_that_upstream_does_not_sample_is_in_no_span(traced: Traced) -> None:
    unsampled = ((("traceparent", examples.TRACEPARENT[:-2].encode() + b"00")),)
    batch = traced.tracing.batch()
    ((event,), ()) = batch.read([readable(unsampled)], [])
    batch.registered([Fate(event, Seen.DUPLICATE, None, None)])
    made = sync(event.arrival.trace)
    with traced.tracing.attempt(made) as attempt:
        attempt.came_to(Waits("closed"))
    assert traced.spans() == {}
    assert event.arrival.trace is not None
    assert (event.arrival.trace.trace_id, event.arrival.trace.parent[-2:]) == (TRACE_ID, "00")


def test_what_its_reading_left_out_makes_no_further_span_and_goes_on_as_it_is(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A span that is not recorded costs nearly as much as one that is."""
    unsampled = TraceContext(f"{examples.TRACEPARENT[:-2]}00", "upstream=1")
    made = sync(unsampled)
    made.waiting_since = NOW
    headers = tuple((name, value.encode()) for name, value in unsampled.fields())
    row = OutboxRow(id=1, topic="sedna.synced", key=b"a", value=b"{}", headers=headers)
    monkeypatch.setattr(traced.tracing, "_tracer", None)
    with traced.tracing.attempt(made) as attempt:
        call = traced.tracing.call(Operation.INSERT_RESERVATION, host="sedna.example", port=8443)
        call.end(CallDetails("insert_reservation", "ok", 0.1, 200))
        attempt.came_to(DONE)
        with traced.tracing.settling(made, DONE):
            pass
    with traced.tracing.publishing([row]):
        pass
    assert call.context == attempt.context == unsampled


# -- working --------------------------------------------------------------------------------------

DONE = Synced(rec_id=5, hotel_id=18, adopted=False, conflict=False, message="done")


def test_an_attempt_holds_its_calls_and_its_settling(traced: Traced) -> None:
    made = sync()
    with traced.tracing.attempt(made) as attempt:
        call = traced.tracing.call(Operation.INSERT_RESERVATION, host="sedna.example", port=8443)
        assert call.context is not None
        call.end(CallDetails("insert_reservation", "ok", 0.1, 200))
        attempt.came_to(DONE)
        with traced.tracing.settling(made, DONE):
            pass
    spans = traced.spans()
    tried = spans["attempt"]
    inserted = spans["sedna insert_reservation"]
    assert call.context == TraceContext(f"00-{TRACE_ID}-{span_id(inserted)}-01", "upstream=1")
    assert parent_of(inserted) == parent_of(spans["settle"]) == span_id(tried)
    assert parent_of(tried) == parent_of(spans["wait"]) == "00f067aa0ba902b7"
    assert attributes(tried)["sedna_sync.outcome"] == "synced"
    assert attributes(spans["settle"])["sedna_sync.sedna_rec_id"] == 5
    assert attributes(inserted)["server.address"] == "sedna.example"
    assert attributes(inserted)["server.port"] == 8443


def test_the_wait_lasts_from_the_registration_to_the_attempt(traced: Traced) -> None:
    with traced.tracing.attempt(sync()) as attempt:
        attempt.came_to(DONE)
    spans = traced.spans()
    wait, tried = spans["wait"], spans["attempt"]
    assert wait.end_time == tried.start_time
    assert wait.start_time is not None
    assert wait.end_time is not None
    assert 5e9 <= wait.end_time - wait.start_time < 60e9


def test_a_clock_of_postgres_that_is_ahead_makes_no_wait_of_less_than_nothing(
    traced: Traced,
) -> None:
    made = sync()
    made.waiting_since = datetime.now(UTC) + timedelta(seconds=60)
    with traced.tracing.attempt(made) as attempt:
        attempt.came_to(DONE)
    wait = traced.spans()["wait"]
    assert wait.start_time == wait.end_time


def test_a_wait_whose_beginning_is_not_known_is_not_told(traced: Traced) -> None:
    made = sync()
    made.waiting_since = None
    with traced.tracing.attempt(made) as attempt:
        attempt.came_to(DONE)
    assert set(traced.spans()) == {"attempt"}


def test_an_attempt_that_came_to_nothing_is_not_told(traced: Traced) -> None:
    with traced.tracing.attempt(sync()):
        pass
    assert traced.spans() == {}


def test_an_attempt_that_gave_way_says_why(traced: Traced) -> None:
    with traced.tracing.attempt(sync()) as attempt:
        attempt.gave_way(LookupError())
    assert attributes(traced.spans()["attempt"])["sedna_sync.outcome"] == "LookupError"


def test_an_attempt_that_is_cut_off_is_told_as_an_error(traced: Traced) -> None:
    with pytest.raises(KeyboardInterrupt), traced.tracing.attempt(sync()):
        raise KeyboardInterrupt
    tried = traced.spans()["attempt"]
    assert tried.status.status_code is StatusCode.ERROR
    assert attributes(tried)["error.type"] == "KeyboardInterrupt"


def test_an_attempt_that_is_cut_off_while_it_is_settled_has_waited_once(traced: Traced) -> None:
    def settle() -> None:
        with traced.tracing.attempt(sync()) as attempt:
            attempt.came_to(DONE)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        settle()
    assert set(traced.spans()) == {"wait", "attempt"}


@pytest.mark.parametrize(
    "verdict, outcome, error",
    [
        (DONE, "synced", None),
        (Synced(5, 18, adopted=True, conflict=True, message=""), "conflict", None),
        (Failed(ErrorCode.HOTEL_NOT_FOUND, "no hotel"), "failed", "hotel_not_found"),
        (RetryAt(NOW, "reset"), "retry", "retry"),
        (InDoubt(NOW, NOW, "reset"), "in_doubt", "in_doubt"),
        (Postponed(NOW, "no password"), "waits", "waits"),
        (Waits("breaker"), "waits", "waits"),
    ],
)
def test_each_verdict_has_its_outcome_and_its_error(
    traced: Traced, verdict: Verdict, outcome: str, error: str | None
) -> None:
    with traced.tracing.attempt(sync()) as attempt:
        attempt.came_to(verdict)
    tried = traced.spans()["attempt"]
    assert attributes(tried)["sedna_sync.outcome"] == outcome
    assert attributes(tried).get("error.type") == error
    assert (tried.status.status_code is StatusCode.ERROR) is (error is not None)


def test_a_text_that_goes_into_a_span_is_blanked_and_bounded(traced: Traced) -> None:
    call = traced.tracing.call(Operation.LOGIN, host="sedna.example", port=None)
    problem = f"http://sedna.example/login?password={SECRET} password={SECRET} {'x' * 5000}"
    call.end(CallDetails("login", "unavailable", 0.1, 503, problem))
    login = traced.spans()["sedna login"]
    assert login.status.description is not None
    assert SECRET not in login.status.description
    assert len(login.status.description) <= 500
    assert attributes(login)["http.response.status_code"] == 503


# -- publishing -----------------------------------------------------------------------------------


def test_a_message_is_published_in_the_trace_of_its_headers(traced: Traced) -> None:
    rows = [
        OutboxRow(id=1, topic="sedna.synced", key=b"a", value=b"{}", headers=TRACED),
        OutboxRow(id=2, topic="other", key=b"a", value=b"{}", headers=(("x", None),)),
    ]
    with pytest.raises(OSError, match="broker"), traced.tracing.publishing(rows):
        raise OSError("broker away")
    spans = traced.spans()
    assert set(spans) == {"publish sedna.synced"}
    publishing = spans["publish sedna.synced"]
    assert parent_of(publishing) == "00f067aa0ba902b7"
    assert publishing.status.description == "broker away"


# -- turning it on --------------------------------------------------------------------------------

OTLP = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    "environ, wanted",
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        (OTLP, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        (OTLP | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (OTLP | {"OTEL_SDK_DISABLED": "true"}, False),
        (OTLP | {"OTEL_SDK_DISABLED": "false"}, True),
    ],
)
def test_the_standard_variables_turn_it_on_and_off(
    environ: dict[str, str], *, wanted: bool
) -> None:
    assert is_wanted(environ) is wanted


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_where_the_extra_is_missing_the_service_runs_untraced_and_says_so() -> None:
    said = run(
        "import sys; sys.modules['opentelemetry.sdk'] = None\n"
        "from consumer import bootstrap\n"
        f"tracing = bootstrap.build_tracing({OTLP!r}, instance='this')\n"
        "print(type(tracing).__name__)"
    )
    assert "tracing_not_installed" in said
    assert "sedna-sync[otel]" in said
    assert said.splitlines()[-1] == "Tracing"


def test_while_it_is_off_neither_the_sdk_nor_an_exporter_is_loaded() -> None:
    said = run(
        "import sys\nfrom consumer import bootstrap\nfrom consumer.cli import run\n"
        "bootstrap.build_tracing({}, instance='this')\n"
        # Its API alone is, by FastAPI.
        "print(*[name for name in sys.modules if name in"
        "    ('consumer.otel', 'opentelemetry.sdk', 'opentelemetry.exporter')])"
    )
    assert said.strip() == ""


def test_while_it_is_off_contexts_go_on_as_they_came() -> None:
    tracing = Tracing()
    batch = tracing.batch()
    event = readable()
    assert batch.read([event], []) == ([event], [])
    made = sync()
    with tracing.attempt(made) as attempt:
        assert Untraced(Operation.LOGIN, host="x", port=None).context == UPSTREAM
        attempt.came_to(DONE)
        with tracing.settling(made, DONE), tracing.publishing([]):
            pass

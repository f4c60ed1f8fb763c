"""One trace for the way of an event: from upstream's span through Sedna to the result."""

from urllib.parse import quote

import pytest

from consumer.demo.embedded_postgres import free_port
from consumer.demo.fake import Fault, FaultKind
from tests.e2e.checks import leaks, secrets_of
from tests.e2e.conftest import WorldFactory
from tests.support import kafka_clients
from tests.support.collector import Collector, Span, collector
from tests.support.events import account, reservation, stop_sale
from tests.support.kafka_clients import Message
from tests.support.service import World

TRACE_ID, UPSTREAM = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, STATE = f"00-{TRACE_ID}-{UPSTREAM}-01", "upstream=1,other=2"


def to(collector: Collector) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }


async def publish(here: World, topic: str, event: tuple[str, bytes], traceparent: str) -> None:
    tenant, value = event
    headers = {"traceparent": traceparent.encode(), "tracestate": STATE.encode()}
    message = Message(topic=topic, key=tenant.encode(), value=value, headers=headers)
    await kafka_clients.produce(here.kafka, [message])


async def result_headers(here: World, topic: str) -> dict[str, str]:
    (record,) = await kafka_clients.read_all(here.kafka, topic)
    return {name: value.decode() for name, value in record.headers}


async def sync_one(here: World, traceparent: str) -> dict[str, str]:
    """Have one reservation done by a service; returns the headers of its result."""
    service = await here.start()
    await publish(here, here.topics.reservations, ("a", reservation("a", 1)), traceparent)
    await here.until_settled(1)
    headers = await result_headers(here, here.topics.synced)
    assert await service.stop() == 0
    return headers


def named(spans: list[Span], name: str) -> Span:
    (span,) = [span for span in spans if span.name == name]
    return span


async def test_the_way_of_an_event_is_one_trace_from_upstream_to_the_result(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here, collector() as collected:
        here.variables |= to(collected)
        service = await here.start()
        topic = here.topics.reservations
        await publish(here, topic, ("a", reservation("a", 1)), SAMPLED)
        await here.until_settled(1)
        headers = await result_headers(here, here.topics.synced)
        (result,) = await here.results()
        assert await service.stop() == 0

        spans = collected.of_trace(TRACE_ID)
        read = named(spans, f"read {topic}")
        assert (read.parent_id, read.kind, read.trace_state) == (UPSTREAM, "CONSUMER", STATE)
        register, wait, attempt = (named(spans, name) for name in ("register", "wait", "attempt"))
        publishing = named(spans, f"publish {here.topics.synced}")
        assert {each.parent_id for each in (register, wait, attempt, publishing)} == {read.id}
        assert read.start <= read.end <= register.start <= register.end
        assert wait.start <= wait.end <= attempt.start <= attempt.end
        settle, insert = named(spans, "settle"), named(spans, "sedna insert_reservation")
        assert {settle.parent_id, insert.parent_id} == {attempt.id}
        assert insert.kind == "CLIENT"
        assert attempt.start <= insert.start <= insert.end <= settle.start
        assert settle.end <= attempt.end
        # What is shared is in the trace of who asked for it first.
        assert named(spans, "sedna login").parent_id == attempt.id
        assert not [span for span in spans if span.problem is not None]

        # Sedna was told which call it is, and the result which event it answers.
        (entry,) = here.fake.requests("InsertReservation")
        assert (entry.traceparent, entry.tracestate) == (f"00-{TRACE_ID}-{insert.id}-01", STATE)
        context = {"traceparent": f"00-{TRACE_ID}-{read.id}-01", "tracestate": STATE}
        assert context.items() <= headers.items()
        assert context.items() <= result.items()

        (sync,) = await here.query("SELECT id, sedna_rec_id FROM syncs")
        assert attempt.attributes["sedna_sync.sync"] == sync["id"]
        assert attempt.attributes["sedna_sync.tenant"] == "a"
        assert settle.attributes["sedna_sync.sedna_rec_id"] == sync["sedna_rec_id"]
        assert insert.attributes["http.response.status_code"] == 200
        assert read.resource["service.name"] == "sedna-sync"


async def test_an_event_without_a_trace_begins_one(world: WorldFactory) -> None:
    async with world([account("a")]) as here, collector() as collected:
        here.variables |= to(collected)
        service = await here.start()
        await here.publish_stop_sales([("a", stop_sale("a", 1))])
        await here.until_settled(1)
        (result,) = await here.results()
        assert await service.stop() == 0

        read = named(collected.spans, f"read {here.topics.stop_sales}")
        assert read.parent_id == ""
        assert result["traceparent"].startswith(f"00-{read.trace_id}-{read.id}-")
        assert {span.trace_id for span in collected.spans} == {read.trace_id}
        names = {span.name for span in collected.spans}
        assert {"sedna open_stop_sale", "sedna complete_stop_sale"} <= names


async def test_what_is_done_after_a_crash_stands_in_the_same_trace(world: WorldFactory) -> None:
    async with world([account("a")]) as here, collector() as collected:
        here.variables |= to(collected)
        here.settings |= {"DOUBT_WINDOW": "2"}
        here.fake.faults.add(Fault(operation="InsertReservation", kind=FaultKind.HANG, times=1))
        first = await here.start()
        await publish(here, here.topics.reservations, ("a", reservation("a", 1)), SAMPLED)
        await here.until_value(1, "SELECT count(*) FROM syncs WHERE dispatched_at IS NOT NULL")
        await collected.until(lambda: any(span.name == "register" for span in collected.spans))
        await first.kill()
        second = await here.start_after_kill()
        await here.until_settled(1)
        assert await second.stop() == 0

        spans = collected.of_trace(TRACE_ID)
        read = [span for span in spans if span.name == f"read {here.topics.reservations}"]
        attempts = [span for span in spans if span.name == "attempt"]
        assert attempts
        # The first reading's: the second was a redelivery, and is told as such.
        assert {span.parent_id for span in attempts} == {read[0].id}
        registered = [span for span in spans if span.name == "register"]
        outcomes = {span.attributes["sedna_sync.outcome"] for span in registered}
        assert outcomes == {"new", "redelivery"}
        assert named(spans, f"publish {here.topics.synced}").parent_id == read[0].id
        instances = [span.resource["service.instance.id"] for span in (read[0], attempts[-1])]
        assert instances[0] != instances[1]


async def test_a_trace_says_what_went_wrong_and_no_secret(world: WorldFactory) -> None:
    async with world([account("a")]) as here, collector() as collected:
        here.variables |= to(collected)
        here.settings |= {"RETRY_BASE": "0.1", "RETRY_CAP": "0.2", "BREAKER_FAILURES": "50"}
        secret = here.fake.state.accounts["a"].config.password
        here.fake.faults.add(
            Fault(
                operation="AgencyLogin",
                kind=FaultKind.STATUS,
                status=503,
                body=f"down, password={secret} {quote(secret)}",
                times=2,
            )
        )
        service = await here.start()
        await publish(here, here.topics.reservations, ("a", reservation("a", 1)), SAMPLED)
        bad = ("a", reservation("a", 2, hotel_name="Nowhere"))
        await publish(here, here.topics.reservations, bad, SAMPLED)
        await publish(here, here.topics.reservations, ("a", b"garbage"), SAMPLED)
        await here.until_settled(2)
        assert await service.stop() == 0

        spans = collected.of_trace(TRACE_ID)
        login = [span for span in spans if span.name == "sedna login" and span.problem]
        assert {span.attributes["http.response.status_code"] for span in login} == {503}
        problems = {
            str(span.attributes["error.type"]) for span in spans if span.problem is not None
        }
        assert {"retry", "hotel_not_found", "invalid_event", "unavailable"} <= problems
        assert not leaks(secrets_of(here), [body.decode("latin1") for body in collected.bodies])


async def test_what_upstream_does_not_sample_is_carried_on_and_not_told(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here, collector() as collected:
        here.variables |= to(collected)
        headers = await sync_one(here, SAMPLED[:-2] + "00")
        assert collected.spans == []
        assert headers["traceparent"].startswith(f"00-{TRACE_ID}-")
        assert headers["traceparent"].endswith("-00")


async def test_without_tracing_a_context_goes_to_sedna_and_to_the_result_as_it_came(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        headers = await sync_one(here, SAMPLED)
        for entry in here.fake.requests("InsertReservation"):
            assert (entry.traceparent, entry.tracestate) == (SAMPLED, STATE)
        assert (headers["traceparent"], headers["tracestate"]) == (SAMPLED, STATE)


async def test_a_collector_that_is_away_keeps_no_event_and_no_end(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        here.variables |= {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
        service = await here.start()
        await here.publish_reservations(("a", reservation("a", number)) for number in range(50))
        await here.until_settled(50)
        assert await service.stop() == 0


@pytest.mark.parametrize(
    "name, value",
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_TRACES_EXPORTER", "carrier-pigeon"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key secret-of-ours"),
    ],
)
async def test_a_variable_that_cannot_be_used_stops_the_start_with_a_line_that_names_it(
    world: WorldFactory, name: str, value: str
) -> None:
    async with world([account("a")]) as here:
        here.variables |= {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", name: value}
        code, _, error = await here.command("run")
        assert code == 2
        assert name in error
        assert "secret-of-ours" not in error
        assert len(error.strip().splitlines()) == 1

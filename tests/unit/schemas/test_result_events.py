import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from cloudevents.core.bindings import kafka
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from schemas import examples
from schemas.json_schema import document
from schemas.kinds import Kind
from schemas.outcomes import (
    ErrorCode,
    FailureError,
    Origin,
    ResultMessage,
    SednaFailed,
    SednaSynced,
    rejection_event_id,
    result_event,
    settlement_event_id,
)
from schemas.storable import MAX_TEXT_CHARACTERS, storable_json, storable_text
from schemas.trace import TraceContext

ORIGIN = Origin(event_id="e-1", topic="reservation.created", partition=3, offset=12)
NOW = datetime(2026, 5, 1, 9, 30, 0, 123_456, tzinfo=UTC)
TRACE = TraceContext(examples.TRACEPARENT, "upstream=1,other=2")
EVENT_ID = settlement_event_id(1, 1)


def synced(**changes: Any) -> SednaSynced:
    return SednaSynced(
        **{
            "kind": Kind.RESERVATION,
            "email_id": 42,
            "voucher_no": "V-1",
            "sedna_rec_id": 823259,
            "sedna_hotel_id": 18,
            "attempts": 1,
            "adopted": False,
            "message": "created",
            "origin": ORIGIN,
        }
        | changes
    )


def failed(**changes: Any) -> SednaFailed:
    return SednaFailed(
        **{
            "kind": Kind.STOP_SALE,
            "stop_sale_id": 7,
            "attempts": 0,
            "origin": ORIGIN,
            "error": FailureError(
                code=ErrorCode.HOTEL_NOT_FOUND,
                message="no such hotel",
                details={"candidates": [{"hotel_id": 18, "name": None}]},
            ),
        }
        | changes
    )


def published(
    result: SednaSynced | SednaFailed,
    *,
    tenant_id: str = "agency-7",
    time: datetime = NOW,
    trace: TraceContext | None = None,
) -> ResultMessage:
    return result_event(
        result=result,
        tenant_id=tenant_id,
        event_id=EVENT_ID,
        time=time,
        trace=trace,
    )


def test_a_synced_result_says_what_the_contract_says() -> None:
    message = published(synced())

    assert (message.type, message.key) == ("sedna.synced", b"agency-7")
    assert message.headers == [("content-type", b"application/cloudevents+json")]
    assert json.loads(message.value) == {
        "specversion": "1.0",
        "id": EVENT_ID,
        "source": "/sedna-sync",
        "type": "sedna.synced",
        "time": "2026-05-01T09:30:00.123Z",
        "datacontenttype": "application/json",
        "tenantid": "agency-7",
        "subject": "reservation/42",
        "data": {
            "kind": "reservation",
            "email_id": 42,
            "voucher_no": "V-1",
            "sedna_rec_id": 823259,
            "sedna_hotel_id": 18,
            "attempts": 1,
            "adopted": False,
            "message": "created",
            "origin": {
                "event_id": "e-1",
                "topic": "reservation.created",
                "partition": 3,
                "offset": 12,
            },
        },
    }


def test_a_failed_result_says_what_the_contract_says() -> None:
    message = published(failed())

    content = json.loads(message.value)
    assert (message.type, content["type"]) == ("sedna.failed", "sedna.failed")
    assert content["subject"] == "stop-sale/7"
    assert content["data"] == {
        "kind": "stop_sale",
        "stop_sale_id": 7,
        "attempts": 0,
        "origin": ORIGIN.model_dump(),
        "error": {
            "code": "hotel_not_found",
            "message": "no such hotel",
            "details": {"candidates": [{"hotel_id": 18, "name": None}]},
        },
    }


def test_a_result_without_details_has_an_empty_object() -> None:
    error = FailureError(code=ErrorCode.GAVE_UP, message="24 h have passed")
    assert json.loads(published(failed(error=error)).value)["data"]["error"]["details"] == {}


@pytest.mark.parametrize("kind", list(Kind))
def test_what_is_unknown_of_an_unreadable_event_is_absent(kind: Kind) -> None:
    origin = Origin(topic="reservation.created", partition=0, offset=0)
    content = json.loads(published(failed(kind=kind, stop_sale_id=None, origin=origin)).value)

    assert "subject" not in content
    assert set(content["data"]) == {"kind", "attempts", "origin", "error"}
    assert set(content["data"]["origin"]) == {"topic", "partition", "offset"}


def test_the_trace_of_the_event_is_carried_on() -> None:
    message = published(synced(), trace=TRACE)
    assert ("traceparent", examples.TRACEPARENT.encode()) in message.headers
    assert ("tracestate", b"upstream=1,other=2") in message.headers
    envelope = json.loads(message.value)
    assert envelope["traceparent"] == examples.TRACEPARENT
    assert envelope["tracestate"] == "upstream=1,other=2"


def test_a_trace_without_a_state_has_none_in_the_result() -> None:
    message = published(synced(), trace=TraceContext(examples.TRACEPARENT))
    assert "tracestate" not in dict(message.headers)
    assert "tracestate" not in json.loads(message.value)


def test_the_time_of_a_result_is_in_utc() -> None:
    istanbul = NOW.astimezone(timezone(timedelta(hours=3)))
    assert published(synced(), time=istanbul) == published(synced())


def test_the_same_answer_is_the_same_bytes() -> None:
    assert published(failed()) == published(failed())


def test_a_result_of_no_tenant_or_without_a_zone_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="the id of its tenant"):
        published(synced(), tenant_id="a b")
    with pytest.raises(ValueError, match="zone"):
        published(synced(), time=NOW.replace(tzinfo=None))


def test_the_code_of_a_failure_is_one_of_the_contract() -> None:
    with pytest.raises(ValidationError):
        FailureError.model_validate({"code": "other", "message": ""})
    assert set(ErrorCode) == {
        "invalid_event",
        "conflict",
        "hotel_not_found",
        "hotel_ambiguous",
        "room_type_unknown",
        "board_unknown",
        "refused_by_sedna",
        "tenant_not_configured",
        "superseded",
        "gave_up",
        "in_doubt_unresolved",
    }


RESULTS = [
    synced(),
    synced(kind=Kind.STOP_SALE, email_id=None, voucher_no=None, stop_sale_id=7, adopted=True),
    failed(),
    failed(stop_sale_id=None),
    failed(kind="reservation", stop_sale_id=None, email_id=42, voucher_no="V-1", attempts=3),
]


@pytest.mark.parametrize("trace", [None, TraceContext(examples.TRACEPARENT), TRACE])
@pytest.mark.parametrize("result", RESULTS)
def test_results_obey_their_published_schema(
    result: SednaSynced | SednaFailed, trace: TraceContext | None
) -> None:
    message = published(result, trace=trace)
    validator = Draft202012Validator(
        document(message.type), format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    validator.validate(json.loads(message.value))


@pytest.mark.parametrize("result", RESULTS)
def test_results_are_read_by_the_official_sdk(result: SednaSynced | SednaFailed) -> None:
    message = published(result, trace=TRACE)

    read = kafka.from_kafka_event(
        kafka.KafkaMessage(headers=dict(message.headers), key=message.key, value=message.value)
    )

    assert (read.get_id(), read.get_type()) == (EVENT_ID, message.type)
    assert read.get_source() == "/sedna-sync"
    assert read.get_time() == NOW.replace(microsecond=123_000)
    assert read.get_extension("tenantid") == "agency-7"
    assert read.get_data() == result.model_dump(mode="json", exclude_none=True)


def test_the_id_of_a_result_is_fixed_for_good() -> None:
    """Consumers recognise a second publication by it, so it may not change with a release."""
    assert settlement_event_id(12, 1) == "07904777-7487-505a-8796-cc4aa29cb6f6"
    assert (
        rejection_event_id("stopsale.created", 3, 88, b"\x01")
        == "312ec246-c45e-5d1c-90b0-ce067024263c"
    )


def test_every_settlement_and_every_rejection_has_its_own_id() -> None:
    ids = [
        *(settlement_event_id(sync, generation) for sync in (1, 11) for generation in (1, 11)),
        *(
            rejection_event_id(topic, partition, offset, digest)
            for topic in ("reservation.created", "stopsale.created")
            for partition in (1, 11)
            for offset in (1, 11)
            for digest in (b"", b"a")
        ),
    ]
    assert len(set(ids)) == len(ids)
    assert {UUID(one).version for one in ids} == {5}


def test_a_message_of_a_stranger_never_stops_a_result() -> None:
    error = FailureError(
        code=ErrorCode.REFUSED_BY_SEDNA,
        message="a\x00b\ud800" + "x" * 10_000,
        details={"sedna": "\udfff\x00", "numbers": (float("nan"), 2**70, {1, 2}), 7: NOW},
    )
    content = json.loads(published(failed(error=error)).value)["data"]["error"]

    assert content["message"].startswith("a\N{REPLACEMENT CHARACTER}b?xxx")
    assert len(content["message"]) == MAX_TEXT_CHARACTERS
    assert content["details"] == {
        "sedna": "?\N{REPLACEMENT CHARACTER}",
        "numbers": [None, hex(2**70), [1, 2]],
        "7": str(NOW),
    }


def test_a_text_that_can_be_stored_is_left_as_it_is() -> None:
    assert storable_text("Şirin Otel & 日本 🏨") == "Şirin Otel & 日本 🏨"
    assert storable_text("x" * MAX_TEXT_CHARACTERS) == "x" * MAX_TEXT_CHARACTERS


def test_details_of_any_depth_and_length_are_bounded() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert len(json.dumps(storable_json(deep))) < 100
    assert len(storable_json(list(range(100_000)))) == 500
    while deep:  # taken apart step by step: some Pythons cannot free so deep a list at once
        deep = deep[0]


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
        max_leaves=20,
    )
)
def test_any_details_can_be_published(value: object) -> None:
    error = FailureError(
        code=ErrorCode.REFUSED_BY_SEDNA, message="refused", details={"sedna": value}
    )
    text = published(failed(error=error)).value.decode()
    assert "\\u0000" not in text
    json.loads(text, parse_constant=pytest.fail)

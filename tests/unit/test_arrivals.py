"""Whatever bytes come, an arrival or a rejection comes of them, and a rejection keeps them all."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.arrivals import Readable, Record, Unreadable, digest, fingerprint, read
from db.records import Origin
from schemas import examples
from schemas.inbound import DATA_OF, content_hash
from schemas.kinds import Kind
from schemas.outcomes import ErrorCode
from schemas.trace import TraceContext

ORIGIN = Origin(topic="reservation.created", partition=3, offset=1207)
EXAMPLES = {
    Kind.RESERVATION: examples.reservation_created,
    Kind.STOP_SALE: examples.stop_sale_created,
}


def record(
    event: dict[str, Any] | bytes | None,
    *,
    kind: Kind = Kind.RESERVATION,
    key: bytes | None = examples.TENANT_ID.encode(),
    headers: tuple[tuple[str, bytes], ...] = (),
) -> Record:
    return Record(
        kind=kind,
        origin=ORIGIN,
        timestamp=datetime(2026, 5, 1, 9, 30, tzinfo=UTC),
        key=key,
        value=json.dumps(event).encode() if isinstance(event, dict) else event,
        headers=headers,
    )


def unreadable(of: Record) -> Unreadable:
    event = read(of)
    assert isinstance(event, Unreadable)
    return event


def test_a_reservation_is_stored_with_its_voucher_as_identity_and_as_lane() -> None:
    event = examples.reservation_created()
    came = read(record(event, headers=(("traceparent", examples.TRACEPARENT.encode()),)))
    assert isinstance(came, Readable)
    arrival = came.arrival
    assert arrival.identity == (examples.TENANT_ID, "reservation", "JNP123456")
    assert arrival.lane == "voucher:JNP123456"
    assert (arrival.email_id, arrival.voucher_no, arrival.stop_sale_id) == (42, "JNP123456", None)
    assert arrival.event_id == event["id"]
    assert arrival.event_time == datetime(2026, 5, 1, 9, 30, tzinfo=UTC)
    assert arrival.trace == TraceContext(examples.TRACEPARENT)
    assert arrival.origin == ORIGIN


def test_a_stop_sale_is_stored_with_its_id_as_identity_and_no_lane_before_its_hotel_is_known() -> (
    None
):
    came = read(record(examples.stop_sale_created(), kind=Kind.STOP_SALE))
    assert isinstance(came, Readable)
    arrival = came.arrival
    assert arrival.identity == (examples.TENANT_ID, "stop_sale", "7")
    assert arrival.lane is None
    assert (arrival.email_id, arrival.voucher_no, arrival.stop_sale_id) == (43, None, 7)


@pytest.mark.parametrize("kind", Kind)
def test_what_is_stored_reads_back_as_what_came(kind: Kind) -> None:
    came = read(record(EXAMPLES[kind](), kind=kind))
    assert isinstance(came, Readable)
    assert DATA_OF[kind].from_json(came.arrival.payload) == came.data
    assert came.arrival.content_hash == content_hash(came.data)


def test_a_rejection_keeps_the_record_byte_for_byte_and_says_what_is_wrong() -> None:
    event = examples.reservation_created()
    event["data"]["check_out"] = event["data"]["check_in"]
    came = record(event, headers=(("x-odd", b"\x00\xff"), ("x-odd", b"")))
    rejected = unreadable(came)
    rejection = rejected.rejection
    assert (rejection.key, rejection.value, rejection.headers) == (
        came.key,
        came.value,
        came.headers,
    )
    assert (rejection.origin, rejection.timestamp) == (came.origin, came.timestamp)
    assert rejection.error_code == ErrorCode.INVALID_EVENT
    assert "check_out" in rejection.error_message
    assert rejection.error_details is not None
    assert json.loads(rejection.error_details) == {"problems": list(rejected.details)}
    assert rejected.details[0]["field"] == "data.check_out"


def test_a_rejection_names_whom_and_what_it_was_about_where_that_can_be_told() -> None:
    event = examples.reservation_created()
    del event["data"]["hotel_name"]
    rejected = unreadable(record(event))
    assert rejected.item_id == 42
    assert rejected.rejection.tenant_id == examples.TENANT_ID
    assert rejected.rejection.event_id == event["id"]


def test_a_rejection_whose_key_is_no_tenant_names_none() -> None:
    assert unreadable(record(b"{}", key=b"no tenant!")).rejection.tenant_id is None


def test_an_event_that_claims_another_tenant_than_its_key_is_rejected() -> None:
    rejected = unreadable(record(examples.reservation_created(), key=b"agency-8"))
    assert rejected.rejection.tenant_id == "agency-8"


def test_a_tombstone_is_rejected() -> None:
    assert unreadable(record(None)).rejection.value is None


BASE = Record(
    kind=Kind.RESERVATION,
    origin=ORIGIN,
    timestamp=datetime(2026, 5, 1, tzinfo=UTC),
    key=b"key",
    value=b"value",
    headers=(("name", b"one"), ("other", b"two")),
)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(BASE, timestamp=None), id="no timestamp"),
        pytest.param(
            replace(BASE, timestamp=datetime(2026, 5, 1, 0, 0, 0, 1, tzinfo=UTC)),
            id="another timestamp",
        ),
        pytest.param(replace(BASE, key=None), id="no key"),
        pytest.param(replace(BASE, key=b""), id="an empty key"),
        pytest.param(replace(BASE, value=None), id="no value"),
        pytest.param(replace(BASE, value=b""), id="an empty value"),
        pytest.param(replace(BASE, key=b"keyv", value=b"alue"), id="key and value"),
        pytest.param(
            replace(BASE, value=b"valuename", headers=(("", b"one"), ("other", b"two"))),
            id="value and header",
        ),
        pytest.param(
            replace(BASE, headers=(("nameo", b"ne"), ("other", b"two"))), id="name and content"
        ),
        pytest.param(
            replace(BASE, headers=(("name", b"oneother"), ("", b"two"))), id="two headers"
        ),
        pytest.param(replace(BASE, headers=(("other", b"two"), ("name", b"one"))), id="order"),
        pytest.param(replace(BASE, headers=BASE.headers[:1]), id="a header less"),
        pytest.param(replace(BASE, headers=(*BASE.headers, ("", b""))), id="an empty header more"),
    ],
)
def test_records_that_differ_anywhere_have_different_digests(other: Record) -> None:
    assert digest(other) != digest(BASE)


def test_the_place_in_the_topic_is_no_part_of_the_digest() -> None:
    assert digest(replace(BASE, origin=replace(ORIGIN, offset=0))) == digest(BASE)


parts = st.sampled_from([b"", b"-", b"0:", b"1:", b"a", b"1:a", b"2:aa", b"\x00"])
records = st.builds(
    lambda key, value, headers: replace(BASE, key=key, value=value, headers=tuple(headers)),
    st.none() | parts,
    st.none() | parts,
    st.lists(st.tuples(parts.map(bytes.decode), parts), max_size=2),
)


@given(records, records)
def test_no_two_records_share_a_digest_because_bytes_moved_from_part_to_part(
    one: Record, other: Record
) -> None:
    assert (digest(one) == digest(other)) == (one == other)


@st.composite
def damaged_events(draw: st.DrawFn) -> tuple[Kind, bytes]:
    kind = draw(st.sampled_from(Kind))
    value = bytearray(json.dumps(EXAMPLES[kind]()).encode())
    start = draw(st.integers(min_value=0, max_value=len(value)))
    value[start : start + draw(st.integers(0, 5))] = draw(st.binary(max_size=5))
    return kind, bytes(value)


header_names = st.text(max_size=8) | st.sampled_from(["content-type", "ce_id", "ce_type"])
header_lists = st.lists(st.tuples(header_names, st.binary(max_size=8)), max_size=4)
keys = st.sampled_from([None, b"", b"agency-7", b"\xff"])
random_events = st.tuples(st.sampled_from(Kind), st.none() | st.binary(max_size=50))


@given(damaged_events() | random_events, keys, header_lists)
def test_every_record_is_readable_or_rejected_with_all_its_bytes(
    event: tuple[Kind, bytes | None], key: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    kind, value = event
    came = record(value, kind=kind, key=key, headers=tuple(headers))
    match read(came):
        case Readable(arrival=arrival):
            assert arrival.tenant_id.encode() == key
            assert arrival.kind is kind
        case Unreadable(rejection=rejection):
            assert (rejection.key, rejection.value) == (key, value)
            assert rejection.headers == tuple(headers)
            assert rejection.digest == digest(came)
            # Postgres stores neither NULs nor lone surrogates in texts.
            for text in (rejection.error_message, rejection.error_details, rejection.event_id):
                assert text is None or "\x00" not in text
                assert text is None or text.encode()


def test_an_event_keeps_its_fingerprint_wherever_it_stands_in_kafka() -> None:
    came = record(examples.reservation_created(), headers=(("content-type", b"x"),))
    elsewhere = replace(came, origin=replace(ORIGIN, offset=9), timestamp=None)
    ours = fingerprint(came.key, came.value, came.headers)
    assert fingerprint(elsewhere.key, elsewhere.value, elsewhere.headers) == ours
    assert len(ours) == 16


@given(
    st.lists(st.tuples(st.binary(max_size=3), st.binary(max_size=3)), min_size=2, max_size=2),
    st.lists(st.tuples(st.text(max_size=3), st.binary(max_size=3)), max_size=2),
)
def test_other_bytes_have_another_fingerprint_also_where_they_only_moved(
    pairs: list[tuple[bytes, bytes]], headers: list[tuple[str, bytes]]
) -> None:
    (key, value), (other_key, other_value) = pairs
    named = tuple(headers)
    same = (key, value) == (other_key, other_value)
    assert (fingerprint(key, value, named) == fingerprint(other_key, other_value, named)) is same
    assert fingerprint(key, value, named) != fingerprint(key, value, (*named, ("", b"")))

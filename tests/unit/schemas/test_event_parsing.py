"""Reading valid and invalid messages: both content modes, whose they are, what is salvaged."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings import kafka
from cloudevents.core.v1.event import CloudEvent

from schemas import examples
from schemas.envelope import InboundEvent, InvalidEvent, parse_event
from schemas.inbound import ReservationCreated, StopSaleCreated
from schemas.kinds import Kind
from schemas.problems import MAX_PROBLEM_CHARACTERS, MAX_PROBLEMS
from schemas.reading import MAX_EVENT_BYTES
from schemas.trace import TraceContext

Headers = list[tuple[str, bytes]]

KEY = examples.TENANT_ID.encode()
TRACE = examples.TRACEPARENT
OTHER_TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
STRUCTURED: Headers = [("content-type", b"application/cloudevents+json")]


def event(**changes: Any) -> dict[str, Any]:
    return examples.reservation_created() | changes


def with_data(**changes: Any) -> dict[str, Any]:
    changed = examples.reservation_created()
    changed["data"] |= changes
    return changed


def without(name: str) -> dict[str, Any]:
    changed = examples.reservation_created()
    del changed[name]
    return changed


def parse(
    content: dict[str, Any] | bytes | None,
    *,
    key: bytes | None = KEY,
    headers: Headers = STRUCTURED,
    kind: Kind = Kind.RESERVATION,
) -> InboundEvent:
    value = json.dumps(content).encode() if isinstance(content, dict) else content
    return parse_event(kind, key=key, value=value, headers=headers)


def refuse(
    content: dict[str, Any] | bytes | None,
    *,
    key: bytes | None = KEY,
    headers: Headers = STRUCTURED,
    kind: Kind = Kind.RESERVATION,
) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as caught:
        parse(content, key=key, headers=headers, kind=kind)
    return caught.value


def fields(invalid: InvalidEvent) -> list[str]:
    return [found["field"] for found in invalid.details]


def binary(content: dict[str, Any], **more: str) -> tuple[bytes, Headers]:
    attributes = {
        name: value
        for name, value in (content | more).items()
        if name not in {"data", "datacontenttype"}
    }
    return json.dumps(content["data"]).encode(), [
        (f"ce_{name}", value.encode()) for name, value in attributes.items()
    ]


def test_a_structured_event_is_read_whole() -> None:
    read = parse(event(traceparent=TRACE))

    assert read == InboundEvent(
        id="0f8d8ac2-5b0c-4a53-9f5d-0d7a2d6f9a10",
        type="reservation.created",
        source="/mail-parser",
        time=datetime(2026, 5, 1, 9, 30, tzinfo=UTC),
        tenant_id="agency-7",
        subject="reservation/42",
        trace=TraceContext(TRACE),
        data=ReservationCreated.from_json(json.dumps(event()["data"])),
    )


def test_a_stop_sale_is_read_from_its_topic() -> None:
    read = parse(examples.stop_sale_created(), kind=Kind.STOP_SALE)
    assert isinstance(read.data, StopSaleCreated)
    assert read.data.stop_sale_id == 7


@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents+json",
        "application/cloudevents+json; charset=utf-8",
        "application/cloudevents+json;charset=UTF-8",
        'Application/CloudEvents+JSON; charset="utf-8"',
    ],
)
@pytest.mark.parametrize("name", ["content-type", "Content-Type", "CONTENT-TYPE"])
def test_structured_mode_is_told_by_the_content_type(name: str, content_type: str) -> None:
    assert parse(event(), headers=[(name, content_type.encode())]) == parse(event())


def test_structured_mode_is_assumed_where_the_content_type_is_missing() -> None:
    assert parse(event(), headers=[]) == parse(event())
    assert parse(event(), headers=[("content-type-of-others", b"x")]) == parse(event())


def test_the_content_type_of_structured_mode_wins_over_ce_headers() -> None:
    """The binding allows a producer to repeat the attributes as headers."""
    _, attributes = binary(event(), id="another")
    assert parse(event(), headers=[*STRUCTURED, *attributes]) == parse(event())


@pytest.mark.parametrize(
    "content_type", [None, b"application/json", b"application/json; charset=utf-8"]
)
def test_a_binary_event_is_the_same_as_a_structured_one(content_type: bytes | None) -> None:
    value, headers = binary(event())
    if content_type is not None:
        headers.append(("content-type", content_type))
    assert parse(value, headers=headers) == parse(event())


def test_names_of_binary_headers_are_case_insensitive() -> None:
    value, headers = binary(event())
    assert parse(value, headers=[(name.upper(), text) for name, text in headers]) == parse(event())


def test_values_of_binary_headers_are_not_percent_decoded() -> None:
    value, headers = binary(event(id="a%20b"))
    assert parse(value, headers=headers).id == "a%20b"


def test_a_binary_value_that_repeats_attributes_changes_nothing() -> None:
    content = with_data(tenantid="other", type="other")
    value, headers = binary(content)
    assert parse(value, headers=headers).tenant_id == "agency-7"


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_events_of_the_official_sdk_are_read_in_both_modes(mode: str) -> None:
    attributes = {
        "id": "1",
        "source": "/sdk",
        "type": "reservation.created",
        "time": datetime(2026, 5, 1, tzinfo=UTC),
        "tenantid": "agency-7",
        "datacontenttype": "application/json",
    }
    made = CloudEvent(attributes, event()["data"])
    message = kafka.to_binary_event(made) if mode == "binary" else kafka.to_structured_event(made)

    read = parse(message.value, headers=list(message.headers.items()))

    assert (read.id, read.source, read.time) == ("1", "/sdk", datetime(2026, 5, 1, tzinfo=UTC))
    assert read.data == parse(event()).data


@pytest.mark.parametrize(
    "content_type",
    [
        b"",
        b"text/plain",
        b"application/cloudevents+avro",
        b"application/cloudevents-batch+json",
        b"application/cloudevents+json; charset=utf-16",
        b"application/json; charset=latin1",
        b"application/cloudevents+jsonx",
        b"\xff",
    ],
)
def test_any_other_content_type_is_invalid(content_type: bytes) -> None:
    invalid = refuse(event(), headers=[("content-type", content_type)])
    assert fields(invalid) == ["content-type"]
    assert invalid.item_id == 42


def test_plain_json_without_ce_headers_is_no_event() -> None:
    invalid = refuse(event(), headers=[("content-type", b"application/json")])
    assert {"specversion", "id", "source", "type", "tenantid"} <= set(fields(invalid))


def test_a_header_that_comes_twice_must_say_the_same() -> None:
    value, headers = binary(event())
    assert parse(value, headers=[*headers, *headers]) == parse(event())
    invalid = refuse(value, headers=[*headers, ("ce_tenantid", b"other")])
    assert "ce_tenantid" in fields(invalid)
    twice = refuse(event(), headers=[*STRUCTURED, ("content-type", b"text/plain")])
    assert fields(twice) == ["content-type"]


def test_a_header_that_is_not_utf_8_is_invalid() -> None:
    value, headers = binary(without("subject"))
    assert fields(refuse(value, headers=[*headers, ("ce_subject", b"\xff")])) == ["ce_subject"]
    others = [("ce_other", b"\xff"), ("x", b"\xff")]
    assert parse(value, headers=[*headers, *others]) == parse(without("subject"))


def test_data_may_come_as_base64() -> None:
    content = without("data")
    content["data_base64"] = base64.b64encode(json.dumps(event()["data"]).encode()).decode()
    assert parse(content) == parse(event())


@pytest.mark.parametrize("text", ["?", "e30", "ş", 7, [], True])
def test_base64_that_is_none_is_invalid(text: object) -> None:
    assert fields(refuse(without("data") | {"data_base64": text})) == ["data_base64"]


@pytest.mark.parametrize("content", [b"[]", b"7", b"null", b"{", b"\xff", b""])
def test_base64_of_anything_but_an_object_is_invalid(content: bytes) -> None:
    encoded = base64.b64encode(content).decode()
    invalid = refuse(without("data") | {"data_base64": encoded})
    assert set(fields(invalid)) == {"data"}


def test_data_in_both_forms_is_invalid() -> None:
    assert fields(refuse(event(data_base64="e30="))) == ["data_base64"]


def test_an_invalid_base64_event_names_its_reservation() -> None:
    data = json.dumps(event()["data"] | {"adults": 0}).encode()
    invalid = refuse(without("data") | {"data_base64": base64.b64encode(data).decode()})
    assert (fields(invalid), invalid.item_id) == (["data.adults"], 42)


@pytest.mark.parametrize("data", [None, [], "{}", 7, True])
def test_data_must_be_an_object(data: object) -> None:
    assert fields(refuse(event(data=data))) == ["data"]
    value, headers = binary(event(data=data))
    assert fields(refuse(value, headers=headers)) == ["data"]


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type", "tenantid", "data"])
def test_a_required_attribute_may_not_be_absent(name: str) -> None:
    assert fields(refuse(without(name))) == [name]


@pytest.mark.parametrize(
    "changes",
    [
        {"specversion": "0.3"},
        {"specversion": 1.0},
        {"id": ""},
        {"id": 7},
        {"id": "x" * 256},
        {"id": "a\x00"},
        {"source": ""},
        {"source": None},
        {"subject": ""},
        {"subject": 7},
        {"tenantid": "a b"},
        {"tenantid": 7},
        {"tenantid": None},
        {"type": 7},
    ],
)
def test_an_attribute_of_a_wrong_form_is_invalid(changes: dict[str, Any]) -> None:
    assert fields(refuse(event(**changes))) == list(changes)


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-01T09:30:00Z",
        "2026-05-01t09:30:00z",
        "2026-05-01T12:30:00+03:00",
        "2026-05-01T09:30:00.000000000Z",
    ],
)
def test_a_time_is_rfc_3339(text: str) -> None:
    assert parse(event(time=text)).time == datetime(2026, 5, 1, 9, 30, tzinfo=UTC)
    value, headers = binary(event(time=text))
    assert parse(value, headers=headers) == parse(event(time=text))


@pytest.mark.parametrize(
    "value",
    [
        "2026-05-01T09:30:00",
        "2026-05-01",
        "2026-05-01 09:30:00Z",
        "1777627800",
        1777627800,
        "yesterday",
        "",
        "2026-13-01T09:30:00Z",
        "2026-05-01T25:30:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_nothing_else_is_a_time(value: object) -> None:
    assert fields(refuse(event(time=value))) == ["time"]


def test_time_and_subject_may_be_absent_or_null() -> None:
    assert parse(event(time=None, subject=None)).time is None
    assert parse(without("time")).time is None
    assert parse(without("subject")).subject is None


def test_a_trace_comes_from_the_header_before_the_attribute() -> None:
    header, ours = ("TraceParent", OTHER_TRACE.encode()), TraceContext(OTHER_TRACE)
    assert parse(event(), headers=[*STRUCTURED, header]).trace == ours
    attributes = event(traceparent=TRACE, tracestate="a=1")
    assert parse(attributes, headers=[*STRUCTURED, header]).trace == ours
    assert parse(attributes).trace == TraceContext(TRACE, "a=1")
    value, headers = binary(attributes)
    assert parse(value, headers=headers).trace == TraceContext(TRACE, "a=1")


def test_the_state_of_a_trace_comes_with_it() -> None:
    state = ("TraceState", b"upstream=1, other=2")
    headers = [*STRUCTURED, ("traceparent", TRACE.encode()), state]
    assert parse(event(), headers=headers).trace == TraceContext(TRACE, "upstream=1,other=2")
    assert parse(event(), headers=[*STRUCTURED, state]).trace is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        TRACE.upper(),
        TRACE + "\n",
        TRACE + "-00",
        "ff" + TRACE[2:],
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
    ],
)
def test_a_trace_of_another_form_is_left_out(text: str) -> None:
    assert parse(event(traceparent=text)).trace is None
    header = ("traceparent", text.encode())
    assert parse(event(), headers=[*STRUCTURED, header]).trace is None


def test_a_trace_that_is_no_text_or_comes_twice_is_left_out() -> None:
    assert parse(event(traceparent=[{"a": 1}])).trace is None
    twice = [("traceparent", TRACE.encode()), ("traceparent", OTHER_TRACE.encode())]
    assert parse(event(), headers=[*STRUCTURED, *twice]).trace is None
    assert parse(event(), headers=[*STRUCTURED, ("traceparent", b"\xff")]).trace is None


def test_a_trace_that_cannot_be_read_makes_no_event_invalid() -> None:
    value, headers = binary(event())
    for name in ("ce_traceparent", "ce_tracestate"):
        assert parse(value, headers=[*headers, (name, b"\xff")]).trace is None
        assert parse(value, headers=[*headers, (name, b"1"), (name, b"2")]).trace is None
    with_state = [*STRUCTURED, ("traceparent", TRACE.encode())]
    for state in (b"\xff", b"no list", b"a=1,b"):
        read = parse(event(), headers=[*with_state, ("tracestate", state)])
        assert read.trace == TraceContext(TRACE)
    twice = [*with_state, ("tracestate", b"a=1"), ("tracestate", b"a=2")]
    assert parse(event(), headers=twice).trace == TraceContext(TRACE)


@pytest.mark.parametrize(
    "key", [None, b"", b"a b", b"x" * 65, b"\xff", "ş".encode(), b"agency-7\n"]
)
def test_the_key_must_be_a_tenant_id(key: bytes | None) -> None:
    invalid = refuse(event(), key=key)
    assert fields(invalid) == ["key"]
    assert (invalid.tenant_id, invalid.item_id) == (None, None)


@pytest.mark.parametrize("key", [b"agency-8", b"AGENCY-7", b"agency-70"])
def test_an_event_of_another_tenant_than_its_key_is_invalid(key: bytes) -> None:
    invalid = refuse(event(), key=key)
    assert fields(invalid) == ["tenantid"]
    assert invalid.tenant_id == key.decode()
    value, headers = binary(event())
    assert fields(refuse(value, key=key, headers=headers)) == ["tenantid"]


def test_the_item_of_another_tenant_is_not_told() -> None:
    assert refuse(event(), key=b"agency-8").item_id is None
    assert refuse(event(tenantid=["agency-7"])).item_id is None


@pytest.mark.parametrize("key", [b"agency-7", b"other"])
def test_a_tenant_named_twice_never_slips_past_the_key(key: bytes) -> None:
    twice = json.dumps(event()).replace('"tenantid":', '"tenantid": "other", "tenantid":')
    try:
        read = parse(twice.encode(), key=key)
    except InvalidEvent as invalid:
        assert invalid.tenant_id == key.decode()  # noqa: PT017 - either outcome keeps the promise
    else:
        assert read.tenant_id == key.decode()


def test_an_event_of_another_type_is_told_in_one_problem() -> None:
    invalid = refuse(examples.stop_sale_created())
    assert fields(invalid) == ["type"]
    assert invalid.message == "type: must be reservation.created in this topic"
    assert refuse(event(type="com.example.other")).item_id == 42


@pytest.mark.parametrize("value", [None, b""])
def test_a_tombstone_is_invalid(value: bytes | None) -> None:
    assert fields(refuse(value)) == ["value"]
    _, headers = binary(event())
    invalid = refuse(value, headers=headers)
    assert invalid.event_id == event()["id"]


@pytest.mark.parametrize(
    "value",
    [
        b"null",
        b"[]",
        b"7",
        b'"text"',
        b"{",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"NaN",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 10_000,
        b'{"id": "\xff"}',
        b"\x00" * 100,
    ],
)
def test_what_is_no_json_object_is_invalid(value: bytes) -> None:
    invalid = refuse(value)
    assert invalid.tenant_id == "agency-7"
    assert (invalid.event_id, invalid.item_id) == (None, None)
    assert refuse(value, headers=binary(event())[1]).event_id == event()["id"]


def test_the_largest_event_is_read_and_a_larger_one_is_not() -> None:
    bare = len(json.dumps(event(filler="")).encode())
    largest = json.dumps(event(filler="x" * (MAX_EVENT_BYTES - bare))).encode()
    assert parse(largest).id == event()["id"]
    assert refuse(largest + b" ").message == f"value: is larger than {MAX_EVENT_BYTES} bytes"


def test_numbers_that_are_none_do_not_matter_in_unknown_fields() -> None:
    value = json.dumps(event(unknown=[float("nan"), float("inf")])).encode()
    assert parse(value).id == event()["id"]


@pytest.mark.parametrize(
    "value, expected",
    [
        (42, 42),
        (0, 0),
        (2**63 - 1, 2**63 - 1),
        (2**63, None),
        (-1, None),
        ("42", None),
        (True, None),
        (42.0, None),
        (None, None),
    ],
)
def test_the_id_of_the_item_is_salvaged_where_it_can_be_read(
    value: object, expected: int | None
) -> None:
    assert refuse(with_data(email_id=value, adults=0)).item_id == expected


def test_the_id_of_a_stop_sale_is_salvaged() -> None:
    content = examples.stop_sale_created()
    content["data"]["is_close"] = None
    invalid = refuse(content, kind=Kind.STOP_SALE)
    assert invalid.item_id == 7


def test_an_event_with_half_a_surrogate_pair_still_names_its_reservation() -> None:
    invalid = refuse(event(comment="\ud83d", traceparent=TRACE))
    assert invalid.item_id == 42
    assert invalid.event_id == event()["id"]
    assert invalid.trace == TraceContext(TRACE)


def test_an_event_without_a_tenant_still_names_its_reservation() -> None:
    assert refuse(without("tenantid")).item_id == 42


def test_an_id_that_cannot_be_stored_is_not_salvaged() -> None:
    for wrong in ("\ud800", "a\x00", "x" * 256, "", 7):
        assert refuse(event(id=wrong)).event_id is None


def test_a_problem_names_the_field_and_says_what_it_must_be() -> None:
    content = with_data(check_in="2026-07-08", adults=0)
    content["data"]["guests"][1]["first_name"] = " "

    invalid = refuse(content)

    assert invalid.details == (
        {"field": "data.check_out", "problem": "must be after check_in"},
        {"field": "data.adults", "problem": "Input should be greater than or equal to 1"},
        {
            "field": "data.guests.1.first_name",
            "problem": "String should have at least 1 character",
        },
    )
    assert invalid.message == "data.check_out: must be after check_in (and 2 more problems)"


def test_a_wrong_pattern_is_explained_in_words() -> None:
    invalid = refuse(with_data(currency="eur", hotel_name="a\x00"))
    assert [found["problem"] for found in invalid.details] == [
        "must not be blank or contain NUL characters",
        "must be three capital letters (ISO 4217)",
    ]


def test_problems_are_the_same_in_binary_mode() -> None:
    content = with_data(adults=0)
    value, headers = binary(content)
    invalid, same = refuse(content), refuse(value, headers=headers)
    assert (invalid.details, invalid.item_id) == (same.details, same.item_id)


def test_problems_are_few_and_short() -> None:
    invalid = refuse(with_data(guests=[{}] * 100, hotel_name=7))
    assert len(invalid.details) == MAX_PROBLEMS
    assert all(len(found["problem"]) <= MAX_PROBLEM_CHARACTERS for found in invalid.details)
    assert (
        invalid.message == "data.hotel_name: Input should be a valid string (and 200 more problems)"
    )


def test_nothing_of_the_event_is_repeated() -> None:
    secret = "SECRET-77"
    content = with_data(**dict.fromkeys(event()["data"], secret), **{secret: secret}) | {
        "specversion": secret,
        "time": secret,
        "data_base64": secret,
        "type": "reservation.created",
    }
    for invalid in (
        refuse(content),
        refuse(content | {"data": secret, "type": secret}),
        refuse(f'{{"{secret}": {secret}}}'.encode()),
        refuse(event(), headers=[("content-type", secret.encode())]),
    ):
        assert secret not in invalid.message
        assert secret not in str(invalid.details)
        assert secret not in repr(invalid)

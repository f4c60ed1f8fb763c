"""Whatever comes, `parse_event` gives an event of the key's tenant, or `InvalidEvent`."""

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas import examples
from schemas.envelope import InvalidEvent, parse_event
from schemas.headers import Mode
from schemas.inbound import content_hash, to_json
from schemas.kinds import Kind, is_tenant_id
from schemas.problems import MAX_PROBLEMS

kinds = st.sampled_from(Kind)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
keys = st.one_of(st.none(), st.binary(max_size=70), st.just(b"agency-7"))
headers = st.lists(
    st.tuples(
        st.one_of(
            st.text(max_size=12),
            st.sampled_from(
                [
                    *("content-type", "traceparent", "tracestate"),
                    *("ce_id", "ce_type", "ce_tenantid", "CE_time"),
                ]
            ),
        ),
        st.one_of(
            st.binary(max_size=12),
            st.sampled_from(
                [b"application/json", b"application/cloudevents+json", b"1.0", b"agency-7"]
            ),
        ),
    ),
    max_size=6,
)


def check(
    kind: Kind, key: bytes | None, value: bytes | None, given_headers: list[tuple[str, bytes]]
) -> None:
    try:
        read = parse_event(kind, key=key, value=value, headers=given_headers)
    except InvalidEvent as invalid:
        assert invalid.message  # noqa: PT017 - either outcome keeps the promise
        assert 1 <= len(invalid.details) <= MAX_PROBLEMS  # noqa: PT017
        assert all(set(found) == {"field", "problem"} for found in invalid.details)  # noqa: PT017
        storable([invalid.message, invalid.details, invalid.event_id, invalid.tenant_id])
    else:
        assert key is not None
        assert read.tenant_id == key.decode()
        assert is_tenant_id(read.tenant_id)
        storable(
            [
                read.id,
                read.source,
                read.subject,
                read.trace and read.trace.fields(),
                to_json(read.data),
            ]
        )
        content_hash(read.data)


def storable(content: object) -> None:
    text = json.dumps(content, ensure_ascii=False)
    assert "\\u0000" not in text
    text.encode()


@given(kind=kinds, key=keys, value=st.none() | st.binary(), given_headers=headers)
@example(kind=Kind.RESERVATION, key=None, value=None, given_headers=[])
def test_any_bytes_are_an_event_or_invalid(
    kind: Kind, key: bytes | None, value: bytes | None, given_headers: list[tuple[str, bytes]]
) -> None:
    check(kind, key, value, given_headers)


@given(kind=kinds, value=json_values, given_headers=headers)
def test_any_json_is_an_event_or_invalid(
    kind: Kind, value: object, given_headers: list[tuple[str, bytes]]
) -> None:
    check(kind, b"agency-7", json.dumps(value).encode(), given_headers)


EXAMPLE = {
    Kind.RESERVATION: examples.reservation_created,
    Kind.STOP_SALE: examples.stop_sale_created,
}


def places(content: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path] if path else []
    items: list[tuple[str | int, Any]] = []
    if isinstance(content, dict):
        items = list(content.items())
    elif isinstance(content, list):
        items = list(enumerate(content))
    for name, inner in items:
        found += places(inner, (*path, name))
    return found


@st.composite
def damaged_events(draw: st.DrawFn) -> tuple[Kind, dict[str, Any]]:
    kind = draw(kinds)
    content = EXAMPLE[kind]()
    for _ in range(draw(st.integers(0, 2))):
        *parents, last = draw(st.sampled_from(places(content)))
        target: Any = content
        for name in parents:
            target = target[name]
        if draw(st.booleans()):
            target[last] = draw(json_values | st.sampled_from(["\ud800", "a\x00", 2**64, "9" * 60]))
        else:
            del target[last]
    return kind, content


@settings(max_examples=300)
@given(
    damaged=damaged_events(),
    mode=st.sampled_from([Mode.STRUCTURED, Mode.BINARY]),
    cut=st.none() | st.integers(0, 900),
)
def test_a_damaged_event_is_an_event_or_invalid(
    damaged: tuple[Kind, dict[str, Any]],
    mode: Mode,
    cut: int | None,
) -> None:
    kind, content = damaged
    if mode is Mode.BINARY:
        carried = [
            (f"ce_{name}", value.encode(errors="surrogatepass"))
            for name, value in content.items()
            if isinstance(value, str)
        ]
        check(kind, b"agency-7", json.dumps(content.get("data")).encode()[:cut], carried)
    else:
        check(kind, b"agency-7", json.dumps(content).encode()[:cut], [])

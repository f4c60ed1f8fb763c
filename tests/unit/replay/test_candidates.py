"""The guess at an event's row is right for what publishers write, and never raises."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.replay.candidates import business_key
from schemas.kinds import Kind
from tests.support.events import reservation_data, stop_sale_data


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_the_key_of_an_event_is_found_as_publishers_write_it(separators: tuple[str, str]) -> None:
    made = json.dumps({"data": reservation_data(7)}, separators=separators).encode()
    assert business_key(Kind.RESERVATION, made) == "V000007"
    made = json.dumps({"data": stop_sale_data(42)}, separators=separators).encode()
    assert business_key(Kind.STOP_SALE, made) == "42"


def test_a_voucher_is_found_as_the_row_has_it_without_spaces_around_and_in_any_script() -> None:
    value = json.dumps({"voucher_no": " ŞİŞ-1 "}, ensure_ascii=False).encode()
    assert business_key(Kind.RESERVATION, value) == "ŞİŞ-1"


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{}",
        b'{"voucher_no": 7}',
        b'{"voucher_no": "a\\u0041"}',
        b'{"voucher_no": "a\x00b"}',
        b'{"voucher_no": "\xff"}',
        b'{"voucher_no": ""}',
    ],
)
def test_what_only_a_parser_can_read_is_left_to_it(value: bytes | None) -> None:
    assert business_key(Kind.RESERVATION, value) is None


@given(st.sampled_from(Kind), st.binary(max_size=60))
def test_no_bytes_are_too_odd_for_it(kind: Kind, rubbish: bytes) -> None:
    for value in (rubbish, b'"voucher_no":"' + rubbish + b'"', b'"stop_sale_id":' + rubbish):
        found = business_key(kind, value)
        assert found is None or "\x00" not in found

"""Whether a record in Sedna is the one that a lost reply may have made."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from consumer.sedna.lists import ReservationRecord, StopSaleRecord
from consumer.sedna.recognise import reservation_matches, stop_sale_matches

RESERVATION = ReservationRecord(
    rec_id=1,
    voucher="JNP1",
    source_id="sedna-sync-42",
    hotel_id=18,
    check_in=date(2026, 5, 1),
    check_out=date(2026, 5, 8),
)
STOP_SALE = StopSaleRecord(
    rec_id=1,
    hotel_id=18,
    begin=date(2026, 5, 1),
    end=date(2026, 5, 31),
    stop_type=0,
    room_remark="A,B",
    board_remark="",
    operator_remark="7STAR,",
    record_user="sedna-sync:7",
    room_type_ids=(),
    board_ids=(),
    operator_ids=(),
)


def is_ours(record: ReservationRecord) -> bool:
    return reservation_matches(
        record,
        voucher="JNP1",
        source_id="sedna-sync-42",
        hotel_id=18,
        check_in=date(2026, 5, 1),
        check_out=date(2026, 5, 8),
    )


def is_our_stop_sale(record: StopSaleRecord) -> bool:
    return stop_sale_matches(
        record,
        hotel_id=18,
        begin=date(2026, 5, 1),
        end=date(2026, 5, 31),
        stop_type=0,
        room_remark="A,B",
        board_remark="",
        record_user="sedna-sync:7",
    )


@pytest.mark.parametrize(
    "changes, ours",
    [
        ({}, True),
        ({"voucher": " jnp1 "}, True),
        ({"source_id": None}, True),
        ({"source_id": "typed in"}, True),
        ({"hotel_id": 28}, True),  # our own, moved by a person
        ({"voucher": None}, True),
        ({"hotel_id": None, "check_in": None, "check_out": None, "source_id": None}, True),
        ({"voucher": "JNP12"}, False),
        ({"voucher": "JNP"}, False),
        ({"voucher": None, "source_id": "sedna-sync-4"}, False),
        ({"voucher": "OTHER", "source_id": "sedna-sync-42"}, False),
        ({"source_id": "sedna-sync-421", "hotel_id": 28}, False),
        ({"source_id": None, "hotel_id": 28}, False),
        ({"source_id": None, "check_in": date(2026, 5, 2)}, False),
        ({"source_id": None, "check_out": date(2026, 5, 9)}, False),
    ],
)
def test_a_reservation_is_known_by_voucher_and_reference_or_stay(
    *, changes: dict[str, Any], ours: bool
) -> None:
    assert is_ours(replace(RESERVATION, **changes)) is ours


@pytest.mark.parametrize(
    "changes, ours",
    [
        ({}, True),
        ({"room_remark": "edited"}, True),
        ({"record_user": None}, True),
        ({"record_user": None, "room_remark": " A, B,"}, True),
        ({"record_user": None, "room_remark": None, "board_remark": None}, True),
        ({"hotel_id": None}, True),
        ({"record_user": "sedna-sync:77"}, False),
        ({"record_user": "ADMIN"}, False),
        ({"record_user": None, "room_remark": "A"}, False),
        ({"record_user": None, "board_remark": "AI"}, False),
        ({"hotel_id": 28}, False),
        ({"begin": date(2026, 5, 2)}, False),
        ({"end": date(2026, 5, 30)}, False),
        ({"stop_type": 1}, False),
    ],
)
def test_a_stop_sale_is_known_by_hotel_days_type_and_user_or_remarks(
    *, changes: dict[str, Any], ours: bool
) -> None:
    assert is_our_stop_sale(replace(STOP_SALE, **changes)) is ours

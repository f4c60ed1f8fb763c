"""What goes to Sedna: the bodies of InsertReservation and UpdateStopSale."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.sedna import assumptions, lists
from consumer.sedna.recognise import reservation_matches, stop_sale_matches
from consumer.sedna.wire_reservation import reservation_body
from consumer.sedna.wire_stop_sale import remark, stop_sale_body, stop_type
from schemas.inbound import Guest, ReservationCreated, StopSaleCreated

DAY = date(2026, 4, 30)


def guest(**changes: Any) -> Guest:
    return Guest(**{"first_name": "Ayşe", "last_name": "Y\u0131lmaz", **changes})


def reservation(**changes: Any) -> ReservationCreated:
    fields: dict[str, Any] = {
        "email_id": 42,
        "voucher_no": "JNP123456",
        "hotel_name": "Mandarin Resort & Spa",
        "check_in": date(2026, 5, 1),
        "check_out": date(2026, 5, 8),
        "room_type": "STDSV",
        "board_type": "AI",
        "adults": 2,
        "children": 1,
        "infants": 1,
        "guests": (guest(title="Mrs"),),
    }
    return ReservationCreated(**{**fields, **changes})


def stop_sale(**changes: Any) -> StopSaleCreated:
    fields: dict[str, Any] = {
        "stop_sale_id": 7,
        "hotel_name": "Mandarin Resort & Spa",
        "date_from": date(2026, 5, 1),
        "date_to": date(2026, 5, 31),
        "is_close": True,
    }
    return StopSaleCreated(**{**fields, **changes})


def encode(event: ReservationCreated, **changes: Any) -> bytes:
    arguments: dict[str, Any] = {
        "hotel_id": 18,
        "room_type_id": 63,
        "board_id": 1,
        "operator_id": 571,
        "source_id": assumptions.source_id(event.email_id),
        "nationality_ids": {"turkiye": 1, "de": 2},
        "declared_on": DAY,
    }
    return reservation_body(reservation=event, **{**arguments, **changes})


def element(event: ReservationCreated, **changes: Any) -> dict[str, Any]:
    (only,) = json.loads(encode(event, **changes))
    assert isinstance(only, dict)
    return only


def encode_stop_sale(event: StopSaleCreated, rec_id: int, **changes: Any) -> bytes:
    arguments: dict[str, Any] = {
        "hotel_id": 18,
        "room_types": [(63, "STDSV"), (1364, "STDLV")],
        "boards": [(1, "AI")],
        "operator_id": 571,
        "operator_code": "7STAR",
        "authority_id": 207,
        "record_user": assumptions.record_user(event.stop_sale_id),
        "declared_on": DAY,
    }
    return stop_sale_body(stop_sale=event, rec_id=rec_id, **{**arguments, **changes})


def test_a_reservation_is_one_element_with_sednas_own_spellings() -> None:
    assert element(reservation(hotel_remark="Late", total_price=Decimal("1250.50"))) == {
        "HotelId": 18,
        "RoomTypeId": 63,
        "BoardId": 1,
        "OperatorId": 571,
        "CheckinDate": "2026-05-01",
        "CheckOutDate": "2026-05-08",
        "Adult": 2,
        "Child": 2,
        "Voucher": "JNP123456",
        "SourceId": "sedna-sync-42",
        "SaleDate": "2026-04-30",
        "IsReservationChanged": False,
        "HotelRemark": "Late",
        "ReservationRemark": "",
        "Customers": [{"Title": "Mrs", "FirstName": "AYŞE", "LastName": "YILMAZ"}],
        "Amount": 1250.50,
    }


def test_the_body_is_compact_utf_8() -> None:
    body = encode(reservation())
    assert b": " not in body
    assert "AYŞE".encode() in body


def test_the_sale_date_of_the_event_wins_over_the_day_of_sending() -> None:
    assert element(reservation(sale_date=date(2026, 1, 2)))["SaleDate"] == "2026-01-02"


def test_a_price_that_is_not_told_is_not_sent() -> None:
    assert "Amount" not in element(reservation())


@pytest.mark.parametrize(
    "price", ["0", "0.1", "1250.50", "9999999999999.999999", "1E+3", "0.000001", "-0"]
)
def test_a_price_is_a_number_and_exact_to_the_last_digit(price: str) -> None:
    body = encode(reservation(total_price=Decimal(price)))
    (sent,) = json.loads(body, parse_float=Decimal, parse_int=Decimal)
    assert sent["Amount"] == Decimal(price)


@pytest.mark.parametrize(
    "told, expected",
    [
        ({"title": "Mr."}, "Mr"),
        ({"title": "BAY"}, "Mr"),
        ({"title": "ms"}, "Mrs"),
        ({"title": "Miss"}, "Mrs"),
        ({"title": "Bayan"}, "Mrs"),
        ({"title": "Han\u0131m"}, "Mrs"),
        ({"title": "ÇOCUK"}, "Chd"),
        ({"title": "INF"}, "Inf"),
        ({"title": "grp"}, "Grp"),
        ({"title": "Mr", "age": 3}, "Mr"),
        ({"title": "Dr."}, "Mr"),
        ({"title": "Dr.", "age": 3}, "Chd"),
        ({}, "Mr"),
        ({"age": 0}, "Inf"),
        ({"age": 1}, "Inf"),
        ({"age": 2}, "Chd"),
        ({"age": 12}, "Chd"),
        ({"age": 13}, "Mr"),
        ({"birth_date": date(2024, 5, 1)}, "Chd"),
        ({"birth_date": date(2024, 5, 2)}, "Inf"),
        ({"birth_date": date(2027, 1, 1)}, "Mr"),
    ],
)
def test_a_title_is_one_of_sednas_five(told: dict[str, Any], expected: str) -> None:
    (customer,) = element(reservation(guests=(guest(**told),)))["Customers"]
    assert customer["Title"] == expected


def test_a_guest_is_sent_with_all_that_is_known() -> None:
    known = guest(birth_date=date(1990, 6, 1), passport_no="U123", nationality="TÜRKİYE")
    (customer,) = element(reservation(guests=(known,)))["Customers"]
    assert customer == {
        "Title": "Mr",
        "FirstName": "AYŞE",
        "LastName": "YILMAZ",
        "BirthDate": "1990-06-01",
        "Age": 35,
        "PassNo": "U123",
        "Nationality": "TÜRKİYE",
        "NationalityId": 1,
    }


def test_a_country_that_sedna_does_not_know_is_sent_by_name_only() -> None:
    (customer,) = element(reservation(guests=(guest(nationality="Utopia"),)))["Customers"]
    assert customer["Nationality"] == "Utopia"
    assert "NationalityId" not in customer


def test_step_one_of_a_stop_sale_has_no_children() -> None:
    assert json.loads(encode_stop_sale(stop_sale(), 0)) == {
        "RecId": 0,
        "HotelId": 18,
        "BeginDate": "2026-05-01T00:00:00",
        "EndDate": "2026-05-31T00:00:00",
        "DeclareDate": "2026-04-30T00:00:00",
        "StopType": 0,
        "State": 1,
        "Active": 0,
        "RecordSource": 0,
        "RecordUser": "sedna-sync:7",
        "Authority": 207,
        "RoomRemark": "STDSV,STDLV",
        "BoardRemark": "AI",
        "OperatorRemark": "7STAR,",
        "StopSaleRooms": [],
        "StopSaleOperators": [],
        "StopSaleBoards": [],
        "StopSaleMarkets": [],
    }


def test_step_two_is_the_same_body_with_its_record_and_its_children() -> None:
    one = json.loads(encode_stop_sale(stop_sale(), 0))
    two = json.loads(encode_stop_sale(stop_sale(), 900))
    assert two == {
        **one,
        "RecId": 900,
        "StopSaleRooms": [
            {"StopSaleId": 900, "RoomTypeId": 63, "State": 1},
            {"StopSaleId": 900, "RoomTypeId": 1364, "State": 1},
        ],
        "StopSaleOperators": [{"StopSaleId": 900, "OperatorId": 571, "State": 1}],
        "StopSaleBoards": [{"StopSaleId": 900, "BoardId": 1, "State": 1}],
    }


def test_all_rooms_and_boards_are_named_by_none_but_the_operator_is_always_sent() -> None:
    body = json.loads(encode_stop_sale(stop_sale(), 900, room_types=[], boards=[]))
    assert (body["StopSaleRooms"], body["StopSaleBoards"]) == ([], [])
    assert (body["RoomRemark"], body["BoardRemark"]) == ("", "")
    assert len(body["StopSaleOperators"]) == 1


def test_two_spellings_of_one_room_are_one_child() -> None:
    body = json.loads(encode_stop_sale(stop_sale(), 9, room_types=[(63, "A"), (63, "A")]))
    assert len(body["StopSaleRooms"]) == 1


def test_an_opening_has_stop_type_one() -> None:
    assert json.loads(encode_stop_sale(stop_sale(is_close=False), 0))["StopType"] == 1


@pytest.mark.parametrize("code", ["7STAR", "7STAR,", " 7STAR ,"])
def test_the_operators_remark_ends_with_exactly_one_comma(code: str) -> None:
    body = json.loads(encode_stop_sale(stop_sale(), 0, operator_code=code))
    assert body["OperatorRemark"] == "7STAR,"


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40).filter(
    str.strip
)


@given(
    voucher=texts,
    hotel_id=st.integers(1, 2**63 - 1),
    email_id=st.integers(0, 2**63 - 1),
    check_in=st.dates(date(2000, 1, 1), date(2100, 1, 1)),
    nights=st.integers(1, 60),
    with_time=st.booleans(),
    under_data=st.booleans(),
)
def test_what_sedna_repeats_of_a_reservation_is_recognised(
    *,
    voucher: str,
    hotel_id: int,
    email_id: int,
    check_in: date,
    nights: int,
    with_time: bool,
    under_data: bool,
) -> None:
    check_out = date.fromordinal(check_in.toordinal() + nights)
    event = reservation(
        voucher_no=voucher, email_id=email_id, check_in=check_in, check_out=check_out
    )
    listed: Any = [{**element(event, hotel_id=hotel_id), "RecId": 823259}]
    if with_time:
        listed[0]["CheckinDate"] += "T00:00:00"
    if under_data:
        listed = {"Data": listed}
    parsed = lists.reservations(json.dumps(listed).encode())
    (record,) = parsed.items
    assert parsed.skipped == 0
    assert record.rec_id == 823259
    assert reservation_matches(
        record,
        voucher=event.voucher_no,
        source_id=assumptions.source_id(email_id),
        hotel_id=hotel_id,
        check_in=check_in,
        check_out=check_out,
    )


@given(
    begin=st.dates(date(2000, 1, 1), date(2100, 1, 1)),
    days=st.integers(0, 60),
    is_close=st.booleans(),
    rooms=st.lists(st.tuples(st.integers(1, 99), texts), max_size=3, unique_by=lambda r: r[0]),
    repeats_user=st.booleans(),
)
def test_what_sedna_repeats_of_a_stop_sale_is_recognised(
    *, begin: date, days: int, is_close: bool, rooms: list[tuple[int, str]], repeats_user: bool
) -> None:
    end = date.fromordinal(begin.toordinal() + days)
    event = stop_sale(date_from=begin, date_to=end, is_close=is_close)
    listed = json.loads(encode_stop_sale(event, 900, room_types=rooms))
    if not repeats_user:
        del listed["RecordUser"]
    (record,) = lists.stop_sales(json.dumps([listed]).encode()).items
    assert record.room_type_ids == tuple(number for number, _ in rooms)
    assert stop_sale_matches(
        record,
        hotel_id=18,
        begin=begin,
        end=end,
        stop_type=stop_type(event),
        room_remark=remark(rooms),
        board_remark="AI",
        record_user="sedna-sync:7",
    )

"""Reservations at the fake Sedna: inserted, refused, found, cancelled."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from consumer.demo.fake import FakeSedna, ReplyShape

Builder = Callable[..., dict[str, Any]]
INSERT = "/api/Integratiion/InsertReservation"
FIND = "/api/Integratiion/GetReservations"
BY_VOUCHER = "/api/Reservation/GetReservationByVoucher"
CANCEL = "/api/Integratiion/CancelReservationBySourcId"


async def insert(client: httpx2.AsyncClient, *rooms: Any, voucher: str = "V1") -> Any:
    credentials = dict(client.params)
    params = {**credentials, "voucherNo": voucher}
    return (await client.post(INSERT, params=params, json=list(rooms))).json()


async def find(client: httpx2.AsyncClient, **filters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.post(FIND, json=filters)).json()
    return found


async def test_an_insert_is_found_again_with_its_fields(
    north: httpx2.AsyncClient, room: Builder
) -> None:
    envelope = await insert(north, room())
    assert envelope["ErrorType"] == 0
    (found,) = await find(north, VoucherNo="V1")
    assert found["RecId"] == envelope["RecId"]
    assert {key: found[key] for key in ("Voucher", "SourceId", "HotelId", "CheckinDate")} == {
        "Voucher": "V1",
        "SourceId": "sedna-sync-42",
        "HotelId": 18,
        "CheckinDate": "2026-07-01",
    }
    assert found["SaleDate"] == "2026-05-01"


async def test_dates_come_back_with_a_time_where_the_account_writes_them_so(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder
) -> None:
    fake.configure("north", shape=ReplyShape(dates_with_time=True))
    await insert(north, room())
    (found,) = await find(north, VoucherNo="V1")
    assert (found["CheckinDate"], found["SaleDate"]) == (
        "2026-07-01T00:00:00",
        "2026-05-01T00:00:00",
    )


async def test_the_same_voucher_twice_makes_two_reservations(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder
) -> None:
    first, second = await insert(north, room()), await insert(north, room())
    assert first["RecId"] != second["RecId"]
    assert len(await find(north, VoucherNo="V1")) == 2
    assert fake.holdings("north").vouchers == {"V1": 2}


async def test_the_rooms_of_one_insert_are_one_holding_of_the_voucher(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder
) -> None:
    await insert(north, room(), room(RoomTypeId=64))
    assert fake.holdings("north").vouchers == {"V1": 1}
    assert {found["RoomTypeId"] for found in await find(north, VoucherNo="V1")} == {63, 64}


async def test_an_array_is_answered_by_one_envelope_or_one_per_room(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder
) -> None:
    assert isinstance(await insert(north, room(), room()), dict)
    fake.configure("north", shape=ReplyShape(envelope_per_element=True))
    envelopes = await insert(north, room(), room(RoomTypeId=64))
    assert [envelope["ErrorType"] for envelope in envelopes] == [0, 0]
    assert len({envelope["RecId"] for envelope in envelopes}) == 2


@pytest.mark.parametrize(
    "changes, word",
    [
        ({"HotelId": 7}, "HotelId"),
        ({"HotelId": "18"}, "HotelId"),
        ({"RoomTypeId": 73}, "RoomTypeId"),
        ({"BoardId": 5}, "BoardId"),
        ({"OperatorId": 640}, "OperatorId"),
        ({"Customers": []}, "Customers"),
        ({"Customers": [{"Title": "Dr", "FirstName": "A", "LastName": "B"}]}, "Title"),
        ({"Customers": [{"Title": "Mr", "FirstName": "Ali", "LastName": "B"}]}, "FirstName"),
        ({"CheckOutDate": "2026-07-01"}, "CheckOutDate"),
        ({"CheckinDate": "01.07.2026"}, "CheckinDate"),
        ({"CheckinDate": None}, "CheckinDate"),
        ({"Adult": 0}, "Adult"),
        ({"Adult": True}, "Adult"),
        ({"Voucher": "V2"}, "Voucher"),
        ({"Voucher": ""}, "Voucher"),
        ({"Amount": "1250.50"}, "Amount"),
        ({"HotelId": 38}, "RoomTypeId"),
    ],
)
async def test_a_bad_room_is_refused_with_200_and_a_message_and_leaves_nothing(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder, changes: dict[str, Any], word: str
) -> None:
    envelope = await insert(north, room(**changes))
    assert envelope["ErrorType"] != 0
    assert word in envelope["Message"]
    assert fake.account("north").reservations.records == []


async def test_a_hotel_that_refuses_says_why(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder
) -> None:
    hotel = fake.account("north").config.hotels[0]
    full = type(hotel)(id=hotel.id, name=hotel.name, rooms=hotel.rooms, refusal="Kontenjan yok")
    fake.configure("north", hotels=(full,))
    assert (await insert(north, room()))["Message"] == "Kontenjan yok"


async def test_one_bad_room_keeps_the_good_ones_out_too(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder
) -> None:
    fake.configure("north", shape=ReplyShape(envelope_per_element=True))
    envelopes = await insert(north, room(), room(BoardId=99))
    assert all(envelope["ErrorType"] != 0 for envelope in envelopes)
    assert fake.account("north").reservations.records == []


@pytest.mark.parametrize("body", [{}, [], None, "V1", [None]])
async def test_a_body_that_is_no_array_of_rooms_is_refused(
    north: httpx2.AsyncClient, body: Any
) -> None:
    params = {**dict(north.params), "voucherNo": "V1"}
    assert (await north.post(INSERT, params=params, json=body)).json()["ErrorType"] != 0


async def test_filters_are_exact_or_loose_by_the_accounts_switch(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder
) -> None:
    await insert(north, room())
    await insert(north, room(Voucher="AV12", SourceId="sedna-sync-4"), voucher="AV12")
    assert [found["Voucher"] for found in await find(north, VoucherNo="V1")] == ["V1"]
    assert [found["Voucher"] for found in await find(north, SourceId="sedna-sync-4")] == ["AV12"]
    fake.configure("north", loose_filters=True)
    assert [found["Voucher"] for found in await find(north, VoucherNo="v1")] == ["V1", "AV12"]
    assert len(await find(north, SourceId="sedna-sync-4")) == 2


async def test_all_filters_have_to_fit(north: httpx2.AsyncClient, room: Builder) -> None:
    rec_id = (await insert(north, room()))["RecId"]
    for filters in (
        {},
        {"RecId": rec_id},
        {"OperatorId": 571, "HotelId": 18},
        {"RecordDateBegin": "2020-01-01", "RecordDateEnd": "2999-01-01T00:00:00"},
    ):
        assert len(await find(north, VoucherNo="V1", **filters)) == 1
    for filters in (
        {"RecId": rec_id + 1},
        {"OperatorId": 640},
        {"HotelId": 28},
        {"SourceId": "other"},
        {"RecordDateEnd": "2020-01-01"},
        {"RecordDateBegin": "2999-01-01"},
    ):
        assert await find(north, VoucherNo="V1", **filters) == []


async def test_a_voucher_is_found_by_its_own_call(north: httpx2.AsyncClient, room: Builder) -> None:
    rec_id = (await insert(north, room()))["RecId"]
    params = {"voucher": "V1", "operatorId": "571"}
    assert [r["RecId"] for r in (await north.get(BY_VOUCHER, params=params)).json()] == [rec_id]
    params = {"voucher": "V", "operatorId": "571"}
    assert (await north.get(BY_VOUCHER, params=params)).json() == []


async def test_a_cancelled_reservation_is_not_found_but_still_held(
    fake: FakeSedna, north: httpx2.AsyncClient, room: Builder
) -> None:
    await insert(north, room())
    params = {"operatorId": "571", "sourceId": "sedna-sync-42"}
    assert (await north.post(CANCEL, params=params)).json()["ErrorType"] == 0
    assert await find(north, VoucherNo="V1") == []
    assert (await north.post(CANCEL, params=params)).json()["ErrorType"] != 0
    assert fake.holdings("north").vouchers == {}
    assert [record.cancelled for record in fake.account("north").reservations.records] == [True]


async def test_one_accounts_reservations_are_not_another_ones(
    fake: FakeSedna, north: httpx2.AsyncClient, south: httpx2.AsyncClient, room: Builder
) -> None:
    rec_id = (await insert(north, room()))["RecId"]
    for filters in ({}, {"VoucherNo": "V1"}, {"RecId": rec_id}, {"OperatorId": 571}):
        assert await find(south, **filters) == []
    params = {"operatorId": "640", "sourceId": "sedna-sync-42"}
    assert (await south.post(CANCEL, params=params)).json()["ErrorType"] != 0
    assert fake.holdings("north").vouchers == {"V1": 1}

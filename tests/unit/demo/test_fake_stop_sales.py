"""Stop sales at the fake Sedna: two steps, what is closed, what shows."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from consumer.demo.fake import FakeSedna
from consumer.demo.fake.records import StopSale

Builder = Callable[..., dict[str, Any]]
UPDATE = "/api/Contract/UpdateStopSale"
LIST = "/api/Integratiion/GetStopSaleList"
CHECK = "/api/Contract/CheckStopSaleState"


async def update(client: httpx2.AsyncClient, body: Any) -> dict[str, Any]:
    envelope: dict[str, Any] = (await client.put(UPDATE, json=body)).json()
    return envelope


async def both_steps(client: httpx2.AsyncClient, build: Builder, **changes: Any) -> int:
    bare = {key: value for key, value in changes.items() if not key.startswith("StopSale")}
    rec_id: int = (await update(client, build(**bare)))["RecId"]
    children = {
        array: [{**child, "StopSaleId": rec_id, "State": 1} for child in value]
        for array, value in changes.items()
        if array.startswith("StopSale")
    }
    envelope = await update(client, build(**bare, **children, RecId=rec_id))
    assert envelope["ErrorType"] == 0, envelope
    return rec_id


async def listed(client: httpx2.AsyncClient, **filters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.post(LIST, params=filters)).json()
    return found


async def closed(client: httpx2.AsyncClient, day: str, **more: Any) -> bool:
    body = {"hotelId": 18, "beginDate": day, "endDate": day, **more}
    return bool((await client.post(CHECK, json=body)).json()["State"])


def record(fake: FakeSedna, rec_id: int) -> StopSale:
    return fake.account("north").stop_sales.records[rec_id]


async def test_step_1_makes_a_record_that_is_not_complete_and_closes_nothing(
    fake: FakeSedna, north: httpx2.AsyncClient, stop_sale: Builder
) -> None:
    rec_id = (await update(north, stop_sale()))["RecId"]
    assert (record(fake, rec_id).complete, record(fake, rec_id).visible) == (False, False)
    assert not await closed(north, "2026-08-01")
    assert [found["RecId"] for found in await listed(north)] == [rec_id]
    assert fake.holdings("north").incomplete_stop_sales == {"sedna-sync:7": 1}


async def test_step_1_twice_makes_two_records(
    north: httpx2.AsyncClient, stop_sale: Builder
) -> None:
    first, second = await update(north, stop_sale()), await update(north, stop_sale())
    assert first["RecId"] != second["RecId"]


@pytest.mark.parametrize(
    "place",
    [
        ("StopSaleRooms", "RoomTypeId", 63),
        ("StopSaleOperators", "OperatorId", 571),
        ("StopSaleBoards", "BoardId", 1),
        ("StopSaleMarkets", "MarketId", 3),
    ],
)
async def test_filled_arrays_in_step_1_fail_with_a_reference_error(
    fake: FakeSedna,
    north: httpx2.AsyncClient,
    stop_sale: Builder,
    place: tuple[str, str, int],
) -> None:
    array, key, number = place
    child = {"StopSaleId": 0, "State": 1, key: number}
    envelope = await update(north, stop_sale(**{array: [child]}))
    assert envelope["ErrorType"] != 0
    assert "FOREIGN KEY" in envelope["Message"]
    assert fake.account("north").stop_sales.records == {}


async def test_step_2_completes_the_record_and_its_children_are_listed(
    fake: FakeSedna, north: httpx2.AsyncClient, stop_sale: Builder
) -> None:
    rec_id = await both_steps(
        north,
        stop_sale,
        StopSaleRooms=[{"RoomTypeId": 63}],
        StopSaleOperators=[{"OperatorId": 571}],
    )
    assert record(fake, rec_id).complete
    assert record(fake, rec_id).visible
    (found,) = await listed(north)
    assert found["RecordUser"] == "sedna-sync:7"
    assert found["BeginDate"] == "2026-08-01"
    (child,) = found["StopSaleRooms"]
    assert (child["StopSaleId"], child["RoomTypeId"], child["State"]) == (rec_id, 63, 1)
    assert fake.holdings("north").stop_sales == {"sedna-sync:7": 1}


@pytest.mark.parametrize("remark", ["7STAR", "", None, "SOUTH,", "X7STAR,"])
async def test_without_the_operators_code_and_its_comma_it_is_accepted_and_not_visible(
    fake: FakeSedna, north: httpx2.AsyncClient, stop_sale: Builder, remark: str | None
) -> None:
    rec_id = await both_steps(north, stop_sale, OperatorRemark=remark)
    assert record(fake, rec_id).complete
    assert not record(fake, rec_id).visible


async def test_without_an_operator_it_is_not_complete(
    fake: FakeSedna, north: httpx2.AsyncClient, stop_sale: Builder
) -> None:
    rec_id = await both_steps(north, stop_sale, StopSaleOperators=[])
    assert not record(fake, rec_id).complete


async def test_step_2_replaces_the_children_and_may_be_repeated(
    fake: FakeSedna, north: httpx2.AsyncClient, stop_sale: Builder
) -> None:
    rec_id = await both_steps(north, stop_sale)
    child = {"StopSaleId": rec_id, "State": 1}
    for room_type_id in (63, 64, 64):
        rooms = [{**child, "RoomTypeId": room_type_id}]
        await update(north, stop_sale(RecId=rec_id, StopSaleRooms=rooms))
    assert record(fake, rec_id).children["StopSaleRooms"] == [64]
    assert [stamp.order for stamp in record(fake, rec_id).filled] == [2, 3, 4, 5]
    assert len(await listed(north)) == 1


@pytest.mark.parametrize(
    "array, child",
    [
        ("StopSaleRooms", {"RoomTypeId": 63, "StopSaleId": 0, "State": 1}),
        ("StopSaleRooms", {"RoomTypeId": 63, "StopSaleId": "own", "State": 0}),
        ("StopSaleRooms", {"RoomTypeId": 73, "StopSaleId": "own", "State": 1}),
        ("StopSaleBoards", {"BoardId": 5, "StopSaleId": "own", "State": 1}),
        ("StopSaleOperators", {"OperatorId": 640, "StopSaleId": "own", "State": 1}),
        ("StopSaleMarkets", {"StopSaleId": "own", "State": 1}),
    ],
)
async def test_a_bad_child_refuses_step_2_and_leaves_the_record_as_it_was(
    fake: FakeSedna,
    north: httpx2.AsyncClient,
    stop_sale: Builder,
    array: str,
    child: dict[str, Any],
) -> None:
    rec_id = (await update(north, stop_sale()))["RecId"]
    if child["StopSaleId"] == "own":
        child = {**child, "StopSaleId": rec_id}
    assert (await update(north, stop_sale(RecId=rec_id, **{array: [child]})))["ErrorType"] != 0
    assert not record(fake, rec_id).complete


@pytest.mark.parametrize(
    "changes",
    [
        {"HotelId": 7},
        {"StopType": 2},
        {"Authority": 311},
        {"BeginDate": "2026-08-09"},
        {"EndDate": "soon"},
        {"DeclareDate": None},
        {"RecId": 1},
        {"RecId": None},
        {"StopSaleRooms": None},
    ],
)
async def test_a_bad_stop_sale_is_refused(
    north: httpx2.AsyncClient, stop_sale: Builder, changes: dict[str, Any]
) -> None:
    envelope = await update(north, stop_sale(**changes))
    assert envelope["ErrorType"] != 0
    assert envelope["Message"]


async def test_what_is_closed_follows_days_rooms_boards_and_the_order_of_the_records(
    north: httpx2.AsyncClient, stop_sale: Builder
) -> None:
    await both_steps(
        north,
        stop_sale,
        StopSaleRooms=[{"RoomTypeId": 63}],
        StopSaleBoards=[{"BoardId": 1}],
    )
    assert await closed(north, "2026-08-01")
    assert await closed(north, "2026-08-03", roomList=[63], boardList=[1], operatorList=[571])
    assert not await closed(north, "2026-08-04")
    assert not await closed(north, "2026-08-01", roomList=[64])
    assert not await closed(north, "2026-08-01", roomList=[63], boardList=[37])
    await both_steps(north, stop_sale, StopType=1, EndDate="2026-08-01")
    assert not await closed(north, "2026-08-01")
    assert await closed(north, "2026-08-02")
    await both_steps(north, stop_sale)
    assert await closed(north, "2026-08-01", roomList=[64], boardList=[37])


@pytest.mark.parametrize(
    "body",
    [
        {"hotelId": 7, "beginDate": "2026-08-01", "endDate": "2026-08-01"},
        {"hotelId": 18, "beginDate": "x", "endDate": "2026-08-01"},
        {"hotelId": 18, "beginDate": "2026-08-01", "endDate": "2026-08-01", "roomList": "63"},
        {"hotelId": 18, "beginDate": "2026-08-01", "endDate": "2026-08-01", "operatorList": [640]},
        [],
    ],
)
async def test_a_question_that_cannot_be_answered_is_refused(
    north: httpx2.AsyncClient, body: Any
) -> None:
    assert (await north.post(CHECK, json=body)).json()["ErrorType"] != 0


async def test_the_list_is_filtered_by_hotel_and_by_the_days_of_record_and_of_sale(
    north: httpx2.AsyncClient, stop_sale: Builder
) -> None:
    await both_steps(north, stop_sale)
    everything = {
        "recordDateBegin": "2020-01-01",
        "recordDateEnd": "2999-01-01",
        "stopDateBegin": "2026-08-03",
        "stopDateEnd": "",
        "hotelId": 18,
    }
    assert len(await listed(north, **everything)) == 1
    for other in (
        {"hotelId": 28},
        {"recordDateEnd": "2020-01-02"},
        {"recordDateBegin": "2998-01-01"},
        {"stopDateBegin": "2026-08-04"},
        {"stopDateEnd": "2026-07-31"},
    ):
        assert await listed(north, **{**everything, **other}) == []
    refused = (await north.post(LIST, params={"hotelId": "x"})).json()
    assert refused["ErrorType"] != 0


async def test_another_account_neither_sees_nor_fills_the_record(
    fake: FakeSedna, north: httpx2.AsyncClient, south: httpx2.AsyncClient, stop_sale: Builder
) -> None:
    rec_id = (await update(north, stop_sale()))["RecId"]
    assert await listed(south) == []
    envelope = await update(south, stop_sale(RecId=rec_id, HotelId=7, StopSaleOperators=[]))
    assert str(rec_id) in envelope["Message"]
    assert not record(fake, rec_id).filled

"""The lists of the fake Sedna, in all the shapes that accounts give them."""

from typing import Any

import httpx2
import pytest

from consumer.demo.fake import CodeKeys, FakeSedna, Framing, ReplyShape

HOTELS = "/api/Shop/GetHotels"
HOTEL_LIST = "/api/Integratiion/GetHotelList"
ROOMS_OF_HOTELS = "/api/Service1/GetHotelRoomTypelistAll"
ROOMS = "/api/Integratiion/GetRoomTypeList"
BOARDS = "/api/Service2/GetBoardList"


async def test_the_plain_shape_is_a_bare_array_with_rec_id_name_and_code(
    north: httpx2.AsyncClient,
) -> None:
    hotels = (await north.get(HOTELS)).json()
    assert hotels[0]["RecId"] == 18
    assert [hotel["Name"] for hotel in hotels][:2] == [
        "Mandarin Resort & Spa",
        "Şehrazat Otel",
    ]
    rooms = (await north.post(ROOMS_OF_HOTELS, json=[28, 18])).json()
    found = {(room["HotelId"], room["RecId"], room["Code"]) for room in rooms}
    assert found == {(18, 63, "STDSV"), (18, 64, "FAM"), (28, 73, "STDSV")}
    boards = (await north.get(BOARDS)).json()
    assert {board["Code"]: board["RecId"] for board in boards} == {"AI": 1, "UAI": 37}


async def test_the_other_shape_is_under_data_with_ids_names_and_codes_of_their_own(
    fake: FakeSedna, north: httpx2.AsyncClient
) -> None:
    shape = ReplyShape(
        lists_under_data=True,
        specific_ids=True,
        hotel_name_key="HotelName",
        code_keys=CodeKeys.SPECIFIC,
    )
    fake.configure("north", shape=shape)
    hotels = (await north.get(HOTELS)).json()["Data"]
    assert (hotels[0]["HotelId"], hotels[0]["HotelName"]) == (18, "Mandarin Resort & Spa")
    assert "RecId" not in hotels[0]
    rooms = (await north.post(ROOMS_OF_HOTELS, json=[28])).json()["Data"]
    assert rooms == [{"RoomTypeId": 73, "RoomTypeCode": "STDSV", "Name": "", "HotelId": 28}]
    boards = (await north.get(BOARDS)).json()["Data"]
    assert {board["BoardCode"]: board["BoardId"] for board in boards} == {"AI": 1, "UAI": 37}


async def test_codes_can_be_called_short_names(fake: FakeSedna, north: httpx2.AsyncClient) -> None:
    fake.configure("north", shape=ReplyShape(code_keys=CodeKeys.SHORT_NAME))
    assert [board["ShortName"] for board in (await north.get(BOARDS)).json()] == ["AI", "UAI"]


@pytest.mark.parametrize("framing", list(Framing))
async def test_every_framing_carries_the_same_body(
    fake: FakeSedna, north: httpx2.AsyncClient, framing: Framing
) -> None:
    plain = (await north.get(HOTELS)).content
    fake.configure("north", shape=ReplyShape(framing=framing))
    replies = [await north.get(HOTELS) for _ in range(3)]
    assert [reply.content for reply in replies] == [plain] * 3
    assert (replies[0].headers.get("transfer-encoding") == "chunked") == (framing == "chunked")
    assert (replies[0].headers.get("connection") == "close") == (framing == "close")


async def test_either_list_of_hotels_can_be_missing(
    fake: FakeSedna, north: httpx2.AsyncClient
) -> None:
    operator = {"operatorId": "571", "isActive": "true"}
    fake.configure("north", has_get_hotels=False)
    assert (await north.get(HOTELS)).status_code == 404
    assert len((await north.post(HOTEL_LIST, params=operator)).json()) == 2
    fake.configure("north", has_get_hotels=True, has_get_hotel_list=False)
    assert (await north.post(HOTEL_LIST, params=operator)).status_code == 404
    assert len((await north.get(HOTELS)).json()) == 3


async def test_a_list_of_another_operator_is_refused(north: httpx2.AsyncClient) -> None:
    reply = await north.post(HOTEL_LIST, params={"operatorId": "640"})
    assert reply.json()["ErrorType"] != 0


async def test_the_list_of_room_types_has_a_code_once_per_id_and_names_no_hotel(
    north: httpx2.AsyncClient,
) -> None:
    rooms: list[dict[str, Any]] = (await north.post(ROOMS, params={"operatorId": 571})).json()
    assert [(room["Code"], room["RecId"]) for room in rooms] == [
        ("STDSV", 63),
        ("FAM", 64),
        ("STDSV", 73),
    ]
    assert all("HotelId" not in room for room in rooms)


async def test_room_types_of_another_accounts_hotel_are_not_told(
    north: httpx2.AsyncClient,
) -> None:
    assert (await north.post(ROOMS_OF_HOTELS, json=[7])).json() == []


async def test_countries_have_a_nationality_id(north: httpx2.AsyncClient) -> None:
    countries = (await north.post("/api/Integratiion/GetCountrys")).json()
    assert {"Name": "TURKIYE", "NationalityId": 1} in countries

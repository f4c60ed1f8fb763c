"""A tenant's lists: fetched once, refreshed with age and for misses, kept while Sedna is down."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from consumer.sedna.catalogue import Catalogue
from consumer.sedna.codes import CodeFound, CodeUnknown
from consumer.sedna.errors import LoginRefused, Unavailable
from consumer.sedna.matching import Ambiguous, Found, HotelMatch, NotFound, mapping_key
from tests.unit.sedna.scripted import Account, Answer, account, refusal, reply

MANDARIN = {"RecId": 18, "Name": "Mandarin Resort & Spa"}
RIXOS = {"RecId": 28, "Name": "Rixos Premium Belek"}
DOWN = reply(b"", 503)
DAY = 86_400


def hotels(*listed: dict[str, Any]) -> Answer:
    return reply(list(listed))


def over(tenant: Account) -> Catalogue:
    return Catalogue(client=tenant.client, clock=tenant.clock, ttl=DAY)


def build(**answers: list[Answer]) -> tuple[Account, Catalogue]:
    tenant = account(**answers)
    return tenant, over(tenant)


async def find(catalogue: Catalogue, name: str) -> HotelMatch:
    return await catalogue.resolve_hotel(event_hotel_id=None, name=name, mappings={})


def fetches(tenant: Account, call: str = "GetHotels") -> int:
    return len(tenant.sedna.calls(call))


async def test_the_hotels_are_fetched_once_for_many_names() -> None:
    tenant, catalogue = build(GetHotels=[hotels(MANDARIN, RIXOS)])
    assert catalogue.hotels_if_cached() is None
    for name in ("Mandarin", "MANDARİN RESORT & SPA", "rixos premium belek"):
        assert isinstance(await find(catalogue, name), Found)
    assert fetches(tenant) == 1
    index = catalogue.hotels_if_cached()
    assert index is not None
    assert len(index) == 2


async def test_many_who_ask_at_once_fetch_once() -> None:
    tenant, catalogue = build(GetHotels=[hotels(MANDARIN)])
    found = await asyncio.gather(*(find(catalogue, "Mandarin") for _ in range(30)))
    assert all(isinstance(match, Found) for match in found)
    assert fetches(tenant) == 1


async def test_an_old_list_is_fetched_anew() -> None:
    tenant, catalogue = build(GetHotels=[hotels(MANDARIN), hotels(RIXOS)])
    await catalogue.hotels()
    tenant.clock.seconds += DAY - 1
    await catalogue.hotels()
    assert fetches(tenant) == 1
    tenant.clock.seconds += 1
    assert 28 in {hotel.id for hotel in (await catalogue.hotels()).hotels}
    assert fetches(tenant) == 2


async def test_a_miss_looks_afresh_once_and_finds_what_is_new() -> None:
    tenant, catalogue = build(GetHotels=[hotels(MANDARIN), hotels(MANDARIN, RIXOS)])
    await catalogue.hotels()
    tenant.clock.seconds += 61
    assert isinstance(await find(catalogue, "Rixos Premium Belek"), Found)
    assert fetches(tenant) == 2


async def test_many_misses_at_once_look_afresh_once() -> None:
    tenant, catalogue = build(GetHotels=[hotels(MANDARIN)])
    await catalogue.hotels()
    tenant.clock.seconds += 61
    found = await asyncio.gather(*(find(catalogue, f"Unknown {n}") for n in range(50)))
    assert all(isinstance(match, NotFound) for match in found)
    assert fetches(tenant) == 2


async def test_one_miss_after_another_looks_afresh_once_a_minute() -> None:
    tenant, catalogue = build(GetHotels=[hotels(MANDARIN)])
    await catalogue.hotels()
    for _ in range(125):
        assert isinstance(await find(catalogue, "Unknown"), NotFound)
        tenant.clock.seconds += 1
    assert fetches(tenant) == 3


async def test_a_list_that_did_not_change_is_not_indexed_anew() -> None:
    tenant, catalogue = build(GetHotels=[hotels(MANDARIN), hotels(MANDARIN), hotels(RIXOS)])
    index = await catalogue.hotels()
    tenant.clock.seconds += 60
    assert isinstance(await find(catalogue, "Unknown"), NotFound)
    assert fetches(tenant) == 2
    assert catalogue.hotels_if_cached() is index
    tenant.clock.seconds += 60
    assert isinstance(await find(catalogue, "Rixos"), Found)
    assert catalogue.hotels_if_cached() is not index


async def test_an_ambiguous_name_gets_a_fresh_look_too() -> None:
    park = {"RecId": 29, "Name": "Rixos Park Belek"}
    plain = {"RecId": 31, "Name": "Rixos Belek"}
    tenant, catalogue = build(GetHotels=[hotels(RIXOS, park), hotels(RIXOS, park, plain)])
    assert isinstance(await find(catalogue, "Rixos Belek"), Ambiguous)
    tenant.clock.seconds += 60
    match = await find(catalogue, "Rixos Belek")
    assert isinstance(match, Found)
    assert match.hotel.id == 31


async def test_an_id_of_the_event_or_of_a_mapping_is_looked_up_afresh_too() -> None:
    tenant, catalogue = build(GetHotels=[hotels(MANDARIN), hotels(RIXOS)])
    await catalogue.hotels()
    tenant.clock.seconds += 60
    by_id = await catalogue.resolve_hotel(event_hotel_id=28, name="x", mappings={})
    mapped = await catalogue.resolve_hotel(
        event_hotel_id=None, name="Our Rixos", mappings={mapping_key("our rixos"): 28}
    )
    assert isinstance(by_id, Found)
    assert isinstance(mapped, Found)
    assert fetches(tenant) == 2


async def test_an_old_list_is_served_while_sedna_is_down_and_sedna_asked_once_a_minute() -> None:
    tenant, catalogue = build(GetHotels=[hotels(MANDARIN), DOWN, DOWN, hotels(MANDARIN, RIXOS)])
    await catalogue.hotels()
    tenant.clock.seconds += DAY
    for _ in range(120):
        assert isinstance(await find(catalogue, "Mandarin"), Found)
        tenant.clock.seconds += 1
    assert fetches(tenant) == 3
    assert 28 in {hotel.id for hotel in (await catalogue.hotels()).hotels}


async def test_a_miss_is_not_final_while_sedna_cannot_give_a_fresh_list() -> None:
    tenant, catalogue = build(GetHotels=[hotels(MANDARIN), DOWN, hotels(MANDARIN, RIXOS)])
    await catalogue.hotels()
    tenant.clock.seconds += 61
    for _ in range(3):
        with pytest.raises(Unavailable):
            await find(catalogue, "Rixos Premium Belek")
    assert fetches(tenant) == 2
    tenant.clock.seconds += 60
    assert isinstance(await find(catalogue, "Rixos Premium Belek"), Found)


async def test_without_any_copy_the_error_comes_out() -> None:
    tenant, catalogue = build(GetHotels=[DOWN, hotels(MANDARIN)])
    with pytest.raises(Unavailable):
        await find(catalogue, "Mandarin")
    assert catalogue.hotels_if_cached() is None
    assert isinstance(await find(catalogue, "Mandarin"), Found)
    assert fetches(tenant) == 2


async def test_a_refused_login_is_told_as_such() -> None:
    _, catalogue = build(AgencyLogin=[refusal("locked")])
    with pytest.raises(LoginRefused, match="locked"):
        await find(catalogue, "Mandarin")


async def test_rooms_are_kept_by_hotel() -> None:
    def rooms(sent: Any) -> Any:
        return reply([{"RoomTypeId": sent.json[0] * 10, "Code": "STD"}])

    tenant, catalogue = build(GetHotelRoomTypelistAll=[rooms])
    for _ in range(2):
        for hotel_id in (18, 28):
            match = await catalogue.resolve_room(hotel_id, "std")
            assert isinstance(match, CodeFound)
            assert match.code.id == hotel_id * 10
    assert fetches(tenant, "GetHotelRoomTypelistAll") == 2


@pytest.mark.parametrize(
    "call, resolve",
    [
        ("GetBoardList", lambda catalogue, text: catalogue.resolve_board(text)),
        ("GetHotelRoomTypelistAll", lambda catalogue, text: catalogue.resolve_room(18, text)),
    ],
)
async def test_a_code_that_is_missing_gets_one_fresh_look(call: str, resolve: Any) -> None:
    one, two = {"RecId": 1, "Code": "AI"}, {"RecId": 2, "Code": "UAI"}
    answers: Sequence[Answer] = [reply([one]), reply([one, two])]
    tenant, catalogue = build(**{call: list(answers)})
    unknown = await resolve(catalogue, "UAI")
    assert isinstance(unknown, CodeUnknown)
    assert unknown.known == ("AI",)
    tenant.clock.seconds += 60
    assert isinstance(await resolve(catalogue, "UAI"), CodeFound)
    assert isinstance(await resolve(catalogue, "XX"), CodeUnknown)
    assert fetches(tenant, call) == 2


async def test_countries_are_a_help_and_no_condition() -> None:
    tenant, catalogue = build(GetCountrys=[reply([{"Name": "Türkiye", "NationalityId": 1}])])
    assert await catalogue.countries() == {"turkiye": 1}
    tenant, catalogue = build(GetCountrys=[reply(b"", 404)])
    assert await catalogue.countries() == {}
    assert await catalogue.countries() == {}
    assert fetches(tenant, "GetCountrys") == 1
    _, catalogue = build(GetCountrys=[DOWN])
    with pytest.raises(Unavailable):
        await catalogue.countries()

"""Searching a tenant's hotels, keeping its mappings: what is found, refused, stored, counted."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from consumer.accounts import Account, Accounts, TenantNotConfigured
from consumer.borrowing import from_service, short_lived
from consumer.credentials import CannotDecrypt
from consumer.hotels import (
    LOOKED_AT,
    AccountUnusable,
    CatalogueUnavailable,
    Finding,
    Hotels,
    NoSuchHotel,
    UselessName,
)
from consumer.sedna.catalogue import Catalogue
from consumer.sedna.matching import Hotel, mapping_key
from db import tenants
from db.pool import Pool, open_pool
from db.records import TenantSettings
from schemas.outcomes import ErrorCode
from tests.unit.sedna import scripted
from tests.unit.sedna.scripted import PASSWORD, Answer, refusal, reply

HOTELS = [
    {"RecId": 18, "Name": "Mandarin Resort & Spa"},
    {"RecId": 28, "Name": "Calista Luxury Resort"},
    {"RecId": 29, "Name": "Calista Grand"},
    {"RecId": 30, "Name": "Çamlıca Palas Otel"},
]
DAY = 86_400


@dataclass
class Desk:
    """What a person works with: a tenant `a` whose Sedna answers by script."""

    pool: Pool
    hotels: Hotels
    sedna: scripted.Account
    borrowed: int = 0

    def borrow(self, tenant_id: str) -> AbstractAsyncContextManager[Account]:
        return self._borrow(tenant_id)

    @contextlib.asynccontextmanager
    async def _borrow(self, tenant_id: str) -> AsyncIterator[Account]:
        mappings = await tenants.mappings(self.pool, tenant_id)
        self.borrowed += 1
        try:
            yield cast(
                "Account",
                SimpleNamespace(
                    catalogue=self.catalogue,
                    mappings={each.name_key: each.hotel_id for each in mappings},
                ),
            )
        finally:
            self.borrowed -= 1

    def __post_init__(self) -> None:
        self.catalogue = Catalogue(client=self.sedna.client, clock=self.sedna.clock, ttl=DAY)


SETTINGS = TenantSettings(
    tenant_id="a",
    sedna_api_url="http://sedna.example",
    sedna_username="u",
    sedna_password_encrypted=b"sealed",
)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = await open_pool(database_url, max_size=2)
    await tenants.put(opened, SETTINGS)
    await tenants.put(opened, replace(SETTINGS, tenant_id="b"))
    yield opened
    await opened.close()


def at_desk(pool: Pool, *lists: Answer, **answers: list[Answer]) -> Desk:
    scripts: dict[str, list[Answer]] = {"GetHotels": [*lists] or [reply(HOTELS)], **answers}
    desk = Desk(pool, cast("Hotels", None), scripted.account(**scripts))
    desk.hotels = Hotels(pool=pool, borrow=desk.borrow)
    return desk


async def fail(pool: Pool, count: int, *, code: str, tenant_id: str = "a", **payload: Any) -> None:
    """Syncs that have failed."""
    await pool.execute(
        "INSERT INTO syncs (tenant_id, kind, voucher_no, payload, content_hash, event_id,"
        " origin_topic, origin_partition, origin_offset, state, error_code)"
        " SELECT $1, 'reservation', gen_random_uuid(), jsonb_strip_nulls(jsonb_build_object("
        " 'hotel_name', $2::text, 'sedna_hotel_id', $3::bigint)), '', 'e', 't', 0, 1, 'failed', $4"
        " FROM generate_series(1, $5)",
        tenant_id,
        payload["hotel_name"],
        payload.get("sedna_hotel_id"),
        code,
        count,
    )


# -- search ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, finding, hotel_id",
    [
        ("mandarin resort & spa", Finding.EXACT, 18),
        ("Resort ve Spa MANDARİN Hotel", Finding.NORMALISED, 18),
        ("Mandarin", Finding.PARTIAL, 18),
        ("Calista", Finding.AMBIGUOUS, None),
        ("Nowhere Palace", Finding.NOT_FOUND, None),
    ],
)
async def test_a_search_says_what_the_service_makes_of_a_name(
    pool: Pool, name: str, finding: Finding, hotel_id: int | None
) -> None:
    found = await at_desk(pool).hotels.search("a", name)
    assert (found.finding, found.hotel and found.hotel.id) == (finding, hotel_id)
    assert found.hotels == len(HOTELS)


async def test_candidates_are_ranked_and_hold_those_that_are_only_similar(pool: Pool) -> None:
    found = await at_desk(pool).hotels.search("a", "Calista")
    scores = [each.score for each in found.candidates]
    assert scores == sorted(scores, reverse=True)
    assert {each.id for each in found.candidates[:2]} == {28, 29}
    assert len({each.id for each in found.candidates}) == len(found.candidates)


async def test_hotels_that_all_fit_are_candidates_among_any_number_of_others(pool: Pool) -> None:
    many = [{"RecId": 100 + n, "Name": f"Calypso {n:03}"} for n in range(300)]
    fitting = "Calista Luxury Resort And Thermal Spa Convention Center Belek Antalya"
    listed = [*many, {"RecId": 1, "Name": fitting}, {"RecId": 2, "Name": f"{fitting} Annex"}]
    found = await at_desk(pool, reply(listed)).hotels.search("a", "Calista")
    assert found.finding is Finding.AMBIGUOUS
    assert {1, 2} <= {each.id for each in found.candidates}
    assert len(found.candidates) == 10


async def test_a_mapping_is_what_a_search_finds_first(pool: Pool) -> None:
    desk = at_desk(pool)
    await desk.hotels.map("a", "Mandarin", 28)
    found = await desk.hotels.search("a", "MANDARİN!")
    assert (found.finding, found.hotel) == (Finding.MAPPING, Hotel(28, "Calista Luxury Resort"))
    assert found.candidates[0].id == 18


async def test_a_mapping_to_a_hotel_that_is_gone_is_said(pool: Pool) -> None:
    await at_desk(pool).hotels.map("a", "Calista", 29)
    found = await at_desk(pool, reply(HOTELS[:2])).hotels.search("a", "Calista")
    assert (found.finding, found.hotel) == (Finding.MAPPED_HOTEL_GONE, None)
    assert found.candidates[0].id == 28


# -- map, unmap, list -----------------------------------------------------------------------------


async def test_all_spellings_that_fold_alike_are_one_mapping(pool: Pool) -> None:
    desk = at_desk(pool)
    first = await desk.hotels.map("a", "Calista", 28)
    assert (first.hotel.name, first.replaced) == ("Calista Luxury Resort", None)
    second = await desk.hotels.map("a", "CALİSTA hotel", 29)
    assert second.replaced is not None
    assert (second.replaced.name, second.replaced.hotel_id) == ("Calista", 28)
    (only,) = await desk.hotels.mappings("a")
    assert (only.name, only.name_key, only.hotel_id) == ("CALİSTA hotel", "calista", 29)

    removed = await desk.hotels.unmap("a", "otel calista")
    assert removed == only
    assert await desk.hotels.unmap("a", "Calista") is None
    assert await desk.hotels.mappings("a") == []


async def test_an_id_that_the_account_does_not_have_is_refused_after_one_fresh_look(
    pool: Pool,
) -> None:
    desk = at_desk(pool, reply(HOTELS[:1]), reply(HOTELS))
    await desk.hotels.search("a", "Mandarin")
    desk.sedna.clock.seconds += 61
    assert (await desk.hotels.map("a", "x", 28)).hotel.id == 28
    desk.sedna.clock.seconds += 61
    with pytest.raises(NoSuchHotel, match=r"has no hotel 999.*Calista") as caught:
        await desk.hotels.map("a", "Calista", 999)
    assert caught.value.candidates[0].id in {28, 29}
    assert len(desk.sedna.sedna.calls("GetHotels")) == 3
    assert [each.name for each in await desk.hotels.mappings("a")] == ["x"]


@pytest.mark.parametrize("name", ["", " \t", "x" * 301, "a\x00b", "a\udcffb"])
async def test_a_name_that_no_event_can_have_is_refused_before_anything_is_asked(
    pool: Pool, name: str
) -> None:
    desk = at_desk(pool)
    for question in (
        desk.hotels.search("a", name),
        desk.hotels.map("a", name, 18),
        desk.hotels.unmap("a", name),
    ):
        with pytest.raises(UselessName):
            await question
    assert desk.sedna.sedna.requests == []


async def test_a_tenant_sees_and_changes_its_own_mappings_only(pool: Pool) -> None:
    desk = at_desk(pool)
    await desk.hotels.map("a", "Calista", 28)
    await desk.hotels.map("b", "Calista", 29)
    await desk.hotels.unmap("a", "Calista")
    assert await desk.hotels.mappings("a") == []
    assert [each.hotel_id for each in await desk.hotels.mappings("b")] == [29]


async def test_who_is_no_tenant_is_told_so(pool: Pool) -> None:
    desk = at_desk(pool)
    hotels = Hotels(pool=pool, borrow=short_lived(pool=pool, build=lambda *_: pytest.fail("built")))
    for question in (
        desk.hotels.unmap("nobody", "x"),
        desk.hotels.mappings("nobody"),
        hotels.search("nobody", "x"),
        hotels.map("nobody", "x", 18),
    ):
        with pytest.raises(AccountUnusable, match=r"no tenant nobody: `sedna-sync tenant list`"):
            await question


# -- what a mapping helps -------------------------------------------------------------------------


async def test_map_counts_the_failed_syncs_that_it_helps_and_no_others(pool: Pool) -> None:
    await fail(pool, 2, code="hotel_ambiguous", hotel_name="CALISTA")
    await fail(pool, 3, code="hotel_not_found", hotel_name="Calista Hotel")
    await fail(pool, 1, code="hotel_not_found", hotel_name="Calista", sedna_hotel_id=999)
    await fail(pool, 1, code="hotel_not_found", hotel_name="Nowhere")
    await fail(pool, 1, code="room_type_unknown", hotel_name="Calista")
    await fail(pool, 1, code="hotel_ambiguous", hotel_name="Calista", tenant_id="b")
    done = await at_desk(pool).hotels.map("a", "Calista", 28)
    assert done.retriable == {ErrorCode.HOTEL_AMBIGUOUS: 2, ErrorCode.HOTEL_NOT_FOUND: 3}
    assert done.retriable_is_all


async def test_map_looks_at_no_more_than_a_thousand_failed_syncs(pool: Pool) -> None:
    await fail(pool, LOOKED_AT + 5, code="hotel_ambiguous", hotel_name="Calista")
    done = await at_desk(pool).hotels.map("a", "Calista", 28)
    assert done.retriable == {ErrorCode.HOTEL_AMBIGUOUS: LOOKED_AT}
    assert not done.retriable_is_all


# -- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answers, says",
    [
        ({"AgencyLogin": [refusal(f"wrong password {PASSWORD}")]}, "check user name and password"),
        ({"GetHotels": [reply(b"", 503)]}, "503"),
        ({"GetHotels": [reply([])], "GetHotelList": [reply([])]}, "empty list"),
    ],
)
async def test_what_sedna_does_not_give_is_one_line_without_secrets_and_maps_nothing(
    pool: Pool, answers: dict[str, list[Answer]], says: str
) -> None:
    desk = at_desk(pool, **answers)
    for question in (desk.hotels.search("a", "x"), desk.hotels.map("a", "x", 18)):
        with pytest.raises(CatalogueUnavailable, match=says) as caught:
            await question
        (line,) = str(caught.value).splitlines()
        assert "tenant a" in line
        assert PASSWORD not in line
    assert desk.borrowed == 0
    assert await desk.hotels.mappings("a") == []


@pytest.mark.parametrize(
    "error", [TenantNotConfigured("off"), CannotDecrypt("sealed"), ValueError("no URL")]
)
async def test_an_account_that_cannot_be_had_is_said(pool: Pool, error: Exception) -> None:
    class Refusing(contextlib.AbstractAsyncContextManager[Account]):
        async def __aenter__(self) -> Account:
            raise error

        async def __aexit__(self, *_: object) -> None:
            pytest.fail("it was not entered")

    hotels = Hotels(pool=pool, borrow=lambda _: Refusing())
    with pytest.raises(AccountUnusable, match=str(error)):
        await hotels.search("a", "x")


async def test_a_mistake_in_the_program_is_not_taken_for_an_account_that_cannot_be_had(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def mistaken() -> None:
        raise ValueError("a mistake")

    desk = at_desk(pool)
    monkeypatch.setattr(desk.catalogue, "hotels", mistaken)
    with pytest.raises(ValueError, match="a mistake"):
        await desk.hotels.search("a", "Mandarin")


# -- the two ways to an account -------------------------------------------------------------------


@dataclass
class Closing:
    closed: int = 0

    async def aclose(self) -> None:
        self.closed += 1


async def test_a_short_lived_account_is_built_with_the_mappings_and_closed(pool: Pool) -> None:
    await at_desk(pool).hotels.map("a", "Calista", 28)
    transport = Closing()
    given: list[object] = []

    def build(settings: TenantSettings, mappings: object) -> Account:
        given.extend([settings.tenant_id, mappings])
        return cast("Account", SimpleNamespace(transport=transport))

    async def fail_with_it() -> None:
        async with short_lived(pool=pool, build=build)("a"):
            assert transport.closed == 0
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_with_it()
    assert transport.closed == 1
    assert given == ["a", {mapping_key("Calista"): 28}]


async def test_a_tenant_that_is_switched_off_lends_no_account(pool: Pool) -> None:
    await tenants.put(pool, replace(SETTINGS, is_active=False))
    borrow = short_lived(pool=pool, build=lambda *_: pytest.fail("built"))
    with pytest.raises(TenantNotConfigured, match=r"--active"):
        async with borrow("a"):
            pass


async def test_the_services_account_is_in_use_while_it_is_borrowed_and_stays_open() -> None:
    used: list[str] = []

    @contextlib.contextmanager
    def account() -> Iterator[str]:
        used.append("begun")
        yield "the account"
        used.append("ended")

    class Kept:
        async def get(self, tenant_id: str) -> object:
            assert tenant_id == "a"
            return account()

    async with from_service(cast("Accounts", Kept()))("a") as borrowed:
        assert cast("str", borrowed) == "the account"
        assert used == ["begun"]
    assert used == ["begun", "ended"]

"""`hotel` as a person uses it while the real service works: a name is mapped, and syncs."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from consumer.demo.embedded_postgres import free_port
from consumer.demo.fake import Account, Hotel
from tests.e2e.conftest import WorldFactory
from tests.support.events import account, reservation, stop_sale
from tests.support.service import World

OF_A = "SELECT state, error_code, sedna_hotel_id FROM syncs WHERE tenant_id = 'a' AND email_id = $1"


def difficult(name: str) -> Account:
    """An account with two hotels of one group."""
    usual = account(name)
    rooms = usual.hotels[0].rooms
    siblings = (
        Hotel(id=201, name="Calista Luxury Resort", rooms=rooms),
        Hotel(id=202, name="Calista Grand", rooms=rooms),
    )
    return replace(usual, hotels=(*usual.hotels, *siblings))


async def said(here: World, *arguments: str, **settings: Any) -> Any:
    """What a command that goes well says as JSON."""
    code, out, error = await here.command("hotel", *arguments, "--json", **settings)
    assert (code, error) == (0, "")
    return json.loads(out)


async def publish(here: World, number: int, **changes: Any) -> Mapping[str, Any]:
    """Publish a reservation of tenant `a`, and wait for what becomes of this try."""
    before = await here.value("SELECT count(*) FROM sync_attempts")
    await here.publish_reservations([("a", reservation("a", number, **changes))])
    await here.until_value(before + 1, "SELECT count(*) FROM sync_attempts")
    (found,) = await here.query(OF_A, number)
    return dict(found)


async def test_a_name_that_is_ambiguous_is_searched_mapped_and_syncs_without_a_restart(
    world: WorldFactory,
) -> None:
    async with world([difficult("a"), difficult("b")]) as here:
        await here.start()
        failed = await publish(here, 1, hotel_name="Calista Hotel")
        assert failed["error_code"] == "hotel_ambiguous"
        message = await here.value("SELECT error_message FROM syncs")
        assert "`sedna-sync hotel map a`" in message

        found = await said(here, "search", "a", "CALİSTA")
        assert (found["result"], found["hotel"], found["hotels"]) == ("ambiguous", None, 7)
        assert {each["id"]: each["name"] for each in found["candidates"][:2]} == {
            201: "Calista Luxury Resort",
            202: "Calista Grand",
        }
        scores = [each["score"] for each in found["candidates"]]
        assert scores == sorted(scores, reverse=True)

        mapped = await said(here, "map", "a", "Calista", "202")
        assert mapped["hotel_name"] == "Calista Grand"
        assert (mapped["replaced"], mapped["retriable"]) == (None, {"hotel_ambiguous": 1})
        synced = await publish(here, 1, hotel_name="Calista Hotel")
        assert (synced["state"], synced["sedna_hotel_id"]) == ("synced", 202)
        await here.publish_stop_sales([("a", stop_sale("a", 7, hotel_name="Otel CALİSTA"))])
        await here.until_value(
            ("synced", 202),
            "SELECT (state, sedna_hotel_id) FROM syncs WHERE stop_sale_id = 7",
        )

        again = await said(here, "map", "a", "otel calista", "201")
        assert (again["replaced"]["name"], again["replaced"]["hotel_id"]) == ("Calista", 202)
        found = await said(here, "search", "a", "Calista")
        assert (found["result"], found["hotel"]["id"]) == ("mapping", 201)
        assert (await publish(here, 2, hotel_name="Calista"))["sedna_hotel_id"] == 201

        # Another tenant has its own.
        assert await said(here, "list", "b") == []
        assert (await said(here, "search", "b", "Calista"))["result"] == "ambiguous"
        (listed,) = await said(here, "list", "a")
        assert (listed["name"], listed["hotel_id"]) == ("otel calista", 201)

        assert (await said(here, "unmap", "a", "CALISTA"))["hotel_id"] == 201
        assert await said(here, "list", "a") == []
        failed = await publish(here, 3, hotel_name="Calista")
        assert failed["error_code"] == "hotel_ambiguous"


async def test_a_person_is_told_what_is_so_and_what_comes_next(world: WorldFactory) -> None:
    async with world([difficult("a")]) as here:
        code, empty, hint = await here.command("hotel", "list", "a")
        assert (code, empty) == (0, "")
        assert "no mappings" in hint
        await here.start()
        await publish(here, 1, hotel_name="Calista")
        await publish(here, 2, hotel_name="[bold]Calista")
        ends = await asyncio.gather(
            here.command("hotel", "search", "a", "Calista"),
            here.command("hotel", "search", "a", "mandarin"),
            here.command("hotel", "search", "a", "Çırağan"),
            here.command("hotel", "search", "a", "Hotel"),
        )
        assert [(code, error) for code, _, error in ends] == [(0, "")] * 4
        ambiguous, partial, nowhere, nothing = [out for _, out, _ in ends]
        assert "fits more than one hotel" in ambiguous
        assert "202  Calista Grand" in ambiguous
        assert "sedna-sync hotel map a Calista HOTEL_ID" in ambiguous
        assert "is Mandarin Resort & Spa (101), found as the only hotel" in partial
        assert "hotel_not_found" in nowhere
        assert "sedna-sync hotel map a 'Çırağan' HOTEL_ID" in nowhere
        assert "None of the account's 7 hotels has a name like it." in nothing

        code, out, error = await here.command("hotel", "map", "a", "Calista", "201")
        assert (code, error) == (0, "")
        assert "“Calista” is Calista Luxury Resort (201) for tenant a from now on" in out
        assert "1 failed sync names the hotel so" in out
        assert "sedna-sync retry --tenant a --code hotel_ambiguous" in out
        code, out, _ = await here.command("hotel", "map", "a", "CALISTA", "202")
        assert "before, “Calista” was hotel 201" in out
        code, out, _ = await here.command("hotel", "list", "a")
        assert "CALISTA" in out
        assert "202" in out
        code, out, _ = await here.command("hotel", "unmap", "a", "calista")
        assert (code, out) == (0, "“CALISTA” is no longer hotel 202 for tenant a\n")


async def test_what_cannot_be_done_is_one_line_that_says_why_and_what_to_do(
    world: WorldFactory,
) -> None:
    async with world([account("a"), account("locked"), account("away"), account("off")]) as here:
        nobody = f"http://127.0.0.1:{free_port()}/SednaAgencyb2bApi"
        await asyncio.gather(
            here.command("tenant", "set", "locked", "--password-stdin", stdin="wr0ng"),
            here.command("tenant", "set", "away", "--url", nobody),
            here.command("tenant", "set", "off", "--inactive"),
        )
        cases = {
            ("search", "nobody", "x"): (1, "sedna-sync tenant list"),
            ("map", "nobody", "x", "1"): (1, "sedna-sync tenant list"),
            ("unmap", "nobody", "x"): (1, "sedna-sync tenant list"),
            ("list", "nobody"): (1, "sedna-sync tenant list"),
            ("search", "locked", "x"): (1, "check user name and password"),
            ("search", "away", "x"): (1, "not sent"),
            ("search", "off", "x"): (1, "--active"),
            ("map", "a", "Mandarin", "999"): (1, "has no hotel 999"),
            ("map", "a", " ", "101"): (1, "1 to 300 characters"),
            ("unmap", "a", "Mandarin"): (1, "sedna-sync hotel list a"),
            ("map", "a", "Mandarin", "first"): (2, "HOTEL_ID"),
            ("search", "a b", "x"): (2, "a tenant id is"),
            ("list",): (2, "TENANT"),
        }
        ends = await asyncio.gather(
            *(here.command("hotel", *arguments, "--json") for arguments in cases)
        )
        for (arguments, (code, cure)), (ended, out, error) in zip(cases.items(), ends, strict=True):
            assert (arguments, ended, out) == (arguments, code, "")
            assert cure in error.splitlines()[-1], arguments
            assert "Traceback" not in error
            assert "wr0ng" not in error
        assert await here.value("SELECT count(*) FROM hotel_mappings") == 0

        code, _, error = await here.command("hotel", "search", "a", "x", ENCRYPTION_KEYS="")
        assert (code, "SEDNA_SYNC_ENCRYPTION_KEYS" in error) == (2, True)

"""What the API answers, field by field, whichever process of the group is asked.

On real servers, with two processes: one of them owns the tenant's work, and one does not.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx2

from consumer.demo.fake import Fault, FaultKind, When
from tests.e2e.conftest import WorldFactory
from tests.e2e.test_api import KEY, called, until_asked
from tests.support.events import account, record_users, reservation, stop_sale
from tests.support.service import World

SYNC = "/api/sedna/sync"
#: The program, but for the time that an answer waits for an outcome: half a minute is long.
IMPATIENT = """
from consumer.api import syncing
from consumer.cli.main import main
syncing.WAIT_SECONDS = 1.0
main()
"""
NOWHERE = {"hotel_name": "Nowhere", "room_type": "STD"}
#: How `syncs` names what a path does: the kind, as people call it, and the column of its id.
PATHS = {
    "reservation": ("reservation", "reservation", "email_id"),
    "stop-sale": ("stop_sale", "stop sale", "stop_sale_id"),
}
HOTEL = {"id": 101, "name": "Mandarin Resort & Spa"}


@contextlib.asynccontextmanager
async def both(here: World, tenant: str = "a") -> AsyncIterator[list[httpx2.AsyncClient]]:
    """Callers of two processes: of the one that owns the tenant's work, and of the other."""
    first, second = await here.start(**KEY), await here.start(**KEY)
    await first.until_logged("partitions_assigned", times=2)
    # Whoever does this one's work owns the tenant: both topics have the same partitions.
    await here.publish_reservations([(tenant, reservation(tenant, 999_999))])
    await here.until_settled(1)
    owner, other = sorted((first, second), key=lambda each: not each.lines("synced"))
    assert (len(owner.lines("synced")), len(other.lines("synced"))) == (1, 0)
    async with called(owner, tenant) as asks_owner, called(other, tenant) as asks_other:
        yield [asks_owner, asks_other]


def answer(sync_id: int, *, rec_id: int | None = None, **changes: Any) -> dict[str, Any]:
    """All fields of an answer, of something that is synced unless it is changed."""
    details = {
        "sync_id": sync_id,
        "state": "synced",
        "attempts": 1,
        "adopted": False,
        "sedna_hotel_id": HOTEL["id"],
        "code": None,
        "error": None,
    }
    return {
        "success": changes.pop("success", True),
        "message": changes.pop("message", "synced"),
        "sedna_rec_id": rec_id,
        "details": details | changes,
    }


async def stored(here: World, path: str, number: int) -> tuple[int, int | None]:
    """The sync of an item as its path names it, and its record in Sedna."""
    kind, _, column = PATHS[path]
    (row,) = await here.query(
        f"SELECT id, sedna_rec_id FROM syncs WHERE kind = $1 AND {column} = $2", kind, number
    )
    return row["id"], row["sedna_rec_id"]


async def test_failed_synced_already_synced_and_unknown_are_told_alike_by_both(
    world: WorldFactory,
) -> None:
    items = [("reservation", 1), ("stop-sale", 2), ("reservation", 3), ("stop-sale", 4)]
    async with world([account("a")]) as here, both(here) as processes:
        await here.publish_reservations(("a", reservation("a", n, **NOWHERE)) for n in (1, 3))
        await here.publish_stop_sales(("a", stop_sale("a", n, **NOWHERE)) for n in (2, 4))
        await here.until_settled(5)

        for path, number in items:
            sync_id, _ = await stored(here, path, number)
            for http in processes:
                response = await http.post(f"{SYNC}/{path}/{number}")
                said = response.json()
                assert said["message"].startswith("Hotel not found: no hotel is called “Nowhere”. ")
                assert "PUT /api/sedna/hotel-mappings" in said["message"]
                assert {each["id"] for each in said["details"]["error"]["candidates"]} >= {101}
                assert response.status_code == 200
                assert said == answer(
                    sync_id,
                    success=False,
                    message=said["message"],
                    state="failed",
                    sedna_hotel_id=None,
                    code="hotel_not_found",
                    error={"hotel_name": "Nowhere"} | said["details"]["error"],
                )

        # Said to the one that does not own the work, and asked of either at once.
        mapping = {"name": "Nowhere", "hotel_id": HOTEL["id"]}
        mapped = await processes[1].put("/api/sedna/hotel-mappings", json=mapping)
        assert mapped.json()["retriable"] == {"hotel_not_found": 4}
        for place, (path, number) in enumerate(items):
            response = await processes[place // 2].post(f"{SYNC}/{path}/{number}")
            sync_id, rec_id = await stored(here, path, number)
            assert (response.status_code, response.json()) == (200, answer(sync_id, rec_id=rec_id))
            assert rec_id is not None
        for path, number in items:
            sync_id, rec_id = await stored(here, path, number)
            for http in processes:
                response = await http.post(f"{SYNC}/{path}/{number}")
                assert response.status_code == 200
                assert response.json() == answer(sync_id, rec_id=rec_id, message="already synced")
                response = await http.post(f"{SYNC}/{path}/77")
                assert response.status_code == 404
                assert response.headers["content-type"] == "application/problem+json"
                assert response.json() == {
                    "type": "about:blank",
                    "title": "Not Found",
                    "status": 404,
                    "detail": f"there is no such {PATHS[path][1]}",
                }
        held = here.fake.holdings("a")
        assert held.vouchers == dict.fromkeys(("V000001", "V000003", "V999999"), 1)
        assert held.stop_sales == record_users([2, 4])


async def test_what_is_shown_is_the_same_wherever_it_is_asked_for(world: WorldFactory) -> None:
    async with world([account("a"), account("b")]) as here, both(here) as processes:
        await here.publish_reservations(
            [("a", reservation("a", 1, **NOWHERE)), ("b", reservation("b", 1))]
        )
        await here.publish_stop_sales([("a", stop_sale("a", 2))])
        await here.until_settled(4)
        mapping = {"name": "Elsewhere", "hotel_id": HOTEL["id"]}
        assert (await processes[0].put("/api/sedna/hotel-mappings", json=mapping)).is_success
        rows = await here.query("SELECT id, tenant_id FROM syncs ORDER BY id")
        statuses = {
            f"/api/sedna/syncs/{row['id']}": 200 if row["tenant_id"] == "a" else 404 for row in rows
        }
        assert sorted(statuses.values()) == [200, 200, 200, 404]
        for path in (
            "syncs?limit=2",
            "syncs?state=failed&code=hotel_not_found",
            "breaker",
            "hotels/search?name=lara",
        ):
            statuses[f"/api/sedna/{path}"] = 200
        for path, status in statuses.items():
            first, second = [await http.get(path) for http in processes]
            assert (first.status_code, second.status_code) == (status, status), path
            assert first.json() == second.json(), path
        for http in processes:
            # The other hears of a mapping from the database.
            async with asyncio.timeout(30):
                found: dict[str, Any] = {}
                while found.get("result") != "mapping":
                    found = (await http.get("/api/sedna/hotels/search?name=elsewhere")).json()
            assert found["hotel"] == HOTEL


async def test_pending_tries_the_oldest_fifty_and_lists_why_in_their_order(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here, both(here) as (_, other):
        await here.publish_reservations(("a", reservation("a", n, **NOWHERE)) for n in range(60))
        await here.until_settled(61)
        response = await other.post(f"{SYNC}/pending")
        assert response.status_code == 200
        assert response.json() == {
            "reservations_synced": 0,
            "reservations_failed": 50,
            "stop_sales_synced": 0,
            "stop_sales_failed": 0,
            "errors": [f"Reservation {number}: Hotel not found" for number in range(50)],
        }
        tried = await here.query("SELECT email_id FROM syncs WHERE generation = 2")
        assert {row["email_id"] for row in tried} == set(range(50))

        # Mended, they make room for the others, which are tried for the first time.
        mapping = {"name": "Nowhere", "hotel_id": HOTEL["id"]}
        assert (await other.put("/api/sedna/hotel-mappings", json=mapping)).is_success
        for synced in (50, 10, 0):
            response = await other.post(f"{SYNC}/pending")
            assert response.json() == {
                "reservations_synced": synced,
                "reservations_failed": 0,
                "stop_sales_synced": 0,
                "stop_sales_failed": 0,
                "errors": [],
            }
        vouchers = here.fake.holdings("a").vouchers
        assert vouchers == dict.fromkeys((f"V{n:06}" for n in (*range(60), 999_999)), 1)


async def test_what_is_running_or_in_doubt_says_so_to_both_and_no_pressing_sends_it_again(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        here.program = [sys.executable, "-c", IMPATIENT]
        here.settings |= {"RETRY_BASE": "0.1", "RETRY_CAP": "0.5", "BREAKER_FAILURES": "1000000"}
        async with both(here) as processes:
            for fault in (
                Fault(kind=FaultKind.RESET, when=When.AFTER_COMMIT, voucher="V000001"),
                Fault(kind=FaultKind.STATUS, operation="GetReservations"),
                Fault(kind=FaultKind.HANG, voucher="V000002"),
            ):
                here.fake.faults.add(fault)
            await here.publish_reservations(("a", reservation("a", n)) for n in (1, 2))
            await here.until_value(1, "SELECT count(*) FROM syncs WHERE in_doubt_since IS NOT NULL")
            await here.fake.until(lambda fake: fake.hung == 1)
            sent = here.fake.calls("InsertReservation")

            pressed = await asyncio.gather(
                *(http.post(f"{SYNC}/reservation/1") for http in processes * 5)
            )
            sync_id, _ = await stored(here, "reservation", 1)
            for response in pressed:
                said = response.json()
                assert response.status_code == 202
                assert said == answer(
                    sync_id,
                    success=False,
                    message="in doubt: a create was perhaps carried out, and Sedna is being asked",
                    state="in_doubt",
                    sedna_hotel_id=102,
                    attempts=said["details"]["attempts"],
                    code=said["details"]["code"],
                    error=said["details"]["error"],
                )
            sync_id, _ = await stored(here, "reservation", 2)
            for http in processes:
                response = await http.post(f"{SYNC}/reservation/2")
                assert response.status_code == 202
                assert response.json() == answer(
                    sync_id,
                    success=False,
                    message="still running: ask again, or look at the list of syncs",
                    state="running",
                    attempts=0,
                    sedna_hotel_id=103,
                )
                response = await http.post(f"{SYNC}/pending")
                assert response.status_code == 200
                assert response.json() == {
                    "reservations_synced": 0,
                    "reservations_failed": 0,
                    "stop_sales_synced": 0,
                    "stop_sales_failed": 0,
                    "errors": ["Reservation 1: In doubt", "Reservation 2: Still running"],
                }
            assert here.fake.calls("InsertReservation") == sent
            assert await here.value("SELECT max(generation) FROM syncs") == 1

            here.fake.faults.clear()
            here.fake.release()
            await here.until_settled(3)
            for number, adopted in ((1, True), (2, False)):
                for http in processes:
                    said = (await http.post(f"{SYNC}/reservation/{number}")).json()
                    assert (said["success"], said["message"]) == (True, "already synced")
                    assert said["details"]["adopted"] is adopted
            assert here.fake.calls("InsertReservation") == sent
            held = here.fake.holdings("a").vouchers
            assert held == dict.fromkeys(("V000001", "V000002", "V999999"), 1)


async def until_told(http: httpx2.AsyncClient, path: str) -> dict[str, Any]:
    """What came of it: whoever is told that it is still running asks again."""
    while (response := await http.post(f"{SYNC}/{path}")).status_code == 202:
        pass
    said: dict[str, Any] = response.json()
    return said


async def test_whoever_waits_is_answered_though_the_owner_is_killed_meanwhile(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        here.settings |= {
            "LEASE": "6",
            "REQUEST_TIMEOUT": "3",
            "CONNECT_TIMEOUT": "1",
            "DRAIN_TIMEOUT": "4",
            "DOUBT_WINDOW": "1",
            "RETRY_BASE": "0.1",
            "RETRY_CAP": "0.5",
        }
        async with both(here) as (owner, other):
            here.fake.faults.add(
                Fault(kind=FaultKind.HANG, when=When.AFTER_COMMIT, voucher="V000001")
            )
            await here.publish_reservations([("a", reservation("a", 1))])
            await here.fake.until(lambda fake: fake.hung == 1)
            asked = asyncio.create_task(until_told(other, "reservation/1"))
            await until_asked(other)
            (killed,) = (
                each
                for each in here.services
                if each.lines("api_listening")[0]["port"] == owner.base_url.port
            )
            await killed.kill()
            here.fake.faults.clear()
            here.fake.release()
            said = await asked
            sync_id, rec_id = await stored(here, "reservation", 1)
            assert (said["success"], said["sedna_rec_id"]) == (True, rec_id)
            assert (said["details"]["sync_id"], said["details"]["adopted"]) == (sync_id, True)
        assert here.fake.holdings("a").vouchers == dict.fromkeys(("V000001", "V999999"), 1)

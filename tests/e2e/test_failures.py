"""Each failure is told once, says what to mend, and a correction that is published then syncs."""

from dataclasses import dataclass, field, replace
from typing import Any

from consumer.demo.embedded_postgres import free_port
from consumer.demo.fake import Account, Hotel
from tests.e2e.conftest import WorldFactory
from tests.support.events import (
    account,
    envelope,
    reservation,
    reservation_data,
    stop_sale,
    stop_sale_data,
)
from tests.support.service import World

FULL = "No allotment left"


@dataclass(frozen=True, slots=True)
class Case:
    """A broken event, what must be said of it, and the correction."""

    code: str
    broken: dict[str, Any]
    says: str  #: a part of the message
    details: dict[str, Any]  #: among the details
    mended: dict[str, Any] = field(default_factory=dict)


SIBLINGS = (Hotel(id=201, name="Calista Luxury Resort"), Hotel(id=202, name="Calista Grand"))
CASES = (
    Case(
        "hotel_not_found",
        {"hotel_name": "Nowhere Palace"},
        "no hotel of tenant a is called 'Nowhere Palace'",
        {"hotel_name": "Nowhere Palace"},
    ),
    Case(
        "hotel_not_found",
        {"sedna_hotel_id": 999},
        "no hotel with the event's id 999",
        {"sedna_hotel_id": 999},
        {"sedna_hotel_id": 103},
    ),
    Case(
        "hotel_ambiguous",
        {"hotel_name": "Calista"},
        "publish the event again with the hotel named in full or by sedna_hotel_id",
        {"hotel_name": "Calista"},
    ),
    Case(
        "room_type_unknown",
        {"room_type": "PENTHOUSE"},
        "no room type 'PENTHOUSE'; known: DLX, STD",
        {"room_type": "PENTHOUSE", "known": ["DLX", "STD"]},
    ),
    Case(
        "board_unknown",
        {"board_type": "LIQUID"},
        "no board 'LIQUID'; known: AI, BB, HB",
        {"board_type": "LIQUID", "known": ["AI", "BB", "HB"]},
    ),
    Case(
        "refused_by_sedna",
        {"sedna_hotel_id": 105},
        FULL,
        {"sedna_message": FULL, "status": 200},
        {"sedna_hotel_id": 101},
    ),
)


def difficult() -> Account:
    """An account with a hotel that takes no reservation, and two that share their telling word."""
    made = account("a")
    hotels = [replace(hotel, refusal=FULL) if hotel.id == 105 else hotel for hotel in made.hotels]
    return replace(made, hotels=(*hotels, *SIBLINGS))


async def row(here: World, item: int, column: str = "email_id") -> Any:
    (found,) = await here.query(f"SELECT * FROM syncs WHERE {column} = $1", item)
    return found


async def failures(here: World) -> dict[int, Any]:
    """The failed results by item; each must have come once."""
    found = [each["data"] for each in await here.results() if each["type"] == "sedna.failed"]
    items = [each.get("email_id") or each["stop_sale_id"] for each in found]
    assert len(set(items)) == len(items)
    return dict(zip(items, found, strict=True))


async def test_each_failure_says_once_what_to_mend_and_the_correction_syncs(
    world: WorldFactory,
) -> None:
    async with world([difficult()]) as here:
        await here.start()
        cases = dict(enumerate(CASES, start=1))
        await here.publish_reservations(
            ("a", reservation("a", number, **case.broken)) for number, case in cases.items()
        )
        await here.until_settled(len(cases))
        told = await failures(here)
        assert told.keys() == cases.keys()
        for number, case in cases.items():
            error = told[number]["error"]
            assert error["code"] == case.code
            assert case.says in error["message"]
            assert case.details.items() <= error["details"].items()
            stored = await row(here, number)
            assert (stored["error_code"], stored["error_message"]) == (
                case.code,
                error["message"],
            )
            assert (stored["state"], stored["sedna_synced"]) == ("failed", False)
        assert not here.fake.holdings("a").vouchers

        await here.publish_reservations(
            ("a", reservation("a", number, **({"sedna_hotel_id": 101} | case.mended)))
            for number, case in cases.items()
        )
        await here.until_value(len(cases), "SELECT count(*) FROM syncs WHERE sedna_synced")
        vouchers = {f"V{number:06}": 1 for number in cases}
        assert here.fake.holdings("a").vouchers == vouchers
        errors = await here.query("SELECT error_code, error_message FROM syncs")
        assert {tuple(each) for each in errors} == {(None, None)}
        assert (await failures(here)).keys() == cases.keys()


async def test_what_cannot_be_told_apart_or_found_is_answered_with_candidates(
    world: WorldFactory,
) -> None:
    async with world([difficult()]) as here:
        await here.start()
        await here.publish_stop_sales(
            [
                ("a", stop_sale("a", 1, hotel_name="Calista")),
                ("a", stop_sale("a", 2, hotel_name="Mandarin Resrot")),
            ]
        )
        await here.until_settled(2)

        told = await failures(here)
        fits = told[1]["error"]["details"]["candidates"]
        assert {each["id"]: each["name"] for each in fits} == {
            hotel.id: hotel.name for hotel in SIBLINGS
        }
        assert told[2]["error"]["details"]["candidates"][0]["id"] == 101


async def test_other_content_for_what_is_synced_is_a_conflict_and_changes_nothing(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        await here.start()
        await here.publish_reservations([("a", reservation("a", 1))])
        await here.publish_stop_sales([("a", stop_sale("a", 7))])
        await here.until_settled(2)
        before = await here.query("SELECT * FROM syncs ORDER BY id")

        await here.publish_reservations([("a", reservation("a", 1, adults=3))])
        await here.publish_stop_sales([("a", stop_sale("a", 7, is_close=False))])
        await here.until_read()
        await here.until_settled(2)

        told = await failures(here)
        assert {each["error"]["code"] for each in told.values()} == {"conflict"}
        assert "voucher V000001 is already synced" in told[1]["error"]["message"]
        assert "stop sale 7 is already synced" in told[7]["error"]["message"]
        assert told[1]["error"]["details"]["first_event_id"] == before[0]["event_id"]
        assert await here.query("SELECT * FROM syncs ORDER BY id") == before
        assert here.fake.calls("InsertReservation") == 1
        assert here.fake.calls("UpdateStopSale") == 2


async def test_an_event_that_breaks_the_contract_is_answered_and_its_correction_syncs(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        await here.start()
        await here.publish_reservations([("a", reservation("a", 1, check_out="2026-11-01"))])
        no_dates = {**stop_sale_data(2), "date_from": None}
        await here.publish_stop_sales([("a", envelope("a", "stopsale.created", no_dates))])
        await here.until_read()
        await here.until_settled(0)

        told = await failures(here)
        assert {each["error"]["code"] for each in told.values()} == {"invalid_event"}
        assert told[1]["error"]["details"]["problems"] == [
            {"field": "data.check_out", "problem": "must be after check_in"}
        ]
        assert told[2]["error"]["details"]["problems"][0]["field"] == "data.date_from"

        await here.publish_reservations([("a", reservation("a", 1))])
        await here.publish_stop_sales([("a", stop_sale("a", 2))])
        await here.until_value(2, "SELECT count(*) FROM syncs WHERE sedna_synced")


async def test_what_is_not_done_in_time_is_given_up_with_the_last_error(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        here.settings |= {"GIVE_UP_AFTER": "1", "RETRY_BASE": "0.1", "RETRY_CAP": "0.3"}
        nobody = f"http://127.0.0.1:{free_port()}/SednaAgencyb2bApi"
        await here.command("tenant", "set", "a", "--url", nobody)
        await here.start()
        data = reservation_data(1)
        await here.publish_reservations([("a", envelope("a", "reservation.created", data))])
        await here.until_settled(1)

        told = await failures(here)
        error = told[1]["error"]
        assert error["code"] == "gave_up"
        assert "not done within 1 s" in error["message"]
        stored = await row(here, 1)
        assert stored["error_code"] == "gave_up"
        assert stored["error_message"] == error["message"]
        history = await here.query("SELECT outcome, error_message FROM sync_attempts ORDER BY id")
        assert {each["outcome"] for each in history[:-1]} == {"retry"}
        assert history[-1]["outcome"] == "failed"
        assert told[1]["attempts"] == stored["attempts"] == len(history)

        await here.command("tenant", "set", "a", "--url", here.fake.base_url)
        await here.publish_reservations([("a", envelope("a", "reservation.created", data))])
        await here.until_value("synced", "SELECT state FROM syncs")

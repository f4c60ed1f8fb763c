"""`replay`: a topic is read again beside the service, and only what is missing is done."""

import json
from dataclasses import replace
from typing import Any

from consumer.demo.fake import Hotel, Room
from tests.e2e.conftest import WorldFactory
from tests.support import kafka_clients
from tests.support.events import account, reservation, stop_sale
from tests.support.service import World

NEW_HOTEL = Hotel(id=777, name="Neverland Palace", rooms=(Room(7771, "STD"),))
NOWHERE = {"hotel_name": "Neverland Palace", "room_type": "STD"}


def build_the_hotel(here: World, *names: str) -> None:
    """From now on the accounts have one hotel more."""
    here.fake.state.configure(
        replace(config, hotels=(*config.hotels, NEW_HOTEL))
        for config in (here.fake.account(name).config for name in names)
    )


async def replay(here: World, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    """What `replay --json` prints, line by line."""
    found, out, error = await here.command("replay", "--json", *arguments)
    assert (found, error) == (code, ""), error
    return [json.loads(line) for line in out.splitlines()]


def items(lines: list[dict[str, Any]]) -> dict[tuple[str, int, int], tuple[str, str | None]]:
    return {
        (line["topic"], line["partition"], line["offset"]): (line["outcome"], line["code"])
        for line in lines
        if line["type"] == "item"
    }


def totals(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """What the summary counts, without what is zero."""
    assert lines[-1]["type"] == "summary"
    return {name: number for name, number in lines[-1]["totals"].items() if number}


async def rows(here: World) -> list[dict[str, Any]]:
    """All syncs, but for what moves by itself."""
    found = await here.query("SELECT * FROM syncs ORDER BY id")
    return [dict(row) for row in found]


async def test_what_is_synced_is_read_again_and_nothing_is_sent_published_or_changed(
    world: WorldFactory,
) -> None:
    async with world([account("a"), account("b")]) as here:
        await here.start()
        await here.publish_reservations(
            (tenant, reservation(tenant, number)) for number in range(20) for tenant in "ab"
        )
        await here.publish_stop_sales(
            (tenant, stop_sale(tenant, number)) for number in range(5) for tenant in "ab"
        )
        await here.until_settled(50)
        await here.until_committed()
        before, sent = await rows(here), len(here.fake.journal.entries)
        results = await here.results()
        group = await kafka_clients.committed(here.kafka, here.group_id)

        lines = await replay(here, "--yes")
        assert totals(lines) == {"synced": 50}
        assert lines[-1]["complete"] is True
        assert await rows(here) == before
        assert len(here.fake.journal.entries) == sent
        assert await here.results() == results
        assert await kafka_clients.committed(here.kafka, here.group_id) == group

"""Whatever comes: each record is answered, nothing stops, and good events are done."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence

from aiokafka import ConsumerRecord
from confluent_kafka import Message, Producer

from schemas.kinds import Kind
from tests.e2e.conftest import WorldFactory
from tests.e2e.garbage import Broken, broken_events
from tests.support.events import account, record_users, reservation, stop_sale
from tests.support.kafka_clients import read_all
from tests.support.service import World

GARBAGE = 10_000
GOOD = 50  # of each kind
#: Topic, partition, offset.
Place = tuple[str, int, int]


async def publish(here: World, records: Iterable[Broken], **settings: str) -> list[Place]:
    """Publish anything at all; returns where each record went."""
    topics = {
        Kind.RESERVATION: here.topics.reservations,
        Kind.STOP_SALE: here.topics.stop_sales,
    }
    # Not aiokafka: it sends no record that has neither key nor value, and others do.
    producer = Producer(
        {
            "bootstrap.servers": here.kafka,
            "partitioner": "murmur2_random",
            "message.max.bytes": 8 * 1024 * 1024,
            **settings,
        }
    )
    places: list[Place | None] = []

    def send(index: int, record: Broken) -> None:
        def acknowledged(error: object, message: Message) -> None:
            assert error is None, error
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            assert topic is not None
            assert partition is not None
            assert offset is not None
            places[index] = (topic, partition, offset)

        places.append(None)
        producer.produce(
            topics[record.kind],
            value=record.value,
            key=record.key,
            headers=list(record.headers),
            on_delivery=acknowledged,
        )

    for index, record in enumerate(records):
        send(index, record)
    await asyncio.to_thread(producer.flush)
    return [place for place in places if place is not None]


async def publish_good(here: World, numbers: Sequence[int]) -> None:
    await here.publish_reservations(("b", reservation("b", number)) for number in numbers)
    await here.publish_stop_sales(("b", stop_sale("b", number)) for number in numbers)


async def dead_letters(here: World) -> dict[Place, ConsumerRecord[bytes | None, bytes | None]]:
    """All dead letters, by where their records stood."""
    letters = await read_all(here.kafka, here.topics.deadletter)
    by_place = {}
    for letter in letters:
        told = dict(letter.headers[-6:])
        place = (
            told["x-origin-topic"].decode(),
            int(told["x-origin-partition"]),
            int(told["x-origin-offset"]),
        )
        by_place[place] = letter
    assert len(by_place) == len(letters)
    return by_place


async def test_ten_thousand_broken_events_are_each_answered_and_a_hundred_good_ones_among_them_synced(  # noqa: E501
    world: WorldFactory,
) -> None:
    garbage = broken_events(GARBAGE)
    async with world([account("a"), account("b")]) as here:
        service = await here.start()
        places: dict[Place, Broken] = {}
        parts = 10
        for part in range(parts):
            some = garbage[part::parts]
            places |= zip(await publish(here, some), some, strict=True)
            await publish_good(here, range(part, GOOD, parts))
        await here.until_read()
        await here.until_settled(2 * GOOD)

        # The good ones.
        held = here.fake.holdings("b")
        assert held.vouchers == {f"V{number:06}": 1 for number in range(GOOD)}
        assert held.stop_sales == record_users(range(GOOD))
        assert await here.value("SELECT count(*) FROM syncs") == 2 * GOOD

        # The dead letters: the bytes as they came, and what is wrong with them.
        letters = await dead_letters(here)
        assert letters.keys() == places.keys()
        for place, letter in letters.items():
            came = places[place]
            neither = came.key is None and came.value is None
            assert (letter.key, letter.value) == (b"" if neither else came.key, came.value)
            assert tuple(letter.headers[:-6]) == came.headers
            told = dict(letter.headers[-6:])
            assert told["x-error-code"] == b"invalid_event"
            assert told["x-error-message"].decode()
            assert int(told["x-origin-timestamp"]) > 0

        # The rows.
        rows = await here.query("SELECT * FROM rejections")
        stored = {
            (row["origin_topic"], row["origin_partition"], row["origin_offset"]): row
            for row in rows
        }
        assert len(rows) == len(stored) == GARBAGE
        for place, came in places.items():
            row = stored[place]
            assert (row["key"], row["value"]) == (came.key, came.value)
            assert row["tenant_id"] == came.tenant

        # The results: one for each record whose key names a tenant.
        results = await here.results()
        assert Counter(each["type"] for each in results)["sedna.synced"] == 2 * GOOD
        failed = {
            (origin["topic"], origin["partition"], origin["offset"]): each
            for each in results
            if each["type"] == "sedna.failed"
            for origin in [each["data"]["origin"]]
        }
        assert len(failed) == len(results) - 2 * GOOD
        assert failed.keys() == {place for place, came in places.items() if came.tenant}
        for place, result in failed.items():
            assert result["tenantid"] == places[place].tenant
            assert result["data"]["error"]["code"] == "invalid_event"
        assert len({result["id"] for result in results}) == len(results)

        assert await service.stop() == 0
        assert await here.lag() == 0


async def test_a_header_without_a_value_is_no_header_and_goes_back_as_it_came(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        await here.start()
        nothing: tuple[tuple[str, bytes | None], ...] = (("content-type", None), ("ce_id", None))
        good = Broken(Kind.RESERVATION, b"a", reservation("a", 1), nothing)
        (place,) = await publish(here, [Broken(Kind.STOP_SALE, b"a", b"{", nothing)])
        await publish(here, [good])
        await here.until_read()
        await here.until_settled(1)

        assert here.fake.holdings("a").vouchers == {"V000001": 1}
        letter = (await dead_letters(here))[place]
        assert tuple(letter.headers[:-6]) == nothing


async def test_an_event_as_large_as_kafka_takes_stops_no_other_answer(
    world: WorldFactory,
) -> None:
    async with world([account("a")], partitions=1) as here:
        await here.start()
        # Compressed they pass the broker's limit for a message, which is that of the compressed.
        too_large = Broken(Kind.RESERVATION, b"a", b"x" * 3_000_000)
        (place,) = await publish(here, [too_large], **{"compression.type": "gzip"})
        just_not = Broken(Kind.RESERVATION, b"a", b"y" * (1_048_588 - 120))
        (other,) = await publish(here, [just_not])
        await here.publish_reservations([("a", reservation("a", 1))])

        await here.until_read()
        await here.until_settled(1, timeout_seconds=5)
        assert (await dead_letters(here)).keys() == {place, other}
        types = Counter(each["type"] for each in await here.results())
        assert types == {"sedna.synced": 1, "sedna.failed": 2}

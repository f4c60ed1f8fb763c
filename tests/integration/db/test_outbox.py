"""The outbox: each owner reads its own messages in order, until Kafka has acknowledged them."""

from db import outbox
from db.inbox import registration
from db.pool import Pool
from schemas.kinds import Kind
from tests.integration.db.builders import message

OWNED = [(Kind.RESERVATION, 0), (Kind.RESERVATION, 2), (Kind.STOP_SALE, 0)]


async def add(pool: Pool, *made: tuple[Kind, int, str]) -> None:
    async with registration(pool) as transaction:
        await transaction.add_messages(
            [message(text, kind=kind, partition=partition) for kind, partition, text in made]
        )


async def test_an_owner_reads_its_messages_in_the_order_of_their_ids(pool: Pool) -> None:
    await add(
        pool,
        *(
            (kind, partition, f"{kind} {partition} {number}")
            for number in range(20)
            for kind in reversed(Kind)
            for partition in (2, 1, 0)
        ),
    )
    page = await outbox.page(pool, OWNED, after=0, limit=1000)
    assert [each.id for each in page] == sorted(each.id for each in page)
    assert [(each.value or b"").decode() for each in page] == [
        f"{kind} {partition} {number}"
        for number in range(20)
        for kind in reversed(Kind)
        for partition in (2, 1, 0)
        if (kind, partition) in OWNED
    ]


async def test_a_page_has_the_oldest_behind_the_one_that_is_known(pool: Pool) -> None:
    await add(pool, *((kind, 0, str(number)) for number in range(10) for kind in Kind))
    whole = await outbox.page(pool, OWNED, after=0, limit=1000)
    paged = []
    after = 0
    while page := await outbox.page(pool, OWNED, after=after, limit=3):
        assert len(page) <= 3
        paged += page
        after = page[-1].id
    assert paged == whole


async def test_an_owner_of_nothing_reads_nothing(pool: Pool) -> None:
    await add(pool, (Kind.RESERVATION, 0, "m"))
    assert await outbox.page(pool, [], after=0, limit=10) == []
    assert await outbox.page(pool, [(Kind.RESERVATION, 1)], after=0, limit=10) == []


async def test_every_partition_with_messages_is_found_once(pool: Pool) -> None:
    assert await outbox.partitions(pool) == []
    await add(
        pool,
        *((kind, 7 * n % 10, "m") for n in range(100) for kind in Kind if n % 10 != 3),
    )
    assert await outbox.partitions(pool) == [
        (kind, partition) for kind in Kind for partition in range(10) if partition != 1
    ]


async def test_what_is_acknowledged_is_forgotten_and_nothing_else(pool: Pool) -> None:
    await add(pool, *((Kind.RESERVATION, 0, str(number)) for number in range(5)))
    page = await outbox.page(pool, OWNED, after=0, limit=10)
    gone = [page[0].id, page[3].id]
    await outbox.delete(pool, gone)
    await outbox.delete(pool, gone)
    left = await outbox.page(pool, OWNED, after=0, limit=10)
    assert left == [page[1], page[2], page[4]]
    await outbox.delete(pool, [each.id for each in left])
    assert await outbox.partitions(pool) == []

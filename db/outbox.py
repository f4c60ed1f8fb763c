"""The outbox: messages that Kafka has not acknowledged yet."""

from collections.abc import Sequence

from db import headers, sql
from db.errors import translated
from db.pool import Pool
from db.records import OutboxRow
from schemas.kinds import Kind

_QUERIES = sql.load("outbox")


async def partitions(pool: Pool) -> list[tuple[Kind, int]]:
    """Every (kind, partition of origin) that has messages waiting."""
    with translated():
        rows = await pool.fetch(_QUERIES["partitions"])
    return [(Kind(row["kind"]), row["origin_partition"]) for row in rows]


async def page(
    pool: Pool, owned: Sequence[tuple[Kind, int]], *, after: int, limit: int
) -> list[OutboxRow]:
    """The oldest messages of the given (kind, partition)s, in order.

    Args:
        pool: the connections.
        owned: whose messages.
        after: the id of the last one that is known; 0 begins at the beginning.
        limit: rows at the most.
    """
    with translated():
        rows = await pool.fetch(
            _QUERIES["page"],
            [kind.value for kind, _ in owned],
            [partition for _, partition in owned],
            after,
            limit,
        )
    return [
        OutboxRow(
            id=row["id"],
            topic=row["topic"],
            key=row["key"],
            value=row["value"],
            headers=headers.decode(row["headers"]),
        )
        for row in rows
    ]


async def delete(pool: Pool, ids: Sequence[int]) -> None:
    """Forget messages that Kafka has acknowledged."""
    with translated():
        await pool.execute(_QUERIES["delete"], ids)

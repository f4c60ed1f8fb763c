"""Leases of partitions: who may work on one, by the database's clock.

Each change of hands takes the next epoch. Every write of a holder names its epoch (`Holding`) and
is refused once a newer one exists: the writes lock the lease's row while they run, so whoever takes
it over finds what they wrote, and nothing comes after.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta

from db import sql
from db.errors import translated
from db.pool import Pool
from db.records import Holding

_QUERIES = sql.load("leases")


async def acquire(
    pool: Pool, wanted: Sequence[tuple[str, int]], *, owner: str, duration: float
) -> list[Holding]:
    """Take those of the wanted leases that nobody else holds.

    Args:
        pool: the connections.
        wanted: (topic, partition), none twice.
        owner: who asks; of each process its own.
        duration: seconds until a lease runs out.

    Returns:
        What is held now. One that is missing belongs to somebody else for the time being.
    """
    with translated():
        rows = await pool.fetch(
            _QUERIES["acquire"],
            [topic for topic, _ in wanted],
            [partition for _, partition in wanted],
            owner,
            timedelta(seconds=duration),
        )
    return [Holding(row["topic"], row["partition"], row["epoch"]) for row in rows]


async def renew(pool: Pool, held: Collection[Holding], *, duration: float) -> set[tuple[str, int]]:
    """Hold leases for `duration` seconds from now; arguments as in :func:`acquire`.

    Returns:
        (topic, partition) of those that are held; one that is missing was taken by somebody else.
    """
    with translated():
        rows = await pool.fetch(_QUERIES["renew"], *columns(held), timedelta(seconds=duration))
    return {(row["topic"], row["partition"]) for row in rows}


async def release(pool: Pool, held: Collection[Holding]) -> None:
    """Give leases back; nothing happens to those that were lost already."""
    with translated():
        await pool.execute(_QUERIES["release"], *columns(held))


async def owner_of(pool: Pool, topic: str, partition: int) -> str | None:
    """Who holds a partition's lease at present."""
    with translated():
        owner: str | None = await pool.fetchval(_QUERIES["owner"], topic, partition)
    return owner


def columns(held: Collection[Holding]) -> tuple[list[str], list[int], list[int]]:
    """Topics, partitions and epochs, as the queries take them."""
    return (
        [holding.topic for holding in held],
        [holding.partition for holding in held],
        [holding.epoch for holding in held],
    )

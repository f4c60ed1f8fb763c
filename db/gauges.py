"""The backlog in numbers, for metrics: of the partitions whose leases the asker holds.

Each partition is counted by its holder alone, so that the numbers of all processes can be added
up. It changes nothing, and no work may depend on it.
"""

from collections.abc import Collection
from dataclasses import dataclass

from db import leases, sql, status
from db.errors import translated
from db.pool import Pool
from db.records import Holding
from schemas.kinds import Kind

_QUERIES = sql.load("gauges")


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What waits in one partition."""

    pending: int
    oldest_pending_seconds: float  #: since it was registered; 0 where nothing is pending
    in_doubt: int
    unpublished: int


async def read(
    pool: Pool, held: Collection[tuple[Kind, Holding]], *, patience: float
) -> dict[tuple[Kind, int], Count]:
    """Count what waits, all of one moment; the cost is that of what is counted.

    Args:
        pool: the connections.
        held: the leases of the asker, each with the kind of its topic.
        patience: seconds that one count may take.

    Returns:
        By kind and partition. One that is missing was taken over by somebody else.

    Raises:
        DatabaseUnavailable: also where a count takes longer than that.
    """
    with translated():
        async with status.snapshot(pool) as connection:
            ours = await connection.fetch(
                _QUERIES["held"],
                [kind.value for kind, _ in held],
                *leases.columns([holding for _, holding in held]),
            )
            given = [row["kind"] for row in ours], [row["partition"] for row in ours]
            pending, oldest, doubts, unpublished = [
                {
                    (kind, partition): number
                    for kind, partition, number in await connection.fetch(
                        _QUERIES[name], *arguments, timeout=patience
                    )
                }
                for name, arguments in (
                    ("pending", given),
                    ("oldest", given),
                    ("doubts", ()),
                    ("outbox", given),
                )
            ]
    return {
        (Kind(kind), partition): Count(
            pending=pending[kind, partition],
            oldest_pending_seconds=max(oldest.get((kind, partition), 0.0), 0.0),
            in_doubt=doubts.get((kind, partition), 0),
            unpublished=unpublished[kind, partition],
        )
        for kind, partition in zip(*given, strict=True)
    }

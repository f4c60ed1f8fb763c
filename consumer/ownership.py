"""Which partitions this process is to work on, and what it holds of them. Pure.

Postgres remembers each sync's partition of origin. Its owner is the process that the group has
given that partition of the kind's topic to; syncs of partitions that no longer exist belong to the
owner of `partition mod count`. That process works on them once it holds their leases, see
:mod:`consumer.leases`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from db.records import Holding
from schemas.kinds import Kind

#: A partition of origin of one kind's topic.
Place: TypeAlias = tuple[Kind, int]


@dataclass(slots=True, eq=False)
class Lease:
    """One holding of a partition, from taking it to losing it."""

    place: Place
    holding: Holding
    valid_until: float  #: in seconds; grows with each renewal

    def outlives(self, seconds: float, now: float) -> bool:
        """Whether it runs for so many seconds more."""
        return now + seconds <= self.valid_until


#: Of a sync that nobody has begun to work on.
NO_LEASE = Lease((Kind.RESERVATION, -1), Holding("", -1, 0), -math.inf)


class Ownership:
    """The assignment as the rest of the flow sees it; empty while a rebalance is under way."""

    def __init__(self) -> None:
        self._assigned: dict[Kind, frozenset[int]] = {}
        self._counts: dict[Kind, int] = {}

    def assign(self, assigned: Mapping[Kind, frozenset[int]], counts: Mapping[Kind, int]) -> None:
        """Take what the group has given us.

        Args:
            assigned: partitions by kind.
            counts: how many partitions each kind's topic has.
        """
        self._assigned = dict(assigned)
        self._counts = dict(counts)

    def revoke(self) -> None:
        """Own nothing any more."""
        self.assign({}, {})

    @property
    def assigned(self) -> bool:
        """Whether the group has given us our share, be it nothing."""
        return bool(self._counts)

    def owns(self, kind: Kind, partition: int) -> bool:
        """Whether work of a partition of origin is ours."""
        count = self._counts.get(kind, 0)
        return count > 0 and partition % count in self._assigned.get(kind, frozenset())

    def places(self) -> list[Place]:
        """All that we were given."""
        return [
            (kind, partition) for kind, some in self._assigned.items() for partition in sorted(some)
        ]

"""Which partitions this process works on.

Postgres remembers each sync's partition of origin. Its owner is the process that the group has
given that partition of the kind's topic to; syncs of partitions that no longer exist belong to the
owner of `partition mod count`.
"""

from collections.abc import Mapping

from db.records import Stream
from schemas.kinds import Kind


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

    def owns(self, kind: Kind, partition: int) -> bool:
        """Whether work of a partition of origin is ours."""
        count = self._counts.get(kind, 0)
        return count > 0 and partition % count in self._assigned.get(kind, frozenset())

    def owns_stream(self, stream: Stream) -> bool:
        """Whether a stream's work is ours."""
        return self.owns(stream.kind, stream.partition)

    def partitions(self) -> list[tuple[Kind, int]]:
        """All that we were given."""
        return [
            (kind, partition) for kind, some in self._assigned.items() for partition in sorted(some)
        ]

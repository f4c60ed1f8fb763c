"""Decides whether reading has silently stalled. Pure.

A partition has stalled if its position has stood still over several looks in a row, although there
was something behind it at each of them. Looks are counted, not seconds: after a machine has slept,
a single one proves nothing.

What a caller may not assume: that offsets have no gaps. So the end is the last *stable* offset: a
healthy consumer goes past the markers of transactions and past what was aborted, up to there, and
stays before a transaction that is still open.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Partition = tuple[str, int]  #: topic and number


@dataclass(frozen=True, slots=True)
class Place:
    """Where reading of one partition stands."""

    position: int  #: the offset that is read next
    end: int  #: the last stable offset, by the broker's own word


class StallDetector:
    """Remembers what the last looks have found."""

    def __init__(self, *, looks: int) -> None:
        """Build it.

        Args:
            looks: so many in a row must find a partition as the one before them did.
        """
        self._looks = looks
        self._still: dict[Partition, tuple[int, int]] = {}  # position, looks in a row

    def forget(self) -> None:
        """Begin anew: an assignment has changed, the intake was busy, or nobody could be asked."""
        self._still.clear()

    def look(self, places: Mapping[Partition, Place]) -> dict[Partition, Place]:
        """Take in one look at the partitions that we read.

        Returns:
            Those that have stalled.
        """
        still: dict[Partition, tuple[int, int]] = {}
        for partition, place in places.items():
            if place.position < place.end:
                position, looks = self._still.get(partition, (None, 0))
                still[partition] = (place.position, looks + 1 if position == place.position else 0)
        self._still = still
        return {
            partition: places[partition]
            for partition, (_, looks) in still.items()
            if looks >= self._looks
        }

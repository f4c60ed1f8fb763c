"""One order for the records of many partitions: that of their time. Pure.

A tenant's events lie in one partition, but not where their number was raised: then older ones lie
in another than newer ones, and to keep their order the partitions have to be read side by side.

The laws it keeps:

* the records of one partition come out in its order, whatever their timestamps say;
* where timestamps do not go back within a partition, no record comes out before an older one;
* a partition's records are asked for only when they could be next, so that little is held.
"""

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Sequence
from math import inf
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")


class Merger(Generic[Key, Item]):
    """Records on their way from many partitions into one order."""

    def __init__(self, keys: Iterable[Key]) -> None:
        #: How far each one's time has come; nothing older comes from it any more.
        self._reached: dict[Key, float] = dict.fromkeys(keys, -inf)
        self._times: dict[Key, list[float]] = {}
        self._held: dict[Key, list[Item]] = {}

    def laggards(self) -> list[Key]:
        """Those whose next records decide what comes out; none, if all are finished."""
        least = min(self._reached.values(), default=inf)
        return [] if least == inf else [key for key, at in self._reached.items() if at == least]

    def add(self, key: Key, records: Sequence[tuple[float, Item]]) -> None:
        """Take in the next records of a partition, in its order, each with its time."""
        times = self._times.setdefault(key, [])
        held = self._held.setdefault(key, [])
        reached = self._reached[key]
        for time, item in records:
            reached = max(reached, time)
            times.append(reached)
            held.append(item)
        self._reached[key] = reached

    def finish(self, key: Key) -> None:
        """No more comes of a partition."""
        self._reached[key] = inf

    def first_held(self, key: Key) -> Item | None:
        """The first record of a partition that has not come out."""
        held = self._held.get(key)
        return held[0] if held else None

    def ready(self) -> list[Item]:
        """Take out what nothing older can come before, in order."""
        bound = min(self._reached.values(), default=inf)
        out: list[tuple[float, Item]] = []
        for key in list(self._times):
            times, held = self._times[key], self._held[key]
            number = bisect_right(times, bound)
            out += zip(times[:number], held[:number], strict=True)
            if number == len(times):
                del self._times[key], self._held[key]
            else:
                del times[:number], held[:number]
        if len(out) > 1:
            out.sort(key=_time)  # stable, and fast where it is in order already
        return [item for _, item in out]


def _time(record: tuple[float, object]) -> float:
    return record[0]

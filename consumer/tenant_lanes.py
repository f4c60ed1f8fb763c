"""One tenant's lanes, and which of those that are ready is next: live work before replayed. Pure.

Nothing here takes longer because a tenant has more lanes. It never looks into another tenant's.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from consumer.sync import Sync


@dataclass(slots=True, eq=False)
class Lane:
    """The syncs of one tenant that must keep their order."""

    key: str
    tenant: "Tenant"
    syncs: deque[Sync] = field(default_factory=deque)
    live: int = 0  #: how many of them are no replayed ones
    out: Sync | None = None  #: taken, and neither finished nor parked yet
    landed: bool = False  #: the one that is out has given its slot back
    parked: bool = False  #: the head waits for its time
    ticket: int = 0  #: which entry of the timetable is this lane's; older ones are void


class Ready:
    """The lanes that have something to run: those in which live work waits, then the others.

    Each class in the order in which its lanes came to be in it. Where live work waits behind a
    replayed head, it is the lane that is hastened: its order must hold.
    """

    __slots__ = ("_live", "_replayed")

    def __init__(self) -> None:
        self._live: OrderedDict[Lane, None] = OrderedDict()
        self._replayed: OrderedDict[Lane, None] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._live or self._replayed)

    def __iter__(self) -> Iterator[Lane]:
        yield from self._live
        yield from self._replayed

    def add(self, lane: Lane) -> None:
        """A lane is ready that was not; its syncs are in it."""
        (self._live if lane.live else self._replayed)[lane] = None

    def hasten(self, lane: Lane) -> None:
        """A lane that is ready has got a sync more; if that is live, the lane is live from now."""
        if lane.live and lane in self._replayed:
            del self._replayed[lane]
            self._live[lane] = None

    def discard(self, lane: Lane) -> None:
        """A lane is ready no more."""
        self._live.pop(lane, None)
        self._replayed.pop(lane, None)

    def take(self) -> Lane:
        """Remove the first; there must be one."""
        lane, _ = (self._live or self._replayed).popitem(last=False)
        return lane


@dataclass(slots=True, eq=False)
class Tenant:
    """One tenant's lanes, and what holds for all of them. Times are those of `Turns.wake`."""

    limit: int
    in_flight: int = 0
    lanes: dict[str, Lane] = field(default_factory=dict)
    ready: Ready = field(default_factory=Ready)
    in_ring: bool = False
    paused: bool = False  #: nothing may be taken
    probed: bool = False  #: one may be taken at a time
    paused_until: float = 0.0  #: when a pause turns into probing
    held: bool = False  #: nothing may be taken before its time
    held_until: float = 0.0
    #: No head that waits in it is older than this; None: none waits. Kept while it is paused.
    oldest: datetime | None = None

    @property
    def has_room(self) -> bool:
        """Whether one of its syncs may be taken."""
        if self.paused or self.held:
            return False
        return self.in_flight < (1 if self.probed else self.limit)

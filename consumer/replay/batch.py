"""What is left of a chunk once all is counted that needs no doing; and who does it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from consumer.arrivals import Readable, Unreadable
from consumer.replay.outcomes import Outcome, Tally
from db.records import Arrival, Known, Origin
from db.replays import Position
from schemas.kinds import Kind


@dataclass(frozen=True, slots=True)
class Item:
    """What one event has come to."""

    origin: Origin
    tenant_id: str | None
    kind: Kind
    key: str | None  #: the voucher, or the stop sale's id
    outcome: Outcome
    code: str = ""  #: of a failure


@dataclass(slots=True, kw_only=True)
class Batch:
    """Events that something is to be done about, with what was read beside them."""

    #: Each with the row that there was a moment ago; in order.
    to_do: list[tuple[Readable, Known | None]] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    #: (tenant id, sync id) of settled ones whose results may be wanted again.
    settled: set[tuple[str, int]] = field(default_factory=set)
    #: (where it was, where it is with this batch).
    moved: Sequence[tuple[int, Position]] = ()
    tally: Tally = field(default_factory=Tally)  #: of all other events
    items: list[Item] = field(default_factory=list)  #: likewise, where somebody wants to know

    @property
    def needs_doing(self) -> bool:
        """Whether anything is to be written besides where it is."""
        return bool(self.to_do or self.unreadable or self.settled)


class Hands(Protocol):
    """Does what is to be done: really, or in a dry run."""

    @property
    def replay_id(self) -> int | None:
        """What is registered under it is this replay's own; None: nothing is."""

    @property
    def remembers(self) -> bool:
        """Whether it knows what no row says, so that it has to be asked about all events."""

    async def act(self, batch: Batch) -> list[Item]:
        """Do it, and count it; returns what each of `to_do` and `unreadable` has come to."""

    async def finish(self) -> None:
        """All was read."""


def item(arrival: Arrival, outcome: Outcome, code: str = "") -> Item:
    """What an event has come to."""
    return Item(
        arrival.origin, arrival.tenant_id, arrival.kind, arrival.business_key, outcome, code
    )


def unreadable_item(event: Unreadable) -> Item:
    """What a record that is no event has come to."""
    rejection = event.rejection
    return Item(rejection.origin, rejection.tenant_id, event.kind, None, Outcome.UNREADABLE)

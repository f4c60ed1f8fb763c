"""What becomes of an event that is read again, in the words of dry runs and real ones. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from consumer.registration import Seen
from db.records import Count, Known
from schemas.kinds import Kind


class Outcome(StrEnum):
    """What an event comes to."""

    CREATED = "created"  #: it was not known: it is work to do now
    CORRECTED = "corrected"  #: it corrects what has failed, and was never read: a new try
    RETRIED = "retried"  #: it had failed, and is tried again
    SUPERSEDED = "superseded"  #: a failed stop sale that a later one has overtaken: left alone
    SYNCED = "synced"  #: it is in Sedna
    PENDING = "pending"  #: it is being worked on
    IN_DOUBT = "in_doubt"  #: likewise, and a create was perhaps carried out
    FAILED = "failed"  #: it has failed, and stays so
    CONFLICT = "conflict"  #: the work is known with other content
    DUPLICATE = "duplicate"  #: this replay has had it before
    UNREADABLE = "unreadable"  #: it is no event of the contract
    REPUBLISHED = "republished"  #: besides one of the others: its result is published again


#: What is work for Sedna.
TO_DO = frozenset({Outcome.CREATED, Outcome.CORRECTED, Outcome.RETRIED})
#: What has a result, and is left as it is. A superseded one has failed, too.
SETTLED = frozenset({Outcome.SYNCED, Outcome.FAILED, Outcome.SUPERSEDED})


def standing(state: str, *, in_doubt: bool) -> Outcome:
    """How work that is known stands."""
    match state:
        case "synced":
            return Outcome.SYNCED
        case "failed":
            return Outcome.FAILED
        case _:
            return Outcome.IN_DOUBT if in_doubt else Outcome.PENDING


def outcome_of(seen: Seen, known: Known | None, *, replay_id: int | None) -> Outcome:
    """What an event comes to, unless it is tried again.

    Args:
        seen: what it is next to the row that exists.
        known: that row; None: there is none.
        replay_id: of the replay that asks; what it has registered itself is a duplicate. None: of a
            dry run, which has registered nothing.
    """
    match seen:
        case Seen.NEW:
            return Outcome.CREATED
        case Seen.NEW_TRY:
            return Outcome.CORRECTED
        case Seen.CONFLICT:
            return Outcome.CONFLICT
        case Seen.REDELIVERY | Seen.DUPLICATE:
            if known is None:
                raise ValueError("only what is known can come again")
            if replay_id is not None and known.replay_id == replay_id:
                return Outcome.DUPLICATE
            return standing(known.state, in_doubt=known.in_doubt_since is not None)


def code_of(outcome: Outcome, known_code: str | None) -> str:
    """The code that an event is counted with: of the failure that stays, if it is of one."""
    return (known_code or "") if outcome in {Outcome.FAILED, Outcome.SUPERSEDED} else ""


@dataclass(slots=True)
class Tally:
    """How many events have come to what."""

    counts: dict[Count, int] = field(default_factory=dict)

    def add(
        self,
        tenant_id: str | None,
        kind: Kind,
        outcome: Outcome,
        code: str = "",
        *,
        events: int = 1,
    ) -> None:
        """Count some events that came to the same."""
        count = (tenant_id or "", kind.value, outcome.value, code)
        self.counts[count] = self.counts.get(count, 0) + events

    def add_all(self, counts: Mapping[Count, int]) -> None:
        """Count what was counted elsewhere."""
        for count, events in counts.items():
            self.counts[count] = self.counts.get(count, 0) + events

    def of(self, *outcomes: Outcome) -> int:
        """How many have come to any of these."""
        return sum(events for (_, _, each, _), events in self.counts.items() if each in outcomes)

    def to_do(self) -> dict[tuple[str, Kind], int]:
        """What is work for Sedna, by tenant and kind."""
        found: dict[tuple[str, Kind], int] = {}
        for (tenant_id, kind, outcome, _), events in self.counts.items():
            if outcome in TO_DO:
                key = (tenant_id, Kind(kind))
                found[key] = found.get(key, 0) + events
        return found

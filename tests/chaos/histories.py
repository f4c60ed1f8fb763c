"""The four histories of a chaos run, as data. Decides nothing.

What was published, what Sedna holds and in which order it came there, what the service's tables
say, and what was answered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from consumer.demo.observed import Answer, DeadLetter, Place
from schemas.kinds import Kind
from tests.chaos.workload import Meaning

#: (tenant, kind, voucher or number of the stop sale): what may be in Sedna once.
Identity = tuple[str, Kind, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """An event that stands in an input topic."""

    place: Place
    meaning: Meaning

    @property
    def identity(self) -> Identity:
        """Whose and what it is."""
        return self.meaning.tenant, self.meaning.kind, self.meaning.item


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record that Sedna holds; two of the same item are two."""

    identity: Identity
    rec_id: int
    hotel_id: int
    order: int  #: counts all that Sedna committed
    finished: bool = True  #: of a stop sale: whether step 2 has filled it


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A create of a stop sale (step 1) that has reached Sedna, whatever became of it."""

    identity: Identity
    hotel_id: int
    request: int  #: counts all requests that reached Sedna


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of `syncs`."""

    sync_id: int
    identity: Identity
    state: str  #: `pending`, `synced` or `failed`
    in_doubt: bool = False
    rec_id: int | None = None
    error_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Histories:
    """All four, as they are when everything has come to rest."""

    published: Sequence[Published]
    records: Sequence[Record] = ()
    arrivals: Sequence[Arrival] = ()
    rows: Sequence[Row] = ()
    rejected: Sequence[Place] = ()  #: of the rows of `rejections`
    answers: Sequence[Answer] = ()  #: in both result topics, every publication of each
    dead_letters: Sequence[DeadLetter] = ()
    unpublished: int = 0  #: rows of `outbox`
    unread: int = 0  #: events that the group has not committed


class Broken(StrEnum):
    """Which promise a finding says to be broken."""

    LOST = "lost"
    DOUBLED = "doubled"
    OUT_OF_ORDER = "out of order"
    UNANSWERED = "unanswered"
    CONTRADICTED = "answers that contradict Sedna"
    UNSETTLED_DOUBT = "doubts not settled"
    UNSETTLED = "not settled"
    UNSTABLE_ID = "results whose id is not stable"
    ENDED = "processes that ended by themselves"
    STUMBLED = "unexpected errors in a log"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that should not be."""

    broken: Broken
    text: str
    identity: Identity | None = None  #: None where it is not about one piece of work

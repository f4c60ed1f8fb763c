"""A sync in memory: the work that one event asks for, and how far it has come."""

from dataclasses import dataclass, field
from datetime import datetime

from pydantic import ValidationError

from consumer.ownership import NO_LEASE, Lease
from db.records import Arrival, Origin, PendingSync, Registered, Stream
from schemas.inbound import DATA_OF, ReservationCreated, StopSaleCreated
from schemas.kinds import Kind
from schemas.trace import TraceContext


@dataclass(slots=True, kw_only=True, eq=False)
class Sync:
    """One piece of work of one tenant.

    What it is never changes; `attempts`, `rec_id` and `in_doubt_since` follow what was written to
    Postgres, and only after it was written.
    """

    id: int
    tenant_id: str
    kind: Kind
    seq: int  #: the order of the work
    generation: int  #: how often it was registered
    data: ReservationCreated | StopSaleCreated | None = field(repr=False)
    #: None: what is stored cannot be read by this release
    email_id: int | None
    voucher_no: str | None
    stop_sale_id: int | None
    event_id: str
    event_time: datetime | None
    trace: TraceContext | None
    origin: Origin
    registered_at: datetime
    stored_lane: str | None  #: as `syncs` has it
    replayed: bool = False  #: it came in as such, and gives way to live work while it is here
    of_replay: bool = False  #: what stands behind it in the topic may have overtaken it
    #: Since when it waits for its next attempt; None: not known here.
    waiting_since: datetime | None = None
    attempts: int = 0
    next_attempt_at: datetime | None = None
    in_doubt_since: datetime | None = None
    rec_id: int | None = None  #: of a stop sale: the record that step 1 made
    token: str | None = None  #: of the latest mark, as far as is known here
    hotel_id: int | None = None  #: of the create that was sent
    sent: ReservationCreated | StopSaleCreated | None = field(default=None, repr=False)
    #: what the create that is in doubt said, where it is not `data`
    lease: Lease = field(default=NO_LEASE, repr=False)  #: under which it is worked on

    @property
    def stream(self) -> Stream:
        """Whose work it is, for loading; never another one, whatever becomes of the row."""
        return Stream(self.kind, self.origin.partition, self.tenant_id, self.replayed)

    @property
    def doubted(self) -> bool:
        """Whether a create was perhaps sent, and Sedna is to be asked before anything else.

        Not so where the record of a stop sale is known: its second step can be repeated.
        """
        return self.in_doubt_since is not None and self.rec_id is None

    @property
    def awaited_since(self) -> datetime:
        """When somebody began to wait for it: with the event, or with its being read again."""
        if self.replayed or self.event_time is None:
            return self.registered_at
        return self.event_time

    @property
    def item(self) -> str:
        """How people know it, and the result event's subject."""
        if self.kind is Kind.RESERVATION:
            return f"reservation/{self.email_id}"
        return f"stop-sale/{self.stop_sale_id}"


#: Where stop sales wait whose hotel is not resolved yet. Never stored: there, null says it.
UNRESOLVED_LANE = "hotel:?"
_HOTEL = "hotel:"


def reservation_lane(voucher_no: str) -> str:
    """The lane of a voucher's reservations."""
    return f"voucher:{voucher_no}"


def stop_sale_lane(hotel_id: int) -> str:
    """The lane of a hotel's stop sales, by its id in Sedna: all its spellings are one lane."""
    return f"{_HOTEL}{hotel_id}"


def hotel_of_lane(lane: str | None) -> int | None:
    """Whose lane of stop sales it is, by the hotel's id in Sedna; None: of nobody known."""
    number = (lane or "").removeprefix(_HOTEL)
    return int(number) if number.isdecimal() else None


def from_arrival(
    arrival: Arrival, data: ReservationCreated | StopSaleCreated, place: Registered
) -> Sync:
    """A sync that was registered just now."""
    return Sync(
        id=place.id,
        tenant_id=arrival.tenant_id,
        kind=arrival.kind,
        seq=place.seq,
        generation=place.generation,
        data=data,
        email_id=arrival.email_id,
        voucher_no=arrival.voucher_no,
        stop_sale_id=arrival.stop_sale_id,
        event_id=arrival.event_id,
        event_time=arrival.event_time,
        trace=arrival.trace,
        origin=arrival.origin,
        registered_at=place.registered_at,
        waiting_since=place.registered_at,
        stored_lane=arrival.lane,
        in_doubt_since=place.in_doubt_since,
        rec_id=place.sedna_rec_id,
        token=place.dispatch_token,
        hotel_id=place.sedna_hotel_id,
        sent=_read(arrival.kind, place.doubted_payload),
    )


def from_row(row: PendingSync) -> Sync:
    """A sync that was loaded from Postgres."""
    return Sync(
        id=row.id,
        tenant_id=row.tenant_id,
        kind=row.kind,
        seq=row.seq,
        generation=row.generation,
        data=_read(row.kind, row.payload),
        email_id=row.email_id,
        voucher_no=row.voucher_no,
        stop_sale_id=row.stop_sale_id,
        event_id=row.event_id,
        event_time=row.event_time,
        trace=row.trace,
        origin=row.origin,
        registered_at=row.registered_at,
        waiting_since=row.registered_at if row.attempts == 0 else None,
        stored_lane=row.lane,
        replayed=row.replayed,
        of_replay=row.of_replay,
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        in_doubt_since=row.in_doubt_since,
        rec_id=row.sedna_rec_id,
        token=row.dispatch_token,
        hotel_id=row.sedna_hotel_id,
        sent=_read(row.kind, row.doubted_payload),
    )


def _read(kind: Kind, payload: str | None) -> ReservationCreated | StopSaleCreated | None:
    try:
        return None if payload is None else DATA_OF[kind].from_json(payload)
    except ValidationError:
        return None

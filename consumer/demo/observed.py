"""What the demo saw, as data: events published, answers, dead letters, and what the fake holds.

Read by the words of the contract, not by the service's own models. Decides nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from consumer.demo.fake.state import AccountState
from consumer.demo.world import DemoEvent, OpenAgain
from schemas.kinds import Kind
from schemas.outcomes import ErrorCode


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where in Kafka an event stands."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        """As Kafka's own tools write it."""
        return f"{self.topic}-{self.partition}@{self.offset}"


@dataclass(frozen=True, slots=True)
class Published:
    """An event that Kafka has acknowledged."""

    event: DemoEvent
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A message of `sedna.synced` or `sedna.failed`."""

    result_id: str  #: the same at every publication
    tenant_id: str
    place: Place  #: of the event that it answers
    kind: Kind
    item_id: int | None
    voucher_no: str | None
    rec_id: int | None = None  #: only of a synced one
    hotel_id: int | None = None  #: likewise
    code: ErrorCode | None = None  #: only of a failed one
    message: str
    details: Mapping[str, object] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """In the words of `DemoEvent.expect`."""
        return "synced" if self.code is None else f"failed:{self.code}"

    @property
    def item(self) -> str:
        """For a person."""
        name = "reservation" if self.kind is Kind.RESERVATION else "stop sale"
        return f"a {name}" if self.item_id is None else f"{name} {self.item_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message of `sedna.deadletter`."""

    place: Place  #: of the event, by the headers
    key: bytes | None
    value: bytes | None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Record:
    """A record of an account: a reservation by its voucher, a stop sale by its `RecordUser`."""

    name: str
    hotel_id: int
    rec_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What one account holds."""

    reservations: Sequence[Record] = ()
    stop_sales: Sequence[Record] = ()  #: those that count, and show on Sedna's screen
    unfinished: Sequence[Record] = ()  #: stop sales that close nothing or do not show
    closed: Sequence[OpenAgain] = ()  #: of the days asked about, those that are not for sale


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """All that the judge needs."""

    published: Sequence[Published]
    answers: Sequence[Answer]
    dead_letters: Sequence[DeadLetter]
    held: Mapping[str, Held]  #: by tenant
    pending: int  #: syncs that are not settled
    unpublished: int  #: rows left in the outbox
    unread: int  #: events that the consumer group has not committed
    exit_code: int | None  #: of the service


def read_answer(value: bytes) -> Answer:
    """An answer, from the bytes of the message."""
    event: dict[str, Any] = json.loads(value)
    data = event["data"]
    origin, error = data["origin"], data.get("error", {})
    kind = Kind(data["kind"])
    return Answer(
        result_id=event["id"],
        tenant_id=event["tenantid"],
        place=Place(origin["topic"], origin["partition"], origin["offset"]),
        kind=kind,
        item_id=data.get("email_id" if kind is Kind.RESERVATION else "stop_sale_id"),
        voucher_no=data.get("voucher_no"),
        rec_id=data.get("sedna_rec_id"),
        hotel_id=data.get("sedna_hotel_id"),
        code=ErrorCode(error["code"]) if error else None,
        message=error["message"] if error else data["message"],
        details=error.get("details", {}),
    )


def read_dead_letter(
    key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]
) -> DeadLetter:
    """A dead letter, with what its headers say."""
    said = {name: text.decode() for name, text in headers if name.startswith("x-")}
    return DeadLetter(
        place=Place(
            said["x-origin-topic"], int(said["x-origin-partition"]), int(said["x-origin-offset"])
        ),
        key=key,
        value=value,
        code=said["x-error-code"],
        message=said["x-error-message"],
    )


def look_into(account: AccountState, asked: Sequence[OpenAgain]) -> Held:
    """What an account of the fake holds, and which of these days it has closed."""
    stop_sales = account.stop_sales.records.values()
    return Held(
        # A voucher of two rooms is two records of one insert; the demo's have one room each.
        reservations=[
            Record(each.voucher, each.body["HotelId"], each.rec_id)
            for each in account.reservations.records
            if not each.cancelled
        ],
        stop_sales=[
            Record(each.record_user, each.body["HotelId"], each.rec_id)
            for each in stop_sales
            if each.visible
        ],
        unfinished=[
            Record(each.record_user, each.body["HotelId"], each.rec_id)
            for each in stop_sales
            if not each.visible
        ],
        closed=[
            days
            for days in asked
            if account.stop_sales.closing(
                account.config,
                hotel_id=days.hotel_id,
                begin=date.fromisoformat(days.date_from),
                end=date.fromisoformat(days.date_to),
            )
        ],
    )

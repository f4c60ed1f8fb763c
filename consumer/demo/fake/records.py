"""What the fake Sedna holds and answers: records, reply envelopes, and how dates are read.

Data only; decides nothing and knows no account.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

Json = dict[str, Any]

#: `ErrorType` of a refusal (A: only "0 is success" is known, so one value serves all).
REFUSED = 2


@dataclass(frozen=True, slots=True)
class Envelope:
    """The reply envelope of a write (F). `rec_id` 0 where nothing was written (A)."""

    rec_id: int = 0
    message: str | None = None  #: why it was refused; `None` means success

    @property
    def ok(self) -> bool:
        """Whether the write happened."""
        return self.message is None

    def as_json(self) -> Json:
        """As it goes over the wire."""
        return {
            "ErrorType": 0 if self.ok else REFUSED,
            "Message": self.message,
            "RecId": self.rec_id,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """When something happened, and as the how-manieth of all."""

    order: int  #: counts everything the fake commits, over all accounts, from 1
    request: int  #: the request's number in the journal
    monotonic_ns: int
    wall: datetime  #: UTC

    def as_json(self) -> Json:
        """For the control path."""
        return {
            "order": self.order,
            "request": self.request,
            "monotonic_ns": self.monotonic_ns,
            "wall": self.wall.isoformat(),
        }


@dataclass(slots=True, kw_only=True)
class Reservation:
    """One room of one insert. Several rooms of one request share `stamp.request`."""

    rec_id: int
    body: Json  #: the element as it came
    stamp: Stamp
    local_time: datetime  #: `RecordDate` by the account's clock, no zone
    cancelled: bool = False

    @property
    def voucher(self) -> str:
        """The voucher of the body."""
        return str(self.body["Voucher"])

    @property
    def source_id(self) -> str:
        """The caller's own reference; empty where it gave none."""
        return str(self.body.get("SourceId") or "")

    def as_json(self) -> Json:
        """For the control path: everything."""
        return {
            "rec_id": self.rec_id,
            "voucher": self.voucher,
            "source_id": self.source_id,
            "cancelled": self.cancelled,
            **self.stamp.as_json(),
            "body": self.body,
        }


@dataclass(slots=True, kw_only=True)
class StopSale:
    """One stop sale: made by step 1, filled by step 2, which may be repeated."""

    rec_id: int
    body: Json  #: of the last step
    stamp: Stamp  #: of step 1
    local_time: datetime
    children: dict[str, list[int]] = field(default_factory=dict)  #: array name -> ids
    child_rec_ids: dict[str, list[int]] = field(default_factory=dict)
    filled: list[Stamp] = field(default_factory=list)  #: of every step 2, in order
    complete: bool = False  #: step 2 came, with an operator; else it closes nothing (A)
    visible: bool = False  #: complete, and `OperatorRemark` has the code and its comma (K)

    @property
    def record_user(self) -> str:
        """The free text that names who recorded it."""
        return str(self.body.get("RecordUser") or "")

    def covers(self, hotel_id: int, day: date) -> bool:
        """Whether the record is about that hotel on that day (both ends included)."""
        begin, end = read_date(self.body["BeginDate"]), read_date(self.body["EndDate"])
        return self.body["HotelId"] == hotel_id and begin <= day <= end

    def concerns(self, array: str, child_id: int) -> bool:
        """Whether the record is about that room or board: no rooms means all rooms (F)."""
        named = self.children.get(array, [])
        return not named or child_id in named

    def as_json(self) -> Json:
        """For the control path: everything."""
        return {
            "rec_id": self.rec_id,
            "record_user": self.record_user,
            "complete": self.complete,
            "visible": self.visible,
            **self.stamp.as_json(),
            "filled": [stamp.as_json() for stamp in self.filled],
            "children": self.children,
            "body": self.body,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What an account holds, counted: a number above 1 is something made twice."""

    vouchers: Mapping[str, int]  #: voucher -> how many requests inserted it, cancelled ones aside
    stop_sales: Mapping[str, int]  #: `RecordUser` -> how many complete records
    incomplete_stop_sales: Mapping[str, int]  #: `RecordUser` -> how many records of step 1 alone


def read_date(value: object) -> date:
    """A date as Sedna writes it: `2026-05-01` or `2026-05-01T00:00:00`, no zone (K).

    Raises:
        ValueError: it is neither.
    """
    if not isinstance(value, str):
        raise ValueError("not a date")  # noqa: TRY004  # callers handle one kind of "no date"
    day, _, clock = value.partition("T")
    if len(day) != len("2026-05-01") or (clock and len(clock) < len("00:00:00")):
        raise ValueError("not a date")
    if clock:
        datetime.fromisoformat(value)
    return date.fromisoformat(day)


def days(begin: date, end: date) -> list[date]:
    """Every day from begin to end, both included."""
    return [begin + timedelta(days=n) for n in range((end - begin).days + 1)]


def is_int(value: object) -> bool:
    """Whether it is a JSON integer (`true` is not)."""
    return isinstance(value, int) and not isinstance(value, bool)

"""The stop sales of one account: the two steps, look-ups, and what is closed. No I/O, no clock.

Never joins two records of step 1, however alike: step 1 is not idempotent (A).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import product
from typing import Any

from consumer.demo.fake.accounts import Account
from consumer.demo.fake.records import Envelope, Json, Stamp, StopSale, days, is_int, read_date

#: The child arrays and the key of the id in each (K).
CHILDREN = {
    "StopSaleRooms": "RoomTypeId",
    "StopSaleOperators": "OperatorId",
    "StopSaleBoards": "BoardId",
    "StopSaleMarkets": "MarketId",
}
#: What step 1 says to filled arrays (F: "a reference error"; A: its words).
REFERENCE_ERROR = (
    'The INSERT statement conflicted with the FOREIGN KEY constraint "FK_{0}_StopSale". '
    'The conflict occurred in database "Sedna", table "dbo.StopSale", column \'RecId\'.'
)
_CLOSES, _OPENS = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSaleQuery:
    """The filters of `GetStopSaleList` (K). A: the days of sale need only overlap."""

    record_begin: date | None = None
    record_end: date | None = None
    stop_begin: date | None = None
    stop_end: date | None = None
    hotel_id: int | None = None

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "StopSaleQuery":
        """From query parameters with lower-case names; an empty one filters nothing.

        Raises:
            ValueError: one is neither empty nor a date, or the hotel is no number.
        """

        def day(name: str) -> date | None:
            return read_date(query[name]) if query.get(name) else None

        return cls(
            record_begin=day("recorddatebegin"),
            record_end=day("recorddateend"),
            stop_begin=day("stopdatebegin"),
            stop_end=day("stopdateend"),
            hotel_id=int(query["hotelid"]) if query.get("hotelid") else None,
        )

    def passes(self, record: StopSale) -> bool:
        """Whether the record is one of those that were asked for."""
        if self.hotel_id is not None and record.body["HotelId"] != self.hotel_id:
            return False
        recorded = record.local_time.date()
        begin, end = read_date(record.body["BeginDate"]), read_date(record.body["EndDate"])
        return not (
            (self.record_begin is not None and recorded < self.record_begin)
            or (self.record_end is not None and recorded > self.record_end)
            or (self.stop_begin is not None and end < self.stop_begin)
            or (self.stop_end is not None and begin > self.stop_end)
        )


def why_refused(account: Account, body: object) -> str | None:
    """The `Message` that refuses either step for its own fields, or `None` (A: all but types)."""
    if not isinstance(body, dict):
        return "The body must be a stop sale object"
    return _types(body) or _references(account, body) or _dates(body)


def _types(body: Json) -> str | None:
    for name in ("HotelId", "StopType", "Authority", "RecId"):
        if not is_int(body.get(name)):
            return f"{name} is required and must be a number"
    if body["StopType"] not in (_CLOSES, _OPENS):
        return "StopType must be 0 or 1"
    if any(not isinstance(body.get(array, []), list) for array in CHILDREN):
        return "The child arrays must be arrays"
    return None


def _references(account: Account, body: Json) -> str | None:
    if account.hotel(body["HotelId"]) is None:
        return f"HotelId {body['HotelId']} was not found"
    if body["Authority"] != account.authority_id:
        return f"Authority {body['Authority']} is not valid for this user"
    return None


def _dates(body: Json) -> str | None:
    try:
        begin, end, _ = (read_date(body.get(k)) for k in ("BeginDate", "EndDate", "DeclareDate"))
    except ValueError:
        return "BeginDate, EndDate and DeclareDate must be dates"
    return None if end >= begin else "EndDate must not be before BeginDate"


class StopSales:
    """The stop sales of one account, by record id in the order of step 1."""

    def __init__(self) -> None:
        self.records: dict[int, StopSale] = {}

    def update(
        self,
        account: Account,
        body: Any,
        *,
        stamp: Callable[[], Stamp],
        next_rec_id: Callable[[], int],
        local_time: datetime,
    ) -> Envelope:
        """Either step of `UpdateStopSale` (K)."""
        why = why_refused(account, body)
        if why is not None:
            return Envelope(message=why)
        if body["RecId"] == 0:
            filled = next((array for array in CHILDREN if body.get(array)), None)
            if filled is not None:
                return Envelope(message=REFERENCE_ERROR.format(filled))
            record = StopSale(rec_id=next_rec_id(), body=body, stamp=stamp(), local_time=local_time)
            self.records[record.rec_id] = record
            return Envelope(record.rec_id)
        return self._fill(account, body, stamp=stamp, next_rec_id=next_rec_id)

    def _fill(
        self,
        account: Account,
        body: Json,
        *,
        stamp: Callable[[], Stamp],
        next_rec_id: Callable[[], int],
    ) -> Envelope:
        """Step 2: replaces body and children, so that a repetition changes nothing (A)."""
        record = self.records.get(body["RecId"])
        if record is None:
            return Envelope(message=f"RecId {body['RecId']} was not found")
        for array, key in CHILDREN.items():
            for child in body.get(array, []):
                why = _why_child_refused(account, body, child, array=array, key=key)
                if why is not None:
                    return Envelope(message=why)
        record.body = body
        record.children = {a: [c[key] for c in body.get(a, [])] for a, key in CHILDREN.items()}
        record.child_rec_ids = {
            a: [next_rec_id() for _ in ids] for a, ids in record.children.items()
        }
        record.filled.append(stamp())
        record.complete = bool(record.children["StopSaleOperators"])
        remark = str(body.get("OperatorRemark") or "")
        named = remark.endswith(",") and account.operator_code in remark.split(",")
        record.visible = record.complete and named
        return Envelope(record.rec_id)

    def find(self, query: StopSaleQuery) -> list[StopSale]:
        """Those asked for, in the order of step 1; records of step 1 alone are among them (A)."""
        return [record for record in self.records.values() if query.passes(record)]

    def deciding(
        self, *, hotel_id: int, day: date, room_type_id: int, board_id: int
    ) -> StopSale | None:
        """The record that says whether this is for sale: the latest complete one about it (A)."""
        for record in reversed(self.records.values()):
            if (
                record.complete
                and record.covers(hotel_id, day)
                and record.concerns("StopSaleRooms", room_type_id)
                and record.concerns("StopSaleBoards", board_id)
            ):
                return record
        return None

    def closing(
        self,
        account: Account,
        *,
        hotel_id: int,
        begin: date,
        end: date,
        room_type_ids: Sequence[int] = (),
        board_ids: Sequence[int] = (),
    ) -> StopSale | None:
        """A record that closes any of the days, rooms and boards asked for; `None` if all is open.

        No rooms asks for all of the hotel's, no boards for all of the account's.
        """
        hotel = account.hotel(hotel_id)
        rooms = room_type_ids or [room.id for room in hotel.rooms] if hotel else room_type_ids
        boards = board_ids or [board.id for board in account.boards]
        for day, room, board in product(days(begin, end), rooms, boards):
            record = self.deciding(hotel_id=hotel_id, day=day, room_type_id=room, board_id=board)
            if record is not None and record.body["StopType"] == _CLOSES:
                return record
        return None


def _why_child_refused(
    account: Account, body: Json, child: object, *, array: str, key: str
) -> str | None:
    if not isinstance(child, dict) or not is_int(child.get(key)):
        return f"Each element of {array} needs a {key}"
    if child.get("StopSaleId") != body["RecId"]:
        return REFERENCE_ERROR.format(array)
    if child.get("State") != 1:
        return f"Each element of {array} needs State 1"
    hotel = account.hotel(body["HotelId"])
    known = {
        "RoomTypeId": {room.id for room in hotel.rooms} if hotel else set(),
        "OperatorId": {account.operator_id},
        "BoardId": {board.id for board in account.boards},
        "MarketId": {child[key]},  # markets are unknown to the fake: any will do
    }
    return None if child[key] in known[key] else f"{key} {child[key]} was not found"

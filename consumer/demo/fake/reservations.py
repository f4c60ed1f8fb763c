"""The reservations of one account: what may be inserted, found and cancelled. No I/O, no clock.

Never refuses a voucher because it is there already: inserts are not idempotent (A), and a test that
wants to see a double must be able to.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from consumer.demo.fake.accounts import Account
from consumer.demo.fake.records import Envelope, Json, Reservation, Stamp, is_int, read_date

TITLES = frozenset({"Mr", "Mrs", "Grp", "Chd", "Inf"})
_TEXT_FILTERS = {"VoucherNo": "Voucher", "SourceId": "SourceId"}
_ID_FILTERS = ("OperatorId", "HotelId")


def why_refused(account: Account, element: object, voucher_no: str) -> str | None:
    """The `Message` that refuses one element of an insert, or `None` if it is good.

    K: the fields and their types. A: that Sedna checks all of this, and its words.
    """
    if not isinstance(element, dict):
        return "Each element must be a reservation object"
    return (
        _fields(element, voucher_no)
        or _dates(element)
        or _references(account, element)
        or _customers(element)
    )


def _fields(element: Json, voucher_no: str) -> str | None:
    for name in ("HotelId", "RoomTypeId", "BoardId", "OperatorId", "Adult", "Child"):
        if not is_int(element.get(name)):
            return f"{name} is required and must be a number"
    if element["Adult"] < 1 or element["Child"] < 0:
        return "Adult must be at least 1, Child at least 0"
    voucher = element.get("Voucher")
    if not isinstance(voucher, str) or not voucher:
        return "Voucher is required"
    if voucher != voucher_no:
        return "Voucher differs from voucherNo"
    amount = element.get("Amount")
    if amount is not None and (isinstance(amount, bool) or not isinstance(amount, int | float)):
        return "Amount must be a number"
    return None


def _dates(element: Json) -> str | None:
    try:
        check_in, check_out = (read_date(element.get(k)) for k in ("CheckinDate", "CheckOutDate"))
        if element.get("SaleDate") is not None:
            read_date(element["SaleDate"])
    except ValueError:
        return "CheckinDate, CheckOutDate and SaleDate must be dates"
    return None if check_out > check_in else "CheckOutDate must be after CheckinDate"


def _references(account: Account, element: Json) -> str | None:
    if element["OperatorId"] != account.operator_id:
        return f"OperatorId {element['OperatorId']} is not valid for this user"
    hotel = account.hotel(element["HotelId"])
    if hotel is None:
        return f"HotelId {element['HotelId']} was not found"
    if all(room.id != element["RoomTypeId"] for room in hotel.rooms):
        return f"RoomTypeId {element['RoomTypeId']} was not found in hotel {hotel.id}"
    if not account.has_board(element["BoardId"]):
        return f"BoardId {element['BoardId']} was not found"
    return hotel.refusal or None


def _customers(element: Json) -> str | None:
    customers = element.get("Customers")
    if not isinstance(customers, list) or not customers:
        return "Customers are missing"
    for customer in customers:
        if not isinstance(customer, dict) or customer.get("Title") not in TITLES:
            return "A customer's Title must be one of Mr, Mrs, Grp, Chd, Inf"
        for key in ("FirstName", "LastName"):
            name = customer.get(key)
            if not isinstance(name, str) or name != name.upper():
                return f"A customer's {key} must be given in capitals"
    return None


class Reservations:
    """The reservations of one account."""

    def __init__(self) -> None:
        self.records: list[Reservation] = []
        self._by_voucher: dict[str, list[Reservation]] = {}
        self._by_source: dict[str, list[Reservation]] = {}

    def insert(
        self,
        account: Account,
        body: Any,
        *,
        voucher_no: str,
        stamp: Callable[[], Stamp],
        next_rec_id: Callable[[], int],
        local_time: datetime,
    ) -> list[Envelope]:
        """One envelope per element (K: one element per room).

        A: all or nothing. If one element is refused, no element is inserted.
        """
        if not isinstance(body, list) or not body:
            return [Envelope(message="The body must be an array of reservations")]
        refusals = [why_refused(account, element, voucher_no) for element in body]
        if any(refusals):
            other = "Not inserted, because another room of this voucher was refused"
            return [Envelope(message=why or other) for why in refusals]
        at = stamp()
        made = [
            Reservation(rec_id=next_rec_id(), body=element, stamp=at, local_time=local_time)
            for element in body
        ]
        self.records.extend(made)
        for record in made:
            self._by_voucher.setdefault(record.voucher, []).append(record)
            self._by_source.setdefault(record.source_id, []).append(record)
        return [Envelope(record.rec_id) for record in made]

    def of_voucher(self, account: Account, voucher: str) -> list[Reservation]:
        """Those of a voucher, exactly or loosely by the account's switch; no cancelled ones (A)."""
        return self.find(account, {"VoucherNo": voucher}) if voucher else []

    def find(self, account: Account, filters: Mapping[str, Any]) -> list[Reservation]:
        """Those that all the filters let through (K: the filters; A: no cancelled ones).

        Raises:
            ValueError: a date filter is not a date.
        """
        searched = self.records
        if not account.loose_filters:
            voucher, source = (str(filters.get(name) or "") for name in _TEXT_FILTERS)
            if voucher:
                searched = self._by_voucher.get(voucher, [])
            elif source:
                searched = self._by_source.get(source, [])
        return [
            record
            for record in searched
            if not record.cancelled and _passes(account, record, filters)
        ]

    def cancel(self, source_id: str) -> Envelope:
        """Cancels every reservation of exactly that `SourceId` (A: all of them, and once)."""
        hit = [r for r in self._by_source.get(source_id, []) if not r.cancelled]
        if not source_id or not hit:
            return Envelope(message="No reservation of this SourceId was found")
        for record in hit:
            record.cancelled = True
        return Envelope(hit[0].rec_id)


def _passes(account: Account, record: Reservation, filters: Mapping[str, Any]) -> bool:
    for name, key in _TEXT_FILTERS.items():
        wanted, has = str(filters.get(name) or ""), str(record.body.get(key) or "")
        if wanted and not _same(wanted, has, loose=account.loose_filters):
            return False
    if filters.get("RecId") and filters["RecId"] != record.rec_id:
        return False
    if any(filters.get(n) and filters[n] != record.body.get(n) for n in _ID_FILTERS):
        return False
    day = record.local_time.date()
    begin, end = filters.get("RecordDateBegin"), filters.get("RecordDateEnd")
    if begin and day < read_date(begin):
        return False
    return not (end and day > read_date(end))


def _same(wanted: str, has: str, *, loose: bool) -> bool:
    return wanted.casefold() in has.casefold() if loose else wanted == has

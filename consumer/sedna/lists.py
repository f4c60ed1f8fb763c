"""Reads Sedna's lists into records: hotels, rooms, boards, countries, reservations, stop sales.

Pure. An element that cannot be read is left out and counted, so that one odd hotel does not hide
the others; a caller who needs a proof of absence must look at the count. Raises only
`UnreadableReply`, where a list is no list.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Generic, TypeVar

from consumer.sedna.assumptions import country_key
from consumer.sedna.codes import Code
from consumer.sedna.matching import Hotel
from consumer.sedna.replies import Fields, clean, fold_names, identifier, integer, parse_list

_T = TypeVar("_T")

#: F: names of the same thing in different lists. A: the specific one wins where both are there.
_HOTEL_IDS: Final = ("hotelid", "recid")
_ROOM_IDS: Final = ("roomtypeid", "recid")
_BOARD_IDS: Final = ("boardid", "recid")
_COUNTRY_IDS: Final = ("nationalityid", "countryid", "recid")
_HOTEL_NAMES: Final = ("hotelname", "name")
_ROOM_NAMES: Final = ("roomtypename", "name", "description")
_BOARD_NAMES: Final = ("boardname", "name", "description")
_COUNTRY_NAMES: Final = ("name", "countryname", "nationality")
_COUNTRY_CODES: Final = ("code", "shortname", "isocode")
_ROOM_CODES: Final = ("roomtypecode", "code", "shortname")
_BOARD_CODES: Final = ("boardcode", "code", "shortname")
_LONGEST_TEXT: Final = 300


@dataclass(frozen=True, slots=True)
class Parsed(Generic[_T]):
    """What could be read of a list, and how much could not."""

    items: tuple[_T, ...]
    #: Elements that could not be read; above 0, absence is not proven.
    skipped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationRecord:
    """A reservation as Sedna lists it. A: it repeats the insert's fields; None is "not told"."""

    rec_id: int
    voucher: str | None
    source_id: str | None
    hotel_id: int | None
    check_in: date | None
    check_out: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSaleRecord:
    """A stop sale as Sedna lists it. A: it repeats the record's fields; None is "not told"."""

    rec_id: int
    hotel_id: int | None
    begin: date | None
    end: date | None
    #: 0 stops the sale, 1 opens it again (F).
    stop_type: int | None
    room_remark: str | None
    board_remark: str | None
    operator_remark: str | None
    record_user: str | None
    room_type_ids: tuple[int, ...]
    board_ids: tuple[int, ...]
    operator_ids: tuple[int, ...]


def filter_body(filters: Mapping[str, str | int]) -> bytes:
    """Write the body of a look-up: the filters that `GetReservations` knows (K)."""
    return json.dumps(dict(filters), ensure_ascii=False, separators=(",", ":")).encode()


def hotels(data: bytes) -> Parsed[Hotel]:
    """Read `GetHotels` or `GetHotelList`. A: one that says `IsActive` false is not the account's.

    Raises:
        UnreadableReply: It is no list.
    """

    def read(fields: Fields) -> Hotel | None:
        hotel_id, name = _id(fields, _HOTEL_IDS), _text(fields, _HOTEL_NAMES)
        return None if hotel_id is None or name is None else Hotel(hotel_id, name)

    return _read(data, read, keep=lambda fields: fields.get("isactive") is not False)


def room_types(data: bytes, *, hotel_id: int) -> Parsed[Code]:
    """Read the room types of one hotel; those that name another hotel are left out.

    Raises:
        UnreadableReply: It is no list.
    """

    def of_this_hotel(fields: Fields) -> bool:
        named = identifier(fields.get("hotelid"))
        return named is None or named == hotel_id

    return _read(
        data, lambda fields: _code(fields, _ROOM_IDS, _ROOM_CODES, _ROOM_NAMES), keep=of_this_hotel
    )


def boards(data: bytes) -> Parsed[Code]:
    """Read `GetBoardList`.

    Raises:
        UnreadableReply: It is no list.
    """
    return _read(data, lambda fields: _code(fields, _BOARD_IDS, _BOARD_CODES, _BOARD_NAMES))


def countries(data: bytes) -> Mapping[str, int]:
    """Read `GetCountrys`: nationality ids by `country_key` of name and code.

    A key that means two countries is left out.

    Raises:
        UnreadableReply: It is no list.
    """
    found: dict[str, set[int]] = {}

    def read(fields: Fields) -> int | None:
        nationality_id = _id(fields, _COUNTRY_IDS)
        for names in (_COUNTRY_NAMES, _COUNTRY_CODES):
            text = _text(fields, names)
            key = country_key(text) if text else ""
            if nationality_id is not None and key:
                found.setdefault(key, set()).add(nationality_id)
        return nationality_id

    _read(data, read)
    return {key: next(iter(ids)) for key, ids in found.items() if len(ids) == 1}


def reservations(data: bytes) -> Parsed[ReservationRecord]:
    """Read `GetReservations`; one without voucher and source cannot be recognised: skipped.

    Raises:
        UnreadableReply: It is no list.
    """

    def read(fields: Fields) -> ReservationRecord | None:
        rec_id = identifier(fields.get("recid"))
        voucher = _mark(fields, "voucher") or _mark(fields, "voucherno")
        source = _mark(fields, "sourceid")
        if rec_id is None or (voucher is None and source is None):
            return None
        return ReservationRecord(
            rec_id=rec_id,
            voucher=voucher,
            source_id=source,
            hotel_id=identifier(fields.get("hotelid")),
            check_in=_day(fields.get("checkindate")),
            check_out=_day(fields.get("checkoutdate")),
        )

    return _read(data, read)


def stop_sales(data: bytes) -> Parsed[StopSaleRecord]:
    """Read `GetStopSaleList`; one without user, and without dates or type, is skipped.

    Raises:
        UnreadableReply: It is no list.
    """

    def read(fields: Fields) -> StopSaleRecord | None:
        rec_id = identifier(fields.get("recid"))
        if rec_id is None:
            return None
        record = StopSaleRecord(
            rec_id=rec_id,
            hotel_id=identifier(fields.get("hotelid")),
            begin=_day(fields.get("begindate")),
            end=_day(fields.get("enddate")),
            stop_type=integer(fields.get("stoptype")),
            room_remark=_remark(fields.get("roomremark")),
            board_remark=_remark(fields.get("boardremark")),
            operator_remark=_remark(fields.get("operatorremark")),
            record_user=_mark(fields, "recorduser"),
            room_type_ids=_children(fields.get("stopsalerooms"), "roomtypeid"),
            board_ids=_children(fields.get("stopsaleboards"), "boardid"),
            operator_ids=_children(fields.get("stopsaleoperators"), "operatorid"),
        )
        told = None not in (record.begin, record.end, record.stop_type)
        return record if told or record.record_user is not None else None

    return _read(data, read)


def _read(
    data: bytes,
    read: Callable[[Fields], _T | None],
    keep: Callable[[Fields], bool] = lambda _: True,
) -> Parsed[_T]:
    items: list[_T] = []
    skipped = 0
    for element in parse_list(data):
        fields = fold_names(element) if isinstance(element, dict) else None
        if fields is not None and not keep(fields):
            continue
        item = None if fields is None else read(fields)
        if item is None:
            skipped += 1
        else:
            items.append(item)
    return Parsed(tuple(items), skipped)


def _id(fields: Fields, names: tuple[str, ...]) -> int | None:
    found = (identifier(fields.get(name)) for name in names)
    return next((number for number in found if number is not None), None)


def _text(fields: Fields, names: tuple[str, ...]) -> str | None:
    """Return the first of these that is a text and not blank, cleaned for people to read."""
    marks = (_mark(fields, name) for name in names)
    texts = (clean(mark, _LONGEST_TEXT) for mark in marks if mark is not None)
    return next((text for text in texts if text), None)


def _mark(fields: Fields, name: str) -> str | None:
    """Return a text that identifies, as it came, if it is not blank; a number is its digits."""
    value = fields.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        number = integer(value)
        value = None if number is None else str(number)
    return value if isinstance(value, str) and value.strip() else None


def _remark(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _code(
    fields: Fields, ids: tuple[str, ...], codes: tuple[str, ...], names: tuple[str, ...]
) -> Code | None:
    """Read a room type or a board; where only one of code and name is told, it is both."""
    number, code, name = _id(fields, ids), _text(fields, codes), _text(fields, names)
    text = code or name
    return None if number is None or text is None else Code(number, text, name or text)


def _day(value: Any) -> date | None:
    """Read `2026-05-01`, also with a time behind it (K)."""
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text[10:11] not in {"", "T", " "}:
        return None
    try:
        return date.fromisoformat(text[:10]) if text[4:5] == "-" else None
    except ValueError:
        return None


def _children(value: Any, key: str) -> tuple[int, ...]:
    if not isinstance(value, list):
        return ()
    found = (
        identifier(fold_names(child).get(key)) if isinstance(child, dict) else None
        for child in value
    )
    return tuple(number for number in found if number is not None)

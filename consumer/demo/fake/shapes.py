"""How one account shapes its lists: the same facts under the names that this account uses.

Pure. Adds no fact and drops none; what a list holds is decided before.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from consumer.demo.fake.accounts import (
    COUNTRIES,
    Board,
    CodeKeys,
    Hotel,
    ReplyShape,
    Room,
)
from consumer.demo.fake.records import Envelope, Json, Reservation, StopSale, read_date
from consumer.demo.fake.stop_sales import CHILDREN

_RESERVATION_DATES = ("CheckinDate", "CheckOutDate", "SaleDate")
_STOP_SALE_DATES = ("BeginDate", "EndDate", "DeclareDate")


def as_list(shape: ReplyShape, elements: Iterable[Json]) -> Any:
    """A list, bare or under `Data` (F)."""
    return {"Data": list(elements)} if shape.lists_under_data else list(elements)


def as_envelopes(shape: ReplyShape, envelopes: Sequence[Envelope]) -> Any:
    """The reply to an array body: one envelope per element, or one for all (F).

    A: the one for all is the first refusal, or else the first record's.
    """
    if shape.envelope_per_element:
        return [envelope.as_json() for envelope in envelopes]
    refused = (envelope for envelope in envelopes if not envelope.ok)
    return next(refused, envelopes[0]).as_json()


def hotel(shape: ReplyShape, item: Hotel) -> Json:
    """An element of either list of hotels."""
    return {
        ("HotelId" if shape.specific_ids else "RecId"): item.id,
        shape.hotel_name_key: item.name,
        "IsActive": item.active,
    }


def room(shape: ReplyShape, item: Room, *, hotel_id: int | None = None) -> Json:
    """An element of either list of room types; with its hotel where the list is by hotel (A)."""
    element = {
        ("RoomTypeId" if shape.specific_ids else "RecId"): item.id,
        _code_key(shape, "RoomTypeCode"): item.code,
        "Name": item.name,
    }
    return element if hotel_id is None else {**element, "HotelId": hotel_id}


def board(shape: ReplyShape, item: Board) -> Json:
    """An element of the list of boards."""
    return {
        ("BoardId" if shape.specific_ids else "RecId"): item.id,
        _code_key(shape, "BoardCode"): item.code,
        "Name": item.name,
    }


def _code_key(shape: ReplyShape, specific: str) -> str:
    match shape.code_keys:
        case CodeKeys.CODE:
            return "Code"
        case CodeKeys.SPECIFIC:
            return specific
        case CodeKeys.SHORT_NAME:
            return "ShortName"


def countries() -> list[Json]:
    """The list of countries: name and `NationalityId` (K)."""
    return [{"Name": name, "NationalityId": number} for name, number in COUNTRIES.items()]


def reservation(shape: ReplyShape, record: Reservation) -> Json:
    """An element of a look-up: the insert's fields again, with `RecId` (A)."""
    return {
        **record.body,
        **_dates(shape, record.body, _RESERVATION_DATES),
        "RecId": record.rec_id,
        "RecordDate": record.local_time.isoformat(),
    }


def stop_sale(shape: ReplyShape, record: StopSale) -> Json:
    """An element of the list of stop sales: the record's fields, children included (A)."""
    return {
        **record.body,
        **_dates(shape, record.body, _STOP_SALE_DATES),
        "RecId": record.rec_id,
        "RecordDate": record.local_time.isoformat(),
        **{array: _children(record, array) for array in CHILDREN},
    }


def _children(record: StopSale, array: str) -> list[Json]:
    ids = zip(record.child_rec_ids.get(array, []), record.children.get(array, []), strict=True)
    return [
        {"RecId": rec_id, "StopSaleId": record.rec_id, CHILDREN[array]: child_id, "State": 1}
        for rec_id, child_id in ids
    ]


def _dates(shape: ReplyShape, body: Json, keys: Iterable[str]) -> Json:
    clock = "T00:00:00" if shape.dates_with_time else ""
    return {key: f"{read_date(body[key]).isoformat()}{clock}" for key in keys if body.get(key)}

"""Writes the bodies of the two steps of `UpdateStopSale`.

Pure. Must never fill a child array in step 1: Sedna fails such a body with a reference error (K).
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from pydantic_core import to_json

from consumer.sedna import assumptions
from schemas.inbound import StopSaleCreated

#: A room type or a board: its id and its code, as shown in the remarks.
IdAndCode = tuple[int, str]


def stop_sale_body(
    *,
    stop_sale: StopSaleCreated,
    rec_id: int,
    hotel_id: int,
    room_types: Sequence[IdAndCode],
    boards: Sequence[IdAndCode],
    operator_id: int,
    operator_code: str,
    authority_id: int,
    record_user: str,
    declared_on: date,
) -> bytes:
    """Write step 1 (`rec_id` 0) or step 2 (the `RecId` of step 1's reply) as compact UTF-8 JSON.

    No room types means all of the hotel's, no boards all boards (F). The operator is always sent,
    in step 2 (F).
    """
    body: dict[str, Any] = {
        "RecId": rec_id,
        "HotelId": hotel_id,
        "BeginDate": _midnight(stop_sale.date_from),
        "EndDate": _midnight(stop_sale.date_to),
        "DeclareDate": _midnight(declared_on),
        "StopType": stop_type(stop_sale),
        **assumptions.STOP_SALE_CONSTANTS,
        "RecordUser": record_user,
        "Authority": authority_id,
        "RoomRemark": remark(room_types),
        "BoardRemark": remark(boards),
        "OperatorRemark": assumptions.operator_remark(operator_code),
        "StopSaleRooms": _children(rec_id, "RoomTypeId", (number for number, _ in room_types)),
        "StopSaleOperators": _children(rec_id, "OperatorId", (operator_id,)),
        "StopSaleBoards": _children(rec_id, "BoardId", (number for number, _ in boards)),
        "StopSaleMarkets": [],
    }
    return to_json(body)


def stop_type(stop_sale: StopSaleCreated) -> int:
    """F: 0 stops the sale, 1 opens it again."""
    return 0 if stop_sale.is_close else 1


def remark(codes: Iterable[IdAndCode]) -> str:
    """K: the codes as text, comma-separated."""
    return ",".join(code for _, code in codes)


def _midnight(day: date) -> str:
    return f"{day.isoformat()}T00:00:00"


def _children(rec_id: int, key: str, ids: Iterable[int]) -> list[dict[str, int]]:
    if rec_id == 0:
        return []
    return [
        {"StopSaleId": rec_id, key: number, "State": assumptions.CHILD_STATE}
        for number in dict.fromkeys(ids)
    ]

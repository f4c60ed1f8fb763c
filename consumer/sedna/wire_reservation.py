"""Writes the body of `InsertReservation`.

Pure. Must never put a credential into a body, nor look anything up: ids come resolved.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic_core import to_json

from consumer.sedna import assumptions
from schemas.inbound import Guest, ReservationCreated


def reservation_body(
    *,
    reservation: ReservationCreated,
    hotel_id: int,
    room_type_id: int,
    board_id: int,
    operator_id: int,
    source_id: str,
    nationality_ids: Mapping[str, int],
    declared_on: date,
) -> bytes:
    """Write an array of one element, one room of the voucher (K), as compact UTF-8 JSON.

    Args:
        reservation: The event's data.
        hotel_id: Of this account, as the room type and the board.
        room_type_id: Of this hotel.
        board_id: Of this account.
        operator_id: From the login.
        source_id: The caller's own reference, see `assumptions.source_id`.
        nationality_ids: By `assumptions.country_key`. A country that is not there is sent by name.
        declared_on: The day of sale where the event names none.
    """
    sale_date = reservation.sale_date or declared_on
    element: dict[str, Any] = {
        "HotelId": hotel_id,
        "RoomTypeId": room_type_id,
        "BoardId": board_id,
        "OperatorId": operator_id,
        "CheckinDate": reservation.check_in.isoformat(),
        "CheckOutDate": reservation.check_out.isoformat(),
        "Adult": reservation.adults,
        "Child": assumptions.child_count(reservation),
        "Voucher": reservation.voucher_no,
        "SourceId": source_id,
        "SaleDate": sale_date.isoformat(),
        "IsReservationChanged": False,
        "HotelRemark": reservation.hotel_remark or "",
        "ReservationRemark": reservation.reservation_remark or "",
        "Customers": [
            _customer(guest, check_in=reservation.check_in, nationality_ids=nationality_ids)
            for guest in reservation.guests
        ],
    }
    text = to_json(element)
    if reservation.total_price is not None:
        # Written by hand: JSON writers know floats only, and a float does not hold every price.
        text = b'%b,"Amount":%b}' % (
            text[:-1],
            assumptions.amount(reservation.total_price).encode(),
        )
    return b"[%b]" % text


def _customer(
    guest: Guest, *, check_in: date, nationality_ids: Mapping[str, int]
) -> dict[str, Any]:
    """Write one guest; what is not known is left out."""
    customer: dict[str, Any] = {
        "Title": assumptions.title(guest, check_in),
        "FirstName": assumptions.capitals(guest.first_name),
        "LastName": assumptions.capitals(guest.last_name),
    }
    if guest.birth_date is not None:
        customer["BirthDate"] = guest.birth_date.isoformat()
    age = assumptions.age_at(guest, check_in)
    if age is not None:
        customer["Age"] = age
    if guest.passport_no is not None:
        customer["PassNo"] = guest.passport_no
    if guest.nationality is not None:
        customer["Nationality"] = guest.nationality
        nationality_id = nationality_ids.get(assumptions.country_key(guest.nationality))
        if nationality_id is not None:
            customer["NationalityId"] = nationality_id
    return customer

"""Events as upstream publishes them, and accounts at the fake Sedna that they are for.

Written as plain JSON, so that the tests hold the contract and do not mirror our models.
"""

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from consumer.demo.fake import Account, Board, Hotel, Room

PASSWORD = "s3cret pässwörd/with?odd&signs"
#: Group siblings among them: a wrong hotel would show.
HOTELS = (
    (101, "Mandarin Resort & Spa"),
    (102, "Lara Premium Belek"),
    (103, "Lara Park Belek"),
    (104, "Çamlıca Palas Otel"),
    (105, "Güneş Işığı Beach Hotel"),
)


def account(name: str, **switches: Any) -> Account:
    """An account with five hotels, two room types each, and three boards."""
    return Account(
        name=name,
        username=f"user-{name}",
        password=PASSWORD + name,
        operator_id=500 + sum(name.encode()),
        operator_code=name.upper(),
        hotels=tuple(
            Hotel(
                id=number,
                name=title,
                rooms=(Room(number * 10 + 1, "STD"), Room(number * 10 + 2, "DLX")),
            )
            for number, title in HOTELS
        ),
        boards=(Board(1, "AI"), Board(2, "HB"), Board(3, "BB")),
        **switches,
    )


def reservation_data(number: int, **changes: Any) -> dict[str, Any]:
    """The data of a reservation; the voucher follows the number."""
    return {
        "email_id": number,
        "voucher_no": f"V{number:06}",
        "hotel_name": HOTELS[number % len(HOTELS)][1],
        "check_in": "2026-12-01",
        "check_out": "2026-12-08",
        "room_type": "STD" if number % 2 else "DLX",
        "board_type": "AI",
        "adults": 2,
        "children": 1,
        "infants": 0,
        "guests": [
            {"title": "Mr", "first_name": "Şükrü", "last_name": "Yıldız", "nationality": "Turkiye"},
            {"title": "Mrs", "first_name": "Anna", "last_name": "Müller"},
            {"first_name": "Deniz", "last_name": "Yıldız", "age": 7},
        ],
        "total_price": "1250.50",
        "currency": "EUR",
        **changes,
    }


def stop_sale_data(number: int, **changes: Any) -> dict[str, Any]:
    """The data of a stop sale."""
    return {
        "stop_sale_id": number,
        "hotel_name": HOTELS[number % len(HOTELS)][1],
        "date_from": "2026-12-10",
        "date_to": "2026-12-20",
        "is_close": True,
        "room_types": ["STD"],
        **changes,
    }


def envelope(tenant: str, event_type: str, data: Mapping[str, Any], **attributes: Any) -> bytes:
    """A structured CloudEvent."""
    return json.dumps(
        {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "source": "/mail-parser",
            "type": event_type,
            "time": "2026-11-22T10:00:00Z",
            "tenantid": tenant,
            "data": data,
            **attributes,
        }
    ).encode()


def reservation(tenant: str, number: int, **changes: Any) -> bytes:
    """A `reservation.created` event."""
    return envelope(tenant, "reservation.created", reservation_data(number, **changes))


def stop_sale(tenant: str, number: int, **changes: Any) -> bytes:
    """A `stopsale.created` event."""
    return envelope(tenant, "stopsale.created", stop_sale_data(number, **changes))


def record_users(numbers: Iterable[int]) -> dict[str, int]:
    """What the fake must hold of these stop sales: one complete record each."""
    return {f"sedna-sync:{number}": 1 for number in numbers}

"""One example of each event, for the AsyncAPI document; the tests hold that they are valid."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from schemas.kinds import EVENT_TYPE, Kind
from schemas.outcomes import (
    ErrorCode,
    FailureError,
    Origin,
    SednaFailed,
    SednaSynced,
    result_event,
    settlement_event_id,
)
from schemas.trace import TraceContext

TENANT_ID: Final = "agency-7"
TRACEPARENT: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

_RESERVATION_EVENT_ID: Final = "0f8d8ac2-5b0c-4a53-9f5d-0d7a2d6f9a10"
_STOP_SALE_EVENT_ID: Final = "c2f1f6de-3a54-4d2e-8f0c-6d0f6d6c7b21"


def reservation_created() -> dict[str, Any]:
    """A `reservation.created`, as upstream publishes it."""
    return {
        "specversion": "1.0",
        "id": _RESERVATION_EVENT_ID,
        "source": "/mail-parser",
        "type": EVENT_TYPE[Kind.RESERVATION],
        "subject": "reservation/42",
        "time": "2026-05-01T09:30:00Z",
        "datacontenttype": "application/json",
        "tenantid": TENANT_ID,
        "data": {
            "email_id": 42,
            "voucher_no": "JNP123456",
            "hotel_name": "Mandarin Resort & Spa",
            "check_in": "2026-07-01",
            "check_out": "2026-07-08",
            "room_type": "STDSV",
            "board_type": "AI",
            "adults": 2,
            "children": 0,
            "infants": 0,
            "guests": [
                {
                    "title": "Mr",
                    "first_name": "Ali",
                    "last_name": "Çelik",
                    "birth_date": "1980-04-23",
                    "nationality": "TR",
                },
                {"title": "Mrs", "first_name": "Ayşe", "last_name": "Çelik", "age": 44},
            ],
            "total_price": "1250.50",
            "currency": "EUR",
            "sale_date": "2026-05-01",
        },
    }


def stop_sale_created() -> dict[str, Any]:
    """A `stopsale.created`, as upstream publishes it."""
    return {
        "specversion": "1.0",
        "id": _STOP_SALE_EVENT_ID,
        "source": "/mail-parser",
        "type": EVENT_TYPE[Kind.STOP_SALE],
        "subject": "stop-sale/7",
        "time": "2026-05-01T10:00:00Z",
        "datacontenttype": "application/json",
        "tenantid": TENANT_ID,
        "data": {
            "stop_sale_id": 7,
            "email_id": 43,
            "hotel_name": "Mandarin Resort & Spa",
            "date_from": "2026-08-01",
            "date_to": "2026-08-15",
            "is_close": True,
            "room_types": ["STDSV"],
            "board_types": [],
            "reason": "Fully booked",
        },
    }


def sedna_synced() -> dict[str, Any]:
    """The answer to `reservation_created`."""
    result = SednaSynced(
        kind=Kind.RESERVATION,
        email_id=42,
        voucher_no="JNP123456",
        sedna_rec_id=823259,
        sedna_hotel_id=18,
        attempts=1,
        adopted=False,
        message="Created in Sedna as 823259",
        origin=Origin(
            event_id=_RESERVATION_EVENT_ID, topic="reservation.created", partition=3, offset=1207
        ),
    )
    return _result(result, settlement_event_id(1, 1))


def sedna_failed() -> dict[str, Any]:
    """The answer to a stop sale whose hotel could not be told."""
    result = SednaFailed(
        kind=Kind.STOP_SALE,
        stop_sale_id=7,
        attempts=0,
        origin=Origin(
            event_id=_STOP_SALE_EVENT_ID, topic="stopsale.created", partition=3, offset=88
        ),
        error=FailureError(
            code=ErrorCode.HOTEL_AMBIGUOUS,
            message="Two hotels of this account match the name; map the name to one of them",
            details={
                "candidates": [
                    {"hotel_id": 18, "name": "Mandarin Resort & Spa Side"},
                    {"hotel_id": 28, "name": "Mandarin Resort & Spa Kemer"},
                ]
            },
        ),
    )
    return _result(result, settlement_event_id(2, 1))


def dead_letter_headers() -> dict[str, str]:
    """The headers of a dead letter; its value is whatever had come."""
    return {
        "x-origin-topic": "reservation.created",
        "x-origin-partition": "3",
        "x-origin-offset": "1208",
        "x-origin-timestamp": "1777627800000",
        "x-error-code": ErrorCode.INVALID_EVENT,
        "x-error-message": "data.check_out: must be after check_in",
    }


def _result(result: SednaSynced | SednaFailed, event_id: str) -> dict[str, Any]:
    message = result_event(
        result=result,
        tenant_id=TENANT_ID,
        event_id=event_id,
        time=datetime(2026, 5, 1, 10, 0, 1, tzinfo=UTC),
        trace=TraceContext(TRACEPARENT),
    )
    event: dict[str, Any] = json.loads(message.value)
    return event

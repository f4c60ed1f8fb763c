"""What the API answers, field by field. No guests: names and passports stay in Postgres."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from consumer.advice import what_a_tenant_can_do, why_for_a_tenant
from db.history import Attempt, SyncRecord
from schemas.kinds import Kind

State = Literal["pending", "synced", "failed"]
#: What Postgres' bigint holds, from 1 on.
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]

_SYNC: dict[str, JsonValue] = {
    "id": 17,
    "kind": "reservation",
    "email_id": 42,
    "voucher_no": "JNP123456",
    "stop_sale_id": None,
    "hotel_name": "Mandarin Resort & Spa",
    "sedna_hotel_id": 18,
    "first_day": "2026-07-01",
    "last_day": "2026-07-08",
    "state": "failed",
    "in_doubt": False,
    "in_doubt_since": None,
    "attempts": 1,
    "next_attempt_at": None,
    "sedna_rec_id": None,
    "adopted": False,
    "error": {
        "code": "room_type_unknown",
        "message": "Mandarin Resort & Spa has no room type PENTHOUSE; it has STDSV",
        "details": {
            "room_type": "PENTHOUSE",
            "hotel_id": 18,
            "hotel_name": "Mandarin Resort & Spa",
            "known": ["STDSV"],
            "ambiguous": [],
        },
        "advice": "Add the room type in Sedna, then ask for the sync again. Or have it sent anew "
        "with a code that is known.",
    },
    "registered_at": "2026-05-01T09:30:00.120000Z",
    "updated_at": "2026-05-01T09:30:01.184000Z",
    "settled_at": "2026-05-01T09:30:01.184000Z",
}
_ATTEMPT: dict[str, JsonValue] = {
    "generation": 1,
    "attempt": 1,
    "outcome": "failed",
    "error_code": "room_type_unknown",
    "error_message": "Mandarin Resort & Spa (hotel 18) has no room type 'PENTHOUSE'; known: STDSV",
    "sedna_rec_id": None,
    "started_at": "2026-05-01T09:30:00.310000Z",
    "finished_at": "2026-05-01T09:30:01.180000Z",
}


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class SyncError(_Answer):
    """Why it failed, or why the last attempt did not bring it there."""

    code: str | None
    message: str | None
    details: dict[str, Any] | None = Field(description="what a person needs to mend it")
    advice: str | None = Field(description="what can be done about it; null unless it has failed")


class Sync(_Answer):
    """One reservation or stop sale, and what became of it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SYNC]})

    id: int
    kind: Kind
    email_id: int | None
    voucher_no: str | None
    stop_sale_id: int | None
    hotel_name: str | None = Field(description="as the event has it")
    sedna_hotel_id: int | None
    first_day: date | None = Field(description="check-in, or the first day of the stop sale")
    last_day: date | None = Field(description="check-out, or the last day of the stop sale")
    state: State
    in_doubt: bool = Field(description="a create was perhaps carried out; Sedna is being asked")
    in_doubt_since: datetime | None
    attempts: int = Field(description="since it was registered last")
    next_attempt_at: datetime | None
    sedna_rec_id: int | None
    adopted: bool = Field(description="found in Sedna instead of created")
    error: SyncError | None
    registered_at: datetime
    updated_at: datetime
    settled_at: datetime | None


class SyncPage(_Answer):
    """A stretch of the list of syncs, newest first."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [_SYNC], "next": "czE6MTc"}]}
    )

    items: list[Sync] = Field(
        description="may be fewer than `limit`, even none, while there is a `next`: a page looks "
        "at a bounded number of syncs, and filters pass over most"
    )
    next: str | None = Field(description="the `cursor` of the next page; null at the end")


class SyncAttempt(_Answer):
    """One try."""

    generation: int = Field(
        description="how often the work had been registered, this time included"
    )
    attempt: int = Field(description="from 1 in each generation")
    outcome: Literal["synced", "failed", "retry", "in_doubt"]
    error_code: str | None
    error_message: str | None
    sedna_rec_id: int | None
    started_at: datetime
    finished_at: datetime


class SyncDetail(Sync):
    """One sync with its attempts."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SYNC | {"history": [_ATTEMPT]}]})

    history: list[SyncAttempt] = Field(description="the latest 200 attempts, in order")


class Alive(_Answer):
    """The process runs."""

    status: Literal["ok"] = "ok"


class Ready(_Answer):
    """The process is fit for work."""

    status: Literal["ready"] = "ready"


def sync_of(record: SyncRecord) -> Sync:
    """A sync as it is shown."""
    return Sync(**_shown(record))


def detail_of(record: SyncRecord, attempts: list[Attempt]) -> SyncDetail:
    """A sync and its attempts as they are shown."""
    history = [_attempt_of(each) for each in attempts]
    return SyncDetail(**_shown(record), history=history)


def _shown(record: SyncRecord) -> dict[str, Any]:
    fields = {name: getattr(record, name) for name in Sync.model_fields if hasattr(record, name)}
    code, message, error = record.error_code, record.error_message, None
    if code is not None or message is not None:
        details = None if record.error_details is None else dict(record.error_details)
        error = SyncError(
            code=code,
            message=why_for_a_tenant(code, message, details),
            details=details,
            advice=what_a_tenant_can_do(code, details),
        )
    return fields | {"in_doubt": record.in_doubt_since is not None, "error": error}


def _attempt_of(attempt: Attempt) -> SyncAttempt:
    return SyncAttempt(
        generation=attempt.generation,
        attempt=attempt.attempt,
        outcome=attempt.outcome,
        error_code=attempt.error_code,
        error_message=why_for_a_tenant(attempt.error_code, attempt.error_message, None),
        sedna_rec_id=attempt.sedna_rec_id,
        started_at=attempt.started_at,
        finished_at=attempt.finished_at,
    )

"""What became of an event: the results that we publish, and the codes of failure.

A result must never fail to be written because of what it says, since an event without an answer is
a broken promise. So texts of strangers (Sedna's messages above all) are made storable and cut to
size here, instead of being refused.
"""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue
from pydantic_core import to_json

from schemas.headers import CONTENT_TYPE, STRUCTURED_JSON
from schemas.kinds import FAILED_TYPE, SYNCED_TYPE, Kind, is_tenant_id
from schemas.storable import storable_json, storable_text
from schemas.trace import TraceContext

#: The CloudEvents ``source`` of every result.
SOURCE: Final = "/sedna-sync"

#: Fixed for good: another one would give results that were published already other ids.
_NAMESPACE: Final = uuid.UUID("6f0d5f0e-3a53-4d0f-9c39-0f3b5a6c8e21")


class ErrorCode(StrEnum):
    """Why an event failed; the `code` of a failed result."""

    #: Permanent, of the event.
    INVALID_EVENT = "invalid_event"
    CONFLICT = "conflict"
    HOTEL_NOT_FOUND = "hotel_not_found"
    HOTEL_AMBIGUOUS = "hotel_ambiguous"
    ROOM_TYPE_UNKNOWN = "room_type_unknown"
    BOARD_UNKNOWN = "board_unknown"
    REFUSED_BY_SEDNA = "refused_by_sedna"
    SUPERSEDED = "superseded"
    #: Permanent, of the tenant.
    TENANT_NOT_CONFIGURED = "tenant_not_configured"
    #: Too long.
    GAVE_UP = "gave_up"
    IN_DOUBT_UNRESOLVED = "in_doubt_unresolved"


class _Outcome(BaseModel):
    # Not strict about types: results are built from rows of the database, where a Kind is a text.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


Message = Annotated[str, BeforeValidator(storable_text)]
Details = Annotated[dict[str, JsonValue], BeforeValidator(storable_json)]


class Origin(_Outcome):
    """The event that the result answers: its id and where in Kafka it stood."""

    #: Unknown where the event could not be read.
    event_id: str | None = None
    topic: str
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]


class _Result(_Outcome):
    kind: Kind
    #: Of a reservation; unknown where the event could not be read.
    email_id: int | None = None
    #: Of a stop sale; unknown where the event could not be read.
    stop_sale_id: int | None = None
    voucher_no: str | None = None
    #: How often it was tried; 0 where it never came to that.
    attempts: Annotated[int, Field(ge=0)]
    origin: Origin


class SednaSynced(_Result):
    """It is in Sedna."""

    sedna_rec_id: int
    sedna_hotel_id: int
    #: True where it was found in Sedna instead of created by the last request.
    adopted: bool
    message: Message


class FailureError(_Outcome):
    """Why it is not in Sedna, and what a person needs to mend it."""

    code: ErrorCode
    message: Message
    #: By code: candidates, known codes, Sedna's own message. An empty object where none.
    details: Details = Field(default_factory=dict)


class SednaFailed(_Result):
    """It is not in Sedna, and nothing more is tried by itself."""

    error: FailureError


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultMessage:
    """A result as a Kafka message, complete but for its topic's configured name."""

    type: Literal["sedna.synced", "sedna.failed"]
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def result_event(
    *,
    result: SednaSynced | SednaFailed,
    tenant_id: str,
    event_id: str,
    time: datetime,
    trace: TraceContext | None,
) -> ResultMessage:
    """Write a result as a CloudEvent 1.0 in JSON, structured mode, keyed by its tenant.

    The same arguments give the same bytes: a second publication is the same event.

    Args:
        result: What became of the event.
        tenant_id: Whose it is.
        event_id: The result's own id: `settlement_event_id` or `rejection_event_id`.
        time: When it was settled; aware of its zone.
        trace: That of the event that it answers, if it had one.

    Raises:
        ValueError: ``tenant_id`` is no tenant id, or ``time`` has no zone.
    """
    if not is_tenant_id(tenant_id):
        raise ValueError("a result needs the id of its tenant: 1 to 64 of A-Z, a-z, 0-9, _ and -")
    if time.tzinfo is None:
        raise ValueError("the time of a result needs its zone")
    result_type: Literal["sedna.synced", "sedna.failed"] = (
        SYNCED_TYPE if isinstance(result, SednaSynced) else FAILED_TYPE
    )
    envelope: dict[str, object] = {
        "specversion": "1.0",
        "id": event_id,
        "source": SOURCE,
        "type": result_type,
        "time": time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "tenantid": tenant_id,
    }
    subject = _subject(result)
    if subject is not None:
        envelope["subject"] = subject
    if trace is not None:
        envelope.update(trace.fields())
    envelope["data"] = result
    return ResultMessage(
        type=result_type,
        key=tenant_id.encode(),
        # What does not apply is absent, not null; nulls inside `details` stay.
        value=to_json(envelope, exclude_none=True),
        headers=result_headers(trace),
    )


def result_headers(trace: TraceContext | None) -> list[tuple[str, bytes]]:
    """The Kafka headers of a result that belongs to a trace, or to none."""
    fields = () if trace is None else trace.fields()
    return [
        (CONTENT_TYPE, STRUCTURED_JSON.encode()),
        *((name, value.encode()) for name, value in fields),
    ]


def _subject(result: SednaSynced | SednaFailed) -> str | None:
    match result.kind:
        case Kind.RESERVATION:
            return None if result.email_id is None else f"reservation/{result.email_id}"
        case Kind.STOP_SALE:
            return None if result.stop_sale_id is None else f"stop-sale/{result.stop_sale_id}"


def settlement_event_id(sync_id: int, generation: int) -> str:
    """The id of the result of a sync's settlement; a retry settles as the next generation."""
    return str(uuid.uuid5(_NAMESPACE, f"settlement:{sync_id}:{generation}"))


def rejection_event_id(topic: str, partition: int, offset: int, digest: bytes) -> str:
    """The id of the result of an event that was not registered.

    Args:
        topic: The topic that it came from.
        partition: Its partition.
        offset: Its offset there.
        digest: Of its bytes, because a topic created anew counts its offsets from 0 again.
    """
    # A topic's name holds no colon, so no two events share this text.
    return str(uuid.uuid5(_NAMESPACE, f"rejection:{topic}:{partition}:{offset}:{digest.hex()}"))

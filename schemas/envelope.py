"""From a Kafka message to an event that obeys the contract, or to the reason why it is none.

This is where everything from outside comes in, so whatever the bytes are, `parse_event` returns an
event or raises `InvalidEvent`, and nothing else; and no message of it repeats what the bytes say.
The tenant is the one that the message's key names: an event that claims another is invalid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from schemas import salvage
from schemas.headers import Carried, Mode, read_headers
from schemas.inbound import ReservationCreated, StopSaleCreated
from schemas.kinds import EVENT_TYPE, Kind, is_tenant_id
from schemas.problems import MAX_PROBLEMS, problem, summary
from schemas.reading import MAX_EVENT_BYTES, STRUCTURED_OF, Attributes, Reading, read
from schemas.trace import TRACEPARENT, TRACESTATE, TraceContext, trace_in


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundEvent:
    """A valid event: the contract holds, and the tenant is the message's key."""

    id: str
    type: str
    source: str
    time: datetime | None  #: when it happened, says upstream; aware of its zone
    tenant_id: str
    subject: str | None
    trace: TraceContext | None
    data: ReservationCreated | StopSaleCreated


class InvalidEvent(Exception):
    """The message is no event of the contract; what could be learned of it is in the fields."""

    def __init__(
        self,
        message: str,
        *,
        details: tuple[dict[str, str], ...],
        tenant_id: str | None,
        event_id: str | None,
        item_id: int | None,
        trace: TraceContext | None,
    ) -> None:
        super().__init__(message)
        self.message = message  #: the first problem, in one line
        self.details = details  #: the first 20 problems: `field` and `problem`
        self.tenant_id = tenant_id  #: the key's, if it has the form of one
        self.event_id = event_id
        self.item_id = item_id  #: `email_id` or `stop_sale_id`, by the kind of the topic
        self.trace = trace


def parse_event(
    kind: Kind,
    *,
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[str, bytes | None]],
) -> InboundEvent:
    """Read a Kafka message of the topic of ``kind`` as a CloudEvent 1.0, structured or binary.

    Raises:
        InvalidEvent: It is none, breaks a rule of the contract, is of another type, is larger
            than `MAX_EVENT_BYTES`, or its tenant is not the key's. Nothing else is raised.
    """
    carried = read_headers(headers)
    tenant_id = _tenant_of(key)
    plain = carried.mode is Mode.STRUCTURED and not carried.problems and tenant_id is not None
    if plain and value is not None and len(value) <= MAX_EVENT_BYTES:
        try:
            event = STRUCTURED_OF[kind].model_validate_json(value)
        except ValidationError:
            pass  # read again below, slowly: to say why, or because its data is Base64
        else:
            if event.tenantid == tenant_id and event.type == EVENT_TYPE[kind]:
                return _event(event, event.data, carried)
    return _read_with_care(kind, tenant_id, value, carried)


def _tenant_of(key: bytes | None) -> str | None:
    try:
        tenant_id = (key or b"").decode("ascii")
    except UnicodeDecodeError:
        return None
    return tenant_id if is_tenant_id(tenant_id) else None


def _event(
    attributes: Attributes, data: ReservationCreated | StopSaleCreated, carried: Carried
) -> InboundEvent:
    return InboundEvent(
        id=attributes.id,
        type=attributes.type,
        source=attributes.source,
        time=attributes.time,
        tenant_id=attributes.tenantid,
        subject=attributes.subject,
        trace=carried.trace or trace_in(attributes.traceparent, attributes.tracestate),
        data=data,
    )


def _read_with_care(
    kind: Kind, tenant_id: str | None, value: bytes | None, carried: Carried
) -> InboundEvent:
    """Read any message; take the time to collect everything that is wrong with it."""
    reading = read(kind, value, carried)
    attributes, data = reading.attributes, reading.data
    problems = [
        *_key_problems(tenant_id),
        *carried.problems,
        *_contradictions(kind, tenant_id, reading),
    ]
    if any(found["field"] == "type" for found in problems):
        # Of another kind altogether: its data is not worth a word.
        problems += [p for p in reading.problems if not p["field"].startswith("data")]
    else:
        problems += reading.problems
    if not problems and attributes is not None and data is not None:
        return _event(attributes, data, carried)
    raise InvalidEvent(
        summary(problems),
        details=tuple(problems[:MAX_PROBLEMS]),
        tenant_id=tenant_id,
        event_id=salvage.event_id(reading.raw_attributes),
        item_id=salvage.item_id(
            kind,
            tenant_id=tenant_id,
            attributes=reading.raw_attributes,
            data=reading.raw_data,
        ),
        trace=carried.trace
        or trace_in(
            reading.raw_attributes.get(TRACEPARENT), reading.raw_attributes.get(TRACESTATE)
        ),
    )


def _key_problems(tenant_id: str | None) -> list[dict[str, str]]:
    if tenant_id is None:
        return [problem("key", "must be a tenant id: 1 to 64 of A-Z, a-z, 0-9, _ and -")]
    return []


def _contradictions(kind: Kind, tenant_id: str | None, reading: Reading) -> list[dict[str, str]]:
    """Find what is well-formed, but does not belong to this topic or to this key."""
    # The validated ones where there are any: of a key that stands twice in the JSON, they are
    # what the event would be taken for.
    attributes = reading.raw_attributes if reading.attributes is None else vars(reading.attributes)
    found = []
    event_type = attributes.get("type")
    if isinstance(event_type, str) and event_type != EVENT_TYPE[kind]:
        found.append(problem("type", f"must be {EVENT_TYPE[kind]} in this topic"))
    claimed = attributes.get("tenantid")
    if (
        tenant_id is not None
        and isinstance(claimed, str)
        and is_tenant_id(claimed)
        and claimed != tenant_id
    ):
        found.append(problem("tenantid", "is not the tenant of the message's key"))
    return found

"""From a Kafka record to what is stored of it: an arrival, or a rejection. Pure.

Whatever the bytes are, one of the two comes out, and nothing is raised.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from consumer.sync import reservation_lane
from db.records import Arrival, Headers, Origin, Rejection
from schemas.envelope import InboundEvent, InvalidEvent, parse_event
from schemas.inbound import ReservationCreated, StopSaleCreated, content_hash, to_json
from schemas.kinds import Kind
from schemas.outcomes import ErrorCode
from schemas.storable import storable_text
from schemas.trace import TraceContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A Kafka record, as far as it matters here."""

    kind: Kind  #: by its topic
    origin: Origin
    timestamp: datetime | None
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Readable:
    """An event that obeys the contract."""

    arrival: Arrival
    data: ReservationCreated | StopSaleCreated


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is no event of the contract, with what could be learned of it."""

    kind: Kind
    rejection: Rejection
    item_id: int | None  #: `email_id` or `stop_sale_id`
    details: tuple[dict[str, str], ...]
    trace: TraceContext | None


def read(record: Record) -> Readable | Unreadable:
    """Read one record."""
    try:
        event = parse_event(record.kind, key=record.key, value=record.value, headers=record.headers)
    except InvalidEvent as problem:
        return _unreadable(record, problem)
    return Readable(_arrival(record, event), event.data)


def _arrival(record: Record, event: InboundEvent) -> Arrival:
    data = event.data
    if isinstance(data, ReservationCreated):
        voucher_no, stop_sale_id = data.voucher_no, None
        business_key, lane = data.voucher_no, reservation_lane(data.voucher_no)
    else:
        voucher_no, stop_sale_id = None, data.stop_sale_id
        business_key, lane = str(data.stop_sale_id), None
    return Arrival(
        tenant_id=event.tenant_id,
        kind=record.kind,
        business_key=business_key,
        email_id=data.email_id,
        voucher_no=voucher_no,
        stop_sale_id=stop_sale_id,
        payload=to_json(data),
        content_hash=content_hash(data),
        event_id=event.id,
        event_time=event.time,
        trace=event.trace,
        origin=record.origin,
        lane=lane,
        fingerprint=fingerprint(record.key, record.value, record.headers),
    )


def _unreadable(record: Record, problem: InvalidEvent) -> Unreadable:
    return Unreadable(
        kind=record.kind,
        rejection=Rejection(
            origin=record.origin,
            timestamp=record.timestamp,
            key=record.key,
            value=record.value,
            headers=record.headers,
            digest=digest(record),
            tenant_id=problem.tenant_id,
            event_id=None if problem.event_id is None else storable_text(problem.event_id),
            error_code=ErrorCode.INVALID_EVENT,
            error_message=storable_text(problem.message),
            error_details=json.dumps({"problems": problem.details}),
        ),
        item_id=problem.item_id,
        details=problem.details,
        trace=problem.trace,
    )


def digest(record: Record) -> bytes:
    """SHA-256 of all that came, so that the same offset of a topic created anew is told apart."""
    hasher = hashlib.sha256(str(record.timestamp).encode())
    parts: Sequence[bytes | None] = [
        record.key,
        record.value,
        *(
            part
            for name, value in record.headers
            for part in (name.encode(errors="replace"), value)
        ),
    ]
    for part in parts:
        # A length before each, so that no byte can move from one part to the next unseen.
        hasher.update(b"-" if part is None else str(len(part)).encode() + b":" + part)
    return hasher.digest()


def fingerprint(key: bytes | None, value: bytes | None, headers: Headers) -> bytes:
    """16 bytes that stand for an event as it came, so that it is known again without parsing.

    Where it stands in Kafka, and when it was written there, is no part of it.
    """
    parts = [key or b"", value or b""]
    for name, content in headers:
        parts += [name.encode(errors="replace"), content or b""]
    lengths = ",".join([str(len(part)) for part in parts])
    return blake2b(b"".join([lengths.encode(), *parts]), digest_size=16).digest()

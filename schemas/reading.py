"""Reads the attributes and the data of a message in any of its forms, and collects all problems.

Structured with JSON data, structured with Base64 data, binary. It does not know whose event it is
or of which topic; `schemas.envelope` judges that. It raises nothing for whatever the bytes are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from pydantic import StringConstraints, ValidationError

from schemas import salvage
from schemas.fields import NO_NUL, Moment, TenantId
from schemas.headers import Carried, Mode
from schemas.inbound import DATA_OF, Contract, ReservationCreated, StopSaleCreated
from schemas.kinds import Kind
from schemas.problems import problem, problems_of

#: A larger event is invalid unread: one reservation or stop sale is some kilobytes.
MAX_EVENT_BYTES: Final = 1_048_576


class Attributes(Contract):
    """The attributes of a CloudEvent that are read; all others are ignored."""

    specversion: Literal["1.0"]
    id: Annotated[
        str,
        StringConstraints(min_length=1, max_length=salvage.MAX_EVENT_ID_CHARACTERS, pattern=NO_NUL),
    ]
    source: Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=NO_NUL)]
    type: Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=NO_NUL)]
    tenantid: TenantId
    time: Moment | None = None
    subject: (
        Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=NO_NUL)] | None
    ) = None
    #: Of any form: a wrong one is no reason to refuse a reservation.
    traceparent: Any = None
    tracestate: Any = None


class _Structured(Attributes):
    data_base64: None = None  #: read apart, and seldom


class StructuredReservation(_Structured):
    """A whole event of structured mode, read in one pass."""

    data: ReservationCreated


class StructuredStopSale(_Structured):
    """A whole event of structured mode, read in one pass."""

    data: StopSaleCreated


STRUCTURED_OF: Final[dict[Kind, type[StructuredReservation] | type[StructuredStopSale]]] = {
    Kind.RESERVATION: StructuredReservation,
    Kind.STOP_SALE: StructuredStopSale,
}


@dataclass(slots=True, kw_only=True)
class Reading:
    """What could be read of one message; whatever is missing has its problem."""

    #: As they came, unjudged: only for naming what an invalid event was about.
    raw_attributes: Mapping[str, object] = field(default_factory=dict)
    raw_data: object = None
    attributes: Attributes | None = None
    data: ReservationCreated | StopSaleCreated | None = None
    problems: list[dict[str, str]] = field(default_factory=list)


def read(kind: Kind, value: bytes | None, carried: Carried) -> Reading:
    """Read a message whose headers are ``carried``, without repeating their problems."""
    reading = Reading(raw_attributes=carried.attributes)
    if not value:
        reading.problems.append(problem("value", "is empty: a tombstone is no event"))
    elif len(value) > MAX_EVENT_BYTES:
        reading.problems.append(problem("value", f"is larger than {MAX_EVENT_BYTES} bytes"))
    elif carried.mode is Mode.BINARY:
        _read_binary(reading, kind, value)
    elif carried.mode is Mode.UNKNOWN:
        # Invalid already; a structured event under a wrong content type can still be named.
        reading.raw_attributes = salvage.json_object(value)
        reading.raw_data = reading.raw_attributes.get("data")
    else:
        _read_structured(reading, kind, value)
    return reading


def _read_binary(reading: Reading, kind: Kind, value: bytes) -> None:
    reading.raw_data = salvage.json_object(value)
    try:
        reading.attributes = Attributes.model_validate(reading.raw_attributes)
    except ValidationError as error:
        reading.problems += problems_of(error)
    _read_data(reading, kind, value)


def _read_structured(reading: Reading, kind: Kind, value: bytes) -> None:
    raw = salvage.json_object(value)
    reading.raw_attributes, reading.raw_data = raw, raw.get("data")
    if raw.get("data_base64") is not None:
        _read_base64(reading, kind, value)
        return
    try:
        whole = STRUCTURED_OF[kind].model_validate_json(value)
    except ValidationError as error:
        reading.problems += problems_of(error)
    else:
        reading.attributes, reading.data = whole, whole.data


def _read_base64(reading: Reading, kind: Kind, value: bytes) -> None:
    try:
        reading.attributes = Attributes.model_validate_json(value)
    except ValidationError as error:
        reading.problems += problems_of(error)
    if reading.raw_data is not None:
        reading.problems.append(problem("data_base64", "must not stand beside data"))
        return
    content = salvage.decoded(reading.raw_attributes["data_base64"])
    if content is None:
        reading.problems.append(problem("data_base64", "must be Base64 of a JSON object"))
        return
    reading.raw_data = salvage.json_object(content)
    _read_data(reading, kind, content)


def _read_data(reading: Reading, kind: Kind, content: bytes) -> None:
    try:
        reading.data = DATA_OF[kind].from_json(content)
    except ValidationError as error:
        reading.problems += problems_of(error, prefix="data")

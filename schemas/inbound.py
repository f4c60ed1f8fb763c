"""What upstream tells us: the ``data`` of `reservation.created` and of `stopsale.created`.

The models are the contract. They never guess: what is not exactly what it should be is refused,
and the event goes to the dead letters with a reason. They know nothing of Sedna's own ids.
"""

import json
from hashlib import sha256
from typing import Annotated, Final, Self

from pydantic import BaseModel, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from schemas.fields import (
    CONTRACT,
    Age,
    AtLeastOne,
    Code,
    Count,
    Currency,
    Day,
    HotelName,
    OptionalName,
    OptionalRemark,
    OptionalShortText,
    PersonName,
    Price,
    RecordId,
)
from schemas.kinds import Kind


class Contract(BaseModel):
    """A frozen model that is read from JSON and stored as JSON."""

    model_config = CONTRACT

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote, or the JSON of a producer.

        Raises:
            pydantic.ValidationError: It is not JSON, or breaks a rule of the contract.
        """
        return cls.model_validate_json(text)


class Guest(Contract):
    """One traveller of a reservation."""

    title: OptionalShortText = None  #: as upstream writes it: "Mr", "Mrs", "Chd" …
    first_name: PersonName
    last_name: PersonName
    birth_date: Day | None = None
    age: Age | None = None  #: whole years
    passport_no: OptionalShortText = None
    nationality: OptionalName = None  #: a country's name or code


class ReservationCreated(Contract):
    """A reservation that was read from an e-mail."""

    email_id: RecordId
    voucher_no: Code
    hotel_name: HotelName
    check_in: Day
    check_out: Day  #: the day of leaving, after ``check_in``
    room_type: Code
    board_type: Code
    adults: AtLeastOne
    children: Count
    infants: Count
    guests: Annotated[tuple[Guest, ...], Field(max_length=100)]
    sedna_hotel_id: RecordId | None = None  #: given, it wins over ``hotel_name``
    total_price: Price | None = None
    currency: Currency | None = None
    sale_date: Day | None = None
    hotel_remark: OptionalRemark = None
    reservation_remark: OptionalRemark = None

    @field_validator("check_out")
    @classmethod
    def _leaves_after_arriving(cls, check_out: Day, info: ValidationInfo) -> Day:
        check_in = info.data.get("check_in")  # absent when it was refused itself
        if check_in is not None and check_out <= check_in:
            raise PydanticCustomError("date_order", "must be after check_in")
        return check_out


class StopSaleCreated(Contract):
    """A hotel's notice that it stops, or opens again, the sale of rooms."""

    stop_sale_id: RecordId
    hotel_name: HotelName
    date_from: Day
    date_to: Day  #: the last day, included
    is_close: bool  #: true stops the sale, false opens it again
    email_id: RecordId | None = None
    sedna_hotel_id: RecordId | None = None  #: given, it wins over ``hotel_name``
    room_types: Annotated[tuple[Code, ...], Field(max_length=200)] = ()  #: empty means all
    board_types: Annotated[tuple[Code, ...], Field(max_length=200)] = ()  #: empty means all
    reason: OptionalRemark = None

    @field_validator("date_to")
    @classmethod
    def _ends_not_before_it_begins(cls, date_to: Day, info: ValidationInfo) -> Day:
        date_from = info.data.get("date_from")
        if date_from is not None and date_to < date_from:
            raise PydanticCustomError("date_order", "must not be before date_from")
        return date_to


#: The model of the data of each kind.
DATA_OF: Final[dict[Kind, type[ReservationCreated] | type[StopSaleCreated]]] = {
    Kind.RESERVATION: ReservationCreated,
    Kind.STOP_SALE: StopSaleCreated,
}


def to_json(model: ReservationCreated | StopSaleCreated) -> str:
    """Write the data for a jsonb column; `Contract.from_json` reads it again as an equal model."""
    return model.model_dump_json(exclude_none=True)


def content_hash(model: ReservationCreated | StopSaleCreated) -> bytes:
    """Digest what the event says: 32 bytes, equal for two publications of the same content.

    Order of fields, unknown fields, spaces around texts, null against absent, and "100.0" against
    "100.00" make no difference. An optional field that a later version adds leaves the digests
    of older events as they are, because what is absent is not digested.
    """
    content = model.model_dump(mode="json", exclude_none=True)
    match model:
        case ReservationCreated(total_price=price) if price is not None:
            content["total_price"] = format(price.normalize(), "f")
        case _:
            pass
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(canonical.encode()).digest()

r"""The types that the fields of inbound events are made of: dates, prices, texts, numbers.

They are strict about JSON types, so that nothing is guessed: a number is never a date, a bool
never a number, a number never a price. All of them are plain pydantic-core schemas, without a
Python function per value, because they run for every field of every event.

Every text refuses NUL, which Postgres cannot store; lone surrogates never get this far, because
neither JSON nor a ``str`` that holds one is accepted by pydantic-core.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import core_schema

from schemas.kinds import TENANT_ID_PATTERN

INT64_MAX: Final = 2**63 - 1

#: What all contract models share. Unknown fields are ignored (upstream may add some), and a
#: ValidationError never repeats what it was given: an event holds names and passport numbers.
CONTRACT: Final = ConfigDict(
    frozen=True, strict=True, extra="ignore", hide_input_in_errors=True, allow_inf_nan=False
)

NO_NUL: Final = r"^[^\x00]*$"
NOT_BLANK: Final = r"^[^\x00]*[^\x00\s][^\x00]*$"
CURRENCY: Final = r"^[A-Z]{3}$"
DATE: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
MIDNIGHT: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T00:00:00$"
PRICE: Final = r"^[0-9]{1,13}(\.[0-9]{1,6})?$"
RFC_3339: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)

#: What a failed pattern means, for people; a regular expression explains nothing.
PATTERN_MEANINGS: Final[dict[str, str]] = {
    NO_NUL: "must not contain NUL characters",
    NOT_BLANK: "must not be blank or contain NUL characters",
    CURRENCY: "must be three capital letters (ISO 4217)",
    TENANT_ID_PATTERN: "must be 1 to 64 of A-Z, a-z, 0-9, _ and -",
}


def _read_as(
    pattern: str, target: core_schema.CoreSchema, problem: str
) -> core_schema.CustomErrorSchema:
    """A text of exactly this pattern, turned into ``target``; anything else is ``problem``."""
    # The pattern comes first: by itself pydantic reads "1777593600" as a date of the Unix era.
    return core_schema.custom_error_schema(
        core_schema.chain_schema([core_schema.str_schema(strict=True, pattern=pattern), target]),
        custom_error_type="text_form",
        custom_error_message=problem,
    )


_DATE_SCHEMA: Final = core_schema.json_or_python_schema(
    json_schema=_read_as(
        rf"{DATE}|{MIDNIGHT}",
        core_schema.date_schema(strict=False),
        "must be a date as YYYY-MM-DD",
    ),
    python_schema=core_schema.date_schema(strict=True),
)


def _plain(price: Decimal) -> str:
    """Write a price without an exponent, so that it can be read again."""
    return format(abs(price), "f")  # abs, because -0 is not negative either


_PRICE_SCHEMA: Final = core_schema.json_or_python_schema(
    json_schema=_read_as(
        PRICE,
        core_schema.decimal_schema(strict=False),
        "must be a decimal number in a string, not negative, such as '1250.50'",
    ),
    python_schema=core_schema.decimal_schema(
        strict=True, ge=Decimal(0), allow_inf_nan=False, max_digits=19, decimal_places=6
    ),
    serialization=core_schema.plain_serializer_function_ser_schema(
        _plain, when_used="json", return_schema=core_schema.str_schema()
    ),
)

# In Python mode too the value is a text: binary mode carries it in a header. The bounds keep
# every conversion to UTC inside what a datetime can hold.
_TIME_SCHEMA: Final = _read_as(
    RFC_3339,
    core_schema.datetime_schema(
        strict=False,
        ge=datetime.fromisoformat("1970-01-01T00:00:00+00:00"),
        le=datetime.fromisoformat("9999-01-01T00:00:00+00:00"),
    ),
    "must be an RFC 3339 time with its offset, not before 1970",
)


def _use(schema: core_schema.CoreSchema) -> GetPydanticSchema:
    def get(_source: Any, _handler: Any) -> core_schema.CoreSchema:
        return schema

    return GetPydanticSchema(get)


#: A day. "2026-05-01", or midnight of it without a zone: some serialisers know no bare date.
Day = Annotated[
    date,
    _use(_DATE_SCHEMA),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date", "pattern": DATE},
                {"type": "string", "pattern": MIDNIGHT},
            ]
        }
    ),
]
#: Money, in the event's ``currency``; a string in JSON, because a JSON number loses cents.
Price = Annotated[
    Decimal, _use(_PRICE_SCHEMA), WithJsonSchema({"type": "string", "pattern": PRICE})
]
#: A moment, aware of its zone.
Moment = Annotated[
    datetime,
    _use(_TIME_SCHEMA),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": RFC_3339}),
]

#: An id of the upstream or of Sedna: what Postgres holds in a bigint.
RecordId = Annotated[int, Field(ge=0, le=INT64_MAX)]
Count = Annotated[int, Field(ge=0, le=99)]
AtLeastOne = Annotated[int, Field(ge=1, le=99)]
Age = Annotated[int, Field(ge=0, le=150)]

TenantId = Annotated[str, StringConstraints(pattern=TENANT_ID_PATTERN)]
HotelName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=NOT_BLANK)
]
Code = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50, pattern=NOT_BLANK)
]
PersonName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=NOT_BLANK)
]
Currency = Annotated[str, StringConstraints(pattern=CURRENCY)]


def _blank_is_absent(text: str | None) -> str | None:
    return text or None


#: Optional texts. A blank one is the same as none, so that "" and null are the same content.
OptionalShortText = Annotated[
    Annotated[str, StringConstraints(strip_whitespace=True, max_length=50, pattern=NO_NUL)] | None,
    AfterValidator(_blank_is_absent),
]
OptionalName = Annotated[
    Annotated[str, StringConstraints(strip_whitespace=True, max_length=100, pattern=NO_NUL)] | None,
    AfterValidator(_blank_is_absent),
]
OptionalRemark = Annotated[
    Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000, pattern=NO_NUL)]
    | None,
    AfterValidator(_blank_is_absent),
]

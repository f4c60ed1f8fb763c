"""The accounts of a fake Sedna: who may log in, what each one sells, how oddly each one answers.

Data only. Never holds a record or a session, nor a secret other than the invented passwords of its
accounts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

COUNTRIES: Mapping[str, int] = {
    "TURKIYE": 1,
    "GERMANY": 2,
    "UNITED KINGDOM": 3,
    "RUSSIA": 4,
    "NETHERLANDS": 5,
    "POLAND": 6,
    "FRANCE": 7,
    "UKRAINE": 8,
}


class ConfigError(ValueError):
    """A configuration of accounts or faults that cannot be read. Carries no value of it."""


class CodeKeys(StrEnum):
    """Under which key a list gives the code of a room type or a board (A: all three are seen)."""

    CODE = "code"
    SPECIFIC = "specific"  #: `RoomTypeCode`, `BoardCode`
    SHORT_NAME = "short_name"


class Framing(StrEnum):
    """How a reply says where its body ends."""

    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"  #: by closing the connection


class LoginRefusal(StrEnum):
    """What a refused login looks like (F: both are seen)."""

    ERROR_TYPE = "error_type"  #: 200 with `ErrorType` other than 0
    UNAUTHORISED = "401"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyShape:
    """The odd ways of one account to shape its replies (F, unless said otherwise)."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    lists_under_data: bool = False  #: `{"Data": [...]}` instead of a bare array
    specific_ids: bool = False  #: `HotelId`, `RoomTypeId`, `BoardId` instead of `RecId`
    hotel_name_key: str = "Name"  #: or `HotelName`
    code_keys: CodeKeys = CodeKeys.CODE
    dates_with_time: bool = False  #: `2026-05-01T00:00:00` instead of `2026-05-01` (K)
    envelope_per_element: bool = False  #: an array of envelopes answers an array body
    framing: Framing = Framing.LENGTH


@dataclass(frozen=True, slots=True)
class Room:
    """A room type of one hotel."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    id: int
    code: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Board:
    """A board of one account."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    id: int
    code: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hotel:
    """A hotel of one account, with its own room types: ids differ from hotel to hotel (F)."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    id: int
    name: str
    rooms: tuple[Room, ...] = ()
    active: bool = True  #: listed when only active hotels are asked for
    refusal: str = ""  #: a `Message`: every reservation in this hotel is refused with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account of the fake, with its switches."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str  #: how faults and the control path call it; unique
    username: str  #: unique
    password: str = field(repr=False)
    operator_id: int
    operator_code: str
    authority_id: int = 207
    hotels: tuple[Hotel, ...] = ()
    boards: tuple[Board, ...] = ()
    shape: ReplyShape = ReplyShape()
    latency_seconds: float = 0.0  #: before every answer
    session_seconds: float = 3600.0  #: from login, whether used or not (A)
    utc_offset_hours: float = 0.0  #: of the clock that stamps `RecordDate` (A)
    has_get_hotels: bool = True  #: else 404
    has_get_hotel_list: bool = True  #: else 404
    login_refusal: LoginRefusal = LoginRefusal.ERROR_TYPE
    loose_filters: bool = False  #: look-ups match a part of the text, whatever its case (A)

    def hotel(self, hotel_id: object) -> Hotel | None:
        """The hotel of that id, or `None` if the account has none such."""
        return next((hotel for hotel in self.hotels if hotel.id == hotel_id), None)

    def has_board(self, board_id: object) -> bool:
        """Whether the account has a board of that id."""
        return any(board.id == board_id for board in self.boards)


_ACCOUNTS = TypeAdapter(tuple[Account, ...])


def read_accounts(value: Any) -> tuple[Account, ...]:
    """Accounts from parsed JSON: an array of objects with the fields of `Account`.

    Raises:
        ConfigError: a field is unknown, missing or of the wrong type; says which.
    """
    try:
        return _ACCOUNTS.validate_python(value)
    except ValidationError as error:
        raise ConfigError(f"the accounts cannot be read: {explain(error)}") from None


def accounts_as_json(accounts: tuple[Account, ...]) -> list[dict[str, Any]]:
    """The inverse of `read_accounts`, passwords included: for a configuration file."""
    dumped: list[dict[str, Any]] = _ACCOUNTS.dump_python(accounts, mode="json")
    return dumped


def explain(error: ValidationError) -> str:
    """Where and why, without the values, for one of them may be a password."""
    parts = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in parts)

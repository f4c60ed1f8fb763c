"""Reads the replies of Sedna from bytes: envelopes of writes, and the arrays of lists.

Pure. What a stranger sends is never trusted: anything that cannot be read is `UnreadableReply`, and
nothing else is ever raised. Must never guess an outcome: a reply that does not say clearly that a
write succeeded or was refused is unreadable, and the write is then in doubt.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

#: So many characters of a stranger's reply go into an error at most.
_EXCERPT: Final = 200
#: So many characters of Sedna's own message are kept.
_MESSAGE: Final = 500
_UNPRINTABLE: Final = re.compile(r"[^\S ]+|[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
#: A query in a URL that a page repeats: it can hold credentials.
_URL_QUERY: Final = re.compile(r"\?[^\s\"'<>]*=[^\s\"'<>]*")
#: So much of a text is looked at, at most, before it is cut.
_MOST: Final = 10_000
#: The largest id that Postgres holds in a bigint.
_LARGEST_ID: Final = 2**63 - 1
_LIST_KEYS: Final = ("data", "result")

Fields = dict[str, Any]  #: an object of a reply, its names folded


class UnreadableReply(ValueError):
    """A reply that does not say what it should; says why, and holds nothing of the reply.

    An error page can repeat the URL that was asked for, and with it the password: see `excerpt`.
    """


@dataclass(frozen=True, slots=True)
class Accepted:
    """`ErrorType` 0: the write was carried out (F)."""

    #: The record's id; None only where none was needed and none came.
    rec_id: int | None
    #: Sedna's own words, at most 500 characters; mostly empty.
    message: str


@dataclass(frozen=True, slots=True)
class Refused:
    """`ErrorType` other than 0: the write was not carried out (F)."""

    error_type: int
    #: Sedna's own words, at most 500 characters.
    message: str


def _as_it_is(text: str) -> str:
    return text


def parse_write_reply(
    data: bytes, *, needs_rec_id: bool = True, conceal: Callable[[str], str] = _as_it_is
) -> Accepted | Refused:
    """Read the envelope that answers a write of one element, or an array of one envelope (F).

    Args:
        data: The body as it came.
        needs_rec_id: Whether success without a record's id is unreadable, as for a create.
        conceal: Takes the caller's secrets out of Sedna's message, before it is cut.

    Raises:
        UnreadableReply: Neither success nor a refusal is clearly said.
    """
    value = _load(data)
    envelopes = value if isinstance(value, list) else [value]
    if len(envelopes) != 1:
        _unreadable(f"expected one envelope, got {len(envelopes)}")
    return _envelope(envelopes[0], needs_rec_id=needs_rec_id, conceal=conceal)


def parse_list(data: bytes) -> list[Any]:
    """Read a list: a bare array, or an array under `Data` or `Result` (F), whatever its case.

    Raises:
        UnreadableReply: It is no list; an object without one, or with null for one, is none.
    """
    value = _load(data)
    fields: Fields = {}
    if isinstance(value, dict):
        fields = fold_names(value)
        value = next((fields[key] for key in _LIST_KEYS if fields.get(key) is not None), None)
    if not isinstance(value, list):
        _unreadable(f"expected a list{_refusal(fields)}")
    return value


def fold_names(value: dict[str, Any]) -> Fields:
    """Fold the case of an object's names: ASP.NET writes `RecId` or `recId` by a setting."""
    return {name.casefold(): item for name, item in value.items()}


def integer(value: Any) -> int | None:
    """Read a JSON integer, or one in a string; None for anything else, `true` included."""
    if isinstance(value, str):
        text = value.strip()
        if not re.fullmatch(r"-?[0-9]{1,19}", text):
            return None
        value = int(text)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -_LARGEST_ID <= value <= _LARGEST_ID else None


def identifier(value: Any) -> int | None:
    """Read an id: an integer above 0."""
    number = integer(value)
    return number if number is not None and number > 0 else None


def clean(text: str, limit: int = _MESSAGE) -> str:
    """Return a stranger's text in one printable line of at most `limit` characters, no URL query.

    Secrets of one's own must be taken out before: half of one, cut off, is not found any more.
    """
    line = " ".join(_UNPRINTABLE.sub(" ", _URL_QUERY.sub("?…", text[:_MOST])).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def excerpt(data: bytes, *, conceal: Callable[[str], str]) -> str:
    """Return the start of a reply for an error's text: at most 200 clean characters.

    `conceal` takes the caller's secrets out, before the text is cut.
    """
    return clean(conceal(data[:_MOST].decode("utf-8-sig", "replace")), _EXCERPT)


def _envelope(
    value: Any, *, needs_rec_id: bool, conceal: Callable[[str], str]
) -> Accepted | Refused:
    if not isinstance(value, dict):
        _unreadable("expected an envelope")
    fields = fold_names(value)
    error_type = integer(fields.get("errortype"))
    if error_type is None:
        _unreadable("the envelope has no ErrorType")
    said = fields.get("message")
    message = clean(conceal(said[:_MOST])) if isinstance(said, str) else ""
    if error_type != 0:
        return Refused(error_type, message)
    rec_id = identifier(fields.get("recid"))
    if rec_id is None and needs_rec_id:
        _unreadable("the envelope says success, but names no record")
    return Accepted(rec_id, message)


def _refusal(fields: Fields) -> str:
    """Tell the `ErrorType` that came where a list was asked for."""
    error_type = integer(fields.get("errortype"))
    return "" if error_type is None else f", got an envelope with ErrorType {error_type}"


def _load(data: bytes) -> Any:
    try:
        # A byte order mark is legal for IIS, but not for json.
        return json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except RecursionError:
        _unreadable("nested too deeply")
    except ValueError:
        _unreadable(f"not JSON ({len(data)} bytes)" if data.strip() else "empty")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _unreadable(why: str) -> NoReturn:
    raise UnreadableReply(why) from None

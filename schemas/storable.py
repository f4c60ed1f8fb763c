"""Makes what strangers wrote fit to be stored in Postgres and written as JSON.

For what leaves us. What comes in with an event is not mended but refused, by `schemas.inbound`.
Nothing here raises for any value that JSON can express.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from schemas.fields import INT64_MAX

#: The longest text in a result; Sedna may answer with a whole error page.
MAX_TEXT_CHARACTERS: Final = 2000
_MAX_DEPTH: Final = 8
_MAX_ITEMS: Final = 500


def storable_text(text: object) -> str:
    """Give back the text without NULs and lone surrogates, cut to `MAX_TEXT_CHARACTERS`."""
    whole = text if isinstance(text, str) else str(text)
    if len(whole) > MAX_TEXT_CHARACTERS:
        whole = whole[: MAX_TEXT_CHARACTERS - 1] + "…"
    if "\x00" in whole:
        whole = whole.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    try:
        whole.encode()
    except UnicodeEncodeError:
        return whole.encode(errors="replace").decode()
    return whole


def storable_json(value: object) -> Any:
    """Give back the value as plain JSON values, with storable texts and of bounded size.

    Tuples and sets become lists; NaN and the infinities become null; what JSON does not know
    becomes its text.
    """
    return _plain(value, _MAX_DEPTH)


def _plain(value: object, depth: int) -> Any:
    match value:
        case Mapping() | list() | tuple() | set() | frozenset() if depth == 0:
            return "…"  # deeper than anybody reads; and writing it out could go too deep
        case Mapping():
            pairs = list(value.items())[:_MAX_ITEMS]
            return {storable_text(name): _plain(item, depth - 1) for name, item in pairs}
        case list() | tuple() | set() | frozenset():
            return [_plain(item, depth - 1) for item in list(value)[:_MAX_ITEMS]]
        case _:
            return _plain_scalar(value)


def _plain_scalar(value: object) -> str | int | float | None:
    match value:
        case None | bool():
            return value
        case int():
            # In base 16, because Python refuses to write a very long number in base 10.
            return int(value) if abs(value) <= INT64_MAX else storable_text(hex(value))
        case float():
            return float(value) if math.isfinite(value) else None
        case _:
            return storable_text(value)

"""Kafka headers as one column: JSON `[[name, base64 of the value], …]`.

Names and values can hold anything, NUL included, which neither `jsonb` nor `text` takes; and a
header can have no value, which is null.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable
from functools import lru_cache

from db.records import Headers


@lru_cache(maxsize=16)  # nearly every result has the same headers
def encode(headers: Headers) -> bytes:
    """The column's value."""
    return json.dumps(
        [[name, None if value is None else b64encode(value).decode()] for name, value in headers]
    ).encode()


@lru_cache(maxsize=16)
def decode(column: bytes) -> Headers:
    """The headers that a column's value holds."""
    pairs: Iterable[tuple[str, str | None]] = json.loads(column)
    return tuple((name, None if value is None else b64decode(value)) for name, value in pairs)

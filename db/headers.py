"""Kafka headers as one column: JSON `[[name, base64 of the value], …]`.

Names and values can hold anything, NUL included, which neither `jsonb` nor `text` takes.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable
from functools import lru_cache


@lru_cache(maxsize=16)  # nearly every result has the same headers
def encode(headers: tuple[tuple[str, bytes], ...]) -> bytes:
    """The column's value."""
    return json.dumps([[name, b64encode(value).decode()] for name, value in headers]).encode()


@lru_cache(maxsize=16)
def decode(column: bytes) -> tuple[tuple[str, bytes], ...]:
    """The headers that a column's value holds."""
    pairs: Iterable[tuple[str, str]] = json.loads(column)
    return tuple((name, b64decode(value)) for name, value in pairs)

"""Places in a list, as callers carry them. Pure.

Opaque: what is in one may change with any release. A cursor says where, never whose: the tenant
always comes from the token.
"""

import base64
import binascii
import re

_FORM = re.compile(r"s1:([1-9][0-9]{0,18})", re.ASCII)


class InvalidCursor(ValueError):
    """It is no cursor of this list."""


def write(older_than: int) -> str:
    """The cursor of the page that begins behind this sync."""
    return base64.urlsafe_b64encode(f"s1:{older_than}".encode()).decode().rstrip("=")


def read(cursor: str) -> int:
    """The place that a cursor stands for.

    Raises:
        InvalidCursor: we have not written it.
    """
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        found = _FORM.fullmatch(text.decode("ascii"))
    except (binascii.Error, ValueError):
        found = None
    if found is None or int(found[1]) >= 2**63:
        raise InvalidCursor("it is no cursor of this list")
    return int(found[1])

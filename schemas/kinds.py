"""The two kinds of work, the names of the events about them, and the rule of a tenant id.

Plain names and one pattern: nothing here reads an event or knows a topic's configured name.
"""

import re
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What an event asks to be brought into Sedna."""

    RESERVATION = "reservation"
    STOP_SALE = "stop_sale"


#: The CloudEvents ``type`` of the event that asks for each kind of work.
EVENT_TYPE: Final[dict[Kind, str]] = {
    Kind.RESERVATION: "reservation.created",
    Kind.STOP_SALE: "stopsale.created",
}

#: The CloudEvents ``type`` of the two results.
SYNCED_TYPE: Final = "sedna.synced"
FAILED_TYPE: Final = "sedna.failed"

#: ASCII only, so that a tenant id is the same bytes in a key, a path, a log line and a claim.
TENANT_ID_PATTERN: Final = r"^[A-Za-z0-9_-]{1,64}$"

_TENANT_ID: Final = re.compile(TENANT_ID_PATTERN, re.ASCII)


def is_tenant_id(text: str) -> bool:
    """Tell whether ``text`` has the form of a tenant id; whether the tenant exists is not asked."""
    # fullmatch, because `$` alone would let a trailing newline through.
    return _TENANT_ID.fullmatch(text) is not None

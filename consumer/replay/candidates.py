"""Which row an event may be of, without parsing it. Pure.

A guess: whoever takes it must compare the fingerprint, which says for sure. What is not found here,
or found wrongly, is parsed.
"""

import re

from schemas.kinds import Kind

#: A key that is escaped in any way is left to the parser. The first that looks like one: if it
#: stood in a remark, it leads to no row of that fingerprint.
_KEYS = {
    Kind.RESERVATION: re.compile(rb'"voucher_no"\s*:\s*"([^"\\\x00-\x1f]{1,200})"'),
    Kind.STOP_SALE: re.compile(rb'"stop_sale_id"\s*:\s*([0-9]{1,19})(?![0-9.eE])'),
}


def business_key(kind: Kind, value: bytes | None) -> str | None:
    """The voucher, or the stop sale's id, that an event seems to hold."""
    found = _KEYS[kind].search(value) if value else None
    if found is None:
        return None
    try:
        return found[1].decode().strip()
    except UnicodeDecodeError:
        return None

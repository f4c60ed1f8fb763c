"""Finds what an invalid event was about, so that its rejection can name the reservation.

Everything here is a reading of a broken message: it decides nothing, trusts nothing, raises
nothing, and gives None where it cannot be sure.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic_core import from_json

from schemas.fields import INT64_MAX
from schemas.kinds import Kind

MAX_EVENT_ID_CHARACTERS: Final = 255

_ITEM_ID: Final = {Kind.RESERVATION: "email_id", Kind.STOP_SALE: "stop_sale_id"}


def json_object(text: bytes | str) -> dict[str, Any]:
    """Read a JSON object as well as can be; an empty one where there is none."""
    found = _any_json(text)
    return found if isinstance(found, dict) else {}


def _any_json(text: bytes | str) -> object:
    try:
        return from_json(text)
    except ValueError:
        pass
    try:
        # The standard library reads what pydantic-core refuses: lone surrogates, deeper nesting.
        return json.loads(text if isinstance(text, str) else text.decode())
    except (ValueError, RecursionError):
        return None


def decoded(base64_text: object) -> bytes | None:
    """Decode Base64; None where it is none."""
    if not isinstance(base64_text, str):
        return None
    try:
        return base64.b64decode(base64_text, validate=True)
    except (binascii.Error, ValueError):
        return None


def event_id(attributes: Mapping[str, object]) -> str | None:
    """The event's id, if it has one that could be stored."""
    text = attributes.get("id")
    if not isinstance(text, str) or not 1 <= len(text) <= MAX_EVENT_ID_CHARACTERS:
        return None
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        return None
    return text


def item_id(
    kind: Kind, *, tenant_id: str | None, attributes: Mapping[str, object], data: object
) -> int | None:
    """The id of the e-mail or of the stop sale that the event is about, where it can be told.

    None as well where the event names another tenant than its key: the id is the other's then,
    and must not show in this tenant's result.
    """
    if tenant_id is None or attributes.get("tenantid") not in (None, tenant_id):
        return None
    found = data.get(_ITEM_ID[kind]) if isinstance(data, dict) else None
    # By type, because a bool is an int to isinstance.
    return found if type(found) is int and 0 <= found <= INT64_MAX else None

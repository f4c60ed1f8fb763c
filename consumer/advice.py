"""For people who look after failed syncs: why one failed, in a few words, and what to do next.

Who runs the service is led to its commands. A tenant's admin, who comes over HTTP, is led to what
can be done there, and must never be shown an operator's matter.

Pure. It reads what a failed result says (its code, message and details) and must never be asked
what became of an event.
"""

import re
from collections.abc import Mapping
from typing import Final

from schemas.outcomes import ErrorCode

_WHAT_TO_DO: Final[Mapping[ErrorCode, str]] = {
    ErrorCode.INVALID_EVENT: (
        "Mend the sender and publish the event anew. Its bytes are in the dead-letter topic."
    ),
    ErrorCode.CONFLICT: (
        "The first one stays. If this one is right, change the record in Sedna by hand."
    ),
    ErrorCode.HOTEL_NOT_FOUND: (
        "Say which hotel it is: sedna-sync hotel map TENANT NAME HOTEL_ID. Or add the hotel in "
        "Sedna. Then sedna-sync retry. Or name it as Sedna does, in an event that is published "
        "anew."
    ),
    ErrorCode.HOTEL_AMBIGUOUS: (
        "Say which hotel it is: sedna-sync hotel map TENANT NAME HOTEL_ID, then sedna-sync retry. "
        "Or name it in full, or by sedna_hotel_id, in an event that is published anew."
    ),
    ErrorCode.ROOM_TYPE_UNKNOWN: (
        "Add the room type in Sedna, then sedna-sync retry. Or use a code that is known, in an "
        "event that is published anew."
    ),
    ErrorCode.BOARD_UNKNOWN: (
        "Add the board in Sedna, then sedna-sync retry. Or use a code that is known, in an event "
        "that is published anew."
    ),
    ErrorCode.REFUSED_BY_SEDNA: "See to Sedna's reason, then sedna-sync retry.",
    ErrorCode.SUPERSEDED: (
        "Nothing, if the later one shall hold. Else sedna-sync retry --id N --force sends it all "
        "the same."
    ),
    ErrorCode.TENANT_NOT_CONFIGURED: (
        "Set the tenant up: sedna-sync tenant set TENANT. Then sedna-sync retry."
    ),
    ErrorCode.GAVE_UP: "See what sedna-sync doctor says of the tenant, then sedna-sync retry.",
    ErrorCode.IN_DOUBT_UNRESOLVED: (
        "Look for the record in Sedna. To try again with sedna-sync retry is safe: Sedna is asked "
        "first."
    ),
}

#: Of what a tenant's admin can do by the HTTP API, in Sedna, or by asking somebody.
_WHAT_A_TENANT_CAN_DO: Final[Mapping[ErrorCode, str]] = {
    ErrorCode.INVALID_EVENT: "Have it sent anew.",
    ErrorCode.CONFLICT: (
        "The first one stays. If this one is right, change the record in Sedna by hand."
    ),
    ErrorCode.HOTEL_NOT_FOUND: (
        "Say which hotel it is by PUT /api/sedna/hotel-mappings, or add the hotel in Sedna; then "
        "ask for the sync again. Or have it sent anew with the name that Sedna has."
    ),
    ErrorCode.HOTEL_AMBIGUOUS: (
        "Say which hotel it is by PUT /api/sedna/hotel-mappings, then ask for the sync again. Or "
        "have it sent anew with the hotel's whole name."
    ),
    ErrorCode.ROOM_TYPE_UNKNOWN: (
        "Add the room type in Sedna, then ask for the sync again. Or have it sent anew with a code "
        "that is known."
    ),
    ErrorCode.BOARD_UNKNOWN: (
        "Add the board in Sedna, then ask for the sync again. Or have it sent anew with a code "
        "that is known."
    ),
    ErrorCode.REFUSED_BY_SEDNA: "See to Sedna's reason, then ask for the sync again.",
    ErrorCode.SUPERSEDED: "Nothing, if the later one shall hold; else ask the operator.",
    ErrorCode.TENANT_NOT_CONFIGURED: (
        "Ask the operator for a Sedna account that can be used, then ask for the sync again."
    ),
    ErrorCode.GAVE_UP: (
        "Ask for the sync again, and the operator if that ends likewise. GET /api/sedna/breaker "
        "says whether anything is sent at present."
    ),
    ErrorCode.IN_DOUBT_UNRESOLVED: (
        "Look for the record in Sedna. To ask for the sync again is safe: Sedna is asked first."
    ),
}
#: An id in the event counts before any mapping.
_UNKNOWN_ID: Final = (
    "Add the hotel in Sedna, then ask for the sync again. Or have it sent anew with an id that the "
    "account has."
)
_IN_SHORT: Final[Mapping[ErrorCode, str]] = {
    ErrorCode.INVALID_EVENT: "the event cannot be read",
    ErrorCode.CONFLICT: "another event of the same voucher or stop sale came first",
    ErrorCode.HOTEL_NOT_FOUND: "the account has no hotel of this name or id",
    ErrorCode.HOTEL_AMBIGUOUS: "the name fits more than one hotel",
    ErrorCode.ROOM_TYPE_UNKNOWN: "the hotel has no such room type",
    ErrorCode.BOARD_UNKNOWN: "the account has no such board",
    ErrorCode.REFUSED_BY_SEDNA: "Sedna refused it",
    ErrorCode.SUPERSEDED: "a later stop sale of the hotel says otherwise",
    ErrorCode.TENANT_NOT_CONFIGURED: "the tenant has no Sedna account that can be used",
    ErrorCode.GAVE_UP: "it could not be done in time",
    ErrorCode.IN_DOUBT_UNRESOLVED: "Sedna did not say in time whether it has the record",
}
_NOTHING_CAN_BE_SENT: Final = "the tenant's Sedna account cannot be used: ask the operator"
#: What an operator mends, a message says with the command, the setting or the variable for it.
_OPERATORS_MATTER: Final = re.compile(r"sedna-sync|SEDNA_SYNC_|_proxy\b", re.IGNORECASE)


def what_to_do(code: ErrorCode) -> str:
    """An operator's next step after a failure with this code: one or two sentences."""
    return _WHAT_TO_DO[code]


def what_a_tenant_can_do(code: str | None, details: Mapping[str, object] | None) -> str | None:
    """The same for a tenant's admin; None where nothing has failed.

    Args:
        code: of the failure; one that is unknown is of a later release.
        details: of the failure.
    """
    known = _known(code)
    if known is ErrorCode.HOTEL_NOT_FOUND and "sedna_hotel_id" in (details or {}):
        return _UNKNOWN_ID
    return None if known is None else _WHAT_A_TENANT_CAN_DO[known]


def why_for_a_tenant(
    code: str | None, message: str | None, details: Mapping[str, object] | None
) -> str | None:
    """The reason as a tenant's admin may read it; None where there is none.

    Args:
        code: of a failure; None: it is to be tried again.
        message: of the failure, or of the last attempt.
        details: of the failure, where they are known.
    """
    if message is None:
        return None
    known = _known(code)
    said = message if known is None else why(known, message, details or {})
    if not _OPERATORS_MATTER.search(said):
        return said
    return _NOTHING_CAN_BE_SENT if known is None else _IN_SHORT[known]


def _known(code: str | None) -> ErrorCode | None:
    return ErrorCode(code) if code in set(ErrorCode) else None


def why(  # noqa: PLR0911  # one for each code that has something of its own to say
    code: ErrorCode, message: str, details: Mapping[str, object]
) -> str:
    """The reason in some ten words where the details say it, else the message.

    Args:
        code: of the failed result.
        message: likewise.
        details: likewise; what they lack is left out.
    """
    match code, details:
        case ErrorCode.HOTEL_AMBIGUOUS, {"hotel_name": name, "candidates": [*candidates]}:
            return f"“{name}” fits {', '.join(map(_named, candidates))}"
        case ErrorCode.HOTEL_NOT_FOUND, {"hotel_name": name, "sedna_hotel_id": hotel_id}:
            return f"no hotel has the id {hotel_id} (“{name}”)"
        case ErrorCode.HOTEL_NOT_FOUND, {"hotel_name": name}:
            return f"no hotel is called “{name}”"
        case (
            ErrorCode.ROOM_TYPE_UNKNOWN,
            {"hotel_name": hotel, "room_type": room, "known": [*known]},
        ):
            return f"{hotel} has no room type {room}; it has {_codes(known)}"
        case ErrorCode.BOARD_UNKNOWN, {"board_type": board, "known": [*known]}:
            return f"no board {board}; there are {_codes(known)}"
        case ErrorCode.REFUSED_BY_SEDNA, {"sedna_message": text}:
            return f"Sedna says: {text}"
        case ErrorCode.INVALID_EVENT, {"problems": [*problems]} if problems:
            return "; ".join(map(_problem, problems))
        # What stands behind it in these is what to do.
        case ErrorCode.TENANT_NOT_CONFIGURED | ErrorCode.SUPERSEDED, _:
            return message.partition(": ")[0]
        case ErrorCode.CONFLICT, _:
            return message.partition("; ")[0]
        case _:
            return message


def _named(candidate: object) -> str:
    match candidate:
        case {"id": number, "name": name}:
            return f"{name} ({number})"
        case _:
            return str(candidate)


def _problem(problem: object) -> str:
    match problem:
        case {"field": "event", "problem": text}:
            return str(text)
        case {"field": field, "problem": text}:
            return f"{field} {text}"
        case _:
            return str(problem)


def _codes(known: list[object]) -> str:
    return ", ".join(map(str, known)) or "none"

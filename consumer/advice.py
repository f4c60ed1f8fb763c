"""For the person who looks after failed syncs: why one failed, in a few words, and what to do next.

Pure. It reads what a failed result says (its code, message and details) and must never be asked
what became of an event.
"""

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


def what_to_do(code: ErrorCode) -> str:
    """A person's next step after a failure with this code: one or two sentences."""
    return _WHAT_TO_DO[code]


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

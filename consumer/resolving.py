"""From the names in an event to the ids of the tenant's account; what does not resolve is refused.

There are no default ids: the wrong hotel, room or board is worse than none.
"""

from collections.abc import Iterable, Mapping

from consumer.accounts import Account
from consumer.outcome import Refused
from consumer.sedna.codes import Code, CodeFound, CodeUnknown
from consumer.sedna.matching import Ambiguous, Candidate, Found, Hotel, HotelMatch, NotFound, WhyNot
from consumer.sedna.matching import resolve_hotel as match_hotel
from schemas.inbound import ReservationCreated, StopSaleCreated
from schemas.outcomes import ErrorCode


class Unresolvable(Exception):
    """The event names something that the account does not have, or not clearly."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.message)
        self.refused = refused


def hotel_if_cached(account: Account, data: ReservationCreated | StopSaleCreated) -> Hotel | None:
    """The hotel as far as memory says; None if that takes a question to Sedna. No I/O."""
    index = account.catalogue.hotels_if_cached()
    if index is None:
        return None
    match = match_hotel(
        event_hotel_id=data.sedna_hotel_id,
        name=data.hotel_name,
        mappings=account.mappings,
        index=index,
    )
    return match.hotel if isinstance(match, Found) else None


async def resolve_hotel(account: Account, data: ReservationCreated | StopSaleCreated) -> Hotel:
    """The event's hotel.

    Raises:
        Unresolvable: none fits, or more than one.
        SednaError: Sedna could not give its hotels.
    """
    match = await account.catalogue.resolve_hotel(
        event_hotel_id=data.sedna_hotel_id, name=data.hotel_name, mappings=account.mappings
    )
    if isinstance(match, Found):
        return match.hotel
    raise Unresolvable(_no_hotel(account.settings.tenant_id, data, match))


async def resolve_room(account: Account, hotel: Hotel, text: str) -> Code:
    """A room type of the hotel.

    Raises:
        Unresolvable: the hotel has none of this code, or several.
        SednaError: Sedna could not give the room types.
    """
    match = await account.catalogue.resolve_room(hotel.id, text)
    if isinstance(match, CodeFound):
        return match.code
    raise Unresolvable(
        _no_code(
            match,
            ErrorCode.ROOM_TYPE_UNKNOWN,
            f"{hotel.name} (hotel {hotel.id}) has no room type {text!r}",
            {"room_type": text, "hotel_id": hotel.id, "hotel_name": hotel.name},
        )
    )


async def resolve_board(account: Account, text: str) -> Code:
    """A board of the account.

    Raises:
        Unresolvable: it has none of this code, or several.
        SednaError: Sedna could not give the boards.
    """
    match = await account.catalogue.resolve_board(text)
    if isinstance(match, CodeFound):
        return match.code
    raise Unresolvable(
        _no_code(
            match,
            ErrorCode.BOARD_UNKNOWN,
            f"the account has no board {text!r}",
            {"board_type": text},
        )
    )


def _no_hotel(
    tenant_id: str,
    data: ReservationCreated | StopSaleCreated,
    match: HotelMatch,
) -> Refused:
    name = data.hotel_name
    details: dict[str, object] = {"hotel_name": name}
    if data.sedna_hotel_id is not None:
        details["sedna_hotel_id"] = data.sedna_hotel_id
    if isinstance(match, Ambiguous):
        details["candidates"] = _candidates(match.candidates)
        return Refused(
            ErrorCode.HOTEL_AMBIGUOUS,
            f"hotel {name!r} fits {_listed(match.candidates)}: say which it is with `sedna-sync "
            f"hotel map {tenant_id}`, then retry; or publish the event again with the hotel named "
            f"in full or by sedna_hotel_id",
            details,
        )
    candidates = match.candidates if isinstance(match, NotFound) else ()
    details["candidates"] = _candidates(candidates)
    why = match.why if isinstance(match, NotFound) else WhyNot.NO_SUCH_NAME
    what = {
        WhyNot.NO_SUCH_NAME: f"no hotel of tenant {tenant_id} is called {name!r}",
        WhyNot.EVENT_ID_UNKNOWN: (
            f"tenant {tenant_id} has no hotel with the event's id {data.sedna_hotel_id} ({name!r})"
        ),
        WhyNot.MAPPED_ID_UNKNOWN: (
            f"the mapping of {name!r} leads to a hotel that tenant {tenant_id} does not have"
        ),
    }[why]
    near = f"; similar: {_listed(candidates)}" if candidates else ""
    mend = "add the hotel in Sedna"
    if why is not WhyNot.EVENT_ID_UNKNOWN:  # an id in the event counts before any mapping
        mend += f" or say which it is with `sedna-sync hotel map {tenant_id}`"
    return Refused(
        ErrorCode.HOTEL_NOT_FOUND,
        f"{what}{near}: {mend}, then retry; or mend the event and publish it again",
        details,
    )


def _no_code(
    match: CodeUnknown, code: ErrorCode, what: str, details: Mapping[str, object]
) -> Refused:
    if match.ambiguous:
        ids = ", ".join(f"{each.code} ({each.id})" for each in match.ambiguous)
        what = f"{what} alone: it fits {ids}"
    known = ", ".join(match.known)
    return Refused(
        code,
        f"{what}; known: {known or 'none'}",
        {
            **details,
            "known": list(match.known),
            "ambiguous": [{"id": each.id, "code": each.code} for each in match.ambiguous],
        },
    )


def _candidates(candidates: Iterable[Candidate]) -> list[dict[str, object]]:
    return [{"id": each.id, "name": each.name, "score": each.score} for each in candidates]


def _listed(candidates: Iterable[Candidate]) -> str:
    return ", ".join(f"{each.name} ({each.id})" for each in candidates)

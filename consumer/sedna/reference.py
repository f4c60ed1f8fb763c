"""Asks Sedna for the lists of one account: hotels, room types, boards, countries.

An account has the one or the other call for hotels and for room types (F), so the second is tried
where the first was answered, but not with what it is for. It must never take an empty list of
hotels or boards for an answer: every event of the tenant would fail for it.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from consumer.sedna import errors, lists
from consumer.sedna.codes import Code
from consumer.sedna.exchange import Reply, query_of
from consumer.sedna.lists import Parsed
from consumer.sedna.matching import Hotel
from consumer.sedna.operations import Operation
from consumer.sedna.replies import UnreadableReply
from consumer.sedna.session import Session, constant

_T = TypeVar("_T")


async def hotels(session: Session, *, credentials: str) -> tuple[Hotel, ...]:
    """Return the hotels of the account; `credentials` are the query that `GetHotels` wants.

    Raises:
        Unavailable: Also where Sedna lists none.
        SednaError: See `Session.call`.
    """

    def read(reply: Reply) -> tuple[Hotel, ...]:
        return _some(lists.hotels(reply.content))

    return await _first_that_answers(
        lambda: session.call(Operation.HOTELS, read=read, query=lambda _: credentials),
        lambda: session.call(
            Operation.HOTEL_LIST,
            read=read,
            query=lambda login: query_of({"operatorId": login.operator_id, "isActive": "true"}),
        ),
    )


async def room_types(session: Session, hotel_id: int) -> tuple[Code, ...]:
    """Return the room types of a hotel; where an account has no list by hotel, of all hotels.

    In the latter a code that stands for several ids is ambiguous, as it should be. A hotel without
    room types is an answer, and is not given those of others.

    Raises:
        SednaError: See `Session.call`.
    """

    def read(reply: Reply) -> tuple[Code, ...]:
        parsed = lists.room_types(reply.content, hotel_id=hotel_id)
        return _some(parsed) if parsed.skipped else parsed.items

    return await _first_that_answers(
        lambda: session.call(
            Operation.ROOM_TYPES_OF_HOTELS, read=read, body=constant(b"[%d]" % hotel_id)
        ),
        lambda: session.call(
            Operation.ROOM_TYPES,
            read=read,
            query=lambda login: query_of({"operatorId": login.operator_id}),
        ),
    )


async def boards(session: Session) -> tuple[Code, ...]:
    """Return the boards of the account.

    Raises:
        Unavailable: Also where Sedna lists none.
        SednaError: See `Session.call`.
    """
    return await session.call(
        Operation.BOARDS, read=lambda reply: _some(lists.boards(reply.content))
    )


async def countries(session: Session) -> Mapping[str, int]:
    """Return nationality ids by `assumptions.country_key`.

    Raises:
        SednaError: See `Session.call`.
    """
    return await session.call(
        Operation.COUNTRIES, read=lambda reply: lists.countries(reply.content)
    )


async def _first_that_answers(
    one: Callable[[], Awaitable[_T]], other: Callable[[], Awaitable[_T]]
) -> _T:
    """Try the other call only where Sedna answered the first: one that is down is down for both."""
    try:
        return await one()
    except errors.Unavailable as error:
        if not error.answered:
            raise
        first = str(error)
    try:
        return await other()
    except errors.Unavailable as error:
        raise errors.Unavailable(f"{first}; {error}", answered=error.answered) from None


def _some(parsed: Parsed[_T]) -> tuple[_T, ...]:
    if not parsed.items:
        raise UnreadableReply(f"an empty list ({parsed.skipped} elements could not be read)")
    return parsed.items

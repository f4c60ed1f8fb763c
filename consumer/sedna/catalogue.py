"""One tenant's hotels, rooms, boards and countries, as last seen at Sedna, and look-ups in them.

Policy, for every list alike:

* younger than `ttl`: served from memory.
* older: refreshed by the first who asks, the others wait for it. Where that fails and there is an
  old copy, the old copy is served, and Sedna is asked again `miss_refresh` seconds later at the
  earliest: hotels change rarely, and a create says by itself whether an id is still good.
* a miss: one fresh look, unless the last one is less than `miss_refresh` seconds old. A miss is
  final only against a copy that was fetched that recently; where the fresh look failed, its error
  is raised instead, so that no event fails for a list that Sedna could not give.

It must never turn a miss into a guess, and never hold more than the account's own lists.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Generic, TypeVar

from consumer.sedna import errors
from consumer.sedna.client import SednaClient
from consumer.sedna.codes import CodeFound, CodeIndex, CodeMatch
from consumer.sedna.matching import Found, HotelIndex, HotelMatch, resolve_hotel
from consumer.sedna.single_flight import SingleFlight

_T = TypeVar("_T")

#: Seconds between two fresh looks for misses.
MISS_REFRESH_SECONDS: Final = 60.0


class Cached(Generic[_T]):
    """One list: its last copy, and when to fetch it anew."""

    def __init__(
        self,
        *,
        fetch: Callable[[], Awaitable[_T]],
        clock: Callable[[], float],
        ttl: float,
        miss_refresh: float,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._ttl = ttl
        self._miss_refresh = miss_refresh
        self._copy: tuple[_T] | None = None
        self._fetched_at = clock()
        self._failed: tuple[errors.SednaError, float] | None = None  # and when
        self._flight: SingleFlight[_T] = SingleFlight()

    def if_cached(self) -> _T | None:
        """Return the last copy, however old."""
        return self._copy[0] if self._copy else None

    async def get(self) -> _T:
        """Return the copy, fetched anew if it is older than `ttl`.

        Raises:
            SednaError: There is no copy, and Sedna gave none.
        """
        if self._copy is None:
            return await self._flight.do(self._refresh)
        if self._clock() - self._fetched_at < self._ttl or self._failed_just_now() is not None:
            return self._copy[0]
        try:
            return await self._flight.do(self._refresh)
        except errors.SednaError:
            return self._copy[0]

    async def after_miss(self, seen: _T) -> _T:
        """Return a copy for a second look, after nothing was found in `seen`.

        It is `seen` itself where that is fresh enough to say so for good.

        Raises:
            SednaError: Sedna gave no fresh copy, now or less than `miss_refresh` seconds ago.
        """
        if self._copy is not None and self._copy[0] is not seen:
            return self._copy[0]  # somebody has looked since
        if self._clock() - self._fetched_at < self._miss_refresh:
            return seen
        error = self._failed_just_now()
        if error is not None:
            raise error.with_traceback(None)
        return await self._flight.do(self._refresh)

    def _failed_just_now(self) -> errors.SednaError | None:
        if self._failed is None or self._clock() - self._failed[1] >= self._miss_refresh:
            return None
        return self._failed[0]

    async def _refresh(self) -> _T:
        try:
            value = await self._fetch()
        except (errors.LoginRefused, errors.AccountPaused):
            raise  # says nothing of the list: it is asked for again as soon as anything may be
        except errors.SednaError as error:
            self._failed = (error, self._clock())
            raise
        self._copy, self._fetched_at, self._failed = (value,), self._clock(), None
        return value


class Catalogue:
    """The lists of one tenant's account.

    Args:
        client: The tenant's Sedna.
        clock: Seconds that never go back.
        ttl: Seconds after which a list is fetched anew.
        miss_refresh_seconds: Seconds between two fresh looks for misses.
    """

    def __init__(
        self,
        *,
        client: SednaClient,
        clock: Callable[[], float],
        ttl: float,
        miss_refresh_seconds: float = MISS_REFRESH_SECONDS,
    ) -> None:
        self._client = client
        self._clock = clock
        self._ttl = ttl
        self._miss_refresh = miss_refresh_seconds
        self._hotels = self._cached(self._fetch_hotels)
        self._boards = self._cached(self._fetch_boards)
        self._countries = self._cached(self._fetch_countries)
        #: By hotel; only of hotels that the account has, so it is bounded by its list.
        self._rooms: Final[dict[int, Cached[CodeIndex]]] = {}

    def hotels_if_cached(self) -> HotelIndex | None:
        """Return the hotels as last seen, without asking Sedna; None before the first fetch."""
        return self._hotels.if_cached()

    async def hotels(self) -> HotelIndex:
        """Return the hotels.

        Raises:
            SednaError: There is no copy, and Sedna gave none.
        """
        return await self._hotels.get()

    async def countries(self) -> Mapping[str, int]:
        """Return nationality ids by `assumptions.country_key`; empty where Sedna lists none.

        Raises:
            SednaError: There is no copy, and Sedna gave none.
        """
        return await self._countries.get()

    async def resolve_hotel(
        self, *, event_hotel_id: int | None, name: str, mappings: Mapping[str, int]
    ) -> HotelMatch:
        """Find the hotel: see `matching.resolve_hotel`. What is not found gets one fresh look.

        Raises:
            SednaError: Sedna could not give the hotels.
        """

        def look(index: HotelIndex) -> HotelMatch:
            return resolve_hotel(
                event_hotel_id=event_hotel_id, name=name, mappings=mappings, index=index
            )

        index = await self._hotels.get()
        match = look(index)
        if isinstance(match, Found):
            return match
        fresh = await self._hotels.after_miss(index)
        return match if fresh is index else look(fresh)

    async def resolve_room(self, hotel_id: int, text: str) -> CodeMatch:
        """Find a room type of a hotel that was found before; one fresh look, as for hotels.

        Raises:
            SednaError: Sedna could not give the room types.
        """
        rooms = self._rooms.get(hotel_id)
        if rooms is None:
            rooms = self._rooms[hotel_id] = self._cached(lambda: self._fetch_rooms(hotel_id))
        return await _find(rooms, text)

    async def resolve_board(self, text: str) -> CodeMatch:
        """Find a board; one fresh look, as for hotels.

        Raises:
            SednaError: Sedna could not give the boards.
        """
        return await _find(self._boards, text)

    def _cached(self, fetch: Callable[[], Awaitable[_T]]) -> Cached[_T]:
        return Cached(
            fetch=fetch, clock=self._clock, ttl=self._ttl, miss_refresh=self._miss_refresh
        )

    async def _fetch_hotels(self) -> HotelIndex:
        hotels = await self._client.hotels()
        index = self._hotels.if_cached()
        if index is not None and index.hotels == hotels:
            return index  # thousands of names take 50 ms to index: not once a minute for nothing
        return HotelIndex(hotels)

    async def _fetch_boards(self) -> CodeIndex:
        return CodeIndex(await self._client.boards())

    async def _fetch_rooms(self, hotel_id: int) -> CodeIndex:
        return CodeIndex(await self._client.room_types(hotel_id))

    async def _fetch_countries(self) -> Mapping[str, int]:
        try:
            return await self._client.countries()
        except errors.Unavailable as error:
            if not error.answered:
                raise
            return {}  # a guest's nationality then goes by name; that is no reason to hold it


async def _find(codes: Cached[CodeIndex], text: str) -> CodeMatch:
    index = await codes.get()
    match = index.find(text)
    if isinstance(match, CodeFound):
        return match
    fresh = await codes.after_miss(index)
    return match if fresh is index else fresh.find(text)

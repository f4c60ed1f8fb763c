"""What a person asks and says about a tenant's hotels: which one is meant by a name.

Behind the commands and the HTTP API alike. A mapping is a person's word; so it must never be stored
for a hotel that the tenant's account does not have, nor be guessed, and nothing of another tenant
is ever looked at. Running services hear of a change from the database.
"""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from consumer.accounts import Account, TenantNotConfigured
from consumer.borrowing import Borrow, no_such_tenant
from consumer.credentials import CannotDecrypt
from consumer.sedna.errors import SednaError
from consumer.sedna.matching import (
    Ambiguous,
    Candidate,
    Found,
    Hotel,
    HotelMatch,
    How,
    NotFound,
    WhyNot,
    mapping_key,
)
from db import status, tenants
from db.pool import Pool
from db.records import HotelMapping
from schemas.outcomes import ErrorCode
from schemas.storable import storable_text

#: So many hotels are shown to a person who looks for one.
CANDIDATES: Final = 10
#: So many failed syncs are looked at, to say which of them a mapping can help.
LOOKED_AT: Final = 1000
_NO_HOTEL: Final = (ErrorCode.HOTEL_NOT_FOUND, ErrorCode.HOTEL_AMBIGUOUS)


class HotelsError(Exception):
    """It could not be done; the message says why and what to do, and holds no secret."""


class AccountUnusable(HotelsError):
    """The tenant has no account, it is switched off, or it cannot be opened."""


class CatalogueUnavailable(HotelsError):
    """Sedna did not give the tenant's hotels; try again, or mend what the message says."""


class UselessName(HotelsError):
    """No hotel can be looked for or mapped by this name."""


class NoSuchHotel(HotelsError):
    """The tenant's account has no hotel with the id, also after a fresh look."""

    def __init__(self, message: str, candidates: tuple[Candidate, ...]) -> None:
        super().__init__(message)
        self.candidates = candidates  #: hotels with similar names, best first


class Finding(StrEnum):
    """What the service itself makes of a name."""

    MAPPING = "mapping"  #: found: the tenant's own mapping says so
    EXACT = "exact"  #: found: the name is equal
    NORMALISED = "normalised"  #: found: the name is equal once folded
    PARTIAL = "partial"  #: found: it is part of this hotel's name alone
    AMBIGUOUS = "ambiguous"
    NOT_FOUND = "not_found"
    MAPPED_HOTEL_GONE = "mapped_hotel_gone"  #: the mapping leads to a hotel that is not there


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a search has found."""

    name: str
    finding: Finding
    hotel: Hotel | None  #: the one that the service takes for it
    candidates: tuple[Candidate, ...]  #: best first; also those that are only similar
    hotels: int  #: that the account has


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """A mapping that was stored."""

    mapping: HotelMapping
    hotel: Hotel  #: as Sedna calls it
    replaced: HotelMapping | None  #: what this name, or another spelling of it, meant before
    #: How many failed syncs name the hotel so, by error code: a retry would now find it.
    retriable: Mapping[ErrorCode, int]
    retriable_is_all: bool  #: False: there are too many failed ones to look at each


class Hotels:
    """Searches tenants' hotels, and keeps their mappings."""

    def __init__(self, *, pool: Pool, borrow: Borrow) -> None:
        self._pool = pool
        self._borrow = borrow

    async def search(self, tenant_id: str, name: str) -> Search:
        """Look for a name as the service does, and for hotels that have similar ones.

        Raises:
            HotelsError: each kind but `NoSuchHotel`.
            DatabaseError: Postgres cannot be asked.
        """
        _key(name)
        async with self._account(tenant_id) as account:
            catalogue = account.catalogue
            match = await catalogue.resolve_hotel(
                event_hotel_id=None, name=name, mappings=account.mappings
            )
            index = await catalogue.hotels()
        own = () if isinstance(match, Found) else match.candidates
        ranked = {each.id: each for each in (*own, *index.similar(name, limit=CANDIDATES))}
        return Search(
            name=name,
            finding=_finding(match),
            hotel=match.hotel if isinstance(match, Found) else None,
            candidates=tuple(
                sorted(ranked.values(), key=lambda each: (-each.score, each.id))[:CANDIDATES]
            ),
            hotels=len(index),
        )

    async def map(self, tenant_id: str, name: str, hotel_id: int) -> Mapped:
        """Say which hotel a name means, in all spellings that fold alike, from now on.

        Raises:
            HotelsError: each kind; then nothing was stored.
            DatabaseError: Postgres cannot be asked.
        """
        mapping = HotelMapping(name_key=_key(name), name=name, hotel_id=hotel_id)
        async with self._account(tenant_id) as account:
            match = await account.catalogue.resolve_hotel(
                event_hotel_id=hotel_id, name=name, mappings={}
            )
        if not isinstance(match, Found):
            near = "; similar: " if match.candidates else ""
            near += ", ".join(f"{each.name} ({each.id})" for each in match.candidates)
            raise NoSuchHotel(
                f"tenant {tenant_id} has no hotel {hotel_id}, so {name!r} was not mapped{near}",
                match.candidates,
            )
        replaced = await tenants.put_mapping(self._pool, tenant_id, mapping)
        failed = await status.failed_hotels(self._pool, tenant_id, codes=_NO_HOTEL, limit=LOOKED_AT)
        return Mapped(
            mapping=mapping,
            hotel=match.hotel,
            replaced=replaced,
            retriable=_helped(failed, mapping.name_key),
            retriable_is_all=len(failed) < LOOKED_AT,
        )

    async def unmap(self, tenant_id: str, name: str) -> HotelMapping | None:
        """Take back the mapping of a name or of another spelling of it; None if there is none.

        Raises:
            UselessName: it can have no mapping.
            AccountUnusable: there is no such tenant.
            DatabaseError: Postgres cannot be asked.
        """
        key = _key(name)
        removed = await tenants.remove_mapping(self._pool, tenant_id, key)
        if removed is None:
            await self._must_exist(tenant_id)
        return removed

    async def mappings(
        self, tenant_id: str, *, after: str = "", limit: int = 100
    ) -> list[HotelMapping]:
        """A page of a tenant's mappings, by `name_key`; the next one is after the last one's.

        Raises:
            AccountUnusable: there is no such tenant.
            DatabaseError: Postgres cannot be asked.
        """
        page = await tenants.mappings_page(self._pool, tenant_id, after=after, limit=limit)
        if not page:
            await self._must_exist(tenant_id)
        return page

    async def _must_exist(self, tenant_id: str) -> None:
        if await tenants.get(self._pool, tenant_id) is None:
            raise AccountUnusable(str(no_such_tenant(tenant_id)))

    @contextlib.asynccontextmanager
    async def _account(self, tenant_id: str) -> AsyncIterator[Account]:
        async with contextlib.AsyncExitStack() as stack:
            try:
                account = await stack.enter_async_context(self._borrow(tenant_id))
            except (TenantNotConfigured, CannotDecrypt) as error:
                raise AccountUnusable(str(error)) from None
            except ValueError as error:
                raise AccountUnusable(
                    f"the account of tenant {tenant_id} cannot be used: {error}: check its --url "
                    f"(`sedna-sync tenant set {tenant_id}`) and the proxy variables"
                ) from None
            try:
                yield account
            except SednaError as error:
                raise CatalogueUnavailable(
                    f"the hotels of tenant {tenant_id} could not be read from Sedna: {error}"
                ) from None


def _key(name: str) -> str:
    key = mapping_key(name)
    if not key or storable_text(name) != name:
        raise UselessName(
            "no hotel is found by such a name: it must have 1 to 300 characters that can be printed"
        )
    return key


def _finding(match: HotelMatch) -> Finding:
    match match:
        case Found(how=How.EVENT_ID):
            raise ValueError("a search by name has found by id")
        case Found(how=how):
            return Finding(how.value)
        case Ambiguous():
            return Finding.AMBIGUOUS
        case NotFound(why=WhyNot.MAPPED_ID_UNKNOWN):
            return Finding.MAPPED_HOTEL_GONE
        case NotFound():
            return Finding.NOT_FOUND
        case never:
            assert_never(never)


def _helped(failed: Sequence[status.FailedHotel], name_key: str) -> dict[ErrorCode, int]:
    """Count those that go by this name; an id in the event counts before any name."""
    return dict(
        Counter(
            ErrorCode(each.error_code)
            for each in failed
            if not each.by_id and mapping_key(each.hotel_name) == name_key
        )
    )

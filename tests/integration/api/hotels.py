"""Hotels as the routes see them, without a Sedna behind."""

from consumer.hotels import (
    AccountUnusable,
    CatalogueUnavailable,
    Finding,
    HotelsError,
    Mapped,
    NoSuchHotel,
    Search,
    UselessName,
)
from consumer.sedna.matching import Candidate, Hotel, mapping_key
from db.records import HotelMapping
from schemas.outcomes import ErrorCode

HOTEL = Hotel(18, "Mandarin Resort & Spa")
#: Errors that a test can ask for.
ERRORS: dict[str, HotelsError] = {
    "unusable": AccountUnusable("tenant agency-7 is switched off: `sedna-sync tenant set …`"),
    "away": CatalogueUnavailable("the hotels could not be read: connect timeout to 10.0.0.1"),
}


class MadeUpHotels:
    """One hotel, and mappings in memory."""

    def __init__(self) -> None:
        self.error: HotelsError | None = None
        self.mapped: dict[tuple[str, str], HotelMapping] = {}

    def _check(self, name: str) -> str:
        if self.error is not None:
            raise self.error
        key = mapping_key(name)
        if not key:
            raise UselessName("no hotel is found by such a name")
        return key

    async def search(self, tenant_id: str, name: str) -> Search:
        known = (tenant_id, self._check(name)) in self.mapped
        return Search(
            name=name,
            finding=Finding.MAPPING if known else Finding.NOT_FOUND,
            hotel=HOTEL if known else None,
            candidates=(Candidate(HOTEL.id, HOTEL.name, 87.5),),
            hotels=1,
        )

    async def map(self, tenant_id: str, name: str, hotel_id: int) -> Mapped:
        key = self._check(name)
        if hotel_id != HOTEL.id:
            raise NoSuchHotel("there is none", (Candidate(HOTEL.id, HOTEL.name, 50.0),))
        before = self.mapped.get((tenant_id, key))
        mapping = HotelMapping(name_key=key, name=name, hotel_id=hotel_id)
        self.mapped[tenant_id, key] = mapping
        return Mapped(
            mapping=mapping,
            hotel=HOTEL,
            replaced=before,
            retriable={ErrorCode.HOTEL_NOT_FOUND: 2},
            retriable_is_all=True,
        )

    async def unmap(self, tenant_id: str, name: str) -> HotelMapping | None:
        return self.mapped.pop((tenant_id, self._check(name)), None)

"""`/api/sedna/hotels/search` and `/api/sedna/hotel-mappings`: which hotel a name means."""

from typing import Annotated, Literal

from fastapi import FastAPI, Query
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from consumer.api.caller import Tenant
from consumer.api.models import Id
from consumer.api.replies import GUARDED, problems
from consumer.hotels import (
    AccountUnusable,
    CatalogueUnavailable,
    Finding,
    Hotels,
    HotelsError,
    NoSuchHotel,
    UselessName,
)
from consumer.logs import get_logger
from schemas.outcomes import ErrorCode

_log = get_logger(__name__)

_NAME = "Mandarin Resort & Spa"
_HotelName = Annotated[str, Field(min_length=1, max_length=300)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class HotelShown(_Model):
    """A hotel of the tenant's account at Sedna."""

    id: int
    name: str


class CandidateShown(HotelShown):
    """A hotel that might be meant."""

    score: float = Field(description="similarity, 0 to 100")


class HotelSearch(_Model):
    """What the service makes of a name, and which hotels have similar ones."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "mandarin resort and spa",
                    "result": "normalised",
                    "hotel": {"id": 18, "name": _NAME},
                    "candidates": [{"id": 18, "name": _NAME, "score": 100.0}],
                    "hotels": 212,
                }
            ]
        }
    )

    name: str
    result: Finding = Field(
        description="how the service finds a hotel by this name; `ambiguous`, `not_found` and "
        "`mapped_hotel_gone`: it finds none, and such an event fails"
    )
    hotel: HotelShown | None = Field(description="the one that the service takes for it")
    candidates: list[CandidateShown] = Field(description="the most similar ones, best first")
    hotels: int = Field(description="that the account has")


class NewMapping(_Model):
    """Which hotel a name means."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Mandarin Spa", "hotel_id": 18}]}
    )

    name: _HotelName = Field(description="in any spelling: case, accents and order do not count")
    hotel_id: Id = Field(description="Sedna's id of the hotel")


class MappingShown(_Model):
    """A mapping."""

    name: str
    hotel_id: int


class MappingStored(MappingShown):
    """A mapping that was stored, and whom it helps."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Mandarin Spa",
                    "hotel_id": 18,
                    "hotel": {"id": 18, "name": _NAME},
                    "replaced": None,
                    "retriable": {"hotel_ambiguous": 3},
                    "retriable_is_all": True,
                }
            ]
        }
    )

    hotel: HotelShown
    replaced: MappingShown | None = Field(description="what the name meant before")
    retriable: dict[ErrorCode, int] = Field(
        description="failed syncs of this name by code: asked for again, they now find the hotel"
    )
    retriable_is_all: bool = Field(description="false: there are more failed ones to look at")


def add_routes(app: FastAPI, *, hotels: Hotels) -> None:
    """Add the routes, on these hotels."""

    @app.get(
        "/api/sedna/hotels/search",
        tags=["hotels"],
        summary="Look for a hotel by its name",
        responses=GUARDED | problems(409, 502),
    )
    async def search_hotels(
        tenant: Tenant, name: Annotated[_HotelName, Query(examples=["mandarin resort and spa"])]
    ) -> HotelSearch:
        """Ranked: the wrong hotel is worse than none, so a person decides."""
        try:
            found = await hotels.search(tenant, name)
        except HotelsError as error:
            raise _refusal(error, tenant, "query") from None
        hotel = found.hotel
        return HotelSearch(
            name=found.name,
            result=found.finding,
            hotel=None if hotel is None else HotelShown(id=hotel.id, name=hotel.name),
            candidates=[
                CandidateShown(id=each.id, name=each.name, score=each.score)
                for each in found.candidates
            ],
            hotels=found.hotels,
        )

    @app.put(
        "/api/sedna/hotel-mappings",
        tags=["hotels"],
        summary="Say which hotel a name means",
        responses=GUARDED | problems(400, 404, 409, 413, 502),
    )
    async def map_hotel(tenant: Tenant, mapping: NewMapping) -> MappingStored:
        """From now on, in all spellings of the name; what had failed is not tried by itself."""
        try:
            stored = await hotels.map(tenant, mapping.name, mapping.hotel_id)
        except HotelsError as error:
            raise _refusal(error, tenant, "body") from None
        before = stored.replaced
        return MappingStored(
            name=stored.mapping.name,
            hotel_id=stored.mapping.hotel_id,
            hotel=HotelShown(id=stored.hotel.id, name=stored.hotel.name),
            replaced=None
            if before is None
            else MappingShown(name=before.name, hotel_id=before.hotel_id),
            retriable=dict(stored.retriable),
            retriable_is_all=stored.retriable_is_all,
        )

    @app.delete(
        "/api/sedna/hotel-mappings",
        tags=["hotels"],
        summary="Take a mapping back",
        status_code=204,
        responses=GUARDED | problems(404, 409),
    )
    async def unmap_hotel(tenant: Tenant, name: Annotated[_HotelName, Query()]) -> None:
        """Of this name, or of another spelling of it."""
        try:
            removed = await hotels.unmap(tenant, name)
        except HotelsError as error:
            raise _refusal(error, tenant, "query") from None
        if removed is None:
            raise HTTPException(404, "the name is not mapped")


def _refusal(error: HotelsError, tenant: str, where: Literal["query", "body"]) -> Exception:
    """What the caller is told; what only the operator can mend is in the log."""
    match error:
        case UselessName():
            return RequestValidationError(
                [{"type": "value_error", "loc": (where, "name"), "msg": str(error), "input": None}]
            )
        case NoSuchHotel():
            near = ", ".join(f"{each.name} ({each.id})" for each in error.candidates)
            return HTTPException(
                404, "the account has no such hotel" + (f"; similar: {near}" if near else "")
            )
        case CatalogueUnavailable():
            _log.warning("hotels_unavailable", tenant=tenant, error=str(error))
            return HTTPException(502, "Sedna did not give the account's hotels: try again later")
        case AccountUnusable():
            _log.warning("hotels_unavailable", tenant=tenant, error=str(error))
            return HTTPException(
                409, "the tenant has no Sedna account here that can be used: ask the operator"
            )
    return error

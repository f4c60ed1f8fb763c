"""Writes the demo's events as the upstream service would, from the words of the contract alone.

Plain dictionaries and `json`: never the service's own models, so that the demo checks the contract
instead of mirroring it. Deterministic: the same seed and day give the same bytes.
"""

# the names are Turkish, and so are their letters

import json
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Literal
from uuid import UUID

from consumer.demo.world_tenants import DemoTenant

TopicKind = Literal["reservation", "stop_sale"]
_SOURCE = "/mail-parser"
_TYPES: dict[TopicKind, str] = {
    "reservation": "reservation.created",
    "stop_sale": "stopsale.created",
}
_STRUCTURED = b"application/cloudevents+json; charset=utf-8"
_EVERY_NTH_BINARY, _EVERY_NTH_BARE, _EVERY_NTH_TRACED = 9, 7, 5

_WOMEN = ("Ayşe", "Zeynep", "İpek", "Gülçin", "Emma", "Charlotte", "Olga", "Hannah", "Işıl")
_MEN = ("Mehmet", "Çağrı", "İbrahim", "Oğuz", "James", "Oliver", "Dmitri", "Lukas", "Işık")
_SURNAMES = ("Yılmaz", "Şahin", "Çelik", "Öztürk", "Kılıç", "Smith", "O'Connor", "Müller", "Nowak")
_NATIONALITIES = ("TR", "DE", "GB", "PL", "NL")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoEvent:
    """A message to publish, and what must become of it."""

    topic_kind: TopicKind
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    expect: str  #: `synced`, `failed:<code>`, `duplicate` or `rejected`
    why: str  #: for a person
    tenant_id: str  #: by its key
    item_id: int | None = None  #: `email_id` or `stop_sale_id`
    voucher_no: str | None = None
    hotel_id: int | None = None  #: at Sedna, where it must end up
    days: tuple[str, str] | None = None  #: first and last, of a stop sale


@dataclass(frozen=True, slots=True)
class Named:
    """A hotel as an event names it, and the one that is meant, if it can be told."""

    name: str
    hotel_id: int | None = None


class EventWriter:
    """Writes events, one after the other; ids of e-mails and stop sales count up per tenant."""

    def __init__(self, draws: random.Random, *, at: datetime) -> None:
        self._draws = draws
        self._at = at
        self._events = count(1)
        self._items: dict[str, count[int]] = {}

    def reservation(
        self,
        tenant: DemoTenant,
        named: Named,
        *,
        expect: str,
        why: str,
        **changes: Any,
    ) -> DemoEvent:
        """A reservation; `changes` replace fields of its data, and `None` takes one away."""
        email_id = self._next(tenant.tenant_id)
        hotel = tenant.account.hotel(named.hotel_id) or self._draws.choice(tenant.account.hotels)
        check_in = self._day(20, 120)
        nights = timedelta(days=self._draws.randint(3, 14))
        adults, children = self._draws.randint(1, 3), self._draws.choice((0, 0, 1, 2))
        infants = self._draws.choice((0, 0, 0, 1))
        data = {
            "email_id": email_id,
            "voucher_no": f"{tenant.tenant_id[:3].upper()}{260000 + email_id}",
            "hotel_name": named.name,
            "check_in": check_in.date().isoformat(),
            "check_out": (check_in + nights).date().isoformat(),
            "room_type": self._draws.choice(hotel.rooms).code,
            "board_type": self._draws.choice(tenant.account.boards).code,
            "adults": adults,
            "children": children,
            "infants": infants,
            "guests": self._party(adults, children, infants),
            "total_price": f"{self._draws.randint(40_000, 900_000) / 100:.2f}",
            "currency": self._draws.choice(("EUR", "TRY", "GBP")),
            "sale_date": self._at.date().isoformat(),
            "hotel_remark": self._draws.choice(
                ("", "Deniz manzaralı oda rica olunur", "Late arrival")
            ),
            "parser_confidence": round(self._draws.uniform(0.8, 1.0), 3),  # a field to be ignored
            **changes,
        }
        return self._event(
            "reservation",
            tenant.tenant_id,
            data,
            expect=expect,
            why=why,
            item_id=email_id,
            voucher_no=str(data["voucher_no"]),
            hotel_id=named.hotel_id,
        )

    def stop_sale(
        self,
        tenant: DemoTenant,
        named: Named,
        *,
        expect: str,
        why: str,
        **changes: Any,
    ) -> DemoEvent:
        """A stop sale; `changes` replace fields of its data, and `None` takes one away."""
        stop_sale_id = self._next(tenant.tenant_id)
        begin = self._day(10, 90)
        end = begin + timedelta(days=self._draws.randint(0, 10))
        data = {
            "stop_sale_id": stop_sale_id,
            "hotel_name": named.name,
            "date_from": begin.date().isoformat(),
            "date_to": end.date().isoformat(),
            "is_close": True,
            "reason": self._draws.choice(("Otel dolu", "Overbooking", "Tadilat")),
            **changes,
        }
        return self._event(
            "stop_sale",
            tenant.tenant_id,
            data,
            expect=expect,
            why=why,
            item_id=stop_sale_id,
            hotel_id=named.hotel_id,
            days=(str(data["date_from"]), str(data["date_to"])),
        )

    def _event(
        self, kind: TopicKind, tenant_id: str, data: dict[str, Any], **about: Any
    ) -> DemoEvent:
        number = next(self._events)
        item = "reservation" if kind == "reservation" else "stop-sale"
        attributes = {
            "specversion": "1.0",
            "id": str(UUID(int=self._draws.getrandbits(128), version=4)),
            "source": _SOURCE,
            "type": _TYPES[kind],
            "subject": f"{item}/{about['item_id']}",
            "time": (self._at + timedelta(milliseconds=number)).isoformat().replace("+00:00", "Z"),
            "tenantid": tenant_id,
        }
        present = {name: value for name, value in data.items() if value is not None}
        value, headers = _encode(attributes, present, number)
        if number % _EVERY_NTH_TRACED == 0:
            trace = f"00-{self._draws.getrandbits(128):032x}-{self._draws.getrandbits(64):016x}-01"
            headers = (*headers, ("traceparent", trace.encode()))
        return DemoEvent(
            topic_kind=kind,
            key=tenant_id.encode(),
            value=value,
            headers=headers,
            tenant_id=tenant_id,
            **about,
        )

    def _next(self, tenant_id: str) -> int:
        return next(self._items.setdefault(tenant_id, count(1001)))

    def _day(self, soonest: int, latest: int) -> datetime:
        return self._at + timedelta(days=self._draws.randint(soonest, latest))

    def _party(self, adults: int, children: int, infants: int) -> list[dict[str, Any]]:
        surname = self._draws.choice(_SURNAMES)
        nationality = self._draws.choice(_NATIONALITIES)
        grown = [self._guest(surname, nationality) for _ in range(adults)]
        young = [
            {
                "first_name": self._draws.choice(_WOMEN + _MEN),
                "last_name": surname,
                "age": self._draws.randint(3, 12) if n < children else self._draws.randint(0, 1),
                "nationality": nationality,
            }
            for n in range(children + infants)
        ]
        return [*grown, *young]

    def _guest(self, surname: str, nationality: str) -> dict[str, Any]:
        title, names = self._draws.choice((("Mr", _MEN), ("Mrs", _WOMEN)))
        birth = self._at - timedelta(days=self._draws.randint(20 * 366, 70 * 365))
        return {
            "title": title,
            "first_name": self._draws.choice(names),
            "last_name": surname,
            "birth_date": birth.date().isoformat(),
            "passport_no": f"U{self._draws.randint(10_000_000, 99_999_999)}",
            "nationality": nationality,
        }


def _encode(
    attributes: dict[str, str], data: dict[str, Any], number: int
) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
    """Structured mode; now and then binary mode, and now and then without its content type."""
    if number % _EVERY_NTH_BINARY == 0:
        headers = [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
        return _dump(data), (("content-type", b"application/json"), *headers)
    event = {**attributes, "datacontenttype": "application/json", "data": data}
    if number % _EVERY_NTH_BARE == 0:
        return _dump(event), ()
    return _dump(event), (("content-type", _STRUCTURED),)


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()

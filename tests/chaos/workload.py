"""What a chaos run publishes, and what each event must lead to. Pure: a seed gives the same bytes.

New work above all, and some of everything else: the same published again, other content for the
same work, what must fail, corrections of that, and what nobody can read.
"""

import json
import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from consumer.demo.fake import Account
from schemas.kinds import EVENT_TYPE, Kind
from tests.support.events import HOTELS, account, envelope, reservation_data, stop_sale_data

#: Of each hotel of the accounts, in how many ways agencies write its name.
SPELLINGS: Mapping[int, Sequence[str]] = {
    101: ("Mandarin Resort & Spa", "MANDARIN RESORT AND SPA", "Mandarin Spa ve Resort Otel"),
    102: ("Lara Premium Belek", "LARA PREMIUM BELEK HOTEL", "Belek Lara Premium"),
    103: ("Lara Park Belek", "Hotel Lara Park Belek", "lara park belek"),
    104: ("Çamlıca Palas Otel", "ÇAMLICA PALAS", "Hotel Çamlıca Palas"),
    105: ("Güneş Işığı Beach Hotel", "GÜNEŞ IŞIĞI BEACH OTEL", "Beach Hotel Güneş Işığı"),
}
SYNCED, REJECTED = "synced", "rejected"
#: Fields that make an event fail, and the code that says so.
_WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({"hotel_name": "Grand Nowhere Palace"}, "failed:hotel_not_found"),
    ({"board_type": "ZZZ"}, "failed:board_unknown"),
    ({"room_type": "NO SUCH ROOM"}, "failed:room_type_unknown"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What an event asks for, and what has to become of it if it is the first of its identity."""

    tenant: str
    kind: Kind
    item: str  #: the voucher or the number of the stop sale; empty where nobody can read it
    content: str  #: equal for two events that ask for the same
    expect: str  #: `synced`, `failed:<code>` or `rejected`
    hotel_id: int | None  #: Sedna's, where there is one


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event to publish."""

    at: float  #: seconds after the start
    meaning: Meaning
    key: bytes
    value: bytes


def accounts(tenants: int) -> list[Account]:
    """The accounts at the fake Sedna that the events are for."""
    return [account(f"tenant-{number:02}") for number in range(tenants)]


def workload(*, seed: int, duration: float, rate: float, tenants: Sequence[str]) -> list[Event]:
    """All events of a run, by time.

    Args:
        seed: of all draws.
        duration: seconds.
        rate: events in a second, of all tenants together.
        tenants: whose they are.
    """
    draws = random.Random(f"workload {seed}")
    makers = [_Tenant(name, draws) for name in tenants]
    times = sorted(draws.uniform(0.0, duration) for _ in range(round(duration * rate)))
    return [draws.choice(makers).next(at) for at in times]


@dataclass(slots=True)
class _Tenant:
    """Makes one tenant's events, and remembers what it made."""

    name: str
    draws: random.Random
    numbers: int = 0
    closed: dict[int, bool] = field(default_factory=dict)
    good: list[tuple[Kind, dict[str, Any], int]] = field(default_factory=list)
    wrong: list[tuple[dict[str, Any], int]] = field(default_factory=list)

    def next(self, at: float) -> Event:
        ways = (
            (self._reservation, 0.60),
            (self._stop_sale, 0.24),
            (self._again, 0.06),
            (self._other_content, 0.04),
            (self._wrong_one, 0.03),
            (self._correction, 0.01),
            (self._garbage, 0.02),
        )
        (way,) = self.draws.choices([way for way, _ in ways], [weight for _, weight in ways])
        return way(at)

    def _reservation(self, at: float) -> Event:
        self.numbers += 1
        hotel_id, hotel_name = self._hotel()
        data = reservation_data(self.numbers, hotel_name=hotel_name)
        self.good.append((Kind.RESERVATION, data, hotel_id))
        return self._event(at, Kind.RESERVATION, data, SYNCED, hotel_id)

    def _stop_sale(self, at: float) -> Event:
        """Closes a hotel, or opens it again."""
        self.numbers += 1
        hotel_id, hotel_name = self._hotel()
        self.closed[hotel_id] = not self.closed.get(hotel_id, False)
        data = stop_sale_data(self.numbers, hotel_name=hotel_name, is_close=self.closed[hotel_id])
        if self.draws.random() < 0.2:
            data |= {"hotel_name": "as we call it", "sedna_hotel_id": hotel_id}
        self.good.append((Kind.STOP_SALE, data, hotel_id))
        return self._event(at, Kind.STOP_SALE, data, SYNCED, hotel_id)

    def _again(self, at: float) -> Event:
        """The same once more, under another event id."""
        if not self.good:
            return self._reservation(at)
        kind, data, hotel_id = self.draws.choice(self.good)
        return self._event(at, kind, data, SYNCED, hotel_id)

    def _other_content(self, at: float) -> Event:
        """Other content for work that is under way or done: a conflict."""
        if not self.good:
            return self._reservation(at)
        kind, data, hotel_id = self.draws.choice(self.good)
        last_day = "check_out" if kind is Kind.RESERVATION else "date_to"
        data = data | {last_day: f"2027-01-{self.draws.randint(1, 28):02}"}
        return self._event(at, kind, data, SYNCED, hotel_id)

    def _wrong_one(self, at: float) -> Event:
        self.numbers += 1
        hotel_id, hotel_name = self._hotel()
        fields, expect = self.draws.choice(_WRONG)
        if self.draws.random() < 0.3:
            fields, expect = _WRONG[0]
            data = stop_sale_data(self.numbers, **fields)
            return self._event(at, Kind.STOP_SALE, data, expect, None)
        data = reservation_data(self.numbers, hotel_name=hotel_name)
        self.wrong.append((data, hotel_id))
        return self._event(at, Kind.RESERVATION, data | fields, expect, None)

    def _correction(self, at: float) -> Event:
        """What was wrong, put right; each at most once."""
        if not self.wrong:
            return self._wrong_one(at)
        data, hotel_id = self.wrong.pop(self.draws.randrange(len(self.wrong)))
        return self._event(at, Kind.RESERVATION, data, SYNCED, hotel_id)

    def _garbage(self, at: float) -> Event:
        self.numbers += 1
        data = reservation_data(self.numbers)
        ways = (
            f"no JSON at all, {self.name} {self.numbers}".encode(),
            self._envelope(Kind.RESERVATION, data | {"adults": 0}),
            self._envelope(Kind.RESERVATION, data | {"check_out": data["check_in"]}),
            self._envelope(Kind.RESERVATION, data, tenantid="somebody-else"),
        )
        meaning = Meaning(
            tenant=self.name,
            kind=Kind.RESERVATION,
            item="",
            content="",
            expect=REJECTED,
            hotel_id=None,
        )
        return Event(at=at, meaning=meaning, key=self.name.encode(), value=self.draws.choice(ways))

    def _hotel(self) -> tuple[int, str]:
        hotel_id, _ = self.draws.choice(HOTELS)
        return hotel_id, self.draws.choice(SPELLINGS[hotel_id])

    def _event(
        self,
        at: float,
        kind: Kind,
        data: Mapping[str, Any],
        expect: str,
        hotel_id: int | None,
    ) -> Event:
        meaning = Meaning(
            tenant=self.name,
            kind=kind,
            item=str(data["voucher_no" if kind is Kind.RESERVATION else "stop_sale_id"]),
            content=json.dumps(data, sort_keys=True),
            expect=expect,
            hotel_id=hotel_id,
        )
        return Event(
            at=at, meaning=meaning, key=self.name.encode(), value=self._envelope(kind, data)
        )

    def _envelope(self, kind: Kind, data: Mapping[str, Any], **attributes: str) -> bytes:
        number = uuid.UUID(int=self.draws.getrandbits(128), version=4)
        return envelope(self.name, EVENT_TYPE[kind], data, id=str(number), **attributes)

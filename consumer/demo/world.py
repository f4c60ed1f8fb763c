"""The demo's world: three agencies, some two hundred events, and what must be in Sedna afterwards.

Says what is right by the contract's words; it never asks the service what it thinks right.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from consumer.demo.world_cases import every_case, ordinary, strangers
from consumer.demo.world_events import DemoEvent, EventWriter
from consumer.demo.world_tenants import DEMO_TENANTS, DemoTenant, Spelling

__all__ = [
    "DEMO_TENANTS",
    "DEMO_TIME",
    "DemoEvent",
    "DemoTenant",
    "ExpectedHoldings",
    "OpenAgain",
    "Spelling",
    "demo_events",
    "expected_holdings",
]

DEMO_TIME = datetime(2026, 5, 1, 9, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class OpenAgain:
    """Days of a hotel that were closed and opened again: at the end they must be for sale."""

    hotel_id: int
    date_from: str
    date_to: str


@dataclass(frozen=True, slots=True)
class ExpectedHoldings:
    """What one tenant's account must hold at the end: each exactly once, and nothing else."""

    vouchers: Mapping[str, int] = field(default_factory=dict)  #: voucher -> hotel id
    stop_sales: Mapping[int, int] = field(default_factory=dict)  #: stop sale id -> hotel id
    open_again: tuple[OpenAgain, ...] = ()


def demo_events(seed: int, *, at: datetime = DEMO_TIME) -> list[DemoEvent]:
    """The events, in the order in which to publish them. The same arguments give the same bytes.

    Args:
        seed: of all that is drawn.
        at: the time of the events (aware); arrivals and stops are some weeks later.
    """
    draws = random.Random(seed)  # noqa: S311  # a demo has to be repeatable
    writer = EventWriter(draws, at=at)
    groups: list[list[DemoEvent]] = []
    for tenant in DEMO_TENANTS:
        groups += ([event] for event in ordinary(writer, draws, tenant))
        groups += every_case(writer, tenant)
    groups += strangers(writer, draws)
    return _interleaved(groups, draws)


def expected_holdings(events: Iterable[DemoEvent]) -> dict[str, ExpectedHoldings]:
    """Per tenant what its account must hold once all the events are settled."""
    synced = [event for event in events if event.expect == "synced"]
    holdings = {}
    for tenant in DEMO_TENANTS:
        own = [event for event in synced if event.tenant_id == tenant.tenant_id]
        holdings[tenant.tenant_id] = ExpectedHoldings(
            {e.voucher_no: e.hotel_id for e in own if e.voucher_no and e.hotel_id},
            {
                e.item_id: e.hotel_id
                for e in own
                if e.topic_kind == "stop_sale" and e.item_id and e.hotel_id
            },
            tuple(
                OpenAgain(e.hotel_id, *e.days)
                for e in own
                if e.hotel_id == tenant.reopened_hotel_id and e.days
            )[:1],
        )
    return holdings


def _interleaved(groups: list[list[DemoEvent]], draws: random.Random) -> list[DemoEvent]:
    """All in one order: groups mixed, the order within each kept."""
    placed = [
        (place, number, event)
        for number, group in enumerate(groups)
        for place, event in zip(sorted(draws.random() for _ in group), group, strict=True)
    ]
    return [event for _, _, event in sorted(placed, key=lambda p: p[:2])]

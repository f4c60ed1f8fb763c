"""Each panel of the dashboard shows something true when a real Prometheus scrapes real processes.

Two of them, so that a number which is added up wrongly shows: what the panels say at the end is
compared with Postgres and with the fake Sedna.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2

from consumer.demo.fake import Fault, FaultKind
from tests.e2e.conftest import PrometheusFactory, WorldFactory
from tests.support.dashboard import Range, Series, ask, legend_labels, queries, read
from tests.support.events import account, reservation, stop_sale
from tests.support.service import World

_DASHBOARD = read()
_PATIENCE = 90.0


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    try:
        async with asyncio.timeout(_PATIENCE):
            while not await condition():
                await asyncio.sleep(0.5)
    except TimeoutError:
        raise TimeoutError(f"waited for {what}") from None


async def shown(http: httpx2.AsyncClient, since: float) -> dict[str, list[Series]]:
    """What each panel shows, by its title."""
    within = Range.of(since, time.time() + 1, scrape=1)
    found: dict[str, list[Series]] = {}
    for panel, target in queries(_DASHBOARD):
        found.setdefault(panel["title"], []).extend(await ask(http, target, within))
    return found


async def number(http: httpx2.AsyncClient, title: str) -> float | None:
    """What one of the large numbers on top says now."""
    (target,) = next(p["targets"] for p in _DASHBOARD["panels"] if p.get("title") == title)
    found = await ask(http, target, Range.of(time.time() - 60, time.time() + 1, scrape=1))
    return found[0].last if found else None


async def _processes_with_work(http: httpx2.AsyncClient) -> float:
    """By how many something is pending: else a maximum would pass for a sum."""
    question = {
        "expr": "count(sum by (instance) (sedna_sync_pending) > 0)",
        "legendFormat": "",
        "range": False,
    }
    found = await ask(http, question, Range.of(time.time() - 60, time.time() + 1, scrape=1))
    return found[0].last


async def _some_of_everything(here: World) -> None:
    """Traffic of which some is synced, some fails, some waits and some is in doubt."""
    here.fake.faults.add(Fault(kind=FaultKind.REFUSE_LOGIN, account="blocked"))
    here.fake.faults.add(
        Fault(kind=FaultKind.CLOSE, operation="InsertReservation", voucher="V000200")
    )
    twice = reservation("well", 0)
    events = [("well", reservation("well", each)) for each in range(1, 30)]
    events += [("blocked", reservation("blocked", each)) for each in range(100, 107)]
    events += [("well", reservation("well", 200)), ("nobody", reservation("nobody", 300))]
    events += [("well", reservation("well", 400, hotel_name="Nowhere")), ("well", b"{}")]
    await here.publish_reservations([("well", twice), *events, ("well", twice)])
    await here.publish_stop_sales([("well", stop_sale("well", each)) for each in range(5)])


async def test_every_panel_shows_what_two_processes_have_done_and_what_they_have_left(
    world: WorldFactory, prometheus: PrometheusFactory, impatient_rules: Path
) -> None:
    async with world([account("well"), account("blocked")]) as here:
        services = [await here.start(), await here.start()]
        async with prometheus(*services, rules=impatient_rules) as http:
            since = time.time()

            # What both count is known, at zero, before anything is to be counted.
            async def both_count() -> bool:
                return await number(http, "Processes") == 2 and await number(http, "Pending") == 0

            await until(both_count, "both to be scraped")
            await _some_of_everything(here)
            await here.until_settled(29 + 1 + 5 + 2)

            # Backlog and lag are counted in the background.
            async def counted() -> bool:
                titles = ("In doubt", "Pending", "Not read yet", "Not published")
                return [await number(http, each) for each in titles] == [1, 8, 0, 0]

            await until(counted, "the backlog to be counted")
            now = await shown(http, since)

            assert await _processes_with_work(http) == 2
            assert {title for title, series in now.items() if not series} == set()
            for panel, target in queries(_DASHBOARD):
                lacking = {
                    label
                    for each in now[panel["title"]]
                    for label in legend_labels(target) - each.labels.keys()
                }
                assert not lacking, panel["title"]

            await _agrees_with_postgres(here, now)
            assert {each.labels["alertname"] for each in now["Alerts that fire"]} >= {
                "SednaSyncLoginRefused",
                "SednaSyncEventsRejected",
                "SednaSyncTenantNotConfigured",
            }
            (who,) = now["Who is blocked"]
            assert (who.labels["tenant"], who.labels["reason"]) == ("blocked", "login_refused")
            assert {each.name for each in now["Failed, by code"]} == {
                "hotel_not_found",
                "tenant_not_configured",
            }
            assert len(now["Versions"]) == 2

            # A heat map is drawn of buckets that count up: in the last one is all that was settled.
            counts = {each.name: _ever(each) for each in now["End to end"]}
            assert counts["+Inf"] > 0
            assert sorted(counts.values()) == [counts[le] for le in sorted(counts, key=float)], (
                "each bucket holds those before it"
            )


def _ever(series: Series) -> float:
    return sum(value for _, value in series.points)


async def _agrees_with_postgres(here: World, now: dict[str, list[Series]]) -> None:
    async def of(condition: str) -> Any:
        return await here.value(f"SELECT count(*) FROM syncs WHERE {condition}")

    def total(title: str) -> float:
        return sum(each.last for each in now[title])

    pending, doubts = await of("state = 'pending'"), await of("in_doubt_since IS NOT NULL")
    assert total("Pending") == total("Pending, by kind") == pending == 8
    assert total("In doubt") == total("In doubt, over time") == doubts == 1
    assert total("Tenants blocked") == total("Tenants blocked, by reason") == 1
    assert total("Not read yet") == total("Lag, by topic") == await here.lag() == 0
    assert total("Not published") == total("Outbox, over time") == 0
    assert total("Processes") == total("Processes, by version") == 2
    # Extrapolated to the whole range, as Prometheus does.
    assert 2 <= total("Failed in range") <= 3
    (oldest,) = now["Oldest pending"]
    assert oldest.last == max(each.last for each in now["Age of the oldest, by kind"]) > 0

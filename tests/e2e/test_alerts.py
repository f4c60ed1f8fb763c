"""A real Prometheus scrapes the real service, and its alerts fire once something fails.

The rules are those that are shipped, but for their `for`: a test need not wait for a quarter of an
hour. When exactly each fires is held by the rules' own tests.
"""

import asyncio
from pathlib import Path
from typing import Any

import httpx2

from consumer.demo.fake import Fault, FaultKind
from tests.e2e.conftest import PrometheusFactory, WorldFactory
from tests.support.events import account, reservation

_PATIENCE = 60.0


class Alerts:
    """The alerts of one Prometheus, by its API."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def until_scraped(self) -> None:
        """Wait until the service is known: what it counts from now on shows as a rise."""
        async with asyncio.timeout(_PATIENCE):
            while not (await self._data("query", query="sedna_sync_pending"))["result"]:
                await asyncio.sleep(0.2)

    async def until(self, *wanted: tuple[str, str]) -> dict[tuple[str, str], dict[str, Any]]:
        """Wait until these and no others fire, each with its tenant, topic, instance or nothing."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        try:
            async with asyncio.timeout(_PATIENCE):
                while (found := await self._firing()).keys() != set(wanted):
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise TimeoutError(f"waited for {wanted}, found {sorted(found)}") from None
        return found

    async def _firing(self) -> dict[tuple[str, str], dict[str, Any]]:
        alerts = (await self._data("alerts"))["alerts"]
        return {
            (labels["alertname"], _whom(labels)): alert["annotations"]
            for alert in alerts
            if alert["state"] == "firing" and (labels := alert["labels"])
        }

    async def _data(self, what: str, **parameters: str) -> Any:
        answer = await self._http.get(f"/api/v1/{what}", params=parameters)
        answer.raise_for_status()
        return answer.json()["data"]


def _whom(labels: dict[str, str]) -> str:
    return next((labels[each] for each in ("tenant", "topic", "instance") if each in labels), "")


async def test_what_fails_fires_with_its_name_and_its_numbers_and_nothing_else_does(
    world: WorldFactory, prometheus: PrometheusFactory, impatient_rules: Path
) -> None:
    async with world([account("a"), account("b")]) as here:
        service = await here.start()
        async with prometheus(service, rules=impatient_rules) as http:
            alerts = Alerts(http)
            await here.publish_reservations([("b", reservation("b", 1))])
            await here.until_settled(1)
            await alerts.until_scraped()
            await alerts.until()

            here.fake.faults.add(Fault(kind=FaultKind.REFUSE_LOGIN, account="a"))
            topic = here.topics.reservations
            await here.publish_reservations(
                [("a", reservation("a", 2)), ("nobody", reservation("nobody", 3)), ("b", b"{}")]
            )
            firing = await alerts.until(
                ("SednaSyncLoginRefused", "a"),
                ("SednaSyncTenantNotConfigured", ""),
                ("SednaSyncEventsRejected", topic),
            )
            said = firing["SednaSyncLoginRefused", "a"]
            assert said["summary"] == "Sedna refuses the login of a; nothing is sent for it."
            assert firing["SednaSyncEventsRejected", topic]["summary"].endswith(": 1.")


async def test_a_process_that_is_gone_is_missed(
    world: WorldFactory, prometheus: PrometheusFactory, impatient_rules: Path
) -> None:
    async with world([account("a")]) as here:
        service = await here.start()
        async with prometheus(service, rules=impatient_rules) as http:
            alerts = Alerts(http)
            await alerts.until_scraped()
            await alerts.until()
            await service.kill()
            await alerts.until(("SednaSyncDown", await service.address()), ("SednaSyncAbsent", ""))

"""What the logs say of each sync, and that what nobody may see is looked for where it would show.

The check itself runs at the end of every end-to-end world: see `checks`.
"""

import asyncio
import json
from collections import Counter
from typing import Any
from urllib.parse import quote, quote_plus

import httpx2
import pytest

from consumer.demo.fake import Fault, FaultKind
from tests.e2e.checks import leaks, secrets_of
from tests.e2e.conftest import WorldFactory
from tests.support.api import SECRET, bearer
from tests.support.events import (
    PASSWORD,
    account,
    envelope,
    reservation,
    reservation_data,
    stop_sale,
)
from tests.support.service import ENCRYPTION_KEYS, ServiceProcess, World

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
#: Seconds in which an idle service polls some fifteen times.
A_WHILE = 3.0
INFO = {"LOG_LEVEL": "INFO"}


async def test_each_settled_sync_has_one_line_that_says_what_its_event_was_answered(
    world: WorldFactory,
) -> None:
    traced = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    async with world([account("a")]) as here:
        service = await here.start(**INFO)
        nowhere = reservation_data(2, hotel_name="Nowhere")
        await here.publish_reservations(
            [
                ("a", envelope("a", "reservation.created", reservation_data(1), **traced)),
                ("a", envelope("a", "reservation.created", nowhere)),
            ]
        )
        await here.publish_stop_sales([("a", stop_sale("a", 3))])
        await here.until_settled(3)

        lines = {line["event_id"]: line for line in settled_lines(service)}
        answers = {each["data"]["origin"]["event_id"]: each for each in await here.results()}
        assert len(settled_lines(service)) == len(lines) == len(answers) == 3
        for event_id, line in lines.items():
            row, answer = await row_of(here, event_id), answers[event_id]
            data = answer["data"]
            error = data.get("error") or {"code": None, "message": None}
            expected = {
                "event": answer["type"].removeprefix("sedna."),
                "outcome": answer["type"].removeprefix("sedna."),
                "tenant": row["tenant_id"],
                "kind": row["kind"],
                "sync": row["id"],
                "item": answer["subject"],
                "code": error["code"],
                "error": error["message"],
                "rec_id": row["sedna_rec_id"],
                "attempts": data["attempts"],
                **{name: data["origin"][name] for name in ("topic", "partition", "offset")},
                **{
                    name: row[name]
                    for name in ("email_id", "voucher_no", "stop_sale_id")
                    if row[name] is not None
                },
            }
            assert expected.items() <= line.items()
            waited = (row["settled_at"] - row["event_time"]).total_seconds()
            assert line["duration"] == pytest.approx(waited, abs=30)
            assert 0 <= line["attempt_duration"] <= line["duration"]
            assert line["adopted"] is False
        traces = {line["item"]: line.get("trace_id") for line in lines.values()}
        assert traces == {"reservation/1": TRACE, "reservation/2": None, "stop-sale/3": None}
        common = set.intersection(*(set(line) for line in lines.values()))
        assert common >= {"hotel_id", "rec_id", "code", "error", "duration", "attempts"}


async def test_an_idle_service_says_nothing_whoever_probes_it(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        service = await here.start(**INFO, API_JWT_SECRET=SECRET)
        await here.publish_reservations([("a", reservation("a", 1))])
        await here.until_settled(1)
        await here.until_committed()
        await service.until_logged("api_listening")
        (listening,) = service.lines("api_listening")
        before = service.log()
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{listening['port']}") as http:
            for path in ("/healthz", "/readyz", "/metrics", "/api/sedna/syncs", "/nothing"):
                for headers in ({}, bearer("a"), {"authorization": "Bearer nonsense"}):
                    await http.get(path, headers=headers)
        # Silence is what can only be waited for.
        await asyncio.sleep(A_WHILE)
        assert service.log() == before


async def test_as_many_events_as_go_well_so_many_lines_there_are(world: WorldFactory) -> None:
    async with world([account("a"), account("b")]) as here:
        service = await here.start(**INFO)
        for once in ("api_listening", "leases_acquired"):
            await service.until_logged(once)
        before = len(service.lines())
        await here.publish_reservations(
            (tenant, reservation(tenant, number)) for number in range(100) for tenant in "ab"
        )
        await here.publish_stop_sales(("a", stop_sale("a", number)) for number in range(20))
        await here.until_settled(220)
        await here.until_committed()

        said = service.lines()[before:]
        assert Counter(line["event"] for line in said) == {"synced": 220}
        assert len({line["sync"] for line in said}) == 220


async def test_a_flood_of_one_tenant_is_counted_and_hides_nobody_elses_line(
    world: WorldFactory,
) -> None:
    async with world([account("a")], partitions=1) as here:
        service = await here.start(**INFO)
        garbage = b'{"specversion": "1.0"}'
        await here.publish_reservations(
            [*[("flood", garbage)] * 700, ("quiet", garbage), ("a", reservation("a", 1))]
        )
        await here.until_settled(1)
        await here.until_committed()
        assert await service.stop() == 0

        rejected = Counter(line["tenant"] for line in service.lines("event_rejected"))
        assert rejected["quiet"] == 1
        assert 50 <= rejected["flood"] < 100
        left_out = sum(
            line.get("left_out", 0) for line in service.lines() if line.get("tenant") == "flood"
        )
        assert rejected["flood"] + left_out == 700


def settled_lines(service: ServiceProcess) -> list[dict[str, Any]]:
    return service.lines("synced") + service.lines("failed")


async def row_of(here: World, event_id: str) -> Any:
    (row,) = await here.query("SELECT * FROM syncs WHERE event_id = $1", event_id)
    return row


async def test_no_secret_shows_when_sedna_itself_repeats_them_all(world: WorldFactory) -> None:
    """Error pages quote the request's URL, and messages can quote anything."""
    async with world([account("a")]) as here:
        here.settings |= {"RETRY_BASE": "0.1", "RETRY_CAP": "0.2"}
        password = here.fake.account("a").config.password
        page = f"Bad: /AgencyLogin?username=user-a&password={quote_plus(password)} ({password})"
        for operation, status in (
            ("AgencyLogin", 500),
            ("GetHotels", 500),
            ("UpdateStopSale", 400),
            ("InsertReservation", 400),
        ):
            here.fake.faults.add(
                Fault(kind=FaultKind.STATUS, operation=operation, status=status, body=page, times=1)
            )
        refusal = json.dumps({"ErrorType": 2, "Message": page, "RecId": 0})
        here.fake.faults.add(
            Fault(kind=FaultKind.RUBBISH_2XX, operation="InsertReservation", body=refusal, times=1)
        )
        await here.start()
        await here.publish_reservations(("a", reservation("a", number)) for number in range(4))
        await here.publish_stop_sales(("a", stop_sale("a", number)) for number in range(2))
        await here.until_settled(6)

        assert await here.value("SELECT count(*) FROM syncs WHERE state = 'failed'") == 3
        secrets = secrets_of(here)
        assert {password, ENCRYPTION_KEYS.partition(":")[2]} < secrets
        assert len(here.fake.state.sessions._sessions) >= 1
        # The rest is checked at the end, as in every world.


@pytest.mark.parametrize(
    "shown",
    [
        PASSWORD,
        quote(PASSWORD),
        quote_plus(PASSWORD),
        '{"error": "s3cret p\\u00e4ssw\\u00f6rd/with?odd&signs"}',
    ],
    ids=["plain", "percent-encoded", "as a form writes it", "as JSON writes it"],
)
def test_a_secret_that_shows_is_found_however_it_is_written(shown: str) -> None:
    assert leaks({PASSWORD, "another"}, ["harmless", f"before {shown} behind"]) == {PASSWORD}
    assert not leaks({PASSWORD, "another"}, ["harmless"])

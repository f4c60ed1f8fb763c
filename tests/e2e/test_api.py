"""The HTTP API of the running service, on real servers."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import httpx2

from consumer.demo.fake import Fault, FaultKind
from tests.e2e.conftest import WorldFactory
from tests.support.api import SECRET, bearer
from tests.support.events import account, reservation, stop_sale
from tests.support.service import ServiceProcess

KEY = {"API_JWT_SECRET": SECRET}


async def port_of(service: ServiceProcess) -> int:
    await service.until_logged("api_listening")
    (line,) = service.lines("api_listening")
    assert line["host"] == "127.0.0.1"
    port: int = line["port"]
    return port


@contextlib.asynccontextmanager
async def called(
    service: ServiceProcess, tenant: str | None = "a"
) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{await port_of(service)}",
        headers={} if tenant is None else bearer(tenant),
        timeout=40,
    ) as http:
        yield http


async def until_ready(http: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(30):
        while (await http.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.05)


async def test_what_became_of_the_work_is_listed_shown_and_nobody_elses(
    world: WorldFactory,
) -> None:
    async with world([account("a"), account("b")]) as here:
        service = await here.start(**KEY)
        await here.publish_reservations(
            [
                ("a", reservation("a", 1)),
                ("a", reservation("a", 2, hotel_name="Nowhere")),
                ("b", reservation("b", 3)),
            ]
        )
        await here.publish_stop_sales([("a", stop_sale("a", 4))])
        await here.until_settled(4)
        async with called(service) as http, called(service, "b") as other:
            listed = (await http.get("/api/sedna/syncs")).json()["items"]
            assert {(each["kind"], each["state"]) for each in listed} == {
                ("reservation", "synced"),
                ("reservation", "failed"),
                ("stop_sale", "synced"),
            }
            (failed,) = (await http.get("/api/sedna/syncs?state=failed")).json()["items"]
            assert failed["error"]["code"] == "hotel_not_found"
            shown = (await http.get(f"/api/sedna/syncs/{failed['id']}")).json()
            assert [each["outcome"] for each in shown["history"]] == ["failed"]
            assert (await other.get(f"/api/sedna/syncs/{failed['id']}")).status_code == 404
            assert len((await other.get("/api/sedna/syncs")).json()["items"]) == 1
            assert (await http.get("/api/sedna/breaker")).json()["state"] == "closed"
        # No URL, and so no query, is logged.
        assert "/api/sedna" not in service.log()


async def test_a_failed_one_is_mended_and_synced_by_request(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        service = await here.start(**KEY)
        await here.publish_reservations(
            [("a", reservation("a", 1)), ("a", reservation("a", 2, hotel_name="Nowhere"))]
        )
        await here.until_settled(2)
        async with called(service) as http:
            again = (await http.post("/api/sedna/sync/reservation/2")).json()
            assert again["success"] is False
            assert again["details"]["code"] == "hotel_not_found"
            pending = (await http.post("/api/sedna/sync/pending")).json()
            assert pending == {
                "reservations_synced": 0,
                "reservations_failed": 1,
                "stop_sales_synced": 0,
                "stop_sales_failed": 0,
                "errors": ["Reservation 2: Hotel not found"],
            }
            found = await http.get("/api/sedna/hotels/search", params={"name": "mandarin resort"})
            hotel_id = found.json()["candidates"][0]["id"]
            mapping = {"name": "Nowhere", "hotel_id": hotel_id}
            stored = await http.put("/api/sedna/hotel-mappings", json=mapping)
            assert stored.json()["retriable"] == {"hotel_not_found": 1}

            answers = await asyncio.gather(
                *(http.post("/api/sedna/sync/reservation/2") for _ in range(5))
            )
            assert {each.json()["success"] for each in answers} == {True}
            (rec_id,) = {each.json()["sedna_rec_id"] for each in answers}
            assert rec_id == await here.value(
                "SELECT sedna_rec_id FROM syncs WHERE email_id = 2 AND state = 'synced'"
            )
            done = (await http.post("/api/sedna/sync/reservation/2")).json()
            assert (done["success"], done["message"]) == (True, "already synced")
            assert (await http.post("/api/sedna/sync/reservation/3")).status_code == 404
        assert len(here.fake.account("a").reservations.records) == 2


async def test_probes_and_metrics_need_no_token_and_no_key(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        service = await here.start()
        assert len(service.lines("api_not_configured")) == 1
        async with called(service) as http:
            await until_ready(http)
            assert (await http.get("/healthz")).status_code == 200
            assert "sedna_sync_build_info" in (await http.get("/metrics")).text
            response = await http.get("/api/sedna/syncs")
            assert response.status_code == 503
            assert "not configured" in response.json()["detail"]
        await here.publish_reservations([("a", reservation("a", 1))])
        await here.until_settled(1)


async def test_a_taken_port_ends_the_start_with_one_line_and_code_2(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            code, out, error = await here.command("run", API_PORT=port, LOG_LEVEL="WARNING")
        assert (code, out) == (2, "")
        (line,) = error.splitlines()
        assert line.startswith("sedna-sync: SEDNA_SYNC_API_HOST and SEDNA_SYNC_API_PORT: ")
        assert str(port) in line


async def test_on_sigterm_whoever_waits_is_answered_and_readiness_ends_first(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        here.fake.faults.add(
            Fault(kind=FaultKind.LATENCY, operation="InsertReservation", seconds=3, times=1)
        )
        service = await here.start(**KEY)
        await here.publish_reservations([("a", reservation("a", 1))])
        await here.until_value(1, "SELECT count(*) FROM syncs WHERE dispatched_at IS NOT NULL")
        async with called(service) as http, called(service, None) as probe:
            asked = asyncio.create_task(http.post("/api/sedna/sync/reservation/1"))
            await until_asked(http)
            service.terminate()
            async with asyncio.timeout(10):
                while (ready := await probe.get("/readyz")).status_code != 503:
                    await asyncio.sleep(0.01)
            assert "stopping" in ready.json()["detail"]
            assert (await probe.get("/healthz")).status_code == 200
            answer = await asked
            assert answer.status_code in {200, 202}
            assert answer.json()["details"]["state"] in {"running", "synced"}
        assert await service.ended() == 0
        assert await here.value("SELECT count(*) FROM syncs WHERE state = 'synced'") == 1


async def until_asked(http: httpx2.AsyncClient) -> None:
    """Let the request before this one reach the service: they take turns on its loop."""
    for _ in range(5):
        await http.get("/healthz")


async def test_callers_who_send_nothing_do_not_stop_the_work(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        service = await here.start(**KEY)
        async with contextlib.AsyncExitStack() as stack:
            port = await port_of(service)
            for _ in range(200):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                stack.callback(writer.close)
                writer.write(b"GET /api/sedna/syncs HT")
            await here.publish_reservations(("a", reservation("a", number)) for number in range(20))
            await here.until_settled(20)
            async with called(service) as http:
                assert len((await http.get("/api/sedna/syncs")).json()["items"]) == 20


async def test_prometheus_is_shown_what_was_done_and_which_tenant_is_blocked(
    world: WorldFactory,
) -> None:
    async with world([account("a"), account("locked"), account("sealed"), account("lost")]) as here:
        here.fake.faults.add(Fault(kind=FaultKind.REFUSE_LOGIN, account="locked"))
        for change in (
            "sedna_password_encrypted = 'moved'::bytea WHERE tenant_id = 'sealed'",
            "sedna_api_url = 'nowhere' WHERE tenant_id = 'lost'",
        ):
            await here.query(f"UPDATE tenant_settings SET {change}")
        service = await here.start()
        await here.publish_reservations([("a", reservation("a", 1)), ("a", b"no event")])
        await here.publish_reservations(
            (tenant, reservation(tenant, 2)) for tenant in ("locked", "sealed", "lost")
        )
        await here.until_value(1, "SELECT count(*) FROM tenant_breakers")
        await service.until_logged("postponed", times=2)
        await here.until_settled(1)
        async with called(service, None) as http:
            shown = (await http.get("/metrics")).text.splitlines()
    topic = here.topics.reservations
    for line in (
        f'sedna_sync_events_total{{outcome="registered",topic="{topic}"}} 4.0',
        f'sedna_sync_events_total{{outcome="rejected",topic="{topic}"}} 1.0',
        'sedna_sync_settled_total{code="",kind="reservation",outcome="synced"} 1.0',
        'sedna_sync_tenant_blocked{reason="login_refused",tenant="locked"} 1.0',
        'sedna_sync_tenant_blocked{reason="password_unreadable",tenant="sealed"} 1.0',
        'sedna_sync_tenant_blocked{reason="address_unusable",tenant="lost"} 1.0',
    ):
        assert line in shown

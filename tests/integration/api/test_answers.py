"""What the routes answer, on a real database."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from consumer.advice import what_a_tenant_can_do
from db.errors import DatabaseUnavailable
from db.pool import Pool
from tests.integration.api.conftest import Api
from tests.integration.api.hotels import ERRORS, HOTEL
from tests.integration.db.builders import (
    TENANT,
    inserted,
    reservation,
    settle,
    settlement_of,
    stop_sale,
)
from tests.support.api import bearer

SYNCS = "/api/sedna/syncs"
MAPPINGS = "/api/sedna/hotel-mappings"


@pytest.fixture
async def http(api: Api) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=api.url, headers=bearer(TENANT)) as client:
        yield client


def payload(**data: Any) -> str:
    return json.dumps(
        {
            "hotel_name": "Mandarin",
            "check_in": "2026-07-01",
            "check_out": "2026-07-08",
            "guests": [{"first_name": "Ali", "last_name": "Çelik", "passport_no": "U123"}],
        }
        | data
    )


async def test_the_list_leads_from_page_to_page_to_its_end(
    http: httpx2.AsyncClient, pool: Pool
) -> None:
    places = await inserted(pool, *(reservation(f"V{number}") for number in range(5)))
    ids: list[int] = []
    query = {"limit": "2"}
    for _ in range(4):
        page = (await http.get(SYNCS, params=query)).json()
        ids += [each["id"] for each in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert ids == [place.id for place in reversed(places)]


async def test_a_sync_is_shown_field_by_field_and_without_its_guests(
    http: httpx2.AsyncClient, pool: Pool
) -> None:
    (place,) = await inserted(pool, reservation("V1", payload=payload()))
    await settle(
        pool,
        [
            settlement_of(
                place,
                state="failed",
                error_code="board_unknown",
                error_message="no such board",
                error_details='{"known": ["AI"]}',
                hotel_id=18,
            )
        ],
    )
    shown = (await http.get(f"{SYNCS}/{place.id}")).json()
    history = shown.pop("history")
    times = {name: shown.pop(name) for name in ("registered_at", "updated_at", "settled_at")}
    assert all(each.endswith("Z") for each in times.values())
    assert shown == {
        "id": place.id,
        "kind": "reservation",
        "email_id": 42,
        "voucher_no": "V1",
        "stop_sale_id": None,
        "hotel_name": "Mandarin",
        "sedna_hotel_id": 18,
        "first_day": "2026-07-01",
        "last_day": "2026-07-08",
        "state": "failed",
        "in_doubt": False,
        "in_doubt_since": None,
        "attempts": 1,
        "next_attempt_at": None,
        "sedna_rec_id": None,
        "adopted": False,
        "error": {
            "code": "board_unknown",
            "message": "no such board",
            "details": {"known": ["AI"]},
            "advice": what_a_tenant_can_do("board_unknown", None),
        },
    }
    assert [(each["attempt"], each["outcome"], each["error_code"]) for each in history] == [
        (1, "failed", "board_unknown")
    ]
    listed = (await http.get(SYNCS)).json()["items"]
    assert listed == [shown | times]


async def test_what_only_an_operator_can_mend_is_stored_and_not_shown(
    http: httpx2.AsyncClient, pool: Pool
) -> None:
    failed, waiting = await inserted(
        pool, reservation("V1", payload=payload()), reservation("V2", payload=payload())
    )
    told = (
        "tenant agency-7 is switched off: `sedna-sync tenant set agency-7 --active` switches it on"
    )
    await settle(
        pool,
        [
            settlement_of(
                failed, state="failed", error_code="tenant_not_configured", error_message=told
            ),
            settlement_of(waiting, state="pending", outcome="in_doubt", error_message=told),
        ],
    )
    await pool.execute(
        "INSERT INTO tenant_settings (tenant_id, sedna_api_url, sedna_username,"
        " sedna_password_encrypted) VALUES ($1, '', '', 'x')",
        TENANT,
    )
    await pool.execute(
        "INSERT INTO tenant_breakers (tenant_id, reason, last_error, failures, open_until)"
        " VALUES ($1, 'failures', 'private: SEDNA_SYNC_ALLOW_PRIVATE_ADDRESSES', 5, now())",
        TENANT,
    )
    nothing_said = "the tenant's Sedna account cannot be used: ask the operator"
    for place, message in (
        (failed, "tenant agency-7 is switched off"),
        (waiting, nothing_said),
    ):
        shown = (await http.get(f"{SYNCS}/{place.id}")).json()
        assert shown["error"]["message"] == message
        assert [each["error_message"] for each in shown["history"]] == [message]
    assert (await http.get("/api/sedna/breaker")).json()["last_error"] == nothing_said
    assert await pool.fetchval("SELECT error_message FROM syncs WHERE id = $1", failed.id) == told
    answers = [await http.get(path) for path in (SYNCS, "/api/sedna/breaker")]
    assert not [each for each in answers if "sedna-sync" in each.text or "SEDNA_" in each.text]


async def test_filters_are_taken_from_the_query(http: httpx2.AsyncClient, pool: Pool) -> None:
    first, second = await inserted(
        pool, reservation("V1", payload=payload()), stop_sale(7, payload='{"hotel_name": "X"}')
    )
    for query, ids in (
        ("state=pending&kind=stop_sale", [second.id]),
        ("hotel=MANDAR", [first.id]),
        ("first_day=2026-07-08&last_day=2026-07-09", [first.id]),
        ("in_doubt=true", []),
        ("registered_since=2000-01-01T00:00:00Z&limit=200", [second.id, first.id]),
        ("registered_before=2000-01-01T00:00:00%2B03:00", []),
        ("code=conflict", []),
        ("hotel_id=18", []),
    ):
        found = await http.get(f"{SYNCS}?{query}")
        assert [each["id"] for each in found.json()["items"]] == ids, query


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=x",
        "cursor=",
        "cursor=czE6MA",
        "state=done",
        "kind=x",
        "in_doubt=perhaps",
        "hotel_id=0",
        "hotel_id=9223372036854775808",
        "hotel=",
        "hotel=%00",
        "code=" + "x" * 201,
        "first_day=2026-02-30",
        "registered_since=2026-01-01T00:00:00",
        "registered_since=x",
    ],
)
async def test_a_wrong_value_is_named_and_not_repeated(
    http: httpx2.AsyncClient, query: str
) -> None:
    response = await http.get(f"{SYNCS}?{query}")
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    (wrong,) = response.json()["errors"]
    assert wrong["where"] == f"query.{query.partition('=')[0]}"
    assert "input" not in wrong


async def test_a_search_and_a_mapping_are_answered_field_by_field(
    http: httpx2.AsyncClient,
) -> None:
    path = "/api/sedna/hotels/search"
    found = (await http.get(path, params={"name": "mandarin"})).json()
    assert found == {
        "name": "mandarin",
        "result": "not_found",
        "hotel": None,
        "candidates": [{"id": HOTEL.id, "name": HOTEL.name, "score": 87.5}],
        "hotels": 1,
    }
    body = {"name": "Mandarin", "hotel_id": HOTEL.id}
    stored = (await http.put(MAPPINGS, json=body)).json()
    assert stored == {
        **body,
        "hotel": {"id": HOTEL.id, "name": HOTEL.name},
        "replaced": None,
        "retriable": {"hotel_not_found": 2},
        "retriable_is_all": True,
    }
    assert (await http.put(MAPPINGS, json=body)).json()["replaced"] == body
    found = (await http.get(path, params={"name": "mandarin"})).json()
    assert (found["result"], found["hotel"]["id"]) == ("mapping", HOTEL.id)
    assert (await http.delete(MAPPINGS, params={"name": "MANDARIN"})).status_code == 204
    assert (await http.delete(MAPPINGS, params={"name": "MANDARIN"})).status_code == 404


async def test_a_hotel_that_the_account_lacks_is_not_mapped(http: httpx2.AsyncClient) -> None:
    response = await http.put(MAPPINGS, json={"name": "Mandarin", "hotel_id": 19})
    assert response.status_code == 404
    assert HOTEL.name in response.json()["detail"]


@pytest.mark.parametrize("kind, status", [("unusable", 409), ("away", 502)])
async def test_what_only_the_operator_can_mend_is_not_explained_to_callers(
    api: Api, http: httpx2.AsyncClient, kind: str, status: int
) -> None:
    api.hotels.error = ERRORS[kind]
    response = await http.get("/api/sedna/hotels/search", params={"name": "x"})
    assert response.status_code == status
    assert "sedna-sync" not in response.text
    assert "10.0.0.1" not in response.text


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"name": "x"}', b'{"name": "", "hotel_id": 1}', b"7"]
)
@pytest.mark.parametrize("media_type", ["application/json", "text/plain"])
async def test_a_body_that_is_not_as_documented_is_refused(
    http: httpx2.AsyncClient, content: bytes, media_type: str
) -> None:
    response = await http.put(MAPPINGS, content=content, headers={"content-type": media_type})
    assert response.status_code in {400, 422}
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_closed_breaker_and_an_open_one_are_shown(
    http: httpx2.AsyncClient, pool: Pool
) -> None:
    path = "/api/sedna/breaker"
    nothing = dict.fromkeys(("reason", "last_error", "failures", "opened_at", "open_until"))
    assert (await http.get(path)).json() == {"state": "closed"} | nothing
    for tenant in (TENANT, "agency-8"):
        await pool.execute(
            "INSERT INTO tenant_settings (tenant_id, sedna_api_url, sedna_username,"
            " sedna_password_encrypted) VALUES ($1, '', '', 'x')",
            tenant,
        )
    statement = (
        "INSERT INTO tenant_breakers (tenant_id, reason, last_error, failures, open_until)"
        " VALUES ($1, 'failures', $2, 5, now())"
    )
    await pool.execute(statement, "agency-8", "of another")
    assert (await http.get(path)).json()["state"] == "closed"
    await pool.execute(statement, TENANT, "HTTP 500")
    shown = (await http.get(path)).json()
    assert (shown["state"], shown["reason"], shown["last_error"], shown["failures"]) == (
        "open",
        "failures",
        "HTTP 500",
        5,
    )


async def test_probes_say_what_they_know(api: Api, http: httpx2.AsyncClient) -> None:
    assert (await http.get("/healthz")).json() == {"status": "ok"}
    assert (await http.get("/readyz")).json() == {"status": "ready"}
    api.readiness.lacks = ["kafka", "stopping"]
    response = await http.get("/readyz")
    assert response.status_code == 503
    assert response.json()["detail"] == "missing: kafka, stopping"
    assert (await http.get("/healthz")).status_code == 200


async def test_metrics_are_in_the_format_of_prometheus(http: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(http.get("/metrics") for _ in range(5)))
    for response in answers:
        assert response.headers["content-type"].startswith("text/plain; version=")
        assert "sedna_sync_build_info{version=" in response.text


async def test_a_database_that_is_away_is_said_and_nothing_of_it(
    http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("connection to db.internal:5432 refused")

    monkeypatch.setattr("db.history.page", away)
    response = await http.get(SYNCS)
    assert response.status_code == 503
    assert response.headers["retry-after"]
    assert "internal" not in response.text


def examples(document: dict[str, Any]) -> list[tuple[str, dict[str, Any], Any]]:
    return [
        (name, schema, example)
        for name, schema in document["components"]["schemas"].items()
        for example in schema.get("examples", ())
    ]


def test_the_examples_of_the_document_obey_its_schemas(api: Api) -> None:
    app: FastAPI = api.app
    document = app.openapi()
    found = examples(document)
    assert {name for name, _, _ in found} >= {
        "Sync",
        "SyncPage",
        "SyncDetail",
        "SyncAnswer",
        "PendingAnswer",
        "HotelSearch",
        "NewMapping",
        "MappingStored",
        "Breaker",
    }
    for _, schema, example in found:
        Draft202012Validator(schema | {"components": document["components"]}).validate(example)

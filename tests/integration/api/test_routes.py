"""Every route asks for a token, and shows nobody anything of another tenant.

The routes are read from the application, so that a new one cannot be forgotten.
"""

import re
import time
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI
from fastapi.routing import APIRoute

from consumer.api import syncing
from consumer.api.guard import OPEN
from consumer.api.openapi import document
from db.pool import Pool
from tests.integration.api.conftest import Api
from tests.integration.db.builders import inserted, reservation, stop_sale
from tests.support.api import SECRET, bearer, claims, token

#: A good value for each name in a path.
VALUES = {"sync_id": "1", "email_id": "42", "stop_sale_id": "7"}
MAPPING: dict[str, Any] = {"name": "Mandarin Spa", "hotel_id": 18}
#: What routes need besides their path to show something of a tenant.
ALSO: dict[tuple[str, str], dict[str, Any]] = {
    ("GET", "/api/sedna/hotels/search"): {"params": {"name": MAPPING["name"]}},
    ("PUT", "/api/sedna/hotel-mappings"): {"json": MAPPING},
    ("DELETE", "/api/sedna/hotel-mappings"): {"params": {"name": MAPPING["name"]}},
}
THE_SAME_FOR_ALL = {"/api/openapi.json"}
RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syncing, "WAIT_SECONDS", 0.01)


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """(method, path) of all there are, the framework's own included."""
    return [
        (method, path)
        for route in app.routes
        if (path := getattr(route, "path", ""))
        for method in sorted(getattr(route, "methods", None) or {"GET"})
    ]


def filled(path: str, **values: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda name: (VALUES | values)[name[1]], path)


def guarded_routes(app: FastAPI) -> list[tuple[str, str]]:
    return [(method, filled(path)) for method, path in routes(app) if path not in OPEN]


def bad_tokens() -> dict[str, str]:
    now = int(time.time())
    return {
        "expired": token(exp=now - 5),
        "without an end": token(exp=None),
        "not good yet": token(nbf=now + 60),
        "of the future": token(iat=now + 60),
        "of another key": token(key=SECRET + "x"),
        "of another algorithm": jwt.encode(claims(), SECRET * 2, algorithm="HS512"),
        "of a public key": jwt.encode(claims(), RSA_KEY, algorithm="RS256"),
        "unsigned": jwt.encode(claims(), "", algorithm="none"),
        "without a tenant": token(tenant_id=None),
        "of no tenant": token("a b"),
        "for an audience": token(aud="another service"),
        "rubbish": "e30.e30.e30",
    }


def test_all_routes_but_three_are_under_api(api: Api) -> None:
    others = {path for _, path in routes(api.app) if not path.startswith("/api/")}
    assert others == OPEN
    assert len(guarded_routes(api.app)) > 5


@pytest.mark.parametrize("kind", bad_tokens())
async def test_every_route_refuses_every_kind_of_bad_token(api: Api, kind: str) -> None:
    async with httpx2.AsyncClient(base_url=api.url) as http:
        for method, path in guarded_routes(api.app):
            response = await http.request(
                method, path, headers={"authorization": f"Bearer {bad_tokens()[kind]}"}
            )
            assert response.status_code == 401, (method, path)
            assert response.headers["www-authenticate"].startswith("Bearer")
            assert response.headers["content-type"] == "application/problem+json"


async def test_every_route_refuses_who_brings_no_token(api: Api) -> None:
    async with httpx2.AsyncClient(base_url=api.url) as http:
        for method, path in guarded_routes(api.app):
            response = await http.request(method, path)
            assert response.status_code == 401, (method, path)
            assert response.headers["www-authenticate"] == "Bearer"


async def test_a_token_is_told_nothing_of_why_it_is_refused(api: Api) -> None:
    async with httpx2.AsyncClient(base_url=api.url) as http:
        said = {
            (response.text, response.headers["www-authenticate"])
            for given in bad_tokens().values()
            for response in [
                await http.get("/api/sedna/syncs", headers={"authorization": f"Bearer {given}"})
            ]
        }
    assert len(said) == 1


class World:
    """Something of every kind for one tenant, made anew for each route that is asked."""

    def __init__(self, api: Api, pool: Pool) -> None:
        self._api = api
        self._pool = pool

    async def empty(self) -> None:
        self._api.hotels.mapped.clear()
        await self._pool.execute("DELETE FROM syncs")
        await self._pool.execute("DELETE FROM tenant_settings")

    async def fill(self, tenant: str) -> str:
        """The id of the tenant's sync."""
        await self.empty()
        await self._pool.execute(
            "INSERT INTO tenant_settings (tenant_id, sedna_api_url, sedna_username,"
            " sedna_password_encrypted) VALUES ($1, '', '', 'x')",
            tenant,
        )
        await self._pool.execute(
            "INSERT INTO tenant_breakers (tenant_id, reason, last_error, failures, open_until)"
            " VALUES ($1, 'failures', 'HTTP 500', 5, now())",
            tenant,
        )
        first, *_ = await inserted(
            self._pool, reservation("V1", tenant_id=tenant), stop_sale(7, tenant_id=tenant)
        )
        await self._api.hotels.map(tenant, MAPPING["name"], MAPPING["hotel_id"])
        return str(first.id)


@pytest.mark.usefixtures("impatient")
async def test_what_is_one_tenants_makes_no_difference_to_another_on_any_route(
    api: Api, pool: Pool
) -> None:
    world = World(api, pool)
    async with httpx2.AsyncClient(base_url=api.url) as http:

        async def ask(method: str, path: str, tenant: str) -> tuple[int, Any]:
            response = await http.request(
                method, path, headers=bearer(tenant), **ALSO.get((method, path), {})
            )
            return response.status_code, response.content and response.json()

        for method, template in routes(api.app):
            if template in OPEN:
                continue
            path = filled(template, sync_id=await world.fill("agency-7"))
            stranger = await ask(method, path, "agency-8")
            owner = await ask(method, path, "agency-7")
            await world.empty()
            assert stranger == await ask(method, path, "agency-8"), (method, path)
            # The comparison says nothing of a route at which the owner has nothing either.
            assert owner[0] < 300, (method, path, owner)
            if path not in THE_SAME_FOR_ALL:
                assert owner != stranger, (method, path)
            if path != template:
                assert stranger[0] == 404, (method, path)


async def test_another_tenants_mappings_stay_as_they_are(api: Api) -> None:
    body = {"name": "Mandarin Spa", "hotel_id": 18}
    path = "/api/sedna/hotel-mappings"
    async with httpx2.AsyncClient(base_url=api.url) as http:
        stored = await http.put(path, json=body, headers=bearer("agency-7"))
        assert stored.status_code == 200
        query = {"name": "Mandarin Spa"}
        removed = await http.delete(path, params=query, headers=bearer("agency-8"))
        assert removed.status_code == 404
        removed = await http.delete(path, params=query, headers=bearer("agency-7"))
        assert (removed.status_code, removed.content) == (204, b"")


def test_every_route_under_api_is_documented_with_its_token_and_its_problems(api: Api) -> None:
    described = api.app.openapi()
    for route in api.app.routes:
        if not isinstance(route, APIRoute):
            continue
        for method in route.methods or ():
            operation = described["paths"][route.path][method.lower()]
            problems = {"500", "503"}
            if route.path not in OPEN:
                assert operation["security"] == [{"token": []}], route.path
                problems |= {"401", "422", "429"}
            assert problems <= operation["responses"].keys(), route.path
            for status, reply in operation["responses"].items():
                if status[0] in "45":
                    assert set(reply["content"]) == {"application/problem+json"}


def test_the_served_document_is_the_one_that_is_kept(api: Api) -> None:
    import json  # noqa: PLC0415 - only here

    assert api.app.openapi() == json.loads(document())


@pytest.mark.parametrize("method, path", [("GET", "/api/nowhere"), ("GET", "/nowhere")])
async def test_what_is_not_there_is_a_problem(api: Api, method: str, path: str) -> None:
    async with httpx2.AsyncClient(base_url=api.url, headers=bearer()) as http:
        response = await http.request(method, path)
        check_problem(response, 404)


async def test_a_method_that_a_path_does_not_have_is_told_which_it_has(api: Api) -> None:
    async with httpx2.AsyncClient(base_url=api.url, headers=bearer()) as http:
        response = await http.post("/api/sedna/hotel-mappings")
        check_problem(response, 405)
        assert response.headers["allow"] == "DELETE, PUT"


@pytest.mark.parametrize("path", sorted(OPEN))
async def test_a_probe_is_answered_to_head_as_to_get_but_without_the_body(
    api: Api, path: str
) -> None:
    async with httpx2.AsyncClient(base_url=api.url) as http:
        for lacks in ([], ["kafka"]):
            api.readiness.lacks = list(lacks)
            asked, told = await http.get(path), await http.head(path)
            assert (told.status_code, told.content) == (asked.status_code, b"")
            assert told.headers["content-type"] == asked.headers["content-type"]
            assert int(told.headers["content-length"]) > 0
        response = await http.post(path)
        check_problem(response, 405)
        assert response.headers["allow"] == "GET, HEAD"


def check_problem(response: httpx2.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (body["type"], body["status"]) == ("about:blank", status)
    return body

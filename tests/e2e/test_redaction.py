"""No secret shows, whichever way things fail: a process that does not start, and one that works on.

Beside this, every end-to-end world is searched for secrets at its end, at DEBUG: see `checks`.
"""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import httpx2

from consumer.demo.embedded_postgres import free_port
from tests.e2e.checks import leaks
from tests.e2e.conftest import WorldFactory
from tests.support.api import SECRET, bearer
from tests.support.events import account, reservation
from tests.support.service import World

HIDDEN = "Tops3cret/pa:ss w%rd"
KEY = base64.b64encode(HIDDEN.ljust(32, "x").encode()).decode()
NOBODY = "127.0.0.1:1"


def with_password(url: str, *, port: int | None = None) -> str:
    """The address of the test's Postgres, with another password."""
    parts = urlsplit(url)
    host = f"{parts.hostname or 'localhost'}:{port or parts.port or 5432}"
    return urlunsplit(parts._replace(netloc=f"somebody:{quote(HIDDEN, safe='')}@{host}"))


def start_failures(here: World) -> Mapping[str, tuple[dict[str, Any], str]]:
    """Settings by what is wrong with them, and the secret that they hold."""
    sasl = {
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_USERNAME": "somebody",
        "KAFKA_SASL_PASSWORD": HIDDEN,
    }
    return {
        "Postgres is not there": (
            {"DATABASE_URL": with_password(here.database_url, port=1)},
            HIDDEN,
        ),
        "Postgres knows nobody of that name": (
            {"DATABASE_URL": with_password(here.database_url)},
            HIDDEN,
        ),
        "an address of Postgres that is none": (
            {"DATABASE_URL": f"postgresql://somebody:{HIDDEN}@[::1/sedna"},
            HIDDEN,
        ),
        "another kind of database": (
            {"DATABASE_URL": f"mysql://somebody:{HIDDEN}@host/db"},
            HIDDEN,
        ),
        "Kafka is not there": ({**sasl, "KAFKA_BOOTSTRAP_SERVERS": NOBODY}, HIDDEN),
        "Kafka wants no password": (sasl, HIDDEN),
        "a certificate that is not there": (
            {
                "KAFKA_SECURITY_PROTOCOL": "SSL",
                "KAFKA_SSL_CERTFILE": "/nowhere.pem",
                "KAFKA_SSL_KEYFILE": "/nowhere.key",
                "KAFKA_SSL_KEY_PASSWORD": HIDDEN,
            },
            HIDDEN,
        ),
        "a key without a name": ({"ENCRYPTION_KEYS": KEY}, KEY),
        "a key that is too short": ({"ENCRYPTION_KEYS": f"k1:{KEY[:20]}"}, KEY[:20]),
        "two keys of one name": ({"ENCRYPTION_KEYS": f"k1:{KEY},k1:{KEY}"}, KEY),
        "a signing secret that is too short": ({"API_JWT_SECRET": HIDDEN}, HIDDEN),
        "a secret under a name that is none": ({"DATABASE_URI": HIDDEN, "API_PORT": "x"}, HIDDEN),
    }


async def test_a_process_that_does_not_start_shows_no_secret(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        failures = start_failures(here)
        for what, (settings, secret) in failures.items():
            code, out, error = await here.command("run", **settings)
            assert code != 0, what
            assert error.strip(), what
            assert not leaks({secret}, [out, error]), what


async def test_a_service_whose_proxy_is_gone_shows_no_secret_of_it(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        here.settings |= {"RETRY_BASE": "0.1", "RETRY_CAP": "0.2"}
        proxy = f"http://somebody:{quote(HIDDEN, safe='')}@127.0.0.1:{free_port()}"
        here.variables |= {"HTTP_PROXY": proxy, "NO_PROXY": ""}
        service = await here.start()
        await here.publish_reservations([("a", reservation("a", 1))])
        await service.until_logged("breaker_opened")
        reasons = await here.query("SELECT DISTINCT error_message FROM sync_attempts")
        assert "ConnectError" in str(reasons)
        assert not leaks({HIDDEN}, [service.log(), str(reasons)])


async def test_a_service_shows_no_secret_of_those_who_call_it(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        service = await here.start(API_JWT_SECRET=SECRET)
        await service.until_logged("api_listening")
        (listening,) = service.lines("api_listening")
        good = bearer("a")["authorization"]
        bad = f"{good[:-6]}AAAAAA"
        asked = 0
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{listening['port']}") as http:
            for token in (good, bad, f"Basic {KEY}", f"Bearer {KEY}", KEY):
                for path in ("/api/sedna/syncs", "/api/nothing", "/metrics", "/readyz"):
                    reply = await http.get(
                        path,
                        params={"password": HIDDEN, "access_token": KEY},
                        headers={"authorization": token, "cookie": f"session={KEY}"},
                    )
                    assert not leaks({token, KEY, HIDDEN, SECRET}, [reply.text]), path
                    asked += 1
        await service.until_logged("token_refused")
        assert asked == 20
        assert not leaks({good, bad, KEY, HIDDEN, SECRET}, [service.log()])

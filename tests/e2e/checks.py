"""What must hold at the end of every end-to-end world, whatever its test was about."""

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from urllib.parse import quote, quote_plus, urlsplit

from consumer.demo.fake import FakeSedna
from tests.support.service import ENCRYPTION_KEYS, ServiceProcess, World

#: Log lines about a sync, which say which one it is.
_ABOUT_A_SYNC = {"synced", "failed", "will_retry", "postponed", "in_doubt"}
_WHICH = {"tenant", "kind", "sync", "item", "event_id"}


async def check(here: World) -> None:
    """Fail if a service crashed, stumbled, or showed a secret anywhere."""
    for service in here.services:
        assert service.told_to_end or service.process.returncode is None, service.log()
        _check_log(service)
    secrets = secrets_of(here)
    shown = [text async for text in _shown_by(here)]
    assert not leaks(secrets, shown)


def _check_log(service: ServiceProcess) -> None:
    assert "Traceback" not in service.log()
    assert not service.lines("unexpected_error")
    for line in service.lines():
        assert line.keys() >= {"event", "level", "timestamp"}, line
        if line["event"] in _ABOUT_A_SYNC:
            assert line.keys() >= _WHICH, line


def secrets_of(here: World) -> set[str]:
    """All that nobody may see: passwords, session cookies, keys."""
    return {
        *_passwords(here.fake),
        *here.fake.state.sessions._sessions,
        *(key.partition(":")[2] for key in ENCRYPTION_KEYS.split(",")),
        # With what stands around it: a test server's password may be any plain word.
        f":{urlsplit(here.database_url).password}@",
    }


def _passwords(fake: FakeSedna) -> Iterator[str]:
    for account in fake.state.accounts.values():
        yield account.config.password


def leaks(secrets: Iterable[str], shown: Iterable[str]) -> set[str]:
    """Which secrets stand in which texts, also percent-encoded or as JSON writes them."""
    texts = "\n".join(shown)
    return {
        secret
        for secret in secrets
        for form in (
            secret,
            quote(secret),
            quote(secret, safe=""),
            quote_plus(secret),
            json.dumps(secret)[1:-1],
            json.dumps(quote_plus(secret))[1:-1],
        )
        if form in texts
    }


async def _shown_by(here: World) -> AsyncIterator[str]:
    for service in here.services:
        yield service.log()
        yield service.command_line
    for text in here.printed:
        yield text
    for result in await here.results():
        yield json.dumps(result, ensure_ascii=False)
    for column in (
        "error_message FROM syncs",
        "error_details FROM syncs",
        "payload FROM syncs",
        "error_message FROM sync_attempts",
        "error_message FROM rejections",
        "error_details FROM rejections",
    ):
        for row in await here.query(f"SELECT DISTINCT {column}"):
            yield str(row[0])

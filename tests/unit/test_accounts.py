"""A tenant's account is made once, whoever asks for it meanwhile and whoever gives up."""

import asyncio
from unittest.mock import AsyncMock, Mock

import pytest

from consumer.accounts import Accounts
from consumer.credentials import CannotDecrypt
from db import tenants
from db.pool import Pool
from db.records import TenantSettings


@pytest.mark.parametrize("who", ["loads", "waits"])
async def test_who_gives_up_does_not_make_others_load_a_second_account(
    monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    loads, answered = 0, asyncio.Event()

    async def settings(_pool: Pool, tenant_id: str) -> TenantSettings:
        nonlocal loads
        loads += 1
        await answered.wait()
        return TenantSettings(
            tenant_id=tenant_id,
            sedna_api_url="https://sedna.example",
            sedna_username="u",
            sedna_password_encrypted=b"",
        )

    monkeypatch.setattr(tenants, "get", settings)
    monkeypatch.setattr(tenants, "mappings", AsyncMock(return_value=[]))
    accounts = Accounts(pool=Mock(), build=Mock(), gates=Mock(of=AsyncMock()), on_loaded=Mock())
    both = [asyncio.create_task(accounts.get("a")) for _ in range(2)]
    impatient, patient = both if who == "loads" else reversed(both)
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait([impatient])
    last = asyncio.create_task(accounts.get("a"))
    await asyncio.sleep(0)
    answered.set()
    assert await patient is await last
    # Who waits takes over from who has given up at it.
    assert loads == (2 if who == "loads" else 1)


async def test_an_account_that_cannot_be_made_says_why_until_it_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = TenantSettings(
        tenant_id="a", sedna_api_url="x", sedna_username="u", sedna_password_encrypted=b""
    )
    monkeypatch.setattr(tenants, "get", AsyncMock(return_value=settings))
    monkeypatch.setattr(tenants, "mappings", AsyncMock(return_value=[]))
    build = Mock(side_effect=[CannotDecrypt(), ValueError(), Mock()])
    accounts = Accounts(pool=Mock(), build=build, gates=Mock(of=AsyncMock()), on_loaded=Mock())
    with pytest.raises(CannotDecrypt):
        await accounts.get("a")
    assert accounts.unusable() == {"a": "password_unreadable"}
    with pytest.raises(ValueError):  # noqa: PT011 - whatever is wrong with the address
        await accounts.get("a")
    assert accounts.unusable() == {"a": "address_unusable"}
    await accounts.get("a")
    assert accounts.unusable() == {}

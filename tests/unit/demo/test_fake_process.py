"""The fake Sedna as a process of its own."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import httpx2
import pytest

from consumer.demo.fake import Account
from consumer.demo.fake.__main__ import main
from consumer.demo.fake.accounts import accounts_as_json, read_accounts
from consumer.demo.world_tenants import DEMO_TENANTS


def test_accounts_survive_the_way_through_json(accounts: tuple[Account, Account]) -> None:
    written = json.loads(json.dumps(accounts_as_json(accounts)))
    assert read_accounts(written) == accounts


async def test_it_can_have_the_accounts_of_the_demo() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "consumer.demo.fake", "--demo"), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        ready = json.loads(await process.stdout.readline())
        account = DEMO_TENANTS[0].account
        async with httpx2.AsyncClient(base_url=ready["base_url"], trust_env=False) as client:
            params = {"username": account.username, "password": account.password}
            reply = await client.get("/api/Integratiion/AgencyLogin", params=params)
            assert reply.json()["RecId"] == account.operator_id
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_process_says_where_it_listens_serves_and_ends_on_a_signal(
    accounts: tuple[Account, Account], tmp_path: Path, number: signal.Signals
) -> None:
    config = tmp_path / "accounts.json"
    config.write_text(json.dumps(accounts_as_json(accounts)), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "consumer.demo.fake", "--port", "0", "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        ready = json.loads(await process.stdout.readline())
        async with httpx2.AsyncClient(base_url=ready["base_url"], verify=False) as client:
            params = {"username": "south", "password": "other"}
            reply = await client.get("/api/Integratiion/AgencyLogin", params=params)
            assert reply.json()["RecId"] == 640
            state = await client.get(f"{ready['control_url']}/state", params={"account": "south"})
            assert state.json()["logins"] == 1
            process.send_signal(number)
            assert await process.wait() == 0
        assert await process.stdout.read() == b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize(
    "text", ["{", '[{"name": "x", "password": "hidden"}]', '[{"hidden": 1}]', "7"]
)
def test_a_configuration_that_cannot_be_read_ends_it_with_2_and_tells_no_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    config = tmp_path / "accounts.json"
    config.write_text(text, encoding="utf-8")
    assert main(["--config", str(config)]) == 2
    error = capsys.readouterr().err
    assert "accounts.json" in error
    assert '"hidden"' not in error
    assert error.count("\n") == 1


def test_a_missing_configuration_ends_it_with_2(tmp_path: Path) -> None:
    assert main(["--config", str(tmp_path / "none.json")]) == 2

"""The commands as a person or an orchestrator runs them: exit codes, and one line that helps."""

import asyncio
import base64
import json
from dataclasses import astuple, replace
from pathlib import Path

from consumer.demo.embedded_postgres import free_port
from consumer.demo.fake import FakeSedna
from tests.e2e.conftest import WorldFactory
from tests.support.events import account, reservation
from tests.support.kafka_clients import Topics, create_topics
from tests.support.postgres import database
from tests.support.service import running_world

OTHER_KEY = f"other:{base64.b64encode(bytes(32)).decode()}"


async def test_run_with_something_missing_ends_with_one_line_that_names_the_cure(
    world: WorldFactory, postgres_server: str
) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    async with world([account("a")]) as here, database(postgres_server) as unmigrated:
        cases = {
            "Kafka nowhere": (1, "SEDNA_SYNC_KAFKA_BOOTSTRAP_SERVERS", {
                "KAFKA_BOOTSTRAP_SERVERS": nobody
            }),
            "Postgres down": (1, nobody, {"DATABASE_URL": f"postgresql://u:hush@{nobody}/db"}),
            "not migrated": (1, "sedna-sync migrate", {"DATABASE_URL": unmigrated}),
            "no key": (2, "openssl rand -base64 32", {"ENCRYPTION_KEYS": ""}),
            "a wrong key": (2, "SEDNA_SYNC_ENCRYPTION_KEYS", {"ENCRYPTION_KEYS": "k1:hush"}),
            "a short lease": (2, "SEDNA_SYNC_LEASE", {"LEASE": "30"}),
            "no number": (2, "SEDNA_SYNC_REQUEST_TIMEOUT", {"REQUEST_TIMEOUT": "soon"}),
        }  # fmt: skip
        ends = await asyncio.gather(
            *(here.command("run", **settings) for _, _, settings in cases.values())
        )
        for (name, (code, cure, _)), (ended, out, error) in zip(cases.items(), ends, strict=True):
            last = error.splitlines()[-1]
            assert (name, ended, out) == (name, code, "")
            assert cure in last, name
            assert "Traceback" not in error, name
            assert "hush" not in error, name


async def test_run_goes_on_when_one_tenants_password_does_not_open(world: WorldFactory) -> None:
    async with world([account("well"), account("sealed")]) as here:
        password = here.fake.account("sealed").config.password
        code, _, error = await here.command(
            "tenant", "set", "sealed", "--password-stdin", stdin=password, ENCRYPTION_KEYS=OTHER_KEY
        )
        assert (code, error) == (0, "")
        service = await here.start()
        await here.publish_reservations((name, reservation(name, 1)) for name in ("sealed", "well"))
        await here.until_settled(1)
        await service.until_logged("postponed")

        assert here.fake.holdings("well").vouchers == {"V000001": 1}
        (line,) = service.lines("postponed")
        assert line["tenant"] == "sealed"
        assert "ENCRYPTION_KEYS" in line["reason"]


async def test_migrate_makes_the_tables_once(world: WorldFactory, postgres_server: str) -> None:
    async with world([]) as here, database(postgres_server) as empty:
        code, first, _ = await here.command("migrate", DATABASE_URL=empty)
        assert (code, first.splitlines()[0]) == (0, "applied 0001_initial")
        code, again, _ = await here.command("migrate", "--json", DATABASE_URL=empty)
        assert (code, json.loads(again)) == (0, {"applied": []})


async def test_doctor_finds_everything_well_where_it_is(world: WorldFactory) -> None:
    async with world([account("a"), account("b")]) as here:
        (code, text, _), (json_code, out, error) = await asyncio.gather(
            here.command("doctor"), here.command("doctor", "--json")
        )
        assert (code, json_code, error) == (0, 0, "")
        assert "FAIL" not in text
        found = json.loads(out)
        assert found["ok"] is True
        checks = {check["name"]: check["message"] for check in found["checks"]}
        operator = here.fake.account("a").config.operator_id
        assert checks["tenant a"] == f"logged in as operator {operator}"
        assert {"kafka", "postgres", f"topic {here.topics.deadletter}"} <= checks.keys()


async def test_doctor_says_which_topic_which_tenant_and_which_server_is_not_well(
    world: WorldFactory, postgres_server: str
) -> None:
    async with world([account("a"), account("sealed"), account("away")]) as here:
        uneven, missing = f"{here.topics.stop_sales}.uneven", f"{here.topics.synced}.missing"
        await create_topics(here.kafka, {uneven: 5})
        nobody = f"http://127.0.0.1:{free_port()}/SednaAgencyb2bApi"
        await asyncio.gather(
            here.command("tenant", "set", "a", "--password-stdin", stdin="wrong"),
            here.command("tenant", "set", "away", "--url", nobody),
            here.command(
                "tenant", "set", "sealed", "--password-stdin", stdin="x", ENCRYPTION_KEYS=OTHER_KEY
            ),
        )
        async with database(postgres_server) as unmigrated:
            ends = await asyncio.gather(
                here.command("doctor", "--json", TOPIC_STOP_SALES=uneven, TOPIC_SYNCED=missing),
                here.command("doctor", "--json", DATABASE_URL=unmigrated),
                here.command(
                    "doctor", "--json", KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}"
                ),
            )
        assert [code for code, _, _ in ends] == [1, 1, 1]
        assert [error for _, _, error in ends] == ["", "", ""]
        wrong, tableless, kafkaless = [
            {
                check["name"]: check["message"]
                for check in json.loads(out)["checks"]
                if not check["ok"]
            }
            for _, out, _ in ends
        ]
        assert wrong.keys() == {
            f"topic {missing}", "partitions", "tenant a", "tenant sealed", "tenant away"
        }  # fmt: skip
        assert "create it" in wrong[f"topic {missing}"]
        assert f"{uneven} has 5" in wrong["partitions"]
        assert "check user name and password" in wrong["tenant a"]
        assert "ENCRYPTION_KEYS" in wrong["tenant sealed"]
        assert "sedna-sync migrate" in tableless["postgres"]
        assert "SEDNA_SYNC_KAFKA_BOOTSTRAP_SERVERS" in kafkaless["kafka"]


async def test_a_tenant_is_set_up_shown_changed_listed_and_removed_and_its_password_is_never_shown(
    world: WorldFactory, tmp_path: Path
) -> None:
    async with world([]) as here:
        new = replace(account("new"), password="from a file: pässwörd ")
        here.fake.state.configure([new])
        secret = tmp_path / "secret"
        secret.write_text(f"{new.password}\n")
        code, out, error = await here.command(
            "tenant", "set", "new", "--url", f"{here.fake.base_url}/", "--username", new.username,
            "--password-file", str(secret), "--operator-code", "7STAR", "--max-in-flight", "3",
        )  # fmt: skip
        assert (code, out, error) == (0, "tenant new set up\n", "")
        assert (await here.command("doctor", "--json"))[0] == 0

        code, _, _ = await here.command("tenant", "set", "new", "--requests-per-second", "2.5")
        assert code == 0
        (code, shown, _), (_, listed, _), (_, text, _) = await asyncio.gather(
            here.command("tenant", "show", "new", "--json"),
            here.command("tenant", "list", "--json"),
            here.command("tenant", "show", "new"),
        )
        found = json.loads(shown)
        assert json.loads(listed) == [found]
        wanted = {
            "tenant_id": "new",
            "sedna_api_url": here.fake.base_url,
            "sedna_username": new.username,
            "sedna_operator_code": "7STAR",
            "sedna_authority_id": 207,
            "max_in_flight": 3,
            "requests_per_second": 2.5,
            "is_active": True,
        }
        assert wanted.items() <= found.items()
        assert not any("password" in name for name in found)
        assert "password" not in text

        code, out, _ = await here.command("tenant", "remove", "new")
        assert (code, out) == (0, "tenant new removed\n")
        ends = await asyncio.gather(
            here.command("tenant", "show", "new"), here.command("tenant", "remove", "new")
        )
        assert [code for code, _, _ in ends] == [1, 1]
        assert all("there is no tenant new" in error for _, _, error in ends)


async def test_what_is_used_wrongly_ends_with_2_and_says_so(world: WorldFactory) -> None:
    async with world([]) as here:
        wrong = {
            "a tenant id is": ("set", "a b", "--username", "u"),
            "give --url and --username": ("set", "new", "--password-stdin"),
            "not both": ("set", "new", "--password-stdin", "--password-file", "/dev/null"),
            "password is empty": ("set", "new", "--url", "http://h", "--username", "u",
                                  "--password-file", "/dev/null"),
            "http or https": ("set", "new", "--url", "ftp://h"),
            "no user, password, query": ("set", "new", "--url", "http://u:hush@h/"),
            "No such option": ("set", "new", "--password", "hush"),
            "No such command": ("sett",),
        }  # fmt: skip
        ends = await asyncio.gather(
            *(here.command("tenant", *arguments, stdin="x") for arguments in wrong.values())
        )
        for said, (code, out, error) in zip(wrong, ends, strict=True):
            assert (said, code, out) == (said, 2, "")
            assert said in error
            assert "hush" not in error
        assert await here.value("SELECT count(*) FROM tenant_settings") == 0


async def test_keys_are_rotated_in_place_and_the_old_one_is_then_not_needed(
    world: WorldFactory,
) -> None:
    async with world([account("a"), account("b")]) as here:
        both = here.environment()["SEDNA_SYNC_ENCRYPTION_KEYS"]
        both = f"{OTHER_KEY},{both}"
        code, out, _ = await here.command("tenant", "rotate-keys", "--json", ENCRYPTION_KEYS=both)
        assert (code, json.loads(out)) == (
            0, {"changed": 2, "tenants": 2, "active_key": "other", "unopened": {}}
        )  # fmt: skip
        again, without, old_only = await asyncio.gather(
            here.command("tenant", "rotate-keys", "--json", ENCRYPTION_KEYS=both),
            here.command("doctor", ENCRYPTION_KEYS=OTHER_KEY),
            here.command("doctor"),
        )
        assert json.loads(again[1])["changed"] == 0
        assert without[0] == 0
        assert old_only[0] == 1


async def test_a_topic_that_is_missing_is_named_once_and_read_as_soon_as_it_is_there(
    kafka_server: str, database_url: str, group_id: str
) -> None:
    names = Topics.unique()
    async with (
        FakeSedna(accounts=[account("a")]) as fake,
        running_world(
            fake=fake,
            kafka=kafka_server,
            topics=names,
            database_url=database_url,
            group_id=group_id,
        ) as here,
    ):
        await here.add_tenants([account("a")])
        starting = asyncio.create_task(here.start())
        while not here.services or not here.services[0].lines("topics_missing"):
            await asyncio.sleep(0.05)
        (said,) = here.services[0].lines("topics_missing")
        assert said["topics"] == list(astuple(names))
        assert "SEDNA_SYNC_TOPIC_*" in said["do"]
        await create_topics(kafka_server, dict.fromkeys(astuple(names), 2))
        service = await starting
        await here.publish_reservations([("a", reservation("a", 1))])
        await here.until_settled(1)
        assert len(service.lines()) < 50

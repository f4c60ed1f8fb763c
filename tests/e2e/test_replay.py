"""`replay`: a topic is read again beside the service, and only what is missing is done."""

import asyncio
import json
import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewPartitions, RecordsToDelete
from aiokafka.structs import TopicPartition

from consumer.demo.fake import Fault, FaultKind, Hotel, Room, When
from tests.e2e.conftest import WorldFactory
from tests.support import kafka_clients
from tests.support.events import account, reservation, stop_sale
from tests.support.kafka_clients import Message, admin, create_topics, produce
from tests.support.service import World

#: Seconds that a notice may take: well below those after which a missed one is made up for.
SOON = 20.0
NEW_HOTEL = Hotel(id=777, name="Neverland Palace", rooms=(Room(7771, "STD"),))
NOWHERE = {"hotel_name": "Neverland Palace", "room_type": "STD"}


def build_the_hotel(here: World, *names: str) -> None:
    """From now on the accounts have one hotel more."""
    here.fake.state.configure(
        replace(config, hotels=(*config.hotels, NEW_HOTEL))
        for config in (here.fake.account(name).config for name in names)
    )


async def replay(here: World, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    """What `replay --json` prints, line by line."""
    found, out, error = await here.command("replay", "--json", *arguments)
    assert found == code, error
    assert "Traceback" not in error
    return [json.loads(line) for line in out.splitlines()]


def items(lines: list[dict[str, Any]]) -> dict[tuple[str, int, int], tuple[str, str | None]]:
    return {
        (line["topic"], line["partition"], line["offset"]): (line["outcome"], line["code"])
        for line in lines
        if line["type"] == "item"
    }


def totals(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """What the summary counts, without what is zero."""
    assert lines[-1]["type"] == "summary"
    return {name: number for name, number in lines[-1]["totals"].items() if number}


async def rows(here: World) -> list[dict[str, Any]]:
    """All syncs, but for what moves by itself."""
    found = await here.query("SELECT * FROM syncs ORDER BY id")
    return [dict(row) for row in found]


async def test_what_is_synced_is_read_again_and_nothing_is_sent_published_or_changed(
    world: WorldFactory,
) -> None:
    async with world([account("a"), account("b")]) as here:
        await here.start()
        await here.publish_reservations(
            (tenant, reservation(tenant, number)) for number in range(20) for tenant in "ab"
        )
        await here.publish_stop_sales(
            (tenant, stop_sale(tenant, number)) for number in range(5) for tenant in "ab"
        )
        await here.until_settled(50)
        await here.until_committed()
        before, sent = await rows(here), len(here.fake.journal.entries)
        results = await here.results()
        group = await kafka_clients.committed(here.kafka, here.group_id)

        lines = await replay(here, "--yes")
        assert totals(lines) == {"synced": 50}
        assert lines[-1]["complete"] is True
        assert await rows(here) == before
        assert len(here.fake.journal.entries) == sent
        assert await here.results() == results
        assert await kafka_clients.committed(here.kafka, here.group_id) == group


async def test_what_was_never_read_is_done_by_the_running_services_without_a_restart(
    world: WorldFactory,
) -> None:
    async with world([account("a"), account("b")]) as here:
        await here.publish_reservations(
            (name, reservation(name, n)) for n in range(30) for name in "ab"
        )
        await here.publish_stop_sales(
            (name, stop_sale(name, n)) for n in range(10) for name in "ab"
        )
        await here.skip_to_end()
        await here.start()
        await here.start()
        group = await kafka_clients.committed(here.kafka, here.group_id)
        lines = await replay(here, "--yes")
        assert totals(lines) == {"created": 80}
        # Sooner than a notice that was missed would be made up for.
        await here.until_settled(80, timeout_seconds=SOON)
        assert await here.value("SELECT count(*) FROM syncs WHERE state = 'synced'") == 80
        for name in "ab":
            holdings = here.fake.holdings(name)
            assert holdings.vouchers == {f"V{n:06}": 1 for n in range(30)}
        assert await kafka_clients.committed(here.kafka, here.group_id) == group
        assert len(await here.results()) == 80
        assert totals(await replay(here, "--yes")) == {"synced": 80}


async def publish_mixture(here: World, tenant: str, first: int) -> None:
    """New events for which no service runs, some of them doubled, differing or unreadable."""
    new = [reservation(tenant, first + n) for n in range(5)]
    await here.publish_reservations(
        (tenant, value)
        for value in (*new, new[0], reservation(tenant, first + 1, adults=3), b"rubbish")
    )
    await here.publish_stop_sales((tenant, stop_sale(tenant, first + n)) for n in range(3))


async def test_a_dry_run_and_a_real_run_agree_item_by_item(world: WorldFactory) -> None:
    async with world([account("a"), account("b")]) as here:
        service = await here.start(DOUBT_WINDOW=600)
        # Synced, failed, in doubt, conflicting and unreadable ones that the service has read.
        await here.publish_reservations(("a", reservation("a", n)) for n in range(10))
        await here.publish_stop_sales(("b", stop_sale("b", n)) for n in range(4))
        await here.publish_reservations(
            [("a", reservation("a", 20, **NOWHERE)), ("b", reservation("b", 21, **NOWHERE))]
        )
        await here.until_settled(16)
        here.fake.faults.add(
            Fault(kind=FaultKind.RESET, voucher="V000030", when=When.BEFORE_COMMIT, times=1)
        )
        await here.publish_reservations([("a", reservation("a", 30))])
        await here.until_value(
            1, "SELECT count(*) FROM syncs WHERE in_doubt_since IS NOT NULL AND state = 'pending'"
        )
        await here.publish_reservations(
            [("a", reservation("a", 1, adults=3)), ("a", b"{}"), ("b", reservation("a", 5))]
        )
        await here.until_committed()
        assert await service.stop() == 0
        # And what it has not: registered by the replay first.
        await publish_mixture(here, "b", 100)
        correction = reservation("b", 21, hotel_name="Lara Park Belek", room_type="STD")
        await here.publish_reservations([("b", correction)])

        before = await rows(here)
        plain = await replay(here, "--dry-run")
        dry = await replay(here, "--dry-run", "--items", "--retry-failed", "--republish")
        assert await rows(here) == before
        assert await here.value("SELECT count(*) FROM replays") == 0
        real = await replay(here, "--yes", "--items", "--retry-failed", "--republish")
        assert items(dry) == items(real)
        assert dry[-1]["tenants"] == real[-1]["tenants"]
        assert totals(dry) == totals(real)
        assert totals(real) == {
            "created": 8,
            "retried": 2,
            "synced": 14,
            "in_doubt": 1,
            "conflict": 3,  # one of them is the correction, of what is being tried again
            "duplicate": 1,
            "unreadable": 3,
            "republished": 14,
        }
        assert totals(plain) == {
            "created": 8,
            "corrected": 1,
            "synced": 14,
            "in_doubt": 1,
            "failed": {"hotel_not_found": 2},
            "conflict": 2,
            "duplicate": 1,
            "unreadable": 3,
        }


async def test_failed_work_is_tried_again_only_where_that_is_asked_for(world: WorldFactory) -> None:
    async with world([account("a"), account("b")]) as here:
        await here.start()
        await here.publish_reservations((name, reservation(name, 1, **NOWHERE)) for name in "ab")
        await here.until_settled(2)
        build_the_hotel(here, "a", "b")
        await here.query("UPDATE tenant_settings SET updated_at = now()")  # lists are read anew
        assert totals(await replay(here, "--yes")) == {"failed": {"hotel_not_found": 2}}
        lines = await replay(here, "--yes", "--retry-failed", "--tenant", "b")
        assert totals(lines) == {"retried": 1}
        await here.until_value("synced", "SELECT state FROM syncs WHERE tenant_id = 'b'")
        assert await here.value("SELECT state FROM syncs WHERE tenant_id = 'a'") == "failed"
        assert here.fake.holdings("b").vouchers == {"V000001": 1}


async def test_results_are_published_again_word_for_word_where_that_is_asked_for(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        await here.start()
        await here.publish_reservations([("a", reservation("a", 1))])
        await here.publish_reservations([("a", reservation("a", 2, **NOWHERE))])
        await here.publish_stop_sales([("a", stop_sale("a", 3))])
        await here.until_settled(3)
        await here.publish_reservations([("a", reservation("a", 1, adults=4)), ("a", b"rubbish")])
        await here.until_committed()
        await here.until_settled(3)
        first = await here.results()
        assert len(first) == 5
        sent = len(here.fake.journal.entries)

        lines = await replay(here, "--yes", "--republish")
        assert totals(lines) == {
            "synced": 2,
            "failed": {"hotel_not_found": 1},
            "conflict": 1,
            "unreadable": 1,
            "republished": 3,
        }
        await here.until_settled(3)
        again = await here.results()
        assert len(again) == 10
        by_id = {each["id"]: each for each in first}
        for each in again:
            # The answers to what was never registered carry the time of the publication.
            if each["data"]["attempts"]:
                assert each == by_id[each["id"]]
        assert {each["id"] for each in again} == by_id.keys()
        assert len(here.fake.journal.entries) == sent


async def test_a_range_of_time_holds_what_was_written_in_it_and_the_end_is_fixed_at_the_start(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        for minute in range(5):
            await stamped(here, minute, [("a", reservation("a", minute))])
        at = "2026-05-01T09:0{}:00Z"
        lines = await replay(here, "--yes", "--from", at.format(1), "--to", at.format(4), "--items")
        assert totals(lines) == {"created": 3}
        assert {line["key"] for line in lines if line["type"] == "item"} == {
            "V000001",
            "V000002",
            "V000003",
        }
        lines = await replay(here, "--dry-run", "--from", "offset:1", "--to", "offset:2")
        assert lines[0]["offsets"] <= 3


async def stamped(here: World, minute: int, events: Iterable[tuple[str, bytes]]) -> None:
    """Publish reservations as of a minute of that morning."""
    start = 1_777_626_000_000  # 2026-05-01T09:00:00Z
    async with AIOKafkaProducer(bootstrap_servers=here.kafka) as producer:
        for tenant, value in events:
            await producer.send_and_wait(
                here.topics.reservations,
                value,
                key=tenant.encode(),
                timestamp_ms=start + minute * 60_000,
            )


async def test_one_that_is_killed_again_and_again_comes_to_what_an_uninterrupted_one_does(
    world: WorldFactory,
) -> None:
    draws = random.Random(7)
    async with world([account(name) for name in "abc"]) as here:
        service = await here.start()
        await here.publish_reservations(
            (name, reservation(name, n, **({} if n % 7 else NOWHERE)))
            for n in range(100)
            for name in "abc"
        )
        await here.until_settled(300)
        await here.until_committed()
        assert await service.stop() == 0
        await here.publish_reservations(
            (name, reservation(name, n)) for n in range(100, 1_100) for name in "abc"
        )
        await here.publish_stop_sales(
            (name, stop_sale(name, n)) for n in range(200) for name in "abc"
        )
        await here.publish_reservations(
            (name, b"rubbish %d" % n) for n in range(50) for name in "abc"
        )
        dry = await replay(here, "--dry-run", "--retry-failed")

        asked = ("--yes", "--json", "--retry-failed", "--rate", "1500")
        for number in range(10):
            resume = ("--resume",) if number else ()
            process = await here.begin("replay", *asked, *resume)
            begun = "SELECT count(*) FROM replays"
            await here.until_value(1, begun)
            await asyncio.sleep(draws.uniform(0.0, 0.5))
            if process.returncode is None:
                process.kill()
            await process.communicate()
        lines = await replay(here, "--yes", "--retry-failed", "--resume")
        assert totals(lines) == totals(dry)
        assert lines[-1]["tenants"] == dry[-1]["tenants"]
        assert lines[-1]["complete"] is True
        assert await here.value("SELECT count(*) FROM replays") == 1
        assert await here.value("SELECT count(*) FROM syncs") == 300 + 3_000 + 600
        assert await here.value("SELECT count(*) FROM rejections") == 150
        assert await here.value("SELECT count(*) FROM outbox WHERE value IS NOT NULL") == 300
        # Once more: it is done, and says so.
        assert totals(await replay(here, "--yes", "--retry-failed", "--resume")) == totals(dry)


async def test_one_that_is_told_to_end_stores_where_it_is_and_says_how_to_go_on(
    world: WorldFactory,
) -> None:
    async with world([account("a")]) as here:
        await here.publish_reservations(("a", reservation("a", n)) for n in range(200))
        process = await here.begin("replay", "--yes", "--rate", "20")
        await here.until_value("true", "SELECT (count(*) > 20)::text FROM syncs")
        process.terminate()
        out, error = await process.communicate()
        assert process.returncode == 1
        assert "sedna-sync replay --resume" in error.decode()
        assert b"events read in" in out
        done = await here.value("SELECT count(*) FROM syncs")
        assert done < 200
        assert await here.value("SELECT sum(events)::int FROM replay_counts") == done
        assert totals(await replay(here, "--yes", "--resume")) == {"created": 200}
        assert await here.value("SELECT count(*) FROM syncs") == 200


async def test_two_processes_do_not_run_the_same_replay(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        await here.publish_reservations(("a", reservation("a", n)) for n in range(200))
        process = await here.begin("replay", "--yes", "--json", "--rate", "10")
        await here.until_value("true", "SELECT (count(*) > 0)::text FROM syncs")
        code, _, error = await here.command("replay", "--yes", "--json", "--resume")
        assert code == 1
        assert "being run by another process" in error
        process.terminate()
        await process.communicate()
        assert process.returncode == 1


async def test_gaps_of_transactions_and_compaction_are_passed_over(world: WorldFactory) -> None:
    async with world([account("a")], partitions=1) as here:
        async with AIOKafkaProducer(
            bootstrap_servers=here.kafka, transactional_id=here.group_id
        ) as producer:
            for n, commit in enumerate([True, False, True, False]):
                await producer.begin_transaction()
                for k in range(3):
                    await producer.send_and_wait(
                        here.topics.reservations, reservation("a", 10 * n + k), key=b"a"
                    )
                await (producer.commit_transaction() if commit else producer.abort_transaction())
        # The range ends in what nobody may see: an aborted transaction and its marker.
        lines = await replay(here, "--yes", "--topic", here.topics.reservations)
        assert totals(lines) == {"created": 6}
        assert lines[-1]["complete"] is True


async def test_what_retention_takes_away_before_it_is_read_is_passed_over_and_counted(
    world: WorldFactory,
) -> None:
    async with world([account("a")], partitions=1) as here:
        await here.publish_reservations(("a", reservation("a", n)) for n in range(50))
        first = await replay(here, "--yes", "--to", "offset:10", "--kind", "reservation")
        assert totals(first) == {"created": 10}
        # As if it had been interrupted before it read the rest, which is partly gone meanwhile.
        await here.query("UPDATE replays SET finished_at = NULL")
        await here.query("UPDATE replay_positions SET end_offset = 50")
        await expire(here, 30)
        lines = await replay(here, "--yes", "--resume")
        assert totals(lines) == {"created": 30}
        assert (lines[-1]["expired"], lines[-1]["complete"]) == (20, True)


async def expire(here: World, before: int) -> None:
    partition = TopicPartition(here.topics.reservations, 0)
    async with admin(here.kafka) as client:
        await client.delete_records({partition: RecordsToDelete(before_offset=before)})


async def test_after_the_number_of_partitions_was_raised_a_tenant_s_order_holds(
    world: WorldFactory,
) -> None:
    async with world([account("a")], partitions=1) as here:
        topic = here.topics.stop_sales
        # The older half in the one partition, the newer in another one, and that is read first.
        old = [stop_sale("a", n, hotel_name="Mandarin Resort & Spa") for n in range(6)]
        new = [stop_sale("a", n, hotel_name="Mandarin Resort & Spa") for n in range(6, 12)]
        await produce(here.kafka, [Message(topic=topic, key=b"a", value=each) for each in old])
        async with admin(here.kafka) as client:
            await client.create_partitions({topic: NewPartitions(3)})
        await asyncio.sleep(0.5)
        await produce(
            here.kafka, [Message(topic=topic, key=b"a", value=each, partition=2) for each in new]
        )
        assert totals(await replay(here, "--yes", "--kind", "stop_sale")) == {"created": 12}
        order = await here.query("SELECT stop_sale_id FROM syncs ORDER BY seq")
        assert [row["stop_sale_id"] for row in order] == list(range(12))


async def test_a_topic_that_was_created_anew_is_replayed_by_what_is_in_it_now(
    world: WorldFactory,
) -> None:
    async with world([account("a")], partitions=1) as here:
        service = await here.start()
        await here.publish_reservations(("a", reservation("a", n)) for n in range(6))
        await here.until_settled(6)
        await here.until_committed()
        assert await service.stop() == 0
        sent = len(here.fake.requests("InsertReservation"))
        await create_anew(here)
        # The same vouchers at other places, other ones at the places of the old ones.
        await here.publish_reservations(
            [("a", reservation("a", n)) for n in (3, 2, 8, 9, 1)]
            + [("a", reservation("a", 0, adults=4))]
        )
        lines = await replay(here, "--yes", "--kind", "reservation")
        assert totals(lines) == {"synced": 3, "created": 2, "conflict": 1}
        assert len(here.fake.requests("InsertReservation")) == sent


async def test_an_interrupted_replay_is_not_taken_up_in_a_topic_that_was_created_anew(
    world: WorldFactory,
) -> None:
    async with world([account("a")], partitions=1) as here:
        await here.publish_reservations(("a", reservation("a", n)) for n in range(10))
        await replay(here, "--yes", "--to", "offset:5", "--kind", "reservation")
        await here.query("UPDATE replays SET finished_at = NULL")
        await here.query("UPDATE replay_positions SET end_offset = 10")
        await create_anew(here)
        await here.publish_reservations(("a", reservation("a", n)) for n in range(20, 40))
        code, _, error = await here.command("replay", "--yes", "--resume")
        assert code == 1
        assert "created anew" in error
        # And where it is shorter than the place that was reached.
        await create_anew(here)
        await here.publish_reservations([("a", reservation("a", 50))])
        code, _, error = await here.command("replay", "--yes", "--resume")
        assert code == 1
        assert "created anew" in error
        assert await here.value("SELECT count(*) FROM syncs") == 5


async def create_anew(here: World) -> None:
    topic = here.topics.reservations
    async with admin(here.kafka) as client:
        await client.delete_topics([topic])
        while topic in await client.list_topics():
            await asyncio.sleep(0.05)
    await create_topics(here.kafka, {topic: 1})


async def test_what_cannot_be_read_says_so_in_one_line_and_what_to_do(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        cases: list[tuple[tuple[str, ...], int, str]] = [
            (("--topic", "nowhere", "--kind", "reservation", "--yes"), 1, "no topic nowhere"),
            (("--topic", "nowhere", "--yes"), 2, "add --kind"),
            (("--topic", here.topics.stop_sales, "--kind", "reservation", "--yes"), 2, "stop_sale"),
            (("--from", "yesterday", "--yes"), 2, "2026-05-01T00:00:00Z"),
            (("--rate", "0", "--yes"), 2, "--rate"),
            (("--tenant", "no tenant", "--yes"), 2, "tenant id"),
            (("--resume", "--yes"), 1, "no replay to resume"),
            (("--resume", "17", "--yes"), 1, "no replay 17"),
            (("--resume", "--dry-run"), 2, "dry run"),
            ((), 2, "--yes"),
        ]
        for arguments, expected, said in cases:
            code, out, error = await here.command("replay", *arguments)
            assert (code, out) == (expected, ""), arguments
            assert said in error, error
            assert "Traceback" not in error


async def test_a_person_is_shown_what_would_be_done_by_tenant_and_kind(world: WorldFactory) -> None:
    async with world([account("a"), account("b")]) as here:
        await here.start()
        await here.publish_reservations((name, reservation(name, 1)) for name in "ab")
        await here.publish_stop_sales([("a", stop_sale("a", 1))])
        await here.until_settled(3)
        await here.services[0].stop()
        await here.publish_reservations((name, reservation(name, 2)) for name in "ab")
        code, out, error = await here.command("replay", "--dry-run")
        assert code == 0
        lines = [line.split() for line in out.splitlines()]
        assert lines[0] == ["tenant", "kind", "created", "synced"]
        assert ["a", "reservation", "1", "1"] in lines
        assert ["a", "stop_sale", "1"] in lines
        assert ["in", "all", "2", "3"] in lines
        assert "2 would be handed to the service" in out
        assert "at its pace of late" in out
        assert "dry run of a replay: from beginning to end, of all tenants" in error


async def test_of_topics_that_are_empty_there_is_nothing_to_be_done(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        code, out, _ = await here.command("replay", "--yes")
        assert (code, out[:13]) == (0, "replay 1: 0 e")
        assert totals(await replay(here, "--dry-run")) == {}
        # Its end was fixed: what came since is no part of it.
        await here.publish_reservations([("a", reservation("a", 1))])
        assert totals(await replay(here, "--yes", "--resume")) == {}


async def test_a_backfill_makes_each_record_once_though_a_service_and_the_replay_are_killed(
    world: WorldFactory,
) -> None:
    short = {"CONNECT_TIMEOUT": "1", "REQUEST_TIMEOUT": "2", "LEASE": "4", "DOUBT_WINDOW": "2"}
    async with world([account(name, latency_seconds=0.05) for name in "ab"]) as here:
        here.settings |= short | {"DRAIN_TIMEOUT": "3"}
        await here.publish_reservations(
            (name, reservation(name, n)) for n in range(400) for name in "ab"
        )
        await here.publish_stop_sales(
            (name, stop_sale(name, n)) for n in range(40) for name in "ab"
        )
        await here.skip_to_end()
        first = await here.start()
        await here.start()
        await first.until_logged("partitions_assigned", times=2)
        process = await here.begin("replay", "--yes", "--json", "--rate", "300")
        await here.until_value(
            "true", "SELECT (count(*) > 100)::text FROM syncs WHERE state = 'synced'"
        )
        process.kill()
        await process.communicate()
        await first.kill()
        await here.publish_reservations((name, reservation(name, 9_000)) for name in "ab")
        assert totals(await replay(here, "--yes", "--resume")) == {"created": 880}
        await here.until_settled(882, timeout_seconds=120)
        assert await here.value("SELECT count(*) FROM syncs WHERE state = 'synced'") == 882
        for name in "ab":
            holdings = here.fake.holdings(name)
            assert holdings.vouchers == {f"V{n:06}": 1 for n in (*range(400), 9_000)}
            assert list(holdings.stop_sales.values()) == [1] * 40
            assert not holdings.incomplete_stop_sales


async def test_a_replay_and_the_service_that_read_the_same_at_once_make_one_of_each(
    world: WorldFactory,
) -> None:
    async with world([account(name) for name in "abc"]) as here:
        await here.publish_reservations(
            (name, reservation(name, n)) for n in range(600) for name in "abc"
        )
        await here.publish_stop_sales(
            (name, stop_sale(name, n)) for n in range(60) for name in "abc"
        )
        replays = [await here.begin("replay", "--yes", "--json") for _ in range(2)]
        await here.start()
        for process in replays:
            _, error = await process.communicate()
            assert process.returncode == 0, error.decode()
        await here.until_committed()
        await here.until_settled(1_980)
        assert await here.value("SELECT count(*) FROM syncs WHERE state = 'synced'") == 1_980
        assert await here.value("SELECT count(*) FROM conflicts") == 0
        for name in "abc":
            assert here.fake.holdings(name).vouchers == {f"V{n:06}": 1 for n in range(600)}
        assert len(await here.results()) == 1_980
        # Whoever came first: it is live work once the service has read it.
        assert not await here.value(
            "SELECT count(*) FROM syncs WHERE replayed AND state = 'pending'"
        )

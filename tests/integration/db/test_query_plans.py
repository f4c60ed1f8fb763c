"""Every query is by index: its work does not grow with the history."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from db import history, sql, status
from db.pool import Connection, connect
from tests.integration.db.builders import NOW
from tests.support.postgres import database

#: Tables that grow with the work; a tenant's settings do not.
GROWING = {"syncs", "sync_attempts", "outbox", "rejections", "conflicts"}

#: About runs of replays, of which there are few, and the temporary table of one.
OF_A_RUN = {
    f"replays.{name}"
    for name in (
        *("begin", "add_positions", "latest", "by_id", "positions", "advance", "count", "counts"),
        *("finish", "lock", "make_memory", "recall", "remember"),
    )
}

FILL = """
INSERT INTO syncs (tenant_id, kind, voucher_no, stop_sale_id, payload, content_hash, event_id,
                   origin_topic, origin_partition, origin_offset, lane, state, dispatched_at,
                   in_doubt_since, error_code, replayed)
SELECT 'tenant-' || n % 50, CASE n % 5 WHEN 0 THEN 'stop_sale' ELSE 'reservation' END, 'V' || n, n,
       jsonb_build_object('remark', repeat(md5(n::text), 20)), decode(md5(n::text), 'hex'),
       'event-' || n, 'topic', n / 50 % 6, n,
       CASE WHEN n % 5 > 0 THEN 'voucher:V' || n WHEN n % 7 > 2 THEN 'hotel:' || n % 20 END,
       -- What is pending came last, most of it; something old waits as well.
       CASE WHEN n > 18000 OR n % 100 = 0 THEN 'pending' WHEN n % 20 = 1 THEN 'failed'
            ELSE 'synced' END,
       CASE WHEN n % 400 = 0 THEN now() END, CASE WHEN n % 800 = 0 THEN now() END,
       CASE WHEN n % 20 = 1 THEN 'code-' || n % 3 END,
       n % 3 = 0
FROM generate_series(1, 20000) AS n;
INSERT INTO sync_attempts (sync_id, tenant_id, generation, attempt, outcome, started_at,
                           finished_at)
SELECT id, tenant_id, 1, 1, 'synced', now(), now() FROM syncs;
INSERT INTO outbox (kind, origin_partition, tenant_id, topic, key, value, headers)
SELECT kind, origin_partition, tenant_id, 'sedna.synced', '', convert_to(payload::text, 'UTF8'),
       '[]'
FROM syncs;
INSERT INTO rejections (origin_topic, origin_partition, origin_offset, value, headers, digest,
                        error_code, error_message)
SELECT 'topic', n % 6, n, decode(repeat(md5(n::text), 10), 'hex'), '[]', '', 'invalid_event', 'x'
FROM generate_series(1, 20000) AS n;
INSERT INTO conflicts (origin_topic, origin_partition, origin_offset, digest, tenant_id)
SELECT 'topic', n % 6, n, decode(md5(n::text), 'hex'), 'tenant-1'
FROM generate_series(1, 20000) AS n;
"""


@pytest.fixture(scope="module")
async def full(postgres_server: str, migrated_template: str) -> AsyncIterator[Connection]:
    """A database in which much has happened."""
    async with database(postgres_server, template=migrated_template) as url:
        connection = await connect(url)
        await connection.execute(FILL)
        await connection.execute("VACUUM ANALYZE")
        yield connection
        await connection.close()


def arguments(size: int) -> dict[str, list[Any]]:
    """Each query's arguments, for a batch of so many rows."""
    ids = [1 + 37 * n for n in range(size)]
    tenants = [f"tenant-{n % 50}" for n in range(size)]
    kinds = ["reservation"] * size
    keys = [f"V{n}" for n in ids]
    texts, numbers, blobs, times = ["x"] * size, [1] * size, [b"x"] * size, [NOW] * size
    payloads = ["{}"] * size
    arrival = [payloads, blobs, texts, times, texts, texts, texts, numbers, numbers, texts, blobs]
    stream = ["reservation", 0, "tenant-1", False]
    days = ["2026-12-01", "2026-12-31"]
    lease = [texts, numbers, numbers]
    return {
        "inbox.insert": [tenants, kinds, numbers, keys, numbers, *arrival, None],
        "inbox.existing": [tenants, kinds, keys],
        "inbox.look": [tenants, kinds, keys],
        "inbox.recognise": ["topic", tenants, kinds, keys, numbers, ids, blobs],
        "inbox.promote": [tenants, ids],
        "inbox.add_conflicts": [texts, numbers, ids, blobs, tenants],
        "inbox.renew": [ids, numbers, *arrival, ids, tenants, 1],
        "inbox.reject": [
            *(texts, numbers, ids, times, blobs, blobs, blobs, blobs),
            *(tenants, texts, texts, texts, payloads),
        ],
        "outbox.add": [kinds, numbers, tenants, texts, blobs, blobs, blobs],
        "outbox.page": [["reservation", "stop_sale"] * 3, [0, 0, 1, 1, 2, 2], 500, size],
        "outbox.partitions": [],
        "outbox.delete": [ids],
        "settlement.settle": [
            *(ids, tenants, numbers, numbers, texts, texts, times, times, numbers, numbers),
            *([True] * size, texts, texts, payloads, times, times, texts, blobs, blobs),
            *(numbers, payloads, blobs, texts, *lease, texts, [False] * size),
        ],
        "settlement.settled_before": [ids, tenants, numbers, numbers, times],
        "replays.results": [tenants, ids],
        "replays.unpublished": [size],
        "replays.pace": [tenants[:1], 1],
        "retries.tenants": [],
        "retries.page": ["tenant-1", 500, None, None, None, size],
        "retries.count": ["tenant-1"],
        "retries.by_ids": [ids, None],
        "retries.reservation": ["tenant-1", 1],
        "retries.stop_sale": ["tenant-0", "500"],
        "retries.states": [tenants, ids],
        "retries.lock": ["tenant-1", ids, numbers],
        "retries.places": [size],
        "retries.synced_in_lanes": ["tenant-0", ["hotel:0"], 500, *days],
        "retries.synced": ["tenant-0", 500, *days],
        "retries.pending": ["tenant-0", 500, *days],
        "retries.again": ["tenant-1", ids, ids, False, None],
        "work.streams": [],
        "work.page": [*stream, 500, size],
        "work.unresolved": ["tenant-0", 500, 2**62, size],
        "work.earlier_in_lane": ["tenant-0", "hotel:0", 2**62, size],
        "work.synced_behind": [*("tenant-0", "hotel:0", "topic", 2, 500, NOW, *days, size, 18)],
        "work.store_lanes_ahead": [ids, tenants, numbers, texts, *lease],
        "work.store_lanes": [ids, tenants, numbers, texts, *lease],
        "work.mark": [ids, tenants, numbers, numbers, texts, times, *lease],
        "work.record_step_one": [ids, tenants, numbers, numbers, *lease],
        "work.hold": [ids, tenants, "reservation.created", 0, 1],
        "work.is_marked_by_other": [1, "tenant-1", "token"],
    }


def nodes(plan: dict[str, Any], *, limited: bool = False) -> Iterator[tuple[dict[str, Any], bool]]:
    """Every node of a plan, and whether a LIMIT stands right above it."""
    yield plan, limited
    for child in plan.get("Plans", []):
        yield from nodes(child, limited=plan["Node Type"] == "Limit")


def whole_reads(plan: dict[str, Any]) -> list[str]:
    """What in a plan reads a whole growing table, or a whole index."""
    found = []
    for node, limited in nodes(plan):
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in GROWING:
            found.append(f"Seq Scan on {node['Relation Name']}")
        if "Index Name" in node and "Index Cond" not in node and not limited:
            found.append(f"{node['Node Type']} of the whole of {node['Index Name']}")
    return found


def queries() -> dict[str, str]:
    return {
        f"{area}.{name}": text
        for area in ("inbox", "outbox", "replays", "retries", "settlement", "work")
        for name, text in sql.load(area).items()
        if f"{area}.{name}" not in OF_A_RUN
    }


def test_every_query_about_growing_tables_is_looked_at() -> None:
    assert set(arguments(1)) == set(queries())


async def whole_reads_of(connection: Connection, explain: str, *given: Any) -> list[str]:
    explained = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {explain}", *given)
    return whole_reads(json.loads(explained)[0]["Plan"])


async def test_a_query_that_is_not_by_index_would_be_found(full: Connection) -> None:
    for text, found in {
        "SELECT FROM syncs WHERE payload = '{}'": ["Seq Scan on syncs"],
        "DELETE FROM outbox WHERE topic = 'x'": ["Seq Scan on outbox"],
        "SELECT count(*) FROM syncs WHERE state = 'pending'": [
            "Index Only Scan of the whole of syncs_pending_by_owner"
        ],
    }.items():
        assert await whole_reads_of(full, text) == found


@pytest.mark.parametrize("size", [1, 20, 500])
@pytest.mark.parametrize("name", arguments(1))
async def test_a_query_reads_no_growing_table_as_a_whole(
    full: Connection, name: str, size: int
) -> None:
    assert await whole_reads_of(full, queries()[name], *arguments(size)[name]) == []


@pytest.mark.parametrize("name", arguments(1))
async def test_the_plan_that_postgres_keeps_for_any_arguments_reads_no_growing_table_as_a_whole(
    full: Connection, name: str
) -> None:
    count = len(arguments(1)[name])
    call = f"EXECUTE kept ({', '.join(['NULL'] * count)})" if count else "EXECUTE kept"
    await full.execute(f"PREPARE kept AS {queries()[name]}")
    await full.execute("SET plan_cache_mode = force_generic_plan")
    try:
        assert await whole_reads_of(full, call) == []
    finally:
        await full.execute("DEALLOCATE kept")
        await full.execute("RESET plan_cache_mode")


@pytest.mark.parametrize(
    "name",
    [
        *("inbox.existing", "outbox.page", "outbox.partitions", "work.page", "work.streams"),
        *("work.unresolved", "work.earlier_in_lane", "retries.page", "retries.tenants"),
    ],
)
async def test_what_is_read_in_pages_reads_no_row_of_others_on_the_way(
    full: Connection, name: str
) -> None:
    given = arguments(20)[name]
    explained = await full.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {queries()[name]}", *given)
    scans = [
        node
        for node, _ in nodes(json.loads(explained)[0]["Plan"])
        if node.get("Relation Name") in GROWING
    ]
    assert scans
    assert [node.get("Rows Removed by Filter", 0) for node in scans] == [0] * len(scans)


@pytest.fixture(scope="module")
async def unanalysed(postgres_server: str, migrated_template: str) -> AsyncIterator[Connection]:
    """A backlog that came just now: Postgres knows nothing of it, and thinks it small."""
    async with database(postgres_server, template=migrated_template) as url:
        connection = await connect(url)
        for table in GROWING:
            await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
        await connection.execute(
            FILL.replace(
                "WHEN n > 18000 OR n % 100 = 0 THEN 'pending'", "WHEN n > 0 THEN 'pending'"
            )
        )
        yield connection
        await connection.close()


@pytest.mark.parametrize("size", [20, 400])
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("name", arguments(1))
async def test_a_query_does_not_read_the_backlog_even_before_postgres_has_statistics_of_it(
    unanalysed: Connection, name: str, mode: str, size: int
) -> None:
    given = arguments(size)[name]
    transaction = unanalysed.transaction()
    await transaction.start()
    try:
        await unanalysed.execute(f"SET LOCAL plan_cache_mode = {mode}")
        explained = await unanalysed.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {queries()[name]}", *given
        )
    finally:
        await transaction.rollback()
    read = {
        f"{node['Node Type']} {node.get('Index Name', '')} {node.get('Relation Name', '')}": rows
        for node, _ in nodes(json.loads(explained)[0]["Plan"])
        if "Scan" in node["Node Type"]
        and node.get("Relation Name", node.get("Index Name", "")).startswith(tuple(GROWING))
        and (
            rows := (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
            * node["Actual Loops"]
        )
        > BOUNDS.get(name, 3) * size
    }
    assert read == {}


#: How many rows a query may read for each that it was asked about, where it is more than 3.
BOUNDS = {
    # Hops once for each stream or partition that there is: 50 tenants, 6 partitions, 2 kinds, and
    # 2 classes.
    "work.streams": 80,
    "outbox.page": 8,  # a page of each partition
    "retries.pending": 20,  # all that wait of the tenant's stop sales
    "replays.pace": 200,  # the tenant's last ones
}


#: Indexes that serve people's questions; no work is to be planned with them.
FOR_PEOPLE = {
    "syncs_in_doubt",
    "syncs_failed_by_code",
    "syncs_failed_in_order",
    "syncs_stop_sales_synced",
    "syncs_reservations_by_email",
}
WORK = [name for name in arguments(1) if not name.startswith("retries.")]


async def plan_of(connection: Connection, query: str, *given: Any) -> list[dict[str, Any]]:
    """The nodes of a plan that was run, and undone again."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        explained = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *given)
    finally:
        await transaction.rollback()
    return [node for node, _ in nodes(json.loads(explained)[0]["Plan"])]


@pytest.fixture(scope="module")
async def failures(postgres_server: str, migrated_template: str) -> AsyncIterator[Connection]:
    """Everything has failed just now, all of it of one tenant; Postgres has no statistics of it."""
    async with database(postgres_server, template=migrated_template) as url:
        connection = await connect(url)
        await connection.execute("ALTER TABLE syncs SET (autovacuum_enabled = false)")
        await connection.execute(FILL)
        await connection.execute("DELETE FROM syncs WHERE state <> 'failed'")
        await connection.execute("UPDATE syncs SET tenant_id = 'tenant-1'")
        yield connection
        await connection.close()


@pytest.fixture(scope="module")
def states(full: Connection, unanalysed: Connection, failures: Connection) -> dict[str, Connection]:
    """Databases in different states."""
    return {"full": full, "unanalysed": unanalysed, "failures": failures}


@pytest.mark.parametrize("state", ["full", "unanalysed", "failures"])
@pytest.mark.parametrize("name", WORK)
async def test_no_work_is_planned_with_an_index_that_is_for_people(
    states: dict[str, Connection], state: str, name: str
) -> None:
    plan = await plan_of(states[state], queries()[name], *arguments(20)[name])
    assert not FOR_PEOPLE & {node.get("Index Name") for node in plan}


#: What a person asks, its arguments, and the one index of `syncs` that answers it.
QUESTIONS: dict[str, tuple[list[Any], str]] = {
    "partitions": ([], "syncs_pending_by_owner"),
    "pending": (
        [["reservation"] * 12, [*range(6)] * 2, ["tenant-1"] * 12, [False] * 6 + [True] * 6],
        "syncs_pending_by_owner",
    ),
    "doubts": ([], "syncs_in_doubt"),
    "doubts_of": (["tenant-0"], "syncs_in_doubt"),
    "failures": ([], "syncs_failed_by_code"),
    "failures_of": (["tenant-1"], "syncs_failed_by_code"),
    "failed_hotels_of": (["tenant-1", ["x", "y"], 500], "syncs_failed_by_code"),
}


def test_every_question_about_syncs_is_looked_at() -> None:
    asked = {name for name, text in sql.load("status").items() if "syncs" in text}
    assert asked == set(QUESTIONS)


@pytest.mark.parametrize("state", ["full", "unanalysed", "failures"])
@pytest.mark.parametrize("name", QUESTIONS)
async def test_what_a_person_asks_reads_what_it_counts_and_nothing_else(
    states: dict[str, Connection], state: str, name: str
) -> None:
    connection = states[state]
    given, index = QUESTIONS[name]
    async with connection.transaction():
        await connection.execute(status.BY_INDEX)
        plan = await plan_of(connection, sql.load("status")[name], *given)
    scans = [node for node in plan if node.get("Relation Name") == "syncs"]
    assert {node.get("Index Name") for node in scans} == {index}
    assert [node.get("Rows Removed by Filter", 0) for node in scans] == [0] * len(scans)


#: What people ask of single syncs or in pages when they retry, the index that answers it, and how
#: many rows that may read, where it is bounded.
RETRIES = {
    "tenants": ("syncs_failed_in_order", 51),
    "page": ("syncs_failed_in_order", 20),
    "reservation": ("syncs_reservations_by_email", 1),
    "stop_sale": ("syncs_identity", 1),
    "synced_in_lanes": ("syncs_stop_sales_synced", None),
    "synced": ("syncs_stop_sales_synced", None),
    "pending": ("syncs_pending_by_owner", None),
}


@pytest.mark.parametrize("state", ["full", "unanalysed", "failures"])
@pytest.mark.parametrize("name", RETRIES)
async def test_what_is_asked_for_a_retry_is_answered_by_the_index_made_for_it(
    states: dict[str, Connection], state: str, name: str
) -> None:
    index, most = RETRIES[name]
    given = arguments(20)[f"retries.{name}"]
    plan = await plan_of(states[state], queries()[f"retries.{name}"], *given)
    scans = [node for node in plan if node.get("Relation Name") == "syncs"]
    assert {node.get("Index Name") for node in scans} == {index}
    read = sum(node["Actual Rows"] * node["Actual Loops"] for node in scans)
    assert most is None or read <= most


@pytest.mark.parametrize("state", ["full", "unanalysed", "failures"])
@pytest.mark.parametrize("code", [None, "code-1"])
async def test_failed_ones_are_read_in_order_whatever_they_are_filtered_by(
    states: dict[str, Connection], state: str, code: str | None
) -> None:
    given = ["tenant-1", 500, "reservation", code, None, 20]
    plan = await plan_of(states[state], queries()["retries.page"], *given)
    assert [node["Node Type"] for node in plan] == ["Limit", "Index Scan"]
    assert plan[-1]["Index Name"] == "syncs_failed_in_order"


@pytest.mark.parametrize("state", ["full", "unanalysed", "failures"])
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_what_has_overtaken_a_replayed_stop_sale_is_found_by_the_index_made_for_that(
    states: dict[str, Connection], state: str, mode: str
) -> None:
    connection = states[state]
    async with connection.transaction():
        await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
        plan = await plan_of(
            connection, queries()["work.synced_behind"], *arguments(500)["work.synced_behind"]
        )
    scans = [node for node in plan if node.get("Relation Name") == "syncs"]
    assert len(scans) == 4
    assert {node.get("Index Name") for node in scans} == {"syncs_stop_sales_in_topic"}
    assert all("Index Cond" in node for node in scans)


ANY: list[Any] = [None] * 10
#: What a tenant asks of its history, its arguments, the indexes, and the rows that may be read.
HISTORY: dict[str, tuple[list[Any], set[str], int]] = {
    "page": (["tenant-1", 15_000, 100, 20, *ANY], {"syncs_by_tenant", "syncs_pkey"}, 120),
    "one": ([501, "tenant-1"], {"syncs_pkey", "syncs_by_tenant"}, 1),
    "attempts": ([501, "tenant-1", 200], {"sync_attempts_by_sync"}, 2),
    # 50 that failed, 50 that wait in each partition and class, and a hop for each partition.
    "unsynced": (["tenant-1", 50], {"syncs_failed_in_order", "syncs_pending_by_owner"}, 1300),
}
FILTERED = ["tenant-1", 15_000, 100, 20, "failed", *ANY[1:]]


def test_every_question_about_the_history_is_looked_at() -> None:
    assert set(sql.load("history")) == set(HISTORY)


@pytest.mark.parametrize("state", ["full", "unanalysed", "failures"])
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("name", [*HISTORY, "filtered page"])
async def test_a_tenants_question_reads_as_much_as_it_is_told_and_no_row_of_others(
    states: dict[str, Connection], state: str, mode: str, name: str
) -> None:
    connection = states[state]
    given, indexes, most = HISTORY[name.removeprefix("filtered ")]
    async with connection.transaction():
        await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
        if name not in {"one", "attempts"}:
            await connection.execute(history.IN_ORDER)
        plan = await plan_of(
            connection,
            sql.load("history")[name.removeprefix("filtered ")],
            *(FILTERED if "filtered" in name else given),
        )
    scans = [node for node in plan if node.get("Relation Name") in GROWING]
    assert {node.get("Index Name") for node in scans} <= indexes
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in scans) <= most
    assert [node.get("Rows Removed by Filter", 0) for node in scans] == [0] * len(scans)


#: What the gauges ask, its arguments, and the one index of a growing table that answers it.
GAUGES: dict[str, tuple[list[Any], str]] = {
    "pending": ([["reservation"] * 2, [0, 4]], "syncs_pending_by_owner"),
    "oldest": ([["reservation", "stop_sale"], [0, 4]], "syncs_pending_by_owner"),
    "doubts": ([], "syncs_in_doubt"),
    "outbox": ([["reservation", "stop_sale"], [0, 4]], "outbox_by_owner"),
}


def test_every_question_of_the_gauges_about_growing_tables_is_looked_at() -> None:
    asked = {
        name
        for name, text in sql.load("gauges").items()
        if any(re.search(rf"\b{table}\b", text) for table in GROWING)
    }
    assert asked == set(GAUGES)


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("state", ["full", "unanalysed", "failures"])
@pytest.mark.parametrize("name", GAUGES)
async def test_a_gauge_reads_what_it_counts_and_nothing_else(
    states: dict[str, Connection], name: str, state: str, mode: str
) -> None:
    connection = states[state]
    given, index = GAUGES[name]
    async with connection.transaction():
        await connection.execute(status.BY_INDEX)
        await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
        plan = await plan_of(connection, sql.load("gauges")[name], *given)
    scans = [node for node in plan if node.get("Relation Name") in GROWING]
    assert {node.get("Index Name") for node in scans} == {index}
    assert [node.get("Rows Removed by Filter", 0) for node in scans] == [0] * len(scans)
    if given:
        assert all("Index Cond" in node for node in scans)


async def test_the_oldest_is_found_at_the_cost_of_the_tenants_and_not_of_the_backlog(
    unanalysed: Connection,
) -> None:
    given, _ = GAUGES["oldest"]
    async with unanalysed.transaction():
        await unanalysed.execute(status.BY_INDEX)
        plan = await plan_of(unanalysed, sql.load("gauges")["oldest"], *given)
    read = sum(
        node["Actual Rows"] * node["Actual Loops"]
        for node in plan
        if node.get("Relation Name") == "syncs"
    )
    assert 0 < read <= 2 * 2 * 50

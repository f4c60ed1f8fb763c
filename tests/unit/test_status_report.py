"""What `status` shows: who needs attention first, and all of it as JSON."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from consumer.cli.status_report import as_json, as_tables
from db.records import OpenBreaker
from db.status import Lease, OpenReplay, Status, TenantStatus, Unpublished
from schemas.kinds import Kind

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


def ago(**length: float) -> datetime:
    return AT - timedelta(**length)


def tenant(name: str, **changes: Any) -> TenantStatus:
    well = TenantStatus(
        tenant_id=name,
        is_active=True,
        pending={},
        oldest_pending=None,
        in_doubt=0,
        oldest_doubt=None,
        failed={},
        breaker=None,
    )
    return replace(well, **changes)


def blocked(name: str, **changes: Any) -> OpenBreaker:
    breaker = OpenBreaker(
        tenant_id=name,
        reason="login_refused",
        last_error="Sedna refused the login: wrong password",
        failures=3,
        opened_at=ago(minutes=5),
        open_until=AT + timedelta(seconds=25),
    )
    return replace(breaker, **changes)


def lease(partition: int, **changes: Any) -> Lease:
    held = Lease(
        topic="reservation.created",
        partition=partition,
        owner="host-1",
        epoch=7,
        expires_at=AT + timedelta(seconds=41),
    )
    return replace(held, **changes)


REPLAY = OpenReplay(id=17, started_at=ago(minutes=20), passed=41_200, offsets=100_000, running=True)


def status(*tenants: TenantStatus, **changes: Any) -> Status:
    found = Status(
        at=AT,
        tenants=tenants,
        unpublished=Unpublished(count=0, oldest=None),
        leases=(),
        replays=(),
    )
    return replace(found, **changes)


def shown(found: Status, *, rows: int | None = None, width: int = 200) -> str:
    console = Console(width=width, no_color=True)
    with console.capture() as capture:
        console.print(as_tables(found, rows=rows))
    return capture.get()


IN_TROUBLE = tenant(
    "agency-7",
    pending={Kind.RESERVATION: 1234, Kind.STOP_SALE: 5},
    oldest_pending=ago(hours=2, minutes=3),
    in_doubt=2,
    oldest_doubt=ago(seconds=90),
    failed={"conflict": 1, "hotel_not_found": 12},
    breaker=blocked("agency-7"),
)


def test_a_row_says_all_that_is_not_done() -> None:
    first, second = shown(status(IN_TROUBLE)).splitlines()[4:6]
    assert first.split() == [
        *("agency-7", "1", "234", "5", "2", "h", "3", "min", "2"),
        *("hotel_not_found", "12,", "conflict", "1", "login", "refused,"),
        *("probe", "in", "25", "s"),
    ]
    # Since when the first is in doubt.
    assert second.strip() == "1 min"


def test_no_word_is_cut_at_a_terminal_of_80_columns() -> None:
    text = shown(status(IN_TROUBLE), width=80)
    words = {word.strip(",") for word in text.splitlines()[4:8] for word in word.split()}
    assert words >= {"agency-7", "hotel_not_found", "conflict", "refused", "probe"}


def test_who_needs_attention_comes_first() -> None:
    tenants = [
        tenant("well"),
        tenant("failed", failed={"conflict": 1}),
        tenant("failed-more", failed={"conflict": 2}),
        tenant("young", oldest_pending=ago(seconds=1)),
        tenant("old", oldest_pending=ago(days=1)),
        tenant("doubt", in_doubt=1, oldest_doubt=ago(seconds=1)),
        tenant("blocked", breaker=blocked("blocked")),
    ]
    known = {each.tenant_id for each in tenants}
    lines = shown(status(*tenants)).splitlines()
    names = [line.split()[0] for line in lines if line and line.split()[0] in known]
    assert names == [each.tenant_id for each in reversed(tenants)]


def test_rows_beyond_the_last_are_counted_and_totals_are_of_all() -> None:
    tenants = [
        tenant(f"t{n:05}", pending={Kind.STOP_SALE: 2}, oldest_pending=ago(seconds=n))
        for n in range(10_000)
    ]
    text = shown(status(*tenants), rows=50)
    assert "… and 9 950 more tenants" in text
    assert "t09999" in text
    assert "t09949" not in text
    assert (
        "10 000 tenants: 0 reservations and 20 000 stop sales pending (oldest 2 h 46 min), "
        "0 in doubt, 0 failed, 0 blocked." in text
    )
    assert "more tenant" not in shown(status(*tenants[:60]))


def test_totals_add_up_codes_and_blocked_tenants() -> None:
    other = tenant("other", failed={"conflict": 2}, breaker=blocked("other"))
    assert (
        "2 tenants: 1 234 reservations and 5 stop sales pending (oldest 2 h 3 min), 2 in doubt, "
        "15 failed (hotel_not_found 12, conflict 3), 2 blocked." in shown(status(IN_TROUBLE, other))
    )


def test_tenants_that_are_not_worked_for_are_marked() -> None:
    text = shown(status(tenant("off", is_active=False), tenant("gone", is_active=None)))
    assert "off (inactive)" in text
    assert "gone (not set up)" in text


def test_a_probe_that_is_due_is_called_so() -> None:
    late = blocked("a", open_until=ago(seconds=1))
    assert "login refused, probe due" in shown(status(tenant("a", breaker=late)))


def test_partitions_are_grouped_by_owner_and_a_lease_that_ran_out_shows() -> None:
    leases = (
        *(lease(number) for number in (0, 1, 2, 5)),
        lease(3, owner="host-2", expires_at=ago(minutes=3)),
        lease(0, topic="stopsale.created", expires_at=AT),
    )
    lines = shown(status(leases=leases)).splitlines()
    assert lines[-3:] == [
        "reservation.created 0-2, 5: host-1, lease for 41 s more",
        "stopsale.created 0: host-1, lease ran out 0 s ago",
        "reservation.created 3: host-2, lease ran out 3 min ago",
    ]
    assert "No partition has an owner." in shown(status())


def test_a_replay_that_is_not_finished_says_how_far_it_is_and_how_to_go_on() -> None:
    assert "Replay 17 is running, 41 200 of 100 000 offsets read." in shown(
        status(replays=(REPLAY,))
    )
    stopped = replace(REPLAY, running=False)
    assert (
        "Replay 17 was interrupted, 41 200 of 100 000 offsets read: `sedna-sync replay "
        in shown(status(replays=(stopped,)))
    )
    assert "eplay" not in shown(status())


def test_what_waits_for_kafka_is_said() -> None:
    waiting = Unpublished(count=1, oldest=ago(seconds=4))
    text = shown(status(unpublished=waiting))
    assert "1 message not published yet, the oldest for 4 s." in text
    assert "Everything is published." in shown(status())


def test_one_tenant_alone_shows_why_it_is_blocked_and_nothing_of_the_service() -> None:
    text = shown(status(IN_TROUBLE, unpublished=None, leases=None, replays=None))
    assert text.splitlines()[-1] == (
        "Blocked for 5 min, 3 failures in a row. The last: Sedna refused the login: wrong password"
    )
    assert "published" not in text
    assert "owner" not in text


def test_markup_in_what_others_wrote_is_shown_as_it_is() -> None:
    odd = tenant("a", failed={"[bold]x[/]": 1}, breaker=blocked("a", last_error="[red]no[/red]"))
    text = shown(status(odd, unpublished=None, leases=None, replays=None))
    assert "[bold]x[/] 1" in text
    assert "[red]no[/red]" in text


def test_nothing_is_coloured_where_there_is_no_terminal() -> None:
    console = Console(width=80, force_terminal=False)
    with console.capture() as capture:
        console.print(as_tables(status(IN_TROUBLE)))
    assert "\x1b" not in capture.get()


def test_json_says_all_of_it() -> None:
    found = status(
        IN_TROUBLE,
        tenant("gone", is_active=None),
        unpublished=Unpublished(count=2, oldest=ago(seconds=1.5)),
        leases=(lease(3), lease(4, expires_at=AT)),
        replays=(REPLAY,),
    )
    held = {"topic": "reservation.created", "owner": "host-1", "epoch": 7}
    assert json.loads(json.dumps(as_json(found))) == {
        "at": "2026-11-22T12:00:00+00:00",
        "tenants": [
            {
                "tenant_id": "agency-7",
                "is_active": True,
                "pending": {"reservation": 1234, "stop_sale": 5},
                "oldest_pending_seconds": 7380.0,
                "in_doubt": 2,
                "oldest_doubt_seconds": 90.0,
                "failed": {"hotel_not_found": 12, "conflict": 1},
                "breaker": {
                    "reason": "login_refused",
                    "last_error": "Sedna refused the login: wrong password",
                    "failures": 3,
                    "opened_at": "2026-11-22T11:55:00+00:00",
                    "open_until": "2026-11-22T12:00:25+00:00",
                },
            },
            {
                "tenant_id": "gone",
                "is_active": None,
                "pending": {"reservation": 0, "stop_sale": 0},
                "oldest_pending_seconds": None,
                "in_doubt": 0,
                "oldest_doubt_seconds": None,
                "failed": {},
                "breaker": None,
            },
        ],
        "outbox": {"unpublished": 2, "oldest_seconds": 1.5},
        "partitions": [
            {**held, "partition": 3, "expires_at": "2026-11-22T12:00:41+00:00", "expired": False},
            {**held, "partition": 4, "expires_at": "2026-11-22T12:00:00+00:00", "expired": True},
        ],
        "replays": [
            {
                "replay_id": 17,
                "started_at": "2026-11-22T11:40:00+00:00",
                "passed": 41200,
                "of_offsets": 100000,
                "running": True,
            }
        ],
    }


def shape(value: Any) -> Any:
    """The fields of a document, and what kind of value each has."""
    match value:
        case dict():
            return {name: shape(each) for name, each in value.items()}
        case list():
            return [shape(value[0])]
        case _:
            return type(value)


def test_the_documented_example_is_of_the_shape_that_is_printed() -> None:
    (example,) = re.findall(
        r"^```json\n(.*?)^```$", OPERATIONS.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    waiting = Unpublished(count=3, oldest=ago(seconds=1.5))
    printed = as_json(
        status(IN_TROUBLE, unpublished=waiting, leases=(lease(0),), replays=(REPLAY,))
    )
    assert shape(json.loads(example)) == shape(printed)


def test_json_of_one_tenant_has_the_same_fields_and_nothing_of_the_service() -> None:
    one = as_json(status(unpublished=None, leases=None, replays=None))
    assert one.keys() == as_json(status()).keys()
    assert (one["outbox"], one["partitions"], one["replays"]) == (None, None, None)

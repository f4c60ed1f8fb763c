"""The demo: it runs as a person runs it, and it notices whatever is not as it had to be."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from consumer import advice
from consumer.cli.demo import demo
from consumer.demo import report
from consumer.demo.demo import Outcome
from consumer.demo.judge import judge
from consumer.demo.observed import Answer, DeadLetter, Held, Observed, Place, Published, Record
from consumer.demo.world import DEMO_TENANTS, demo_events, expected_holdings
from schemas.kinds import Kind
from schemas.outcomes import ErrorCode
from tests.e2e.conftest import WorldFactory

PASSWORDS = [tenant.account.password for tenant in DEMO_TENANTS]
ANSWERED = "every event was answered, once"
RIGHT = "every answer is the right one"
DEAD = "what cannot be read went to the dead letters"
RESERVATIONS = "Sedna holds every reservation once, and no other"
STOP_SALES = "Sedna holds every stop sale once, and no other"
NAMED = "the answers name the records that Sedna holds"
OPEN = "what was closed and opened again is for sale"
LEFT = "nothing is left over"


# -- as a person runs it ------------------------------------------------------------------------


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for temporary files, that a Postgres of another user can enter."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def start(*arguments: str, temporary: Path) -> subprocess.Popen[str]:
    # What a machine may have set for a service of its own must not matter.
    foreign = {
        "SEDNA_SYNC_DATABASE_URL_FILE": "/nowhere",
        "SEDNA_SYNC_KAFKA_GROUP_ID": "someone-elses",
        "HTTP_PROXY": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1",
    }
    return subprocess.Popen(
        [str(Path(sys.executable).parent / "sedna-sync"), "demo", *arguments],
        env={**os.environ, **foreign, "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_every_event_is_answered_and_the_numbers_add_up(temporary: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    process = start("--json", "--seed", "3", "--keep", str(kept), temporary=temporary)
    out, progress = process.communicate(timeout=120)
    assert process.returncode == 0, progress

    summary = json.loads(out)
    assert summary["ok"]
    assert all(check["ok"] for check in summary["checks"])
    assert len(summary["checks"]) == 8
    events = demo_events(3)
    tenants = {tenant["tenant_id"]: tenant for tenant in summary["tenants"]}
    assert {name: each["events"] for name, each in tenants.items()} == Counter(
        event.tenant_id for event in events
    )
    for name, tenant in tenants.items():
        own = [event for event in events if event.tenant_id == name]
        synced = tenant["synced"]["reservations"] + tenant["synced"]["stop_sales"]
        assert synced + len(tenant["failed"]) + tenant["duplicates"] == tenant["events"]
        assert tenant["synced"] == tenant["in_sedna"]
        expected = Counter(
            e.expect.removeprefix("failed:").replace("rejected", "invalid_event")
            for e in own
            if e.expect not in ("synced", "duplicate")
        )
        assert Counter(failure["code"] for failure in tenant["failed"]) == expected
        assert all(failure["why"] and failure["what_to_do"] for failure in tenant["failed"])
    assert sum(tenant["dead_letters"] for tenant in summary["tenants"]) == 2

    log = (kept / "service.log").read_text("utf-8")
    assert "partitions_assigned" in {json.loads(line)["event"] for line in log.splitlines()}
    assert json.loads((kept / "summary.json").read_text("utf-8")) == summary
    assert not [text for text in PASSWORDS for shown in (out, progress, log) if text in shown]
    # A server's folder is removed after the server is gone.
    assert list(temporary.iterdir()) == []


async def test_its_events_can_be_published_to_a_service_that_runs(world: WorldFactory) -> None:
    async with world([tenant.account for tenant in DEMO_TENANTS]) as here:
        await here.query("DELETE FROM tenant_settings")
        await here.start()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "consumer.demo.publish", "--seconds", "1"),
            *("--sedna", here.fake.base_url),
            env=here.environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await process.communicate())[0].decode()
        here.printed.append(said)
        assert process.returncode == 0, said
        events = demo_events(1)
        assert said == f"{len(events)} events published for 3 agencies\n"
        for name, held in expected_holdings(events).items():
            await here.until_value(
                len(held.vouchers),
                "SELECT count(*) FROM syncs WHERE state = 'synced' AND tenant_id = $1 "
                "AND kind = 'reservation'",
                name,
            )
            assert here.fake.holdings(name).vouchers == dict.fromkeys(held.vouchers, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_interrupted_stops_everything_and_leaves_nothing(
    temporary: Path, number: signal.Signals
) -> None:
    process = start(temporary=temporary)
    assert process.stdout is not None
    for line in process.stdout:
        if "events published" in line:
            break
    assert list(temporary.iterdir())
    process.send_signal(number)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 1
    assert complaint == "sedna-sync: stopped\n"
    assert list(temporary.iterdir()) == []


def test_without_its_packages_it_says_in_one_line_how_to_install_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("consumer.cli.demo._NEEDS", ("no_such_package",))
    result = CliRunner().invoke(demo)
    assert result.exit_code == 1
    assert result.output == (
        "Error: the demo needs no_such_package: pip install 'sedna-sync[demo]'\n"
    )


# -- a world in which all went well, to be broken -------------------------------------------------


@dataclass(slots=True)
class Seen:
    """What `Observed` holds, before it is frozen."""

    published: list[Published] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    reservations: dict[str, list[Record]] = field(default_factory=dict)
    stop_sales: dict[str, list[Record]] = field(default_factory=dict)
    unfinished: list[Record] = field(default_factory=list)
    closed: bool = False
    left: dict[str, int] = field(default_factory=dict)

    def frozen(self) -> Observed:
        expected = expected_holdings(each.event for each in self.published)
        left = {"pending": 0, "unpublished": 0, "unread": 0, "exit_code": 0} | self.left
        return Observed(
            published=self.published,
            answers=self.answers,
            dead_letters=self.dead_letters,
            held={
                tenant: Held(
                    reservations=self.reservations[tenant],
                    stop_sales=self.stop_sales[tenant],
                    unfinished=self.unfinished,
                    closed=due.open_again if self.closed else (),
                )
                for tenant, due in expected.items()
            },
            **left,
        )

    def place_of(self, expect: str) -> int:
        """The number of the first answer to an event of that expectation."""
        place = next(each.place for each in self.published if each.event.expect == expect)
        return next(n for n, answer in enumerate(self.answers) if answer.place == place)


def all_well() -> Seen:
    seen = Seen(
        reservations={tenant.tenant_id: [] for tenant in DEMO_TENANTS},
        stop_sales={tenant.tenant_id: [] for tenant in DEMO_TENANTS},
    )
    rec_ids = count(823_001)
    for offset, event in enumerate(demo_events(11, at=datetime.now(UTC))):
        kind = Kind(event.topic_kind)
        place = Place("in", 0, offset)
        seen.published.append(Published(event, place))
        answer = Answer(
            result_id=f"r{offset}",
            tenant_id=event.tenant_id,
            place=place,
            kind=kind,
            item_id=event.item_id,
            voucher_no=event.voucher_no,
            message="",
        )
        match event.expect.partition(":"):
            case ["synced", _, _]:
                rec_id, hotel_id = next(rec_ids), event.hotel_id or 0
                seen.answers.append(replace(answer, rec_id=rec_id, hotel_id=hotel_id))
                of_kind = seen.reservations if kind is Kind.RESERVATION else seen.stop_sales
                name = event.voucher_no or f"sedna-sync:{event.item_id}"
                of_kind[event.tenant_id].append(Record(name, hotel_id, rec_id))
            case ["failed", _, code]:
                seen.answers.append(replace(answer, code=ErrorCode(code)))
            case ["rejected", _, _]:
                seen.answers.append(replace(answer, code=ErrorCode.INVALID_EVENT))
                seen.dead_letters.append(
                    DeadLetter(place=place, key=event.key, value=event.value, code="c", message="m")
                )
    return seen


def broken_checks(seen: Seen) -> set[str]:
    return {check.name for check in judge(seen.frozen()) if not check.ok}


def test_a_world_in_which_all_went_well_passes() -> None:
    assert broken_checks(all_well()) == set()


def test_an_answer_that_was_published_twice_with_one_id_is_one_answer() -> None:
    seen = all_well()
    seen.answers.append(seen.answers[0])
    assert broken_checks(seen) == set()


def change(records: list[Record], **changes: Any) -> None:
    records[0] = replace(records[0], **changes)


def answer_as(seen: Seen, expect: str, **changes: Any) -> None:
    number = seen.place_of(expect)
    seen.answers[number] = replace(seen.answers[number], **changes)


def answer_again(seen: Seen, expect: str) -> None:
    seen.answers.append(replace(seen.answers[seen.place_of(expect)], result_id="another"))


def answer_the_duplicate(seen: Seen) -> None:
    place = next(each.place for each in seen.published if each.event.expect == "duplicate")
    seen.answers.append(replace(seen.answers[0], place=place, result_id="another"))


AURORA = DEMO_TENANTS[0].tenant_id
BREAKS: dict[str, tuple[Callable[[Seen], object], set[str]]] = {
    "a record is missing": (lambda s: s.reservations[AURORA].pop(), {RESERVATIONS, NAMED}),
    "a record is there twice": (
        lambda s: s.reservations[AURORA].append(replace(s.reservations[AURORA][0], rec_id=1)),
        {RESERVATIONS},
    ),
    "a record that nobody asked for": (
        lambda s: s.reservations[AURORA].append(Record("stray", 18, 1)),
        {RESERVATIONS},
    ),
    "a reservation in the wrong hotel": (
        lambda s: change(s.reservations[AURORA], hotel_id=999),
        {RESERVATIONS},
    ),
    "a stop sale is missing": (lambda s: s.stop_sales[AURORA].pop(), {STOP_SALES, NAMED}),
    "a stop sale is there twice": (
        lambda s: s.stop_sales[AURORA].append(replace(s.stop_sales[AURORA][0], rec_id=1)),
        {STOP_SALES},
    ),
    "a stop sale that was never filled": (
        lambda s: s.unfinished.append(Record("sedna-sync:1", 18, 1)),
        {STOP_SALES},
    ),
    "a hotel that stays closed": (lambda s: setattr(s, "closed", True), {OPEN}),
    "an event without an answer": (lambda s: s.answers.pop(s.place_of("synced")), {ANSWERED}),
    "a rejected event without an answer": (
        lambda s: s.answers.pop(s.place_of("rejected")),
        {ANSWERED},
    ),
    "an event with two answers": (lambda s: answer_again(s, "synced"), {ANSWERED}),
    "a duplicate that is answered": (answer_the_duplicate, {ANSWERED, RIGHT}),
    "an answer to nothing": (
        lambda s: s.answers.append(
            replace(s.answers[0], place=Place("in", 3, 9), result_id="another")
        ),
        {ANSWERED},
    ),
    "a failure with another code": (
        lambda s: answer_as(s, "failed:hotel_ambiguous", code=ErrorCode.HOTEL_NOT_FOUND),
        {RIGHT},
    ),
    "a success that is called a failure": (
        lambda s: answer_as(s, "synced", code=ErrorCode.GAVE_UP),
        {RIGHT},
    ),
    "an answer to another tenant": (
        lambda s: answer_as(s, "failed:conflict", tenant_id="ghost-travel"),
        {RIGHT},
    ),
    "an answer that names another hotel": (
        lambda s: answer_as(s, "synced", hotel_id=999),
        {RIGHT},
    ),
    "an answer that names no record": (lambda s: answer_as(s, "synced", rec_id=7), {NAMED}),
    "a dead letter is missing": (lambda s: s.dead_letters.pop(), {DEAD}),
    "a dead letter with other bytes": (
        lambda s: s.dead_letters.append(replace(s.dead_letters.pop(), value=b"other")),
        {DEAD},
    ),
    "a dead letter comes twice": (lambda s: s.dead_letters.append(s.dead_letters[0]), {DEAD}),
    "a sync is pending": (lambda s: s.left.update(pending=1), {LEFT}),
    "an answer is unpublished": (lambda s: s.left.update(unpublished=1), {LEFT}),
    "an event is unread": (lambda s: s.left.update(unread=1), {LEFT}),
    "the service fell over": (lambda s: s.left.update(exit_code=1), {LEFT}),
}


@pytest.mark.parametrize("name", BREAKS)
def test_whatever_is_not_as_it_had_to_be_is_noticed(name: str) -> None:
    break_it, noticed = BREAKS[name]
    seen = all_well()
    break_it(seen)
    assert broken_checks(seen) == noticed


# -- what it says ---------------------------------------------------------------------------------


def outcome_of(seen: Seen) -> Outcome:
    observed = seen.frozen()
    return Outcome(seed=11, seconds=1.0, observed=observed, checks=judge(observed))


def shown(outcome: Outcome) -> str:
    console = Console(file=io.StringIO(), width=80)
    report.show(console, outcome, log=Path("kept/service.log"))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_report_says_what_differs_and_where_the_log_is() -> None:
    seen = all_well()
    lost = seen.reservations[AURORA].pop()
    text = shown(outcome_of(seen))
    assert f"{AURORA}: voucher {lost.name} is there 0 times" in text
    assert "2 of 8 checks failed" in text
    assert "kept/service.log" in text
    assert "All is as it should be" not in text


def test_the_report_gives_each_failure_its_item_and_a_next_step() -> None:
    text = shown(outcome_of(all_well()))
    assert "All is as it should be" in text
    for event in demo_events(11):
        if event.expect.startswith("failed:"):
            kind = event.topic_kind.replace("_", " ")
            assert f"{kind} {event.item_id}:" in text
            assert event.expect.removeprefix("failed:") in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_command_fails_and_keeps_the_log_if_a_check_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = all_well()
    seen.answers.pop()

    async def play(*, log: Path, **_: object) -> Outcome:
        await asyncio.to_thread(log.write_text, "what the service said")
        return outcome_of(seen)

    monkeypatch.setattr("consumer.demo.demo.play", play)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    result = CliRunner().invoke(demo, ["--json"], standalone_mode=False)
    assert result.return_value == 1
    summary = json.loads(result.stdout)
    assert not summary["ok"]
    assert Path(summary["log"]).read_text("utf-8") == "what the service said"


def test_every_code_of_failure_has_a_next_step() -> None:
    assert all(advice.what_to_do(code) for code in ErrorCode)


@pytest.mark.parametrize("code", ErrorCode)
@pytest.mark.parametrize("details", [{}, {"candidates": 7, "known": None}])
def test_without_details_the_reason_is_the_message(
    code: ErrorCode, details: dict[str, object]
) -> None:
    assert advice.why(code, "it went wrong", details) == "it went wrong"


@pytest.mark.parametrize(
    "code, message",
    [
        (ErrorCode.CONFLICT, "it is there already; change it"),
        (ErrorCode.TENANT_NOT_CONFIGURED, "it is there already: set it up"),
    ],
)
def test_the_reason_leaves_out_what_the_next_step_says(code: ErrorCode, message: str) -> None:
    assert advice.why(code, message, {}) == "it is there already"


def test_the_reason_of_giving_up_keeps_the_last_error() -> None:
    message = "not done within 60 s; last error: no connection"
    assert advice.why(ErrorCode.GAVE_UP, message, {}) == message


NAMES: Sequence[tuple[ErrorCode, dict[str, object], str]] = [
    (
        ErrorCode.HOTEL_AMBIGUOUS,
        {"hotel_name": "Deniz", "candidates": [{"id": 1, "name": "Deniz Hotel"}, "x"]},
        "“Deniz” fits Deniz Hotel (1), x",
    ),
    (
        ErrorCode.ROOM_TYPE_UNKNOWN,
        {"hotel_name": "Lara", "room_type": "PRS", "known": ["STD", "FAM"]},
        "Lara has no room type PRS; it has STD, FAM",
    ),
    (ErrorCode.BOARD_UNKNOWN, {"board_type": "X", "known": []}, "no board X; there are none"),
    (ErrorCode.REFUSED_BY_SEDNA, {"sedna_message": "dolu"}, "Sedna says: dolu"),
]


@pytest.mark.parametrize("code, details, reason", NAMES)
def test_the_reason_names_what_a_person_needs(
    code: ErrorCode, details: dict[str, object], reason: str
) -> None:
    assert advice.why(code, "", details) == reason

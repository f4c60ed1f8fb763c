"""What `sedna-sync replay` shows: what it will read, how far it is, and what came of it."""

import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from consumer.cli.common import print_json
from consumer.replay.batch import Item
from consumer.replay.outcomes import TO_DO, Outcome, Tally
from consumer.replay.replayer import Progress as Done
from consumer.replay.runs import Plan, Report

#: Seconds between two lines of progress, where there is no bar.
_LINE_SECONDS = {"json": 1.0, "text": 10.0}
#: Rows of the table at a terminal; a pipe and --json get all.
_ROWS = 50
_WIDTH = 200
_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60


class Shows(Protocol):
    """Shows how far it is."""

    def show(self, done: Done) -> None:
        """It has come so far."""


@dataclass(frozen=True, slots=True)
class Shown:
    """How everything is shown."""

    as_json: bool
    items: bool

    @contextlib.contextmanager
    def progress(self, plan: Plan) -> Iterator[Shows]:
        """Something that shows the progress of a run, for as long as the block."""
        total = plan.offsets
        console = Console(stderr=True)
        if self.as_json or self.items or not console.is_terminal:
            yield _Lines(total, as_json=self.as_json)
            return
        columns = (
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]:,.0f} events/s"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console) as bar:
            yield _Bar(bar, total)

    def show_items(self, items: Sequence[Item]) -> None:
        """Say what events have come to, a line each."""
        for item in items:
            if self.as_json:
                print_json({"type": "item", **_item(item)}, on_one_line=True)
            else:
                where = f"{item.origin.topic}/{item.origin.partition}/{item.origin.offset}"
                code = f" ({item.code})" if item.code else ""
                click.echo(
                    f"{where}  {item.tenant_id or '-'}  {item.key or '-'}  "
                    f"{item.outcome.value}{code}"
                )


class _Bar:
    def __init__(self, bar: Progress, total: int) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=total, rate=0.0)
        self._started_at = time.monotonic()

    def show(self, done: Done) -> None:
        rate = done.events / max(time.monotonic() - self._started_at, 1e-6)
        self._bar.update(self._task, completed=done.offsets, rate=rate)


class _Lines:
    def __init__(self, total: int, *, as_json: bool) -> None:
        self._total = total
        self._as_json = as_json
        self._every = _LINE_SECONDS["json" if as_json else "text"]
        self._started_at = self._said_at = time.monotonic()

    def show(self, done: Done) -> None:
        now = time.monotonic()
        if now - self._said_at < self._every:
            return
        self._said_at = now
        rate = done.events / (now - self._started_at)
        passed = done.offsets / (now - self._started_at)
        remaining = (self._total - done.offsets) / passed if passed else None
        if self._as_json:
            line = {
                "type": "progress",
                "events": done.events,
                "offsets": done.offsets,
                "of_offsets": self._total,
                "events_per_second": round(rate, 1),
                "remaining_seconds": None if remaining is None else round(remaining, 1),
            }
            print_json(line, on_one_line=True)
        else:
            left = "" if remaining is None else f", {duration(remaining)} left"
            click.echo(
                f"{done.offsets:,} of {self._total:,} offsets, {rate:,.0f} events/s{left}", err=True
            )


def show_plan(plan: Plan, shown: Shown, *, dry_run: bool, rate: float | None) -> None:
    """Say what is about to be read."""
    asked = plan.asked
    if shown.as_json:
        begin = {
            "type": "begin",
            "replay_id": plan.replay_id,
            "dry_run": dry_run,
            "offsets": plan.offsets,
            "from": str(asked.since),
            "to": str(asked.until),
            "tenants": list(asked.tenants),
            "retry_failed": asked.retry_failed,
            "republish": asked.republish,
            "partitions": [
                {
                    "topic": each.topic,
                    "partition": each.partition,
                    "position": each.position,
                    "end": each.end,
                }
                for each in plan.positions
            ],
        }
        print_json(begin, on_one_line=True)
        return
    what = "replay" if plan.replay_id is None else f"replay {plan.replay_id}, what is left of it"
    whose = f"of {', '.join(asked.tenants)}" if asked.tenants else "of all tenants"
    click.echo(
        f"{'dry run of a ' if dry_run else ''}{what}: from {asked.since} to {asked.until}, {whose}",
        err=True,
    )
    for topic, kind in asked.topics:
        of_topic = [each for each in plan.positions if each.topic == topic]
        number = sum(each.end - each.position for each in of_topic)
        click.echo(
            f"  {topic} ({kind.value}): {number:,} offsets in {len(of_topic)} partitions", err=True
        )
    click.echo(
        "  what has failed is "
        + ("tried again, as it is stored" if asked.retry_failed else "left alone")
        + "; results of what is settled are "
        + ("published again" if asked.republish else "not published again")
        + (f"; at most {rate:g} events/s" if rate else ""),
        err=True,
    )


def show_report(report: Report, shown: Shown, *, seconds: float | None) -> None:
    """Say what came of it.

    Args:
        report: of the run.
        shown: how.
        seconds: that it took this process; None: it was finished before.
    """
    if shown.as_json:
        print_json(_report(report, seconds), on_one_line=True)
        return
    console = Console(highlight=False)
    rows: int | None = _ROWS
    if not console.is_terminal:
        console, rows = Console(highlight=False, width=_WIDTH), None
    if report.tally.counts:
        console.print(_table(report.tally, rows))
    if seconds is None:
        click.echo(f"replay {report.replay_id} was finished before")
    else:
        rate = report.events / seconds if seconds else 0.0
        name = "dry run" if report.replay_id is None else f"replay {report.replay_id}"
        click.echo(f"{name}: {report.events:,} events read in {duration(seconds)} ({rate:,.0f}/s)")
    if report.expired:
        click.echo(f"{report.expired:,} offsets were gone before they were read (retention)")
    to_do = sum(report.tally.to_do().values())
    if to_do:
        once = "would be" if report.replay_id is None else "were"
        how_long = (
            "how long that takes Sedna is not known: nothing was synced of late"
            if report.estimate is None
            else f"Sedna needs about {duration(report.estimate)} for them, at its pace of late"
        )
        click.echo(f"{to_do:,} {once} handed to the service; {how_long}")


def _table(tally: Tally, rows: int | None) -> Table:
    """By tenant and kind, with a column for each outcome that there is."""
    outcomes = [each for each in Outcome if tally.of(each)]
    table = Table(box=None, pad_edge=False)
    table.add_column("tenant")
    table.add_column("kind")
    for outcome in outcomes:
        table.add_column(outcome.value.replace("_", " "), justify="right")
    by_row = _by_row(tally)
    order = sorted(by_row, key=lambda row: (-_work(by_row[row]), row))
    for tenant_id, kind in order[:rows]:
        cells = [_cell(by_row[tenant_id, kind], outcome) for outcome in outcomes]
        table.add_row(tenant_id or "(no tenant)", kind, *cells)
    if rows is not None and len(order) > rows:
        table.add_row(f"… and {len(order) - rows:,} more", "")
    if len(order) > 1:
        table.add_row("in all", "", *(f"{tally.of(outcome):,}" for outcome in outcomes))
    return table


_Row = Mapping[tuple[str, str], int]


def _by_row(tally: Tally) -> dict[tuple[str, str], dict[tuple[str, str], int]]:
    found: dict[tuple[str, str], dict[tuple[str, str], int]] = defaultdict(dict)
    for (tenant_id, kind, outcome, code), events in tally.counts.items():
        found[tenant_id, kind][outcome, code] = events
    return found


def _work(row: _Row) -> int:
    return sum(events for (outcome, _), events in row.items() if outcome in TO_DO)


def _cell(row: _Row, outcome: Outcome) -> str:
    codes = {code: events for (each, code), events in row.items() if each == outcome}
    if outcome is Outcome.FAILED:
        return ", ".join(
            f"{code or 'unknown'} {events:,}" for code, events in sorted(codes.items())
        )
    total = sum(codes.values())
    return f"{total:,}" if total else ""


def _report(report: Report, seconds: float | None) -> dict[str, object]:
    by_row = _by_row(report.tally)
    return {
        "type": "summary",
        "replay_id": report.replay_id,
        "dry_run": report.replay_id is None,
        "complete": report.complete,
        "events": report.events,
        "seconds": None if seconds is None else round(seconds, 3),
        "expired": report.expired,
        "to_do": sum(report.tally.to_do().values()),
        "estimate_seconds": report.estimate,
        "totals": _counts(_summed(by_row.values())),
        "tenants": [
            {"tenant_id": tenant_id or None, "kind": kind, **_counts(by_row[tenant_id, kind])}
            for tenant_id, kind in sorted(by_row)
        ],
    }


def _summed(rows: Iterable[_Row]) -> _Row:
    total: Counter[tuple[str, str]] = Counter()
    for row in rows:
        total.update(row)
    return total


def _counts(row: _Row) -> dict[str, object]:
    """Every outcome with its number; failures by code."""
    counts: dict[str, object] = {
        outcome.value: sum(events for (each, _), events in row.items() if each == outcome)
        for outcome in Outcome
        if outcome is not Outcome.FAILED
    }
    counts["failed"] = {
        code or "unknown": events
        for (each, code), events in sorted(row.items())
        if each == Outcome.FAILED
    }
    return counts


def _item(item: Item) -> dict[str, object]:
    return {
        "topic": item.origin.topic,
        "partition": item.origin.partition,
        "offset": item.origin.offset,
        "tenant_id": item.tenant_id,
        "kind": item.kind.value,
        "key": item.key,
        "outcome": item.outcome.value,
        "code": item.code or None,
    }


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < _DAY:
        return f"{seconds / _HOUR:.1f} h"
    return f"{seconds / _DAY:.1f} days"

"""What the demo says at the end: for a person as tables, for a program as JSON.

Says only what was observed and judged; decides nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from consumer.advice import what_to_do, why
from consumer.demo.demo import Outcome
from consumer.demo.judge import Check
from consumer.demo.observed import Answer, Held, Observed
from schemas.kinds import Kind
from schemas.outcomes import ErrorCode

#: Of the problems of one check, so many are shown.
_PROBLEMS_SHOWN = 10


def show(console: Console, outcome: Outcome, *, log: Path | None) -> None:
    """Print the tables; `log` is where the service's log is kept, if it is."""
    observed = outcome.observed
    if outcome.ok:
        console.print("\nSome events had to fail. This is what a person can read and do:")
    for tenant in _tenants(observed):
        failed = _failed(observed, tenant)
        if failed:
            console.print()
            console.print(_failures(tenant, failed))
    console.print()
    console.print(_overview(observed))
    console.print()
    for check in outcome.checks:
        _show_check(console, check)
    console.print()
    _show_end(console, outcome)
    if log is not None:
        console.print(Text(f"The service's log: {log}"), soft_wrap=True)


def as_json(outcome: Outcome, *, log: Path | None) -> dict[str, Any]:
    """The same, for a program."""
    observed = outcome.observed
    return {
        "ok": outcome.ok,
        "seed": outcome.seed,
        "seconds": round(outcome.seconds, 1),
        "events": len(observed.published),
        "tenants": [_tenant_as_json(observed, tenant) for tenant in _tenants(observed)],
        "checks": [
            {"name": check.name, "ok": check.ok, "problems": list(check.problems)}
            for check in outcome.checks
        ],
        "log": None if log is None else str(log),
    }


def _tenant_as_json(observed: Observed, tenant: str) -> dict[str, Any]:
    held = observed.held.get(tenant, Held())
    return {
        "tenant_id": tenant,
        "events": _published(observed, tenant),
        "synced": {
            "reservations": _synced(observed, tenant, Kind.RESERVATION),
            "stop_sales": _synced(observed, tenant, Kind.STOP_SALE),
        },
        "failed": [
            {
                "code": code.value,
                "kind": answer.kind.value,
                "item_id": answer.item_id,
                "voucher_no": answer.voucher_no,
                "why": why(code, answer.message, answer.details),
                "message": answer.message,
                "what_to_do": what_to_do(code),
            }
            for code, answer in _failed(observed, tenant)
        ],
        "duplicates": _published(observed, tenant, "duplicate"),
        "dead_letters": _dead_letters(observed, tenant),
        "in_sedna": {
            "reservations": len(held.reservations),
            "stop_sales": len(held.stop_sales),
        },
    }


def _overview(observed: Observed) -> Table:
    rows = {
        tenant: (
            _published(observed, tenant),
            _synced(observed, tenant, Kind.RESERVATION),
            _synced(observed, tenant, Kind.STOP_SALE),
            len(_failed(observed, tenant)),
            _published(observed, tenant, "duplicate"),
        )
        for tenant in _tenants(observed)
    }
    table = _table(show_footer=True)
    table.add_column("Tenant", style="bold", no_wrap=True, footer="all")
    names = ("Events", "Reservations\nsynced", "Stop sales\nsynced", "Failed", "Repeated")
    styles = ("", "green", "green", "red", "")
    for place, (name, style) in enumerate(zip(names, styles, strict=True)):
        total = sum(row[place] for row in rows.values())
        table.add_column(name, justify="right", style=style, footer=str(total))
    held = sum(map(_records, observed.held.values()))
    table.add_column("Records\nin Sedna", justify="right", footer=str(held))
    for tenant, row in rows.items():
        own = observed.held.get(tenant)
        table.add_row(tenant, *map(str, row), "no account" if own is None else str(_records(own)))
    return table


def _table(**options: Any) -> Table:
    return Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), **options
    )


def _records(held: Held) -> int:
    return len(held.reservations) + len(held.stop_sales)


def _failures(tenant: str, failed: Sequence[tuple[ErrorCode, Answer]]) -> Table:
    table = _table(expand=True)
    table.add_column(Text.assemble((tenant, "bold"), f": {len(failed)} failed"), ratio=5)
    table.add_column("What to do", ratio=4)
    for code, group in groupby(failed, key=lambda each: each[0]):
        reasons = Text(code.value, style="red")
        for _, answer in group:
            reason = why(code, answer.message, answer.details)
            reasons.append(f"\n{answer.item}: {reason}", style="default")
        table.add_row(reasons, "\n" + what_to_do(code).replace("TENANT", tenant))
    return table


def _show_check(console: Console, check: Check) -> None:
    mark = ("✓ ", "green") if check.ok else ("✗ ", "bold red")
    console.print(Text.assemble(mark, check.name))
    for problem in check.problems[:_PROBLEMS_SHOWN]:
        console.print(Text(f"    {problem}", style="red"), soft_wrap=True)
    more = len(check.problems) - _PROBLEMS_SHOWN
    if more > 0:
        console.print(Text(f"    and {more} more", style="red"))


def _show_end(console: Console, outcome: Outcome) -> None:
    observed = outcome.observed
    if outcome.ok:
        records = sum(map(_records, observed.held.values()))
        line = (
            f"All is as it should be: {len(observed.published)} events, {records} records in "
            f"Sedna, each once. {outcome.seconds:.0f} seconds."
        )
        console.print(Text(line, style="bold green"), soft_wrap=True)
        return
    bad = sum(not check.ok for check in outcome.checks)
    line = f"{bad} of {len(outcome.checks)} checks failed. Seed {outcome.seed}."
    console.print(Text(line, style="bold red"), soft_wrap=True)


def _tenants(observed: Observed) -> list[str]:
    """Those that have an account, and then the others."""
    others = {each.event.tenant_id for each in observed.published} - observed.held.keys()
    return [*observed.held, *sorted(others)]


def _published(observed: Observed, tenant: str, expect: str | None = None) -> int:
    return sum(
        each.event.tenant_id == tenant and expect in (None, each.event.expect)
        for each in observed.published
    )


def _answers(observed: Observed, tenant: str) -> Iterable[Answer]:
    own: Mapping[str, Answer] = {
        answer.result_id: answer for answer in observed.answers if answer.tenant_id == tenant
    }
    return own.values()


def _synced(observed: Observed, tenant: str, kind: Kind) -> int:
    return sum(answer.code is None and answer.kind is kind for answer in _answers(observed, tenant))


def _failed(observed: Observed, tenant: str) -> list[tuple[ErrorCode, Answer]]:
    """By code, in the order of `ErrorCode`."""
    order = list(ErrorCode)
    failed = [(each.code, each) for each in _answers(observed, tenant) if each.code is not None]
    return sorted(failed, key=lambda each: (order.index(each[0]), each[1].item_id or 0))


def _dead_letters(observed: Observed, tenant: str) -> int:
    return sum((letter.key or b"").decode() == tenant for letter in observed.dead_letters)

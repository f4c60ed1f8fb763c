"""How things stand, as `sedna-sync status` says it: for a person as tables, for a program as JSON.

Says only what was read; reads nothing, and knows no other clock than the database's.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from db.records import OpenBreaker
from db.status import Lease, OpenReplay, Status, TenantStatus, Unpublished
from schemas.kinds import Kind


def as_json(status: Status) -> dict[str, Any]:
    """All of it, for a program."""
    at, leases = status.at, status.leases
    return {
        "at": at.isoformat(),
        "tenants": [_tenant_as_json(tenant, at) for tenant in status.tenants],
        "outbox": None if status.unpublished is None else _outbox_as_json(status.unpublished, at),
        "partitions": None if leases is None else [_lease_as_json(lease, at) for lease in leases],
        "replays": None if status.replays is None else [*map(_replay_as_json, status.replays)],
    }


def _tenant_as_json(tenant: TenantStatus, at: datetime) -> dict[str, Any]:
    return {
        "tenant_id": tenant.tenant_id,
        "is_active": tenant.is_active,
        "pending": {kind.value: tenant.pending.get(kind, 0) for kind in Kind},
        "oldest_pending_seconds": _seconds(tenant.oldest_pending, at),
        "in_doubt": tenant.in_doubt,
        "oldest_doubt_seconds": _seconds(tenant.oldest_doubt, at),
        "failed": dict(_most_first(tenant.failed)),
        "breaker": None if tenant.breaker is None else _breaker_as_json(tenant.breaker),
    }


def _breaker_as_json(breaker: OpenBreaker) -> dict[str, Any]:
    return {
        "reason": breaker.reason,
        "last_error": breaker.last_error,
        "failures": breaker.failures,
        "opened_at": breaker.opened_at.isoformat(),
        "open_until": breaker.open_until.isoformat(),
    }


def _outbox_as_json(unpublished: Unpublished, at: datetime) -> dict[str, Any]:
    return {
        "unpublished": unpublished.count,
        "oldest_seconds": _seconds(unpublished.oldest, at),
    }


def _lease_as_json(lease: Lease, at: datetime) -> dict[str, Any]:
    return {
        "topic": lease.topic,
        "partition": lease.partition,
        "owner": lease.owner,
        "epoch": lease.epoch,
        "expires_at": lease.expires_at.isoformat(),
        "expired": lease.expires_at <= at,
    }


def _replay_as_json(replay: OpenReplay) -> dict[str, Any]:
    return {
        "replay_id": replay.id,
        "started_at": replay.started_at.isoformat(),
        "passed": replay.passed,
        "of_offsets": replay.offsets,
        "running": replay.running,
    }


def as_tables(status: Status, *, rows: int | None = None) -> RenderableType:
    """What a person reads: who needs attention comes first.

    Args:
        status: what was read.
        rows: so many tenants at the most; None: all.
    """
    at = status.at
    tenants = sorted(status.tenants, key=lambda tenant: _attention(tenant, at))
    shown = tenants if rows is None else tenants[:rows]
    parts: list[RenderableType] = [_table_of(shown, at)] if shown else []
    if len(shown) < len(tenants):
        parts.append(Text(f"… and {_count(len(tenants) - len(shown), 'more tenant')}", "dim"))
    if status.unpublished is None:
        parts += [_why_blocked(tenant.breaker, at) for tenant in shown if tenant.breaker]
        return Group(*parts)
    parts += [Text(), _totals(tenants, at), _outbox(status.unpublished, at)]
    parts += map(_replay, status.replays or ())
    parts += _partitions(status.leases or (), at)
    return Group(*parts)


def _attention(tenant: TenantStatus, at: datetime) -> tuple[bool, bool, datetime, int, str]:
    """Blocked, in doubt, by age, by failures."""
    return (
        tenant.breaker is None,
        tenant.in_doubt == 0,
        tenant.oldest_pending or at,
        -sum(tenant.failed.values()),
        tenant.tenant_id,
    )


def _table_of(tenants: Sequence[TenantStatus], at: datetime) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("Tenant", overflow="fold")
    for name in ("Reser-\nvations\npending", "Stop\nsales\npending", "Oldest"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("In\ndoubt", justify="right", style="yellow", no_wrap=True)
    table.add_column("Failed", overflow="fold")
    table.add_column("Breaker", style="red")
    for tenant in tenants:
        doubt = f"{tenant.in_doubt}\n{_age(tenant.oldest_doubt, at)}" if tenant.in_doubt else ""
        table.add_row(
            _name(tenant),
            *(Text(_number(tenant.pending.get(kind, 0))) for kind in Kind),
            Text(_age(tenant.oldest_pending, at)),
            Text(doubt),
            Text(_codes(tenant.failed)),
            Text(_breaker(tenant.breaker, at) if tenant.breaker else ""),
        )
    return table


def _name(tenant: TenantStatus) -> Text:
    name = Text(tenant.tenant_id, "bold")
    if tenant.is_active is None:
        name.append(" (not set up)", "yellow")
    elif not tenant.is_active:
        name.append(" (inactive)", "dim")
    return name


def _breaker(breaker: OpenBreaker, at: datetime) -> str:
    left = breaker.open_until - at
    probe = f"probe in {_duration(left)}" if left > timedelta(0) else "probe due"
    return f"{breaker.reason.replace('_', ' ')}, {probe}"


def _why_blocked(breaker: OpenBreaker, at: datetime) -> Text:
    since = _age(breaker.opened_at, at)
    times = _count(breaker.failures, "failure")
    return Text.assemble(
        ("\nBlocked", "red"), f" for {since}, {times} in a row. The last: {breaker.last_error}"
    )


def _totals(tenants: Sequence[TenantStatus], at: datetime) -> Text:
    pending: Counter[Kind] = Counter()
    failed: Counter[str] = Counter()
    for tenant in tenants:
        pending.update(tenant.pending)
        failed.update(tenant.failed)
    oldest = min((tenant.oldest_pending for tenant in tenants if tenant.oldest_pending), default=at)
    waits = f" (oldest {_age(oldest, at)})" if pending else ""
    codes = f" ({_codes(failed)})" if failed else ""
    return Text(
        f"{_count(len(tenants), 'tenant')}: "
        f"{_count(pending[Kind.RESERVATION], 'reservation')} and "
        f"{_count(pending[Kind.STOP_SALE], 'stop sale')} pending{waits}, "
        f"{_number(sum(tenant.in_doubt for tenant in tenants))} in doubt, "
        f"{_number(failed.total())} failed{codes}, "
        f"{_number(sum(tenant.breaker is not None for tenant in tenants))} blocked."
    )


def _outbox(unpublished: Unpublished, at: datetime) -> Text:
    if not unpublished.count:
        return Text("Everything is published.")
    waiting = _count(unpublished.count, "message")
    return Text(f"{waiting} not published yet, the oldest for {_age(unpublished.oldest, at)}.")


def _replay(replay: OpenReplay) -> Text:
    how_far = f"{_number(replay.passed)} of {_count(replay.offsets, 'offset')} read"
    if replay.running:
        return Text(f"Replay {replay.id} is running, {how_far}.")
    return Text.assemble(
        f"Replay {replay.id} was ",
        ("interrupted", "yellow"),
        f", {how_far}: `sedna-sync replay --resume {replay.id}` goes on.",
    )


def _partitions(leases: Sequence[Lease], at: datetime) -> Iterator[RenderableType]:
    """Each owner's partitions of a topic as one line."""
    if not leases:
        yield Text("No partition has an owner.")
        return
    groups: defaultdict[tuple[str, str, bool], list[Lease]] = defaultdict(list)
    for lease in leases:
        groups[lease.owner, lease.topic, lease.expires_at <= at].append(lease)
    for (owner, topic, expired), own in sorted(groups.items()):
        ends = min(lease.expires_at for lease in own)
        state = (
            (f"ran out {_age(ends, at)} ago", "yellow")
            if expired
            else (f"for {_duration(ends - at)} more", "")
        )
        held = _ranges(lease.partition for lease in own)
        yield Text.assemble(f"{topic} {held}: {owner}, lease ", state)


def _ranges(numbers: Iterable[int]) -> str:
    """Numbers as people write them: `0-5, 7`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs)


def _most_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))


def _codes(failed: Mapping[str, int]) -> str:
    return ", ".join(f"{code} {_number(count)}" for code, count in _most_first(failed))


def _count(count: int, what: str) -> str:
    return f"{_number(count)} {what}{'' if count == 1 else 's'}"


def _number(count: int) -> str:
    return f"{count:,}".replace(",", " ")


def _age(since: datetime | None, at: datetime) -> str:
    return "" if since is None else _duration(at - since)


def _seconds(since: datetime | None, at: datetime) -> float | None:
    return None if since is None else max(0.0, round((at - since).total_seconds(), 3))


def _duration(length: timedelta) -> str:
    """As exact as it matters, and short."""
    seconds = max(0, int(length.total_seconds()))
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"

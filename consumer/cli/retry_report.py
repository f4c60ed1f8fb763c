"""What `sedna-sync retry` would do and what it has done, for a person or for a program.

Pure but for printing. It must never say that something is tried again which was not written.
"""

from collections import Counter
from dataclasses import dataclass, field

import click

from consumer.retrying import Carried, Planned
from consumer.superseding import Notice
from db.retries import FailedSync
from schemas.kinds import Kind


@dataclass(slots=True)
class Plan:
    """What the person is shown, and what is done of it; small for each sync that goes."""

    force: bool
    counts: Counter[tuple[str, Kind, str]] = field(default_factory=Counter)
    in_doubt: int = 0
    superseded: list[Planned] = field(default_factory=list)
    not_failed: list[FailedSync] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)  #: ids that no sync has
    shown: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  #: to be tried, by tenant

    def add(self, planned: Planned) -> None:
        """Count a sync, and note it if it is to be tried."""
        sync = planned.sync
        if sync.state != "failed":
            self.not_failed.append(sync)
            return
        if planned.superseded_by is not None:
            self.superseded.append(planned)
            if not self.force:
                return
        self.counts[sync.tenant_id, sync.kind, sync.code or "unknown"] += 1
        self.in_doubt += sync.in_doubt
        self.shown.setdefault(sync.tenant_id, []).append((sync.id, sync.generation))

    @property
    def total(self) -> int:
        """How many are to be tried."""
        return self.counts.total()

    @property
    def seen(self) -> set[int]:
        """The ids of all that was found."""
        return {
            *(sync_id for some in self.shown.values() for sync_id, _ in some),
            *(planned.sync.id for planned in self.superseded),
            *(sync.id for sync in self.not_failed),
        }


def show(plan: Plan) -> None:
    """Print what would be done."""
    for sync_id in plan.unknown:
        click.echo(f"there is no sync {sync_id}", err=True)
    for sync in plan.not_failed:
        record = "" if sync.rec_id is None else f", record {sync.rec_id} in Sedna"
        click.echo(
            f"sync {sync.id} ({_item(sync)} of tenant {sync.tenant_id}) has not failed: it is "
            f"{sync.state}{record}",
            err=True,
        )
    for (tenant_id, kind, code), count in sorted(plan.counts.items()):
        click.echo(f"{count:>8}  {tenant_id}  {kind.value}  {code}")
    if plan.in_doubt:
        click.echo(f"{plan.in_doubt} of these in doubt: Sedna is asked before anything is sent")
    for planned in plan.superseded:
        if planned.superseded_by is not None:
            click.echo(_overtaken(planned.sync, planned.superseded_by))
    if plan.superseded:
        click.echo(
            "overtaken, and tried again all the same (--force)"
            if plan.force
            else "superseded ones are left alone: sent now, they would undo what came after them "
            "(--force sends them)"
        )
    if not plan.total and not plan.unknown and not plan.not_failed and not plan.superseded:
        click.echo("nothing that has failed fits")


def _overtaken(sync: FailedSync, by: Notice) -> str:
    what = "which is under way" if by.is_pending else "which is synced"
    return (
        f"superseded: sync {sync.id} ({_item(sync)} of tenant {sync.tenant_id}) by stop sale "
        f"{by.stop_sale_id} of {by.first_day}..{by.last_day}, {what}"
    )


def summary(plan: Plan, carried: Carried) -> str:
    """What was done: a line for each that was overtaken since it was shown, and one for all."""
    lines = [
        _overtaken(planned.sync, planned.superseded_by)
        for planned in carried.superseded
        if planned.superseded_by is not None
    ]
    parts = [f"{syncs(len(carried.started))} tried again"]
    if carried.superseded:
        parts.append(f"{len(carried.superseded)} superseded meanwhile")
    if changed := _changed(plan, carried):
        parts.append(f"{changed} changed meanwhile and left alone")
    return "\n".join([*lines, ", ".join(parts)])


def as_json(plan: Plan, carried: Carried, *, dry_run: bool) -> dict[str, object]:
    """All of it, for a program."""
    return {
        "dry_run": dry_run,
        "to_retry": plan.total,
        "in_doubt": plan.in_doubt,
        "by": [
            {"tenant_id": tenant_id, "kind": kind.value, "code": code, "count": count}
            for (tenant_id, kind, code), count in sorted(plan.counts.items())
        ],
        "superseded": [
            {
                "sync_id": planned.sync.id,
                "tenant_id": planned.sync.tenant_id,
                "stop_sale_id": planned.sync.item_id,
                "by": {
                    "stop_sale_id": by.stop_sale_id,
                    "date_from": by.first_day.isoformat(),
                    "date_to": by.last_day.isoformat(),
                    "state": "pending" if by.is_pending else "synced",
                },
            }
            for planned in [*plan.superseded, *carried.superseded]
            if (by := planned.superseded_by) is not None
        ],
        "not_failed": [
            {"sync_id": sync.id, "tenant_id": sync.tenant_id, "state": sync.state}
            for sync in plan.not_failed
        ],
        "unknown": plan.unknown,
        "retried": len(carried.started),
        "changed_meanwhile": 0 if dry_run else _changed(plan, carried),
    }


def _changed(plan: Plan, carried: Carried) -> int:
    return plan.total - len(carried.started) - len(carried.superseded)


def _item(sync: FailedSync) -> str:
    what = "reservation" if sync.kind is Kind.RESERVATION else "stop-sale"
    return f"{what}/{sync.item_id}"


def syncs(number: int) -> str:
    """So many syncs, in words."""
    return "1 sync" if number == 1 else f"{number} syncs"

"""Shows a running demo: a table that lives at a terminal, plain lines anywhere else.

Looks on, and changes nothing.
"""

import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from consumer.advice import why
from consumer.demo.fake import FakeSedna
from consumer.demo.observed import Answer
from consumer.demo.traffic import Traffic
from consumer.demo.world import DemoEvent

#: Seconds between two lines where there is no terminal.
_LINE_SECONDS = 2.0
_LAST_ANSWERS = 8
_BAR_WIDTH = 12


class Progress:
    """Says what has been done and what is going on. Use it within its context."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun = time.monotonic()
        self._status = console.status("")

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return time.monotonic() - self._begun

    def __enter__(self) -> Self:
        """Nothing is shown yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        """Leave the terminal as it was."""
        self._status.stop()

    def now(self, text: str) -> None:
        """Something is going on: at a terminal it is shown until the next step, unless replaced."""
        self._status.update(f"[dim]{text} …")
        if is_live(self._console):
            self._status.start()

    def step(self, text: str) -> None:
        """Something is done."""
        line = Text.assemble((f"{self.seconds:5.1f} s  ", "dim"), ("✓ ", "green"), text)
        self._console.print(line, soft_wrap=True)

    def watch(self, traffic: Traffic, fake: FakeSedna, events: Sequence[DemoEvent]) -> "Watch":
        """Show the work from here on."""
        self._status.stop()
        return Watch(self, self._console, traffic, fake, events)


def is_live(console: Console) -> bool:
    """Whether what is shown there can be changed afterwards."""
    return console.is_terminal and not console.is_dumb_terminal


class Watch:
    """The work as it goes on, within its context; `tick` shows how far it is."""

    def __init__(
        self,
        progress: Progress,
        console: Console,
        traffic: Traffic,
        fake: FakeSedna,
        events: Sequence[DemoEvent],
    ) -> None:
        self._progress = progress
        self._console = console
        self._traffic = traffic
        self._fake = fake
        self._totals = Counter(dict.fromkeys(fake.state.accounts, 0))  # those first
        self._totals.update(event.tenant_id for event in events)
        self._live = (
            Live(console=console, auto_refresh=False, transient=True) if is_live(console) else None
        )
        self._line_at = 0.0

    def __enter__(self) -> Self:
        """Begin."""
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        """Take the table off the screen; the report follows."""
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def tick(self) -> None:
        """Show how far it is."""
        if self._live is not None:
            self._live.update(self._view(), refresh=True)
        elif self._progress.seconds >= self._line_at:
            self._line_at = self._progress.seconds + _LINE_SECONDS
            self._console.print(self._line(), soft_wrap=True)

    def _line(self) -> Text:
        published, synced, failed = self._counts()
        parts = [f"{tenant} {synced[tenant]}+{failed[tenant]}" for tenant in self._totals]
        return Text(
            f"{self._progress.seconds:5.1f} s    {published.total()} of {self._totals.total()} "
            f"events published; synced+failed: {', '.join(parts)}"
        )

    def _view(self) -> RenderableType:
        published, synced, failed = self._counts()
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("tenant", style="bold")
        for name in ("events", "synced", "failed"):
            table.add_column(
                name, justify="right", min_width=len("123/123") if name == "events" else 6
            )
        table.add_column("", width=_BAR_WIDTH)
        table.add_column("its Sedna")
        for tenant, total in self._totals.items():
            known = tenant in self._fake.state.accounts
            table.add_row(
                tenant,
                f"{published[tenant]}/{total}",
                Text(str(synced[tenant]), style="green"),
                Text(str(failed[tenant]), style="red" if failed[tenant] else "dim"),
                ProgressBar(
                    total=total,
                    completed=synced[tenant] + failed[tenant],
                    width=_BAR_WIDTH,
                    complete_style="cyan",
                    finished_style="green",
                ),
                self._sedna(tenant) if known else Text("none", style="dim"),
            )
        latest = [_said(answer) for answer in self._traffic.answers[-_LAST_ANSWERS:]]
        room = [Text("") for _ in range(_LAST_ANSWERS - len(latest))]
        return Group(Text(""), table, Text(""), *latest, *room)

    def _sedna(self, tenant: str) -> str:
        account = self._fake.account(tenant)
        records = len(account.reservations.records) + len(account.stop_sales.records)
        return f"{records:2} records, {account.config.latency_seconds * 1000:.0f} ms/call"

    def _counts(self) -> tuple[Counter[str], Counter[str], Counter[str]]:
        traffic = self._traffic
        return (
            Counter(each.event.tenant_id for each in traffic.published),
            Counter(each.tenant_id for each in traffic.answers if each.code is None),
            Counter(each.tenant_id for each in traffic.answers if each.code is not None),
        )


def _said(answer: Answer) -> Text:
    good = answer.code is None
    reason = (
        answer.message if answer.code is None else why(answer.code, answer.message, answer.details)
    )
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append("  ✓ " if good else "  ✗ ", style="green" if good else "red")
    text.append(f"{answer.tenant_id}  ", style="dim")
    if not good:
        text.append(f"{answer.item}: ")
    return text.append(reason)

"""What was asked of the fake: a bounded journal of calls, and counters that are never forgotten.

Never holds a password, a cookie, a query string or a body.
"""

import asyncio
from collections import Counter, deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from time import monotonic_ns, time_ns
from typing import Any

from consumer.demo.fake.calls import Call


@dataclass(slots=True, kw_only=True)
class Entry:
    """One call. What is not known yet is `None`."""

    request: int  #: counts the calls from 1
    operation: str  #: `unknown` for a path that is none
    account: str | None
    step: int | None
    voucher: str | None
    source_id: str | None
    record_user: str | None
    hotel_id: int | None
    traceparent: str | None
    tracestate: str | None
    monotonic_ns: int
    wall_ns: int
    fault: str | None = None
    outcome: str | None = None  #: `ok`, `refused`, `unauthorised` …, of the work itself
    status: int | None = None  #: as it was answered; `None` where no whole reply went out
    rec_ids: tuple[int, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For the control path."""
        wall = datetime.fromtimestamp(self.wall_ns / 1e9, UTC).isoformat()
        return {**asdict(self), "wall": wall}


class Journal:
    """The last `size` calls, and how many there were of each operation and account."""

    def __init__(self, size: int) -> None:
        self.entries: deque[Entry] = deque(maxlen=size)
        self.counts: Counter[tuple[str | None, str]] = Counter()
        self.in_flight: Counter[str | None] = Counter()
        self.most_in_flight: Counter[str | None] = Counter()
        self._requests = 0
        self._waiting: list[asyncio.Future[None]] = []

    def arrived(self, call: Call, *, operation: str, account: str | None) -> Entry:
        """Notes a call as it comes in."""
        self._requests += 1
        entry = Entry(
            request=self._requests,
            operation=operation,
            account=account,
            step=call.step,
            voucher=call.voucher,
            source_id=call.source_id,
            record_user=call.record_user,
            hotel_id=call.hotel_id,
            traceparent=call.traceparent,
            tracestate=call.tracestate,
            monotonic_ns=monotonic_ns(),
            wall_ns=time_ns(),
        )
        self.entries.append(entry)
        self.counts[account, operation] += 1
        self.in_flight[account] += 1
        self.most_in_flight[account] = max(self.most_in_flight[account], self.in_flight[account])
        self.changed()
        return entry

    def left(self, entry: Entry) -> None:
        """Notes that a call is no longer in flight."""
        self.in_flight[entry.account] -= 1
        self.changed()

    def changed(self) -> None:
        """Wakes those who wait for something to happen."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def change(self) -> None:
        """Waits for anything to happen: a call, its end, or a commit."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def clear(self) -> None:
        """Forgets the calls and the counts; calls in flight stay counted, numbers go on."""
        self.entries.clear()
        self.counts.clear()
        self.most_in_flight = Counter(+self.in_flight)

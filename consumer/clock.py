"""The clocks of the service, in one place, so that tests can bring their own."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the flow asks a clock for."""

    def now(self) -> datetime:
        """The time of day, aware, in UTC: for what people and other systems read."""

    def elapsed(self) -> float:
        """Seconds since some moment, never going back: for what is due."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(UTC)

    def elapsed(self) -> float:
        """Seconds that go on while the machine sleeps, where the system has such a clock."""
        return time.clock_gettime(_ELAPSED)


_ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

"""The service whose metrics and logs are switched off and on again, or have a clock around them.

`python -m benchmarks.watched run`, for `make bench ARGS=overhead`; `WATCHED` says which of these,
or that neither is done. No product's setting does that, so it is done to the program before it
begins. What it took is written to the file that `TOOK` names, at its end.
"""

import atexit
import json
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ParamSpec

from consumer.cli.main import main
from consumer.logs import Lines
from consumer.metrics import Metrics
from consumer.sedna.calls import CallDetails
from schemas.kinds import Kind
from schemas.outcomes import ErrorCode

SWITCHED, CLOCKED, AS_IT_IS = "switched", "clocked", "as it is"
#: Seconds between two ticks, and ticks for which it stays switched.
_TICK_SECONDS, _SWITCH_TICKS = 0.1, 5

P = ParamSpec("P")


class Took:
    mode = os.environ.get("WATCHED", AS_IT_IS)
    is_on = True
    settled = 0
    inside = 0  #: nanoseconds of the thread's CPU, in metrics and logs
    #: Seconds, CPU seconds, syncs settled; whether metrics and logs were on until the next tick.
    ticks: list[tuple[float, float, int, bool]] = []  # noqa: RUF012

    @classmethod
    def keep_ticking(cls) -> None:
        while True:
            # Both, in an order of chance: what is done now and then must not meet one only.
            for is_on in random.sample([True, False], 2):
                cls.is_on = cls.mode != SWITCHED or is_on
                for _ in range(_SWITCH_TICKS):
                    cls.ticks.append(
                        (time.perf_counter(), time.process_time(), cls.settled, cls.is_on)
                    )
                    time.sleep(_TICK_SECONDS)

    @classmethod
    def write(cls) -> None:
        took = {"ticks": cls.ticks, "inside_seconds": cls.inside / 1e9}
        Path(os.environ["TOOK"]).write_text(json.dumps(took))


def watched(real: Callable[P, None]) -> Callable[P, None]:
    """The same, which does nothing while it is switched off, or with a clock around it."""

    def switched(*arguments: P.args, **keywords: P.kwargs) -> None:
        if Took.is_on:
            real(*arguments, **keywords)

    def clocked(*arguments: P.args, **keywords: P.kwargs) -> None:
        before = time.thread_time_ns()
        try:
            real(*arguments, **keywords)
        finally:
            Took.inside += time.thread_time_ns() - before

    return {SWITCHED: switched, CLOCKED: clocked}.get(Took.mode, real)


_count_settled = watched(Metrics.settled)
_of_topics = Metrics.of_topics


def settled(self: Metrics, kind: Kind, code: ErrorCode | None, seconds: float) -> None:
    Took.settled += 1
    _count_settled(self, kind, code, seconds)


def of_topics(
    self: Metrics, topics: Mapping[Kind, str]
) -> Callable[[Mapping[tuple[Kind, str], int]], None]:
    return watched(_of_topics(self, topics))


if __name__ == "__main__":
    called: Callable[[Metrics, CallDetails], None] = watched(Metrics.called)
    Metrics.settled = settled  # type: ignore[method-assign]
    Metrics.called = called  # type: ignore[method-assign, assignment]  # it is none of a class
    Metrics.of_topics = of_topics  # type: ignore[method-assign]
    Lines.settled = watched(Lines.settled)  # type: ignore[method-assign]
    atexit.register(Took.write)
    threading.Thread(target=Took.keep_ticking, daemon=True).start()
    main()

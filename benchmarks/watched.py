"""The service with its metrics and logs as they are, without them, or with a clock around them.

`python -m benchmarks.watched run`, for `make bench ARGS=overhead`; `WATCHED` says which of the
three. No product's setting does that, so it is done to the program before it begins. What it took
is written to the file that `TOOK` names, at its end.
"""

import atexit
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ParamSpec, TypeVar

from consumer.cli.main import main
from consumer.logs import Lines
from consumer.metrics import Metrics
from consumer.sedna.calls import CallDetails
from schemas.kinds import Kind
from schemas.outcomes import ErrorCode

MODES = AS_IT_IS, WITHOUT, CLOCKED = "as it is", "without", "clocked"
_TICK_SECONDS = 0.1

P = ParamSpec("P")
T = TypeVar("T")


class Took:
    mode = os.environ.get("WATCHED", AS_IT_IS)
    settled = 0
    inside = 0  #: nanoseconds of the thread's CPU, in metrics and logs
    ticks: list[tuple[float, float, int]] = []  #: seconds, CPU seconds, syncs settled  # noqa: RUF012

    @classmethod
    def tick(cls) -> None:
        cls.ticks.append((time.perf_counter(), time.process_time(), cls.settled))

    @classmethod
    def write(cls) -> None:
        took = {"ticks": cls.ticks, "inside_seconds": cls.inside / 1e9}
        Path(os.environ["TOOK"]).write_text(json.dumps(took))


def watched(real: Callable[P, T], *, otherwise: T) -> Callable[P, T]:
    """The same as it is, doing nothing, or with a clock around it."""

    def clocked(*arguments: P.args, **keywords: P.kwargs) -> T:
        before = time.thread_time_ns()
        try:
            return real(*arguments, **keywords)
        finally:
            Took.inside += time.thread_time_ns() - before

    def nothing(*_arguments: P.args, **_keywords: P.kwargs) -> T:
        return otherwise

    return {AS_IT_IS: real, WITHOUT: nothing, CLOCKED: clocked}[Took.mode]


_count_settled = watched(Metrics.settled, otherwise=None)
_of_topics = Metrics.of_topics


def settled(self: Metrics, kind: Kind, code: ErrorCode | None, seconds: float) -> None:
    Took.settled += 1
    _count_settled(self, kind, code, seconds)


def of_topics(
    self: Metrics, topics: Mapping[Kind, str]
) -> Callable[[Mapping[tuple[Kind, str], int]], None]:
    return watched(_of_topics(self, topics), otherwise=None)


def keep_ticking() -> None:
    while True:
        Took.tick()
        time.sleep(_TICK_SECONDS)


if __name__ == "__main__":
    called: Callable[[Metrics, CallDetails], None] = watched(Metrics.called, otherwise=None)
    Metrics.settled = settled  # type: ignore[method-assign]
    Metrics.called = called  # type: ignore[method-assign, assignment]  # it is none of a class
    Metrics.of_topics = of_topics  # type: ignore[method-assign]
    Lines.settled = watched(Lines.settled, otherwise=None)  # type: ignore[method-assign]
    atexit.register(Took.write)
    threading.Thread(target=keep_ticking, daemon=True).start()
    main()

"""Structured logs: one line per happening, JSON or for a console, on standard error.

Whatever this process says comes out here in one form: the service's own lines, those of the
libraries, warnings, and what nobody has caught. Every line about a sync has `tenant`, `kind`,
`sync`, `item` and `event_id`. No line has a password, a cookie or a URL's query: the libraries that
would log those are kept quiet here, and whatever looks like one is blanked as a last resort. What
repeats fast is bounded, see :mod:`consumer.repeats`; the line of a settled sync is always said.
"""

import asyncio
import json as standard_json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Hashable, Iterable, MutableMapping
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Any

import structlog
from pydantic_core import PydanticSerializationError, to_json

from consumer.output import Output
from consumer.redaction import blank, blanked
from consumer.repeats import LeftOut, Repeats
from consumer.sedna.secrets import Concealer

#: They log whole URLs, headers or payloads at DEBUG or INFO.
_QUIET = (
    *("httpx2", "httpcore2", "httpx", "httpcore", "urllib3", "requests"),
    *("asyncio", "aiokafka", "asyncpg"),
)
#: Lines of one event about one tenant that are said at once, and seconds until one more is.
_BURST, _EVERY = 50, 10.0
#: Of each line of a library: a Kafka client that finds nobody says so some forty times a second.
_BURST_OF_LIBRARIES = 5
#: Tenants that are told apart within an event.
_MOST = 2000
#: Seconds between two looks at what was left out.
_TELL_EVERY = 10.0
#: Names, ids and codes that are chosen by nobody who has a secret.
_IDENTIFIERS = frozenset(
    {
        *("code", "event", "event_id", "item", "kind", "module", "outcome", "sync", "tenant"),
        *("topic", "trace_id", "voucher_no"),
    }
)
#: What a line has of its own, and no library's `extra` may take the place of.
_OURS = frozenset(
    {"event", "exception", "exc_info", "left_out", "level", "module", "self", "stack", "timestamp"}
)
_OF_EVERY_RECORD = frozenset(
    {*vars(logging.LogRecord("", 0, "", 0, "", (), None)), "asctime", "message", "taskName"}
)
#: Characters of a library's text by which its lines are told apart.
_TEXT = 200

#: A line on its way: its fields by name.
Fields = MutableMapping[str, Any]


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for a module; bind what a line is about with `.bind(tenant=…)`."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(module=name)
    return logger


def configure(*, level: str, json: bool, secrets: Collection[str] = ()) -> "Lines":
    """Set up logging for this process, the libraries' included, and what nobody catches.

    Args:
        level: the lowest level to show, such as "INFO".
        json: one JSON object per line; otherwise coloured lines for a person.
        secrets: that this process knows, such as the password of its database: no line has them.
    """
    threshold = logging.getLevelNamesMapping()[level]
    hide = Concealer(*secrets)
    output = Output(sys.stderr.buffer)

    def clean(text: str) -> str:
        return hide(blank(text))

    render: Callable[..., Any] = (
        _as_json if json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    finish: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        partial(blank_secrets, clean=clean),
        # Behind the blanking, which has nothing to look for in them.
        structlog.processors.add_log_level,
        _stamp,
        render,
    ]
    # Past the limits, and whatever the level: who speaks through it has looked after both.
    unlimited = structlog.wrap_logger(
        output,
        processors=finish,
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
    )
    lines = Lines(
        output=output,
        log=unlimited,
        threshold=threshold,
        clean=clean,
        render=render,
        clock=time.monotonic,
    )
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, lines.admit, *finish],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: output,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Libraries(unlimited, lines)]
    root.setLevel(threshold)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    # It tells of each bad request of a stranger; what failed here, the API logs itself.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    # Ten times a second, of a topic that is missing; the service says so once.
    logging.getLogger("aiokafka.cluster").setLevel(logging.CRITICAL)
    # While Postgres is away, with a traceback; who needs Postgres says that it is.
    logging.getLogger("asyncpg.pool").setLevel(logging.CRITICAL)
    _catch_the_rest()
    return lines


class Lines:
    """What this process says, and what it leaves out."""

    def __init__(
        self,
        *,
        output: Output,
        log: Any,
        threshold: int,
        clean: Callable[[str], str],
        render: Callable[..., Any],
        clock: Callable[[], float],
    ) -> None:
        """Build it.

        Args:
            output: where lines go.
            log: a logger that says all that it is given.
            threshold: the lowest level that is shown, as the standard library numbers it.
            clean: takes secrets out of a text.
            render: makes a text of a line's fields.
            clock: seconds since some moment.
        """
        self._output = output
        self._log = log
        levels = logging.getLevelNamesMapping().items()
        self._shown = {name.lower() for name, number in levels if number >= threshold}
        self._clean = clean
        self._render = render
        # Libraries log from threads of their own. And the garbage collector can come upon a lost
        # task at any moment, which then speaks in this very thread: nobody may wait for it.
        self._lock = threading.Lock()
        self._own = Repeats(burst=_BURST, every=_EVERY, most=_MOST, clock=clock)
        self._of_libraries = Repeats(
            burst=_BURST_OF_LIBRARIES, every=_EVERY, most=_MOST, clock=clock
        )

    def admit(self, _logger: object, _method: str, fields: Fields) -> Fields:
        """Let a line pass, with the number of those like it that were left out before it.

        Raises:
            structlog.DropEvent: it is left out itself.
        """
        left_out = self._ask(self._own, str(fields["event"]), fields.get("tenant"))
        if left_out is None:
            raise structlog.DropEvent
        if left_out:
            fields["left_out"] = left_out
        return fields

    def settled(self, lines: Iterable[Fields]) -> None:
        """Say the lines of settled syncs, in one go; none is ever left out.

        They come by hundreds each second, so they take a shorter way than others.

        Args:
            lines: as `Settled.line` makes them; they are this object's from now on.
        """
        written = []
        timestamp = _timestamp()
        for fields in lines:
            if fields["level"] in self._shown:
                if fields["error"] is not None:
                    fields["error"] = self._clean(fields["error"])
                fields["timestamp"] = timestamp
                written.append(self._render(None, "", fields))
        if written:
            self._output.write(written)

    def admit_of_library(self, record: logging.LogRecord) -> int | None:
        """The same for a library's line, as :meth:`Repeats.admit` answers."""
        return self._ask(self._of_libraries, record.name, str(record.msg)[:_TEXT])

    def _ask(self, repeats: Repeats, kind: str, about: Hashable) -> int | None:
        if not self._lock.acquire(blocking=False):
            return 0  # said, and not counted: so the sum still holds
        try:
            return repeats.admit(kind, about)
        finally:
            self._lock.release()

    def tell(self, *, everything: bool = False) -> None:
        """Say what was left out and not told by a later line.

        Args:
            everything: at the end of the process: nothing is kept for later.
        """
        with self._lock:
            own = self._own.tell(everything=everything)
            of_libraries = self._of_libraries.tell(everything=everything)
        for each in own:
            self._say("tenant", each)
        for each in of_libraries:
            self._say("text", each)

    def _say(self, about: str, each: LeftOut) -> None:
        who = {about: each.about if isinstance(each.about, str | None) else "others"}
        # Not limited itself, and at any level: a count that is lost here is lost.
        log = self._log.bind(module=__name__, **who)
        log.warning("lines_left_out", of=each.kind, left_out=each.count)

    async def keep_telling(self) -> None:
        """Tell now and then what was left out, until cancelled."""
        while True:
            await asyncio.sleep(_TELL_EVERY)
            self.tell()


class _Libraries(logging.Handler):
    """Says the lines of the standard library's loggers as if they were ours."""

    def __init__(self, log: Any, lines: Lines) -> None:
        super().__init__()
        self._log = log
        self._lines = lines

    def createLock(self) -> None:  # noqa: N802  # the library's name
        """None: see `Lines`. What is shared needs none."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """As the library does it, without a lock."""
        if is_wanted := bool(self.filter(record)):
            self.emit(record)
        return is_wanted

    def emit(self, record: logging.LogRecord) -> None:
        """Say it, unless it repeats; whatever it holds, nothing is raised into the library."""
        try:
            self._say(record)
        except Exception as error:  # noqa: BLE001  # its values are a library's, and do what they do
            self._log.log(
                _level(record.levelno),
                f"a line that cannot be shown: {type(error).__name__}",
                module=record.name,
                where=f"{record.filename}:{record.lineno}",
            )

    def _say(self, record: logging.LogRecord) -> None:
        left_out = self._lines.admit_of_library(record)
        if left_out is None:
            return
        fields = {
            (f"extra_{name}" if name in _OURS else name): value
            for name, value in vars(record).items()
            if name not in _OF_EVERY_RECORD
        }
        if left_out:
            fields["left_out"] = left_out
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        if record.stack_info:
            fields["stack"] = record.stack_info
        try:
            event = record.getMessage()
        except Exception:  # noqa: BLE001  # values and text are a library's; the line is ours
            event = str(record.msg)
        fields["module"] = record.name
        self._log.bind(**fields).log(_level(record.levelno), event)


def _level(number: int) -> int:
    """The level that a library's own one comes down to."""
    return min(max(number // 10 * 10, logging.DEBUG), logging.CRITICAL)


def _stamp(_logger: object, _method: str, fields: Fields) -> Fields:
    fields["timestamp"] = _timestamp()
    return fields


def _timestamp() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def blank_secrets(
    _logger: object, _method: str, fields: Fields, *, clean: Callable[[str], str] = blank
) -> Fields:
    """Blank what looks like a secret anywhere in a line, as a last resort."""
    for key, value in fields.items():
        # Most values of most lines are such, and cost nothing.
        if key not in _IDENTIFIERS and value.__class__ not in _HARMLESS:
            fields[key] = blanked(key, value, clean=clean)
    event = fields["event"]
    # An event's name is a word; what a library says is a text, and can hold anything.
    if not (event.__class__ is str and event.isidentifier()):
        fields["event"] = blanked(None, event, clean=clean)
    return fields


_HARMLESS = frozenset({bool, int, float, type(None)})


def _as_json(_logger: object, _method: str, fields: Fields) -> bytes:
    try:
        return to_json(fields)
    except (PydanticSerializationError, UnicodeError):
        # Half of a surrogate pair is no Unicode, and is shown as the number that it is.
        return standard_json.dumps(fields, default=repr).encode()


def _catch_the_rest() -> None:
    logging.captureWarnings(capture=True)
    sys.excepthook = _crashed
    sys.unraisablehook = _unraisable
    threading.excepthook = _thread_crashed


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    log = get_logger(__name__)
    log.critical("crashed", exc_info=(kind, error, trace))


def _thread_crashed(what: threading.ExceptHookArgs) -> None:
    if what.exc_value is not None and not isinstance(what.exc_value, SystemExit):
        name = None if what.thread is None else what.thread.name
        log = get_logger(__name__)
        log.error("thread_crashed", thread=name, exc_info=what.exc_value)


def _unraisable(what: "sys.UnraisableHookArgs") -> None:
    # Its object is only named by its type: a `repr` can say anything, and can fail.
    where = f"{what.err_msg or 'Exception ignored in'} {type(what.object).__name__}"
    log = get_logger(__name__)
    log.error("unraisable", where=where, exc_info=what.exc_value)


def traceback_of(error: BaseException, conceal: Callable[[str], str]) -> str:
    """An error's traceback, for the field `exception`, without the secrets that only a part knows.

    Args:
        error: that was raised.
        conceal: takes them out of a text.
    """
    return conceal("".join(traceback.format_exception(error)))

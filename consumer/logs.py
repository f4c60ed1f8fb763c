"""Structured logs: one line per happening, JSON or for a console, on standard error.

Every line about a sync has `tenant`, `kind`, `sync`, `item` and `event_id`. No line has a
password, a cookie or a URL's query: the libraries that would log those are kept quiet here, and
whatever looks like one is blanked as a last resort.
"""

import logging
import math
import re
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import structlog

#: They log whole URLs, headers or payloads at DEBUG or INFO.
_QUIET = ("httpx2", "httpcore2", "httpx", "httpcore", "asyncio", "aiokafka", "asyncpg")
#: Seconds between two lines of aiokafka that say the same.
_SELDOM_SECONDS = 10.0
#: So many different ones are told apart.
_REMEMBERED = 1000

_HIDDEN = "***"
# What stands between a name and its value: `=`, `: `, and `', b'` in a list of header pairs.
_IS = r"""(?:\\*["']?\s*[=:]|\\*["']\s*,)\s*b?"""
# Up to a quote with as many backslashes as the first: JSON can stand within JSON. The text may have
# been cut, so it may be missing.
_QUOTED = r"""(?P<slashes>\\*)(?P<quote>["'])(?s:.*?)(?:(?<!\\)(?P=slashes)(?P=quote)|\Z)"""
_NAMES = r"password|passwd|pwd|username|jwt_secret|encryption_keys"
_SECRET = re.compile(rf"""(?i)((?:{_NAMES}){_IS})(?:{_QUOTED}|[^\s"'&;}}]+)""")
#: A header's value holds spaces and semicolons, and ends with the line or its quotes.
_SECRET_HEADER = re.compile(rf"""(?i)((?:cookie|authorization){_IS})(?:{_QUOTED}|[^\r\n"'}}]+)""")
_SECRET_KEY = re.compile(rf"(?i)(?:.*_)?(?:{_NAMES}|cookie|authorization)")
_TOKEN = re.compile(r"(?i)\b(Bearer|Basic)\s+[\w.~+/=-]{8,}")
#: Up to the last @: passwords with an unescaped @ or / are a usual mistake.
_URL_CREDENTIALS = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s\"']*@")
_URL_QUERY = re.compile(r"(?i)(\bhttps?://[^\s?\"']+)\?[^\s\"']*")


#: Of nearly every line; names and ids that are chosen by nobody who has a secret.
_IDENTIFIERS = frozenset({"event_id", "item", "kind", "module", "sync", "tenant"})


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for a module; bind what a line is about with `.bind(tenant=…)`."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(module=name)
    return logger


def configure(*, level: str, json: bool) -> None:
    """Set up logging for this process, the libraries' included.

    Args:
        level: the lowest level to show, such as "INFO".
        json: one JSON object per line; otherwise coloured lines for a person.
    """
    threshold = logging.getLevelNamesMapping()[level]
    stamp: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            blank_secrets,
            # Behind the blanking, which has nothing to look for in them.
            *stamp,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*stamp, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                blank_secrets,
                renderer,
            ],
        )
    )
    handler.addFilter(Seldom("aiokafka", seconds=_SELDOM_SECONDS, clock=time.monotonic))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    # It tells of each bad request of a stranger; what failed here, the API logs itself.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    # Ten times a second, of a topic that is missing; the service says so once.
    logging.getLogger("aiokafka.cluster").setLevel(logging.CRITICAL)
    # While Postgres is away, with a traceback; who needs Postgres says that it is.
    logging.getLogger("asyncpg.pool").setLevel(logging.CRITICAL)


class Seldom(logging.Filter):
    """Lets a library say the same thing now and then only.

    A Kafka client that finds nobody says so some forty times a second.
    """

    def __init__(self, library: str, *, seconds: float, clock: Callable[[], float]) -> None:
        """Build it.

        Args:
            library: whose loggers.
            seconds: for so long nothing is said twice.
            clock: seconds since some moment.
        """
        super().__init__(library)
        self._seconds = seconds
        self._clock = clock
        self._said: dict[tuple[str, str], float] = {}  # by logger and text, without its values

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is to be shown."""
        if not super().filter(record):
            return True  # of another library
        now, what = self._clock(), (record.name, str(record.msg))
        if now - self._said.get(what, -math.inf) < self._seconds:
            return False
        if len(self._said) >= _REMEMBERED:
            self._said.clear()
        self._said[what] = now
        return True


def blank_secrets(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Blank what looks like a secret anywhere in a line, as a last resort."""
    for key, value in event.items():
        if key not in _IDENTIFIERS:
            event[key] = _blanked(key, value)
    return event


def _blanked(key: object, value: object) -> object:
    match value:
        case None | bool() | int() | float():
            return value
        case _ if isinstance(key, str) and _SECRET_KEY.fullmatch(key):
            return _HIDDEN
        case str():
            return blank(value)
        case Mapping():
            return {str(name): _blanked(name, each) for name, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_blanked(None, each) for each in value]
        case _:
            # Rendered here, since what a renderer makes of it is not looked at any more.
            return blank(str(value) if isinstance(value, BaseException) else repr(value))


def blank(text: str) -> str:
    """`text` without URL credentials, URL queries and values of fields that name a secret."""
    if not ("=" in text or ":" in text or "," in text or " " in text):
        return text
    text = _URL_CREDENTIALS.sub(rf"\1{_HIDDEN}@", text)
    text = _URL_QUERY.sub(rf"\1?{_HIDDEN}", text)
    text = _SECRET_HEADER.sub(rf"\1{_HIDDEN}", text)
    text = _SECRET.sub(rf"\1{_HIDDEN}", text)
    return _TOKEN.sub(rf"\1 {_HIDDEN}", text)

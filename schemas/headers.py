"""Reads the Kafka headers of an event, as the CloudEvents 1.0 binding for Kafka says.

It says which content mode a message is in and hands out the attributes of binary mode as text.
It judges no attribute. Values are taken as they are: the percent-encoding of the HTTP binding does
not exist in Kafka's. It raises nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from schemas.problems import problem
from schemas.trace import TRACEPARENT, TRACESTATE, TraceContext, trace_in

CONTENT_TYPE: Final = "content-type"
STRUCTURED_JSON: Final = "application/cloudevents+json"
_PLAIN_JSON: Final = "application/json"
_PREFIX: Final = "ce_"
#: They decide nothing, so a wrong one is left out.
_OF_TRACE: Final = frozenset({TRACEPARENT, TRACESTATE})
_BY_NAME: Final = frozenset({CONTENT_TYPE, *_OF_TRACE})
#: The attributes that are read; extensions of others are left alone.
_ATTRIBUTES: Final = frozenset(
    {"id", "source", "specversion", "subject", "tenantid", "time", "type", *_OF_TRACE}
)


class Mode(Enum):
    """Where the attributes of an event are."""

    STRUCTURED = auto()  #: beside the data, in the value
    BINARY = auto()  #: in the headers; the value is the data
    UNKNOWN = auto()  #: the content type is neither's


@dataclass(frozen=True, slots=True)
class Carried:
    """What the headers of one message carry."""

    mode: Mode
    attributes: Mapping[str, str]  #: of binary mode, by name without the prefix
    trace: TraceContext | None  #: only if it has the W3C form
    problems: tuple[dict[str, str], ...]


_STRUCTURED: Final = Carried(Mode.STRUCTURED, {}, None, ())


def read_headers(headers: Iterable[tuple[str, bytes | None]]) -> Carried:
    """Read the headers of a message; names are case-insensitive, a null value is no header.

    A header that comes twice with different values is a problem where it decides something, and
    is left out where it does not: which of the two is meant nobody knows.
    """
    found: dict[str, bytes] = {}
    repeated: set[str] = set()
    for name, value in headers:
        lower = name.lower()
        if value is None or not (lower in _BY_NAME or lower.startswith(_PREFIX)):
            continue
        if found.setdefault(lower, value) != value:
            repeated.add(lower)
    trace = _trace(found, repeated)
    content_type = found.pop(CONTENT_TYPE, None)
    mode = _mode(content_type, has_attributes=bool(found))
    if mode is Mode.STRUCTURED and not repeated:
        return _STRUCTURED if trace is None else Carried(Mode.STRUCTURED, {}, trace, ())
    return _judged(mode, found, trace, repeated)


def _judged(
    mode: Mode, found: Mapping[str, bytes], trace: TraceContext | None, repeated: set[str]
) -> Carried:
    problems = []
    attributes = {}
    if mode is Mode.UNKNOWN:
        wanted = f"{STRUCTURED_JSON}, or {_PLAIN_JSON} with ce_ headers"
        problems.append(problem(CONTENT_TYPE, f"must be {wanted}, in UTF-8"))
    if CONTENT_TYPE in repeated:
        problems.append(problem(CONTENT_TYPE, "comes twice with different values"))
    if mode is Mode.BINARY:
        for header, value in found.items():
            name = header.removeprefix(_PREFIX)
            text = _text(value)
            is_clear = header not in repeated and text is not None
            if name not in _ATTRIBUTES or (name in _OF_TRACE and not is_clear):
                continue
            if header in repeated:
                problems.append(problem(header, "comes twice with different values"))
            elif text is None:
                problems.append(problem(header, "is not UTF-8"))
            else:
                attributes[name] = text
    return Carried(mode, attributes, trace, tuple(problems))


def _trace(found: dict[str, bytes], repeated: set[str]) -> TraceContext | None:
    """Take the trace's headers out of what was found."""
    parent, state = found.pop(TRACEPARENT, None), found.pop(TRACESTATE, None)
    if parent is None or TRACEPARENT in repeated:
        return None
    return trace_in(
        _text(parent), None if state is None or TRACESTATE in repeated else _text(state)
    )


def _mode(content_type: bytes | None, *, has_attributes: bool) -> Mode:
    if content_type is None:
        return Mode.BINARY if has_attributes else Mode.STRUCTURED
    match _media_type(_text(content_type) or ""):
        case "application/cloudevents+json":
            return Mode.STRUCTURED
        case "application/json":
            return Mode.BINARY
        case _:
            return Mode.UNKNOWN


def _media_type(content_type: str) -> str | None:
    """The media type in lower case; None if its text is said to be anything but UTF-8."""
    media_type, *parameters = content_type.lower().split(";")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in {"utf-8", "utf8"}:
            return None
    return media_type.strip()


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None

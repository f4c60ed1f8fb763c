"""Where in a trace something happens, as W3C Trace Context writes it. Pure.

A wrong context is no reason to refuse a reservation: whatever has not the W3C form counts as none.

Source: https://www.w3.org/TR/trace-context/
"""

import re
from dataclasses import dataclass
from typing import Final

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"

#: Version (not ff), trace id and parent id (neither all zeros), flags.
TRACEPARENT_PATTERN: Final = (
    r"^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$"
)
_TRACEPARENT: Final = re.compile(TRACEPARENT_PATTERN)
#: One entry of a `tracestate`: what one tracing system has to say.
_MEMBER: Final = re.compile(
    r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_MOST_MEMBERS: Final = 32
#: Characters; so many everybody has to carry on, and more nobody.
LONGEST_TRACESTATE: Final = 512


@dataclass(frozen=True, slots=True)
class TraceContext:
    """What is carried on from one service to the next; both texts have the W3C form."""

    parent: str  #: `traceparent`
    state: str | None = None  #: `tracestate`; None: there was none

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits, the same for all that belongs to one trace."""
        return self.parent[3:35]

    @property
    def is_sampled(self) -> bool:
        """Whether whoever came before recorded it."""
        return int(self.parent[-2:], 16) & 1 == 1

    def fields(self) -> tuple[tuple[str, str], ...]:
        """Names and values, for headers and for the attributes of a CloudEvent."""
        if self.state is None:
            return ((TRACEPARENT, self.parent),)
        return (TRACEPARENT, self.parent), (TRACESTATE, self.state)


def trace_in(parent: object, state: object = None) -> TraceContext | None:
    """Read a context; None where `parent` has not the W3C form.

    Args:
        parent: of whatever type: a `traceparent`.
        state: likewise: a `tracestate`. One that is no such list, or longer than 512 characters, is
            left out.
    """
    # `$` also matches before a line break at the end; `fullmatch` does not let that pass.
    if not isinstance(parent, str) or not _TRACEPARENT.fullmatch(parent):
        return None
    return TraceContext(parent, _state_in(state))


def _state_in(text: object) -> str | None:
    if not isinstance(text, str) or not text:
        return None
    members = [each for member in text.split(",") if (each := member.strip(" \t"))]
    if not members or len(members) > _MOST_MEMBERS:
        return None
    if not all(_MEMBER.fullmatch(each) for each in members):
        return None
    state = ",".join(members)
    return state if len(state) <= LONGEST_TRACESTATE else None

"""Says what is wrong with an event, without repeating anything that the event contains.

A problem is ``{"field": "data.guests.0.first_name", "problem": "Field required"}``. Field names
are the contract's and positions, never keys of the event; the problems are our words or
pydantic's, never values.
"""

from collections.abc import Sequence
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.fields import PATTERN_MEANINGS

#: How many problems of one event are told; a person mends the first ones first.
MAX_PROBLEMS: Final = 20
MAX_PROBLEM_CHARACTERS: Final = 200


def problem(field: str, what: str) -> dict[str, str]:
    """Name one problem; an empty ``field`` means the event as a whole."""
    return {"field": field or "event", "problem": what[:MAX_PROBLEM_CHARACTERS]}


def problems_of(error: ValidationError, *, prefix: str = "") -> list[dict[str, str]]:
    """Translate pydantic's findings; ``prefix`` says what was read, such as ``data``."""
    above = (prefix,) if prefix else ()
    return [
        problem(".".join(map(str, (*above, *found["loc"]))), _in_words(found))
        for found in error.errors(include_url=False, include_input=False)
    ]


def _in_words(found: ErrorDetails) -> str:
    if found["type"] == "string_pattern_mismatch":
        return PATTERN_MEANINGS.get(found["ctx"]["pattern"], "has a wrong form")
    return found["msg"]


def summary(problems: Sequence[dict[str, str]]) -> str:
    """Say the first problem, and how many there are besides, in one line."""
    first = f"{problems[0]['field']}: {problems[0]['problem']}"
    others = len(problems) - 1
    match others:
        case 0:
            return first
        case 1:
            return f"{first} (and 1 more problem)"
        case _:
            return f"{first} (and {others} more problems)"

"""A tenant's credentials for Sedna, and how they are kept out of every text. Pure.

Sedna takes credentials in URLs, so replies, error pages and exceptions can repeat them in many
spellings. Whatever becomes a message goes through `conceal` first.
"""

import html
import json
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, quote_plus

_HIDDEN: Final = "***"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What opens one tenant's account."""

    username: str
    password: str = field(repr=False)

    def query(self) -> str:
        """Return both as the query that Sedna wants (K). Never to be logged."""
        return f"username={quote(self.username, safe='')}&password={quote(self.password, safe='')}"


class Concealer:
    """Takes secrets out of texts, as they are, percent-encoded, and as JSON or HTML has them."""

    def __init__(self, *secrets: str) -> None:
        spellings = {spelling for secret in secrets for spelling in _spellings(secret)}
        longest_first = sorted(spellings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)
        self._empty = not spellings

    def __call__(self, text: str) -> str:
        """Return the text with ``***`` for every secret."""
        return text if self._empty else self._pattern.sub(_HIDDEN, text)


def _spellings(secret: str) -> set[str]:
    if not secret:
        return set()
    return {
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        html.escape(secret),
        html.escape(secret, quote=False),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    }

"""Takes secrets out of texts that somebody is shown: log lines, tracebacks. Pure.

Secrets that this process knows go wherever they stand and however they are written; besides them
whatever looks like one goes, as a last resort. It must never let a text pass because it is odd.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

_HIDDEN: Final = "***"
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
#: Not "Basic Room" or "basic information": a token has a digit or a sign, or capitals within.
_TOKEN = re.compile(
    r"\b((?i:Bearer|Basic))\s+(?=[\w.~+/=-]*(?:[\d.~+/=_]|[a-z][A-Z]))[\w.~+/=-]{8,}"
)
#: Up to the last @: passwords with an unescaped @ or / are a usual mistake.
_URL_CREDENTIALS = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s\"']*@")
_URL_QUERY = re.compile(r"(?i)(\bhttps?://[^\s?\"']+)\?[^\s\"']*")
#: Libraries quote the path alone as well.
_PATH_QUERY = re.compile(r"((?:^|[\s\"'(])/[^\s?\"']*)\?[^\s\"']*")
#: Levels of lists and mappings in a value that are shown.
_DEEPEST: Final = 8


def blank(text: str) -> str:
    """`text` without URL credentials, URL queries and values of fields that name a secret."""
    if not ("=" in text or ":" in text or "," in text or " " in text):
        return text
    text = _URL_CREDENTIALS.sub(rf"\1{_HIDDEN}@", text)
    text = _URL_QUERY.sub(rf"\1?{_HIDDEN}", text)
    text = _PATH_QUERY.sub(rf"\1?{_HIDDEN}", text)
    text = _SECRET_HEADER.sub(rf"\1{_HIDDEN}", text)
    text = _SECRET.sub(rf"\1{_HIDDEN}", text)
    return _TOKEN.sub(rf"\1 {_HIDDEN}", text)


def blanked(  # noqa: PLR0911  # one for each kind of value
    key: object, value: object, *, clean: Callable[[str], str] = blank, levels: int = _DEEPEST
) -> object:
    """A value of a log line, of any kind, without what may be a secret.

    Args:
        key: under which it stands; None: under none.
        value: a number, a text, a mapping, a list, or anything that has a `repr`.
        clean: takes secrets out of each text in it.
        levels: of lists and mappings that are shown.
    """
    match value:
        case None | bool() | int() | float():
            return value
        case _ if isinstance(key, str) and _names_a_secret(key):
            return _HIDDEN
        case str():
            return clean(value)
        case Mapping() | list() | tuple() | set() | frozenset() if levels == 0:
            return "…"
        case Mapping():
            return {
                clean(_shown(name)): blanked(name, each, clean=clean, levels=levels - 1)
                for name, each in value.items()
            }
        case list() | tuple() | set() | frozenset():
            return [blanked(None, each, clean=clean, levels=levels - 1) for each in value]
        case _:
            # Rendered here, since what a renderer makes of it is not looked at any more.
            return clean(_shown(value))


def _shown(value: object) -> str:
    try:
        return str(value) if isinstance(value, str | BaseException) else repr(value)
    except Exception as error:  # noqa: BLE001  # it is what somebody else's class does
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


@lru_cache(maxsize=1024)
def _names_a_secret(key: str) -> bool:
    return _SECRET_KEY.fullmatch(key) is not None

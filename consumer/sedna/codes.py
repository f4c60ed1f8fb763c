"""Finds a room type or a board by the text of an event, strictly.

Pure. It must never guess: there is no partial match and no default, and a text that fits two ids
is unknown.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from consumer.sedna.folding import code_key, exact_key

#: So many known codes go into an error's details at most.
_KNOWN_AT_MOST: Final = 50


@dataclass(frozen=True, slots=True)
class Code:
    """A room type or a board of a Sedna account."""

    id: int
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class CodeFound:
    """The text names exactly this one."""

    code: Code


@dataclass(frozen=True, slots=True)
class CodeUnknown:
    """The text names none, or more than one."""

    #: Those that it fits; empty, or two and more.
    ambiguous: tuple[Code, ...]
    #: Codes that the account knows, for the person who mends it; at most 50, sorted.
    known: tuple[str, ...]


CodeMatch = CodeFound | CodeUnknown


class CodeIndex:
    """The room types of one hotel, or the boards of one account; built once, never changed."""

    def __init__(self, codes: Iterable[Code]) -> None:
        self._codes: Final = tuple(codes)
        self._verbatim: Final[dict[str, dict[int, Code]]] = {}
        self._same_code: Final[dict[str, dict[int, Code]]] = {}
        self._folded: Final[dict[str, dict[int, Code]]] = {}
        for code in self._codes:
            self._add(self._verbatim, code.code.strip(), code)
            self._add(self._same_code, exact_key(code.code), code)
            self._add(self._folded, code_key(code.code), code)
            self._add(self._folded, code_key(code.name), code)
        known = sorted({code.code.strip() or code.name.strip() for code in self._codes} - {""})
        self._known: Final = tuple(known[:_KNOWN_AT_MOST])

    @staticmethod
    def _add(index: dict[str, dict[int, Code]], key: str, code: Code) -> None:
        if key:
            index.setdefault(key, {}).setdefault(code.id, code)

    def __len__(self) -> int:
        return len(self._codes)

    def find(self, text: str) -> CodeMatch:
        """Find by equal code, then by equal code but for case, then by folded code or name.

        A step at which more than one id fits ends the search: a laxer step would be a guess.
        The order of words counts: "1 bed 2 rooms" is not "2 bed 1 rooms".
        """
        for index, key in (
            (self._verbatim, text.strip()),
            (self._same_code, exact_key(text)),
            (self._folded, code_key(text)),
        ):
            fits = tuple(index.get(key, {}).values())
            if len(fits) == 1:
                return CodeFound(fits[0])
            if fits:
                return CodeUnknown(ambiguous=fits, known=self._known)
        return CodeUnknown(ambiguous=(), known=self._known)

"""Folds names as agencies, hotels and Sedna write them, so that equal names compare equal.

Pure functions of a text. They must never drop a word that tells two hotels of a group apart, and
must never raise, whatever the text.

Three foldings, from strict to lax:

* `exact_key`: spaces and case only (``SUN  Otel`` = ``sun otel``).
* `code_key`: also accents and punctuation; no word, no symbol is dropped (``AI+`` is not ``AI``).
* `name_words`: also the words that say nothing (hotel, and) and star ratings.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

#: Words that say only that a name is a hotel's. Palace, Resort and the like tell hotels apart.
_HOTEL_WORDS: Final = frozenset({"hotel", "hotels", "otel", "oteli", "otelleri"})
#: Words that connect; the signs "&" and "+" are punctuation in a name, and so vanish as well.
_CONNECTIVES: Final = frozenset({"and", "ve"})

#: Turkish has a dotted and a dotless i, each with a capital; writers mix the four. One letter here.
_TURKISH_I: Final = {ord("I"): "i", 0x130: "i", 0x131: "i"}
#: Latin letters that Unicode does not decompose into a base letter and an accent.
_BASE_LETTERS: Final = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "æ": "ae", "œ": "oe", "þ": "th"}
)
#: Vanish without leaving a gap: "Queen's" is "Queens". To be taken away before NFKC, which would
#: make a space and an accent of the acute accent that some write for an apostrophe.
_VANISHING: Final = dict.fromkeys(
    map(
        ord,
        "'`\N{ACUTE ACCENT}\N{PRIME}\N{FULLWIDTH APOSTROPHE}"
        "\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}"
        "\N{SINGLE HIGH-REVERSED-9 QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}"
        "\N{MODIFIER LETTER TURNED COMMA}\N{MODIFIER LETTER PRIME}"
        "\N{TRADE MARK SIGN}\N{REGISTERED SIGN}\N{COPYRIGHT SIGN}\N{SERVICE MARK}"
        "\N{SOFT HYPHEN}\N{ZERO WIDTH SPACE}\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
        "\N{WORD JOINER}\N{ZERO WIDTH NO-BREAK SPACE}",
    )
)

_STARS: Final = "*★☆⭐✩✪✫✬✭✮✯✰⋆\N{FULLWIDTH ASTERISK}\N{ASTERISK OPERATOR}"
#: "5*", "4.5 ★", "*****". A digit belongs to the rating only before exactly one star: in
#: "Club 2 ***" the 2 is the hotel's.
_RATING: Final = re.compile(
    rf"(?<![\w.,])[1-5](?:[.,]5)?[ \u00a0]?[{re.escape(_STARS)}]\ufe0f?(?!\s*[{re.escape(_STARS)}])"
    rf"|[{re.escape(_STARS)}]\ufe0f?"
)
#: "J.W." and "J.W": single letters with dots between them are one word.
_INITIALS: Final = re.compile(r"(?<!\w)(?:[^\W\d_]\.)+[^\W\d_]\.?(?!\w)")
#: Signs that can tell two codes apart: "HB+" is not "HB".
_SIGNS_OF_CODES: Final = frozenset("+&*#%@")
#: So many texts are folded once only: the same codes, titles and countries come again and again.
_REMEMBERED: Final = 4096


@lru_cache(maxsize=_REMEMBERED)
def exact_key(text: str) -> str:
    """Return the text with its spaces trimmed and its case folded, Turkish letters included."""
    composed = unicodedata.normalize("NFC", text).translate(_TURKISH_I)
    folded = composed.casefold().replace("i\u0307", "i")
    return " ".join(unicodedata.normalize("NFC", folded).split())


def name_words(name: str) -> tuple[str, ...]:
    """Return the words of a hotel's name that count, folded, in their order.

    Empty for a name that says nothing, such as "Hotel" or "***".
    """
    without_rating = _RATING.sub(" ", name.translate(_VANISHING))
    folded = _fold_letters(without_rating)
    words = _spaced(_INITIALS.sub(_without_dots, folded), signs=frozenset()).split()
    return tuple(word for word in words if word not in _HOTEL_WORDS and word not in _CONNECTIVES)


@lru_cache(maxsize=_REMEMBERED)
def code_key(text: str) -> str:
    """Return a room's or a board's code or name, folded; empty if no letter or digit is in it."""
    spaced = _spaced(_fold_letters(text.translate(_VANISHING)), signs=_SIGNS_OF_CODES)
    words = spaced.split()
    if len(words) > 1:  # one alone connects nothing: it is a code
        words = ["&" if word in _CONNECTIVES else word for word in words]
    key = joined(words)
    return key if any(character.isalnum() for character in key) else ""


def joined(words: Iterable[str]) -> str:
    """Return the words without the gaps between them: "Sun Prime" is "Sunprime".

    A gap between two digits stays: "Residence 1 2" is not "Residence 12".
    """
    result = ""
    for word in words:
        gap = " " if result and result[-1].isdigit() and word[:1].isdigit() else ""
        result += gap + word
    return result


def _fold_letters(text: str) -> str:
    """Fold case and the accents of Latin letters; other scripts keep their letters as they are."""
    if text.isascii():
        return text.lower()  # most names, at a tenth of the cost
    folded = unicodedata.normalize("NFKC", text).translate(_TURKISH_I).casefold()
    kept: list[str] = []
    latin_base = True
    for character in unicodedata.normalize("NFKD", folded):
        if unicodedata.category(character).startswith("M"):
            if not latin_base:
                kept.append(character)
            continue
        latin_base = character < "\u0250" or not character.isalpha()
        kept.append(character)
    return unicodedata.normalize("NFC", "".join(kept).translate(_BASE_LETTERS))


def _without_dots(initials: re.Match[str]) -> str:
    return initials.group().replace(".", "")


def _spaced(text: str, *, signs: frozenset[str]) -> str:
    """Put a space for everything that is no letter and no digit; set the kept signs apart."""
    return "".join(
        character
        if character.isalnum() or unicodedata.category(character).startswith("M")
        else f" {character} "
        if character in signs
        else " "
        for character in text
    )

"""Every assumption about Sedna's bodies that no example of the vendor settles, in one place.

The first contact with a live account corrects a line here, and nowhere else. Each item is an **A**
of the API notes. Pure; must hold no credentials.
"""

from datetime import date
from decimal import Decimal
from typing import Final

from consumer.sedna.folding import code_key
from schemas.inbound import Guest, ReservationCreated

#: A: guests younger than this, in whole years at check-in, are infants (`Inf`).
INFANT_BELOW: Final = 2
#: A: guests younger than this, in whole years at check-in, are children (`Chd`).
CHILD_BELOW: Final = 13

#: A: how titles of e-mails read as one of the five that Sedna knows (K: Mr, Mrs, Grp, Chd, Inf).
_TITLES: Final[dict[str, str]] = {
    **dict.fromkeys(("mr", "mister", "sir", "bay", "bey", "herr", "hr", "m", "monsieur"), "Mr"),
    **dict.fromkeys(
        ("mrs", "ms", "miss", "mme", "madam", "madame", "bayan", "hanim", "frau", "fr", "lady"),
        "Mrs",
    ),
    **dict.fromkeys(("grp", "group", "grup", "gruppe"), "Grp"),
    **dict.fromkeys(("chd", "ch", "child", "cocuk", "kind", "kid"), "Chd"),
    **dict.fromkeys(("inf", "infant", "baby", "bebek"), "Inf"),
}

#: A: this service's marks on what it makes, by which it knows its own records again.
_SOURCE: Final = "sedna-sync"

#: A: a new record is active in this sense, as in the vendor's example (K: the values).
STOP_SALE_CONSTANTS: Final = {"State": 1, "Active": 0, "RecordSource": 0}
#: A: the `State` of a child (K: the value).
CHILD_STATE: Final = 1


def source_id(email_id: int) -> str:
    """Return the `SourceId` of the reservation that was read from this e-mail."""
    return f"{_SOURCE}-{email_id}"


def record_user(stop_sale_id: int) -> str:
    """Return the `RecordUser` of this stop sale."""
    return f"{_SOURCE}:{stop_sale_id}"


def child_count(reservation: ReservationCreated) -> int:
    """A: `Child` counts children and infants; no field for infants is known."""
    return reservation.children + reservation.infants


def amount(total_price: Decimal) -> str:
    """A: `Amount` is in the account's currency, since no field for a currency is known.

    Returns the text of a JSON number, exact to the last digit.
    """
    return format(abs(total_price), "f")


def age_at(guest: Guest, day: date) -> int | None:
    """Return the age in whole years: the one that was told, else from the day of birth."""
    if guest.age is not None:
        return guest.age
    born = guest.birth_date
    if born is None or born > day:
        return None
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def title(guest: Guest, check_in: date) -> str:
    """A: the title that was told, if it can be read; else by age; an adult of unknown sex is Mr."""
    told = _TITLES.get(code_key(guest.title)) if guest.title else None
    if told is not None:
        return told
    age = age_at(guest, check_in)
    if age is None or age >= CHILD_BELOW:
        return "Mr"
    return "Inf" if age < INFANT_BELOW else "Chd"


def capitals(name: str) -> str:
    """K: names are in capitals. A: a Turkish i becomes I without its dot, as on travel papers."""
    return name.upper()


def country_key(name: str) -> str:
    """A: a country of an e-mail is one of `GetCountrys` if their folded names or codes agree."""
    return code_key(name)


def operator_remark(operator_code: str) -> str:
    """K: the code with one comma behind it, or the record does not show on Sedna's screen."""
    return f"{operator_code.strip(' ,')},"

"""The three agencies of the demo and what each sells at its Sedna: invented, but as real ones look.

Data only. No name here is that of a real hotel, and no password opens anything but the fake.
"""

# the names are Turkish, and so are their letters

from dataclasses import dataclass

from consumer.demo.fake.accounts import (
    Account,
    Board,
    CodeKeys,
    Framing,
    Hotel,
    LoginRefusal,
    ReplyShape,
    Room,
)

#: Codes and names of room types; the ids differ from hotel to hotel, as at Sedna (F).
_ROOMS = {
    "STDSV": "Standard Sea View",
    "STDLV": "Standard Land View",
    "FAMRM": "Family Room",
    "JNRST": "Junior Suite",
    "DLXSV": "Deluxe Sea View",
}
_BOARDS = {
    "AI": "All Inclusive",
    "UAI": "Ultra All Inclusive",
    "HB": "Half Board",
    "FB": "Full Board",
    "BB": "Bed & Breakfast",
}


@dataclass(frozen=True, slots=True)
class Spelling:
    """A way to write a hotel's name that must still find that hotel."""

    text: str
    hotel_id: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoTenant:
    """An agency: its account, and how the e-mails that it gets write its hotels."""

    tenant_id: str
    account: Account
    spellings: tuple[Spelling, ...]
    ambiguous: tuple[str, ...]  #: names that two of its hotels answer to
    unknown: tuple[str, ...]  #: names that none of its hotels answers to
    reopened_hotel_id: int  #: only the stop sale that is opened again is about this one
    reopened_as: tuple[str, str]  #: its name as the stop writes it, and as the opening does
    full_hotel_id: int  #: refuses every reservation
    twins: tuple[int, ...] = ()  #: hotels whose names differ in nothing that counts


def _hotels(
    first_room_id: int, names: dict[int, str], *, rooms: tuple[str, ...], full: int
) -> tuple[Hotel, ...]:
    return tuple(
        Hotel(
            id=hotel_id,
            name=name,
            rooms=tuple(
                Room(first_room_id + 10 * place + n, code, _ROOMS[code])
                for n, code in enumerate(rooms)
            ),
            refusal="Bu otel için kontenjan bulunamadı (no allotment)" if hotel_id == full else "",
        )
        for place, (hotel_id, name) in enumerate(names.items())
    )


def _boards(ids: dict[str, int]) -> tuple[Board, ...]:
    return tuple(Board(board_id, code, _BOARDS[code]) for code, board_id in ids.items())


_AURORA = DemoTenant(
    tenant_id="aurora-tours",
    account=Account(
        name="aurora-tours",
        username="aurora",
        password="kuzey-ışığı-42",  # noqa: S106  # opens nothing but the fake
        operator_id=571,
        operator_code="AURORA",
        hotels=_hotels(
            60,
            {
                18: "Mandarin Resort & Spa",
                28: "Çamlıca Palas Otel",
                31: "Lara Premium Belek",
                32: "Lara Park Belek",
                44: "Şehrazat İnci Resort",
                47: "Sirena Grand Palace Belek",
                48: "Sirena Grand Beach Belek",
                52: "Kumköy Işık Hotel",
                59: "Olimpos Zeytin Butik Otel",
                63: "Kızılağaç Garden",
            },
            rooms=("STDSV", "STDLV", "FAMRM", "JNRST"),
            full=63,
        ),
        boards=_boards({"AI": 1, "UAI": 37, "HB": 3, "BB": 5}),
        latency_seconds=0.02,
        utc_offset_hours=3.0,
    ),
    spellings=(
        Spelling("MANDARIN RESORT AND SPA", 18, "'and' for '&'"),
        Spelling("Mandarin Resort ve Spa", 18, "'ve' for '&'"),
        Spelling("Mandarin Spa & Resort Hotel", 18, "another order of words, and 'Hotel' added"),
        Spelling("ÇAMLICA PALAS OTEL", 28, "capital dotless I"),
        Spelling("Camlica Palas Hotel", 28, "no Turkish letters, and 'Hotel' for 'Otel'"),
        Spelling("Lara Premium, Belek", 31, "a comma; the sibling is Lara Park Belek"),
        Spelling("LARA PARK BELEK", 32, "capitals; the sibling is Lara Premium Belek"),
        Spelling("ŞEHRAZAT İNCİ RESORT", 44, "capital dotted İ"),
        Spelling("Sehrazat Inci Resort", 44, "s for ş, I for İ"),
        Spelling("s\u0327ehrazat i\u0307nci resort", 44, "letters and their marks written apart"),
        Spelling("Otel Kumkoy Isik", 52, "o for ö, s for ş, i for ı, and 'Otel' in front"),
        Spelling("Olimpos Zeytin", 59, "a part of the name, that one hotel alone has"),
    ),
    ambiguous=("Sirena Grand", "Sirena Grand Belek"),
    unknown=("Grand Yıldız Termal", "Hotel Bellavista Rimini"),
    reopened_hotel_id=52,
    reopened_as=("Kumköy Işık Hotel", "KUMKÖY IŞIK OTEL"),
    full_hotel_id=63,
)

_BOSPHORUS = DemoTenant(
    tenant_id="bosphorus-dmc",
    account=Account(
        name="bosphorus-dmc",
        username="dmc@bosphorus.example",
        password="boğaz-köprüsü-1973",  # noqa: S106  # opens nothing but the fake
        operator_id=812,
        operator_code="BOSDMC",
        hotels=_hotels(
            4100,
            {
                1018: "Mandarin Resort & Spa",
                1101: "Haliç Saray Hotel",
                1102: "Haliç Saray Hotel Beyoğlu",
                1115: "Otel Deniz",
                1116: "Deniz Hotel",
                1120: "İstinye Marmara Suites",
                1131: "Üsküdar Çınar Konak",
                1140: "Sultanahmet Gülhane Mansion",
                1150: "Galata Taş Oda",
                1163: "Kuzguncuk Bahçe Butik",
            },
            rooms=("STDLV", "DLXSV", "JNRST"),
            full=1163,
        ),
        boards=_boards({"BB": 11, "HB": 12, "FB": 14, "AI": 1}),
        shape=ReplyShape(
            lists_under_data=True,
            specific_ids=True,
            hotel_name_key="HotelName",
            code_keys=CodeKeys.SPECIFIC,
            dates_with_time=True,
            envelope_per_element=True,
            framing=Framing.CHUNKED,
        ),
        latency_seconds=0.05,
        utc_offset_hours=3.0,
        has_get_hotels=False,
        login_refusal=LoginRefusal.UNAUTHORISED,
    ),
    spellings=(
        Spelling("Mandarin Resort and Spa", 1018, "'and' for '&'; another agency has it as 18"),
        Spelling("HALİÇ SARAY", 1101, "capital dotted İ; the sibling has one word more"),
        Spelling("Halic Saray Beyoglu Hotel", 1102, "no Turkish letters, another order"),
        Spelling("istinye marmara suites", 1120, "small i for İ"),
        Spelling("ISTINYE MARMARA SUITES", 1120, "dotless capital I for İ"),
        Spelling("Uskudar Cinar Konak", 1131, "no Turkish letters"),
        Spelling("ÜSKÜDAR ÇINAR KONAK OTEL", 1131, "capital dotless I, and 'Otel' added"),
        Spelling("Sultanahmet Gulhane Mansion Hotel", 1140, "u for ü, and 'Hotel' added"),
        Spelling("Galata Tas Oda", 1150, "s for ş"),
    ),
    ambiguous=("Deniz Otel", "Hotel Deniz"),
    unknown=("Ankara Kale Saray", "Pera Orient Residence"),
    reopened_hotel_id=1150,
    reopened_as=("Galata Taş Oda", "GALATA TAS ODA HOTEL"),
    full_hotel_id=1163,
    twins=(1115, 1116),
)

_RIVIERA = DemoTenant(
    tenant_id="riviera-travel",
    account=Account(
        name="riviera-travel",
        username="riviera travel",
        password="100% mavi&deniz+güneş=?",  # noqa: S106  # opens nothing but the fake
        operator_id=640,
        operator_code="7STAR",
        authority_id=311,
        hotels=_hotels(
            9000,
            {
                7: "Mandarin Resort & Spa",
                9: "Azure Coast Hotel",
                12: "Azure Coast Family Club",
                15: "Pınarbaşı Deluxe Resort",
                21: "Kaş Yakamoz Pension",
                22: "Kaş Yakamoz Boutique",
                26: "Turquoise Bay Hotel & Villas",
                29: "Gökova Ilgın Lodge",
                33: "St. Nicholas Harbour Inn",
                40: "Dalyan Sazlık House",
            },
            rooms=("STDSV", "FAMRM", "DLXSV", "STDLV"),
            full=40,
        ),
        boards=_boards({"AI": 1, "UAI": 37, "FB": 4, "HB": 3, "BB": 5}),
        shape=ReplyShape(specific_ids=True, code_keys=CodeKeys.SHORT_NAME),
        latency_seconds=0.1,
        utc_offset_hours=3.0,
        has_get_hotel_list=False,
        loose_filters=True,
    ),
    spellings=(
        Spelling("Mandarin Resort + Spa", 7, "'+' for '&'; other agencies have it as 18 and 1018"),
        Spelling("AZURE COAST HOTEL", 9, "capitals; the sibling is the Family Club"),
        Spelling("Azure Coast Family Club Otel", 12, "'Otel' added"),
        Spelling("PINARBAŞI DELUXE RESORT", 15, "capital dotless I"),
        Spelling("Pinarbasi Deluxe Resort", 15, "no Turkish letters"),
        Spelling("KAS YAKAMOZ PENSION", 21, "S for Ş; the sibling is the Boutique"),
        Spelling("Turquoise Bay Hotel and Villas", 26, "'and' for '&'"),
        Spelling("Turquoise Bay Villas", 26, "without 'Hotel &'"),
        Spelling("Gokova Ilgin Lodge", 29, "o for ö, i for ı"),
        Spelling("St Nicholas Harbour Inn", 33, "no full stop"),
    ),
    ambiguous=("Kaş Yakamoz", "Yakamoz Hotel Kas"),
    unknown=("Santorini Blue Dome", "Otel Palmiye Çeşme"),
    reopened_hotel_id=29,
    reopened_as=("Gökova Ilgın Lodge", "GOKOVA ILGIN LODGE"),
    full_hotel_id=40,
)

DEMO_TENANTS: tuple[DemoTenant, ...] = (_AURORA, _BOSPHORUS, _RIVIERA)

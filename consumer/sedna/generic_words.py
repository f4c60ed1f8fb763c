"""The words that many hotels' names share, so that a partial match may not rest on them alone.

"Beach Resort" must never mean the one hotel of an account that happens to be a beach resort, nor
"Belek Hotel" the one that happens to be in Belek. None of these words is ever dropped from a name:
beside a telling word each of them counts in full. A word too many in this list costs a mapping, a
word too few can cost a wrong hotel.
"""

import re
from typing import Final

_KINDS: Final = """
    apart aparthotel apartment apartments apartotel aqua aquapark boutique butik butique bungalow
    bungalows camp camping casino club convention center centre complex evleri hostel house houses
    inn konak konaklari kulup kulubu lodge lodges mansion motel palas palace pansiyon pansiyonu
    park pension residence residences resort resorts saray sarayi suit suite suites tatil thermal
    termal tower towers village villa villas villalari waterpark koyu koy ev
"""
_SURROUNDINGS: Final = """
    airport bahce bahcesi bay bazaar beach beachfront central city coast deniz downtown forest
    garden gardens golf harbor harbour hill hills island lagoon lake marina merkez mountain ocean
    old town plaj plaji port river riverside sahil sea seafront seaside seaview ski square street
    view views water waterfront
"""
_CLASSES: Final = """
    adult adults all inclusive best business classic collection comfort concept de deluxe design
    elite exclusive executive family first five four grand great grande hospitality holiday
    holidays international kids life lifestyle lux luxe luxury luks main block annex annexe ek
    bina new yeni no numara number only plus premier premium prestige prime quality royal select
    selection signature spa spas special standard star stars style sun superior superieur svit
    three tourism turizm tourist travel two ultimate ultra vip wellness world yildiz yildizli
    thalasso one six seven
"""
_PARTICLES: Final = """
    a an at by da das de del della den der des di die do du ex eski el en et for formerly from il
    ile in la las le les los my near of on the to und van von y with
"""
_COMPASS: Final = "north south east west kuzey guney dogu bati"
_PLACES: Final = """
    adrasan akbuk alacati alanya alara altinkum ankara antalya avsallar ayvalik balikesir bafra
    beldibi belek beycik bodrum bogazkent bursa calis camyuva cappadocia cesme cirali colakli
    cyprus dalaman dalyan datca denizevler didim dubai ege egypt evrenseki famagusta fethiye
    finike gazipasa girne goynuk gocek gumbet gumuldur gumusluk gundogan hisaronu hurghada
    icmeler incekum istanbul izmir kadriye kalkan kapadokya kargicak karaburun kas kaya kemer
    kestel kibris kiris kizilagac kizilot konakli konyaalti kumkoy kumluca kundu kusadasi
    kyrenia lara mahmutlar manavgat marmaris mediterranean mersin mugla nevsehir okurcalar
    oludeniz ortakent ozdere pamukkale payallar sarigerme sarimsakli seferihisar selcuk sharm
    sheikh side sorgun taksim sultanahmet tekirova titreyengol torba trabzon turgutreis turkbuku
    turkey turkiye turkler turunc urgup yalikavak aegean akdeniz laleli aksaray sirkeci fatih
    beyoglu
"""
_CYRILLIC: Final = """
    отель отели гостиница курорт резорт спа бич пляж палас пэлас парк гарден клаб клуб гранд сити
    премиум делюкс вилла виллы сьютс хотел белек сиде кемер алания анталья анталия бодрум мармарис
"""

_GENERIC: Final = frozenset(
    f"{_KINDS} {_SURROUNDINGS} {_CLASSES} {_PARTICLES} {_COMPASS} {_PLACES} {_CYRILLIC}".split()
)
_NUMERAL: Final = re.compile(r"\d+(?:st|nd|rd|th)?|[ivx]{1,5}")


def is_generic(word: str) -> bool:
    """Tell whether a folded word is shared by many hotels' names: see the module's docstring.

    Numbers, Roman ones included, and single letters are.
    """
    return len(word) == 1 or word in _GENERIC or _NUMERAL.fullmatch(word) is not None

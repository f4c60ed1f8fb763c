"""The calls to Sedna that this service makes, and what a status code says about each.

Data and one table; no I/O. It must err on the safe side: a status after which a create may have
been carried out is `UNKNOWN`.
"""

from enum import Enum, StrEnum, auto
from typing import Final, NamedTuple


class Call(NamedTuple):
    """How an operation is called."""

    name: str  #: as metrics and messages say it
    method: str
    path: str  #: below the tenant's base address
    #: Whether it makes a record each time it is called (A, the safe assumption).
    creates: bool = False


class Operation(Enum):
    """The calls, with their real paths; the double i is Sedna's (K)."""

    LOGIN = Call("login", "GET", "/api/Integratiion/AgencyLogin")
    HOTELS = Call("get_hotels", "GET", "/api/Shop/GetHotels")
    HOTEL_LIST = Call("get_hotel_list", "POST", "/api/Integratiion/GetHotelList")
    ROOM_TYPES_OF_HOTELS = Call(
        "get_hotel_room_types", "POST", "/api/Service1/GetHotelRoomTypelistAll"
    )
    ROOM_TYPES = Call("get_room_types", "POST", "/api/Integratiion/GetRoomTypeList")
    BOARDS = Call("get_boards", "GET", "/api/Service2/GetBoardList")
    COUNTRIES = Call("get_countries", "POST", "/api/Integratiion/GetCountrys")
    INSERT_RESERVATION = Call(
        "insert_reservation", "POST", "/api/Integratiion/InsertReservation", creates=True
    )
    FIND_RESERVATIONS = Call("find_reservations", "POST", "/api/Integratiion/GetReservations")
    OPEN_STOP_SALE = Call("open_stop_sale", "PUT", "/api/Contract/UpdateStopSale", creates=True)
    #: Names its record, so repeating it is safe (A).
    COMPLETE_STOP_SALE = Call("complete_stop_sale", "PUT", "/api/Contract/UpdateStopSale")
    FIND_STOP_SALES = Call("find_stop_sales", "POST", "/api/Integratiion/GetStopSaleList")

    @property
    def writes(self) -> bool:
        """Whether it changes a record: its reply is an envelope that accepts or refuses."""
        return self.value.method == "PUT" or self.value.creates


class Says(StrEnum):
    """What a status code says about a call."""

    READ_IT = auto()  #: the body says the rest
    SESSION = auto()  #: the session has expired, nothing was done
    THROTTLED = auto()  #: too many calls, nothing was done
    REFUSED = auto()  #: a write was turned away before it was carried out
    UNKNOWN = auto()  #: a create may have been carried out
    NO_SUCH_CALL = auto()  #: a call that makes nothing new is not to be had in this way
    UNAVAILABLE = auto()  #: a call that makes nothing new failed in passing


#: The HTTP layer turns a request away with these before an operation runs: malformed, no such
#: path, wrong method, length missing, too large, wrong content type. Not among them: 403 and 406,
#: which something in front of Sedna, or ASP.NET, can also put in place of a finished reply.
_TURNED_AWAY: Final = frozenset({400, 404, 405, 411, 413, 414, 415, 422, 431})
_NOT_DONE: Final = {401: Says.SESSION, 429: Says.THROTTLED}
_SUCCESS: Final = range(200, 300)
_CLIENT_ERROR: Final = range(400, 500)
_REQUEST_TIMEOUT: Final = 408


def classify(operation: Operation, status: int) -> Says:
    """Say what a status means for a call.

    | status | a create | step 2 of a stop sale | a login, a list |
    |---|---|---|---|
    | 2xx | the body says | the body says | the body says |
    | 401 | session | session | session |
    | 429 | throttled | throttled | throttled |
    | 400 404 405 411 413 414 415 422 431 | refused | refused | no such call |
    | other 4xx but 408 | unknown | unavailable | no such call |
    | 3xx (never followed), 408, 5xx, any other | unknown | unavailable | unavailable |
    """
    if status in _SUCCESS:
        return Says.READ_IT
    if status in _NOT_DONE:
        return _NOT_DONE[status]
    if operation.writes and status in _TURNED_AWAY:
        return Says.REFUSED
    if operation.value.creates:
        return Says.UNKNOWN
    if not operation.writes and status in _CLIENT_ERROR and status != _REQUEST_TIMEOUT:
        return Says.NO_SUCH_CALL
    return Says.UNAVAILABLE

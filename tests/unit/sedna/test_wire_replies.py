"""What comes from Sedna: envelopes and lists, well-formed or not."""

import json
from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.sedna import lists
from consumer.sedna.codes import Code
from consumer.sedna.matching import Hotel
from consumer.sedna.replies import (
    Accepted,
    Refused,
    UnreadableReply,
    clean,
    excerpt,
    parse_list,
    parse_write_reply,
)

READERS = [
    parse_write_reply,
    parse_list,
    lists.hotels,
    lambda data: lists.room_types(data, hotel_id=18),
    lists.boards,
    lists.countries,
    lists.reservations,
    lists.stop_sales,
]


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "reply",
    [
        {"ErrorType": 0, "Message": None, "RecId": 823259},
        {"errorType": 0, "message": "", "recId": 823259},
        {"ERRORTYPE": "0", "RECID": "823259"},
        [{"ErrorType": 0, "Message": None, "RecId": 823259}],
    ],
)
def test_success_names_its_record(reply: Any) -> None:
    assert parse_write_reply(dump(reply)) == Accepted(823259, "")


def test_a_byte_order_mark_is_passed_over() -> None:
    reply = b"\xef\xbb\xbf" + dump({"ErrorType": 0, "RecId": 1})
    assert parse_write_reply(reply) == Accepted(1, "")


@pytest.mark.parametrize(
    "reply",
    [
        {"ErrorType": 2, "Message": "Voucher exists", "RecId": 0},
        {"ErrorType": "2", "Message": "Voucher\r\n exists"},
        [{"errortype": 2, "message": "Voucher exists", "RecId": 7}],
    ],
)
def test_a_refusal_carries_sednas_message(reply: Any) -> None:
    assert parse_write_reply(dump(reply)) == Refused(2, "Voucher exists")


@pytest.mark.parametrize("rec_id", [None, 0, -1, "", "x", True, 1.5, 2**70, [1]])
def test_success_of_a_create_without_a_record_is_no_outcome(rec_id: Any) -> None:
    reply = dump({"ErrorType": 0, "RecId": rec_id})
    with pytest.raises(UnreadableReply, match="names no record"):
        parse_write_reply(reply)
    assert parse_write_reply(reply, needs_rec_id=False) == Accepted(None, "")


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"  ",
        b"<html><body>Server Error</body></html>",
        b'{"ErrorType": 0, "RecId": 8232',
        b'{"ErrorType": NaN, "RecId": 1}',
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b"{}",
        b'"0"',
        b"[[]]",
        b'{"RecId": 5}',
        b'{"ErrorType": null, "RecId": 5}',
        b'{"ErrorType": false, "RecId": 5}',
        b'[{"ErrorType": 0, "RecId": 5}, {"ErrorType": 0, "RecId": 6}]',
        b'[{"ErrorType": 0, "RecId": 5}, {"ErrorType": 1, "Message": "no"}]',
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"9" * 100_000,
    ],
    ids=lambda reply: repr(reply[:40]),
)
def test_a_reply_that_does_not_say_the_outcome_is_unreadable(reply: bytes) -> None:
    with pytest.raises(UnreadableReply):
        parse_write_reply(reply)


@pytest.mark.parametrize("key", ["Data", "data", "DATA", "Result"])
def test_a_list_is_bare_or_under_data(key: str) -> None:
    assert parse_list(b"[1, 2]") == [1, 2]
    assert parse_list(dump({"ErrorType": 0, key: [1, 2]})) == [1, 2]


@pytest.mark.parametrize("reply", [{}, {"Data": None}, {"Data": {}}, None, 5, {"Hotels": []}])
def test_what_is_no_list_is_not_an_empty_list(reply: Any) -> None:
    with pytest.raises(UnreadableReply):
        parse_list(dump(reply))


def test_an_envelope_in_place_of_a_list_says_its_error_type() -> None:
    with pytest.raises(UnreadableReply, match="ErrorType 9"):
        parse_list(dump({"ErrorType": 9, "Message": "no", "RecId": 0}))


def test_hotels_are_read_under_all_known_names_and_the_odd_ones_are_counted() -> None:
    listed = [
        {"RecId": 18, "Name": "Mandarin Resort & Spa"},
        {"HotelId": "28", "HotelName": " Rixos\u0000 Park "},
        {"hotelId": 29, "recId": 5, "name": "Both ids"},
        {"RecId": 30, "Name": "Closed", "IsActive": False},
        {"RecId": 0, "Name": "No id"},
        {"RecId": 31, "Name": " "},
        {"RecId": 32},
        "rubbish",
        None,
    ]
    assert lists.hotels(dump(listed)) == lists.Parsed(
        (Hotel(18, "Mandarin Resort & Spa"), Hotel(28, "Rixos Park"), Hotel(29, "Both ids")), 5
    )


def test_rooms_are_read_under_all_known_names_and_those_of_other_hotels_left_out() -> None:
    listed = [
        {"RecId": 63, "Code": "STDSV", "Name": "Standard Sea"},
        {"RoomTypeId": 64, "RecId": 1, "RoomTypeCode": "STDLV", "HotelId": 18},
        {"RoomTypeId": 65, "ShortName": "FAM", "RoomTypeName": "Family", "HotelId": "18"},
        {"RecId": 66, "Name": "Suite"},
        {"RoomTypeId": 67, "Code": "STDSV", "HotelId": 28},
        {"RoomTypeId": 68},
    ]
    assert lists.room_types(dump({"Data": listed}), hotel_id=18) == lists.Parsed(
        (
            Code(63, "STDSV", "Standard Sea"),
            Code(64, "STDLV", "STDLV"),
            Code(65, "FAM", "Family"),
            Code(66, "Suite", "Suite"),
        ),
        1,
    )


def test_boards_are_read_under_all_known_names() -> None:
    listed = [{"RecId": 1, "Code": "AI"}, {"BoardId": 37, "BoardCode": "UAI", "Name": "Ultra"}]
    assert lists.boards(dump(listed)).items == (Code(1, "AI", "AI"), Code(37, "UAI", "Ultra"))


def test_countries_are_found_by_name_and_code_but_not_where_two_share_one() -> None:
    listed = [
        {"Name": "TÜRKİYE", "NationalityId": 1, "Code": "TR"},
        {"Name": "Congo", "RecId": 2},
        {"Name": "CONGO", "NationalityId": 3},
        {"Name": "Nowhere"},
    ]
    assert lists.countries(dump(listed)) == {"turkiye": 1, "tr": 1}


def test_a_reservation_is_read_with_what_it_tells() -> None:
    listed = [
        {
            "RecId": 5,
            "Voucher": 123,
            "SourceId": "sedna-sync-4",
            "HotelId": "18",
            "CheckinDate": "2026-05-01T00:00:00",
            "CheckOutDate": "2026-05-08",
        },
        {"recId": 6, "voucher": "V", "checkinDate": "01.05.2026", "checkOutDate": 5},
        {"RecId": 7},
        {"Voucher": "V"},
    ]
    parsed = lists.reservations(dump(listed))
    assert parsed.skipped == 2
    assert parsed.items == (
        lists.ReservationRecord(
            rec_id=5,
            voucher="123",
            source_id="sedna-sync-4",
            hotel_id=18,
            check_in=date(2026, 5, 1),
            check_out=date(2026, 5, 8),
        ),
        lists.ReservationRecord(
            rec_id=6, voucher="V", source_id=None, hotel_id=None, check_in=None, check_out=None
        ),
    )


def test_a_stop_sale_is_read_with_what_it_tells() -> None:
    listed = [
        {
            "RecId": 5,
            "HotelId": 18,
            "BeginDate": "2026-05-01T00:00:00",
            "EndDate": "2026-05-02T00:00:00.000",
            "StopType": "1",
            "RoomRemark": "A,B",
            "RecordUser": "sedna-sync:7",
            "StopSaleRooms": [{"RoomTypeId": 63}, {"RoomTypeId": None}, 5],
            "StopSaleBoards": "rubbish",
            "StopSaleOperators": [{"operatorId": 571}],
        },
        {"RecId": 6},
        {"RecId": 7, "BeginDate": "2026-05-01", "EndDate": "2026-05-01"},
    ]
    parsed = lists.stop_sales(dump(listed))
    assert parsed.skipped == 2
    assert parsed.items == (
        lists.StopSaleRecord(
            rec_id=5,
            hotel_id=18,
            begin=date(2026, 5, 1),
            end=date(2026, 5, 2),
            stop_type=1,
            room_remark="A,B",
            board_remark=None,
            operator_remark=None,
            record_user="sedna-sync:7",
            room_type_ids=(63,),
            board_ids=(),
            operator_ids=(571,),
        ),
    )


def test_an_excerpt_is_short_clean_and_without_url_queries() -> None:
    page = "<p>404 \x1b[31m /api/AgencyLogin?username=u&password=p%40ss </p>\r\n" + "x" * 5_000
    text = excerpt(page.encode() + b"\xff", conceal=lambda text: text)
    assert len(text) == 200
    assert "p%40ss" not in text
    assert text.isprintable()


def test_a_secret_is_taken_out_of_a_message_before_the_message_is_cut() -> None:
    message = "x" * 495 + "hunter2-secret"
    reply = dump({"ErrorType": 3, "Message": message})
    refused = parse_write_reply(reply, conceal=lambda text: text.replace("hunter2-secret", "***"))
    assert isinstance(refused, Refused)
    assert "hunt" not in refused.message
    assert len(refused.message) <= 500


def test_an_unreadable_reply_holds_nothing_of_the_reply() -> None:
    with pytest.raises(UnreadableReply) as caught:
        parse_list(b"<p>?password=hunter2</p>")
    assert "hunter2" not in repr(caught.value)
    assert caught.value.__suppress_context__


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["ErrorType", "RecId", "Message", "Data", "Name", "HotelId", "Code", "Voucher",
             "SourceId", "CheckinDate", "BeginDate", "EndDate", "StopType", "RecordUser",
             "StopSaleRooms", "RoomTypeId", "NationalityId"]
        )
        | st.text(max_size=4),
        inner | st.sampled_from(["2026-05-01", "2026-13-01", "2026-05-01T00:00:00", "5", 5]),
        max_size=6,
    ),
    max_leaves=20,
)  # fmt: skip


@pytest.mark.parametrize("read", READERS)
@given(data=st.binary() | json_values.map(dump))
def test_any_bytes_are_a_value_or_an_unreadable_reply(read: Any, data: bytes) -> None:
    with suppress(UnreadableReply):
        read(data)


@given(st.integers(1, 2**63 - 1), st.text(max_size=50))
def test_an_envelope_is_read_back(rec_id: int, message: str) -> None:
    reply = dump({"ErrorType": 0, "Message": message, "RecId": rec_id})
    assert parse_write_reply(reply) == Accepted(rec_id, clean(message))

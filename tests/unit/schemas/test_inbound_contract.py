import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas import examples
from schemas.inbound import (
    ReservationCreated,
    StopSaleCreated,
    content_hash,
    to_json,
)
from schemas.kinds import is_tenant_id


def reservation(**changes: Any) -> ReservationCreated:
    data = examples.reservation_created()["data"] | changes
    return ReservationCreated.from_json(json.dumps(data))


def stop_sale(**changes: Any) -> StopSaleCreated:
    data = examples.stop_sale_created()["data"] | changes
    return StopSaleCreated.from_json(json.dumps(data))


def guest(**changes: Any) -> dict[str, Any]:
    return {"first_name": "Ada", "last_name": "Kaya"} | changes


def test_a_reservation_is_read_with_its_types() -> None:
    read = reservation(total_price="1250.50")

    assert read.check_in == date(2026, 7, 1)
    assert read.total_price == Decimal("1250.50")
    assert read.guests[0].birth_date == date(1980, 4, 23)
    assert read.guests[1].birth_date is None
    assert read.sedna_hotel_id is None


def test_a_stop_sale_is_read_with_its_types() -> None:
    read = stop_sale()

    assert read.date_to == date(2026, 8, 15)
    assert read.is_close is True
    assert read.room_types == ("STDSV",)
    assert read.board_types == ()


@pytest.mark.parametrize(
    "name", ["email_id", "voucher_no", "hotel_name", "check_in", "infants", "guests"]
)
def test_a_required_field_of_a_reservation_may_not_be_absent(name: str) -> None:
    data = examples.reservation_created()["data"]
    del data[name]
    with pytest.raises(ValidationError) as caught:
        ReservationCreated.from_json(json.dumps(data))
    assert [found["loc"] for found in caught.value.errors()] == [(name,)]


def test_codes_of_a_stop_sale_are_optional_and_mean_all() -> None:
    data = examples.stop_sale_created()["data"]
    for name in ("room_types", "board_types", "email_id", "reason"):
        del data[name]
    read = StopSaleCreated.from_json(json.dumps(data))
    assert (read.room_types, read.board_types, read.email_id, read.reason) == ((), (), None, None)


@pytest.mark.parametrize("text", ["2026-06-30", "2026-06-30T00:00:00"])
def test_a_date_is_a_day_or_midnight_of_it(text: str) -> None:
    assert reservation(check_in=text).check_in == date(2026, 6, 30)


@pytest.mark.parametrize(
    "value",
    [
        "2026-06-30T00:00:01",
        "2026-06-30T00:00:00Z",
        "2026-06-30T00:00:00+03:00",
        "2026-06-30 00:00:00",
        "30.06.2026",
        "2026-6-30",
        "2026-02-30",
        "0000-01-01",
        "1777593600",
        " 2026-06-30",
        "2026-06-30\n",
        "٢٠٢٦-06-30",
        "",
        20260630,
        1777593600.0,
        True,
        None,
        ["2026-06-30"],
    ],
)
def test_nothing_else_is_a_date(value: object) -> None:
    with pytest.raises(ValidationError):
        reservation(check_in=value)


@pytest.mark.parametrize(
    "changes",
    [
        {"check_in": "2026-07-08", "check_out": "2026-07-08"},
        {"check_in": "2026-07-09", "check_out": "2026-07-08"},
    ],
)
def test_a_departure_comes_after_its_arrival(changes: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        reservation(**changes)
    assert [(found["loc"], found["msg"]) for found in caught.value.errors()] == [
        (("check_out",), "must be after check_in")
    ]


def test_a_stop_sale_may_last_one_day_but_not_end_before_it_begins() -> None:
    assert stop_sale(date_from="2026-08-15").date_from == date(2026, 8, 15)
    with pytest.raises(ValidationError, match="must not be before date_from"):
        stop_sale(date_from="2026-08-16")


@pytest.mark.parametrize("value", ["0", "0.01", "1250", "1250.50", "9999999999999.123456"])
def test_a_price_is_a_decimal_in_a_string(value: str) -> None:
    assert reservation(total_price=value).total_price == Decimal(value)


@pytest.mark.parametrize(
    "value",
    [1250, 1250.5, True, "-1", "-0", "+1", "1,5", "1e3", "NaN", "Infinity", "", " 1", "1.", ".5"],
)
def test_nothing_else_is_a_price(value: object) -> None:
    with pytest.raises(ValidationError):
        reservation(total_price=value)


@pytest.mark.parametrize("value", ["eur", "EU", "EURO", "€", "", 978, "ÉUR"])
def test_a_currency_is_three_capital_letters(value: object) -> None:
    assert reservation(currency="TRY").currency == "TRY"
    with pytest.raises(ValidationError):
        reservation(currency=value)


@pytest.mark.parametrize("name", ["email_id", "sedna_hotel_id"])
def test_an_id_is_a_whole_number_that_a_bigint_holds(name: str) -> None:
    assert getattr(reservation(**{name: 0}), name) == 0
    assert getattr(reservation(**{name: 2**63 - 1}), name) == 2**63 - 1
    for wrong in (-1, 2**63, 10**400, 1.0, "1", True, [1]):
        with pytest.raises(ValidationError):
            reservation(**{name: wrong})


@pytest.mark.parametrize("name, lowest", [("adults", 1), ("children", 0), ("infants", 0)])
def test_guests_are_counted_up_to_99(name: str, lowest: int) -> None:
    assert getattr(reservation(**{name: lowest}), name) == lowest
    assert getattr(reservation(**{name: 99}), name) == 99
    for wrong in (lowest - 1, 100, True, "2", 2.0, None):
        with pytest.raises(ValidationError):
            reservation(**{name: wrong})


@pytest.mark.parametrize("value", [1, 0, "true", "yes", None])
def test_closing_or_opening_is_never_guessed(value: object) -> None:
    with pytest.raises(ValidationError):
        stop_sale(is_close=value)


@pytest.mark.parametrize(
    "name, longest",
    [("voucher_no", 50), ("hotel_name", 200), ("room_type", 50), ("board_type", 50)],
)
def test_a_required_text_is_stripped_then_measured(name: str, longest: int) -> None:
    assert getattr(reservation(**{name: f" \t{'x' * longest}\n"}), name) == "x" * longest
    for wrong in ("x" * (longest + 1), "", " \t ", 7, None):
        with pytest.raises(ValidationError):
            reservation(**{name: wrong})


@pytest.mark.parametrize("name", ["hotel_remark", "reservation_remark"])
def test_a_remark_has_at_most_2000_characters(name: str) -> None:
    assert getattr(reservation(**{name: "ş" * 2000}), name) == "ş" * 2000
    with pytest.raises(ValidationError):
        reservation(**{name: "ş" * 2001})


def test_a_blank_optional_text_is_the_same_as_none() -> None:
    assert reservation(hotel_remark=" ").hotel_remark is None
    assert reservation(guests=[guest(title="", nationality="  ")]).guests[0].title is None


def test_lists_are_bounded() -> None:
    assert len(reservation(guests=[guest()] * 100).guests) == 100
    assert len(stop_sale(room_types=["A"] * 200, board_types=["B"] * 200).room_types) == 200
    for wrong in ({"room_types": ["A"] * 201}, {"board_types": ["B"] * 201}, {"room_types": [""]}):
        with pytest.raises(ValidationError):
            stop_sale(**wrong)
    with pytest.raises(ValidationError):
        reservation(guests=[guest()] * 101)


TEXTS_OF_A_RESERVATION = [
    "voucher_no",
    "hotel_name",
    "room_type",
    "board_type",
    "currency",
    "hotel_remark",
    "reservation_remark",
]


@pytest.mark.parametrize("bad", ["a\x00b", "\x00", "\ud800", "a\udfffb"])
@pytest.mark.parametrize("name", TEXTS_OF_A_RESERVATION)
def test_no_text_of_a_reservation_holds_what_postgres_cannot_store(name: str, bad: str) -> None:
    with pytest.raises(ValidationError):
        reservation(**{name: bad})


@pytest.mark.parametrize("bad", ["a\x00b", "a\udfffb"])
@pytest.mark.parametrize("name", ["title", "first_name", "last_name", "passport_no", "nationality"])
def test_no_text_of_a_guest_holds_what_postgres_cannot_store(name: str, bad: str) -> None:
    with pytest.raises(ValidationError):
        reservation(guests=[guest(**{name: bad})])


@pytest.mark.parametrize("bad", ["a\x00b", "a\udfffb"])
@pytest.mark.parametrize("name", ["hotel_name", "reason", "room_types", "board_types"])
def test_no_text_of_a_stop_sale_holds_what_postgres_cannot_store(name: str, bad: str) -> None:
    with pytest.raises(ValidationError):
        stop_sale(**{name: [bad] if name.endswith("types") else bad})


def test_a_contract_cannot_be_changed_once_it_is_read() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        reservation().voucher_no = "other"


def test_an_error_does_not_repeat_what_was_given() -> None:
    with pytest.raises(ValidationError) as caught:
        reservation(guests=[guest(birth_date="SECRET-1234")], check_in="SECRET-1234")
    assert "SECRET" not in str(caught.value)


def test_a_model_can_be_made_from_python_values_too() -> None:
    read = reservation()
    assert ReservationCreated(**dict(read)) == read
    with pytest.raises(ValidationError):
        ReservationCreated(**dict(read) | {"check_in": datetime(2026, 7, 1)})  # noqa: DTZ001 - a zone would not make it a date


def test_the_order_of_fields_and_unknown_ones_do_not_change_the_digest() -> None:
    data = examples.reservation_created()["data"]
    turned = dict(reversed(data.items())) | {"new_field": [1], "guests": []}
    turned["guests"] = [dict(reversed(one.items())) | {"pet": "cat"} for one in data["guests"]]

    same = ReservationCreated.from_json(json.dumps(turned))

    assert content_hash(same) == content_hash(reservation())


@pytest.mark.parametrize(
    "changes",
    [
        {"hotel_remark": None},
        {"hotel_remark": "  "},
        {"check_in": "2026-07-01T00:00:00"},
        {"voucher_no": " JNP123456 "},
        {"total_price": "1250.5"},
        {"total_price": "01250.500"},
    ],
)
def test_another_way_to_write_the_same_does_not_change_the_digest(changes: dict[str, Any]) -> None:
    assert content_hash(reservation(**changes)) == content_hash(reservation())


@pytest.mark.parametrize(
    "changes",
    [
        {"email_id": 41},
        {"voucher_no": "JNP123457"},
        {"check_out": "2026-07-09"},
        {"total_price": "1250.51"},
        {"total_price": None},
        {"guests": []},
        {"guests": [guest()]},
        {"hotel_remark": "Sea view"},
    ],
)
def test_other_content_has_another_digest(changes: dict[str, Any]) -> None:
    assert content_hash(reservation(**changes)) != content_hash(reservation())


def test_digests_stay_the_same_from_version_to_version() -> None:
    """They are stored: where they change, every event that is published again is a conflict."""
    a_reservation = ReservationCreated.from_json(
        """{"email_id": 1, "voucher_no": "V-1", "hotel_name": "Şirin Otel",
        "check_in": "2026-07-01", "check_out": "2026-07-02", "room_type": "STD",
        "board_type": "AI", "adults": 1, "children": 0, "infants": 0,
        "guests": [{"first_name": "Ada", "last_name": "Kaya"}],
        "total_price": "100.00", "currency": "EUR"}"""
    )
    a_stop_sale = StopSaleCreated.from_json(
        """{"stop_sale_id": 1, "hotel_name": "Şirin Otel", "date_from": "2026-07-01",
        "date_to": "2026-07-02", "is_close": true, "room_types": ["STD"]}"""
    )
    assert (
        content_hash(a_reservation).hex()
        == "f0f8bf7f23a73a8e7ce6d574f633dca28b3c92fed6001e71ea87e432117e98f8"
    )
    assert (
        content_hash(a_stop_sale).hex()
        == "e0ab4c71af01bf00fd01d5a9fae06f685b1d5617230da5ddb0dbd74c96a92311"
    )


def test_stored_json_has_no_nulls() -> None:
    assert "null" not in to_json(reservation())


days = st.dates().map(date.isoformat)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=50)
names = texts.filter(lambda text: text.strip() != "")
prices = st.decimals(min_value=0, max_value=10**12, places=6).map(lambda price: format(price, "f"))


@given(
    changes=st.fixed_dictionaries(
        {},
        optional={
            "email_id": st.integers(0, 2**63 - 1),
            "voucher_no": names,
            "hotel_name": names,
            "total_price": prices,
            "sale_date": st.none() | days,
            "reservation_remark": st.none() | texts,
            "guests": st.lists(
                st.builds(guest, first_name=names, birth_date=st.none() | days), max_size=3
            ),
        },
    )
)
def test_what_is_stored_is_read_again_as_the_same(changes: dict[str, Any]) -> None:
    read = reservation(**changes)
    again = ReservationCreated.from_json(to_json(read))
    assert again == read
    assert content_hash(again) == content_hash(read)


@pytest.mark.parametrize("text", ["a", "agency-7", "A_b-9", "x" * 64])
def test_a_tenant_id_is_1_to_64_letters_digits_and_dashes(text: str) -> None:
    assert is_tenant_id(text)


@pytest.mark.parametrize("text", ["", "x" * 65, "a b", "a/b", "a.b", "ş", "٣", "a\n", "a\x00"])
def test_nothing_else_is_a_tenant_id(text: str) -> None:
    assert not is_tenant_id(text)

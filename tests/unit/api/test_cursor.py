"""Cursors come back as they were written, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.api import cursor


@given(st.integers(1, 2**63 - 1))
def test_a_cursor_stands_for_the_place_that_it_was_written_of(place: int) -> None:
    text = cursor.write(place)
    assert cursor.read(text) == place
    assert len(text) <= 64
    assert text.isascii()
    assert not set(text) & set("+/=&?#% ")


@given(st.text(max_size=80))
def test_any_other_text_is_refused(text: str) -> None:
    try:
        place = cursor.read(text)
    except cursor.InvalidCursor:
        return
    assert 0 < place < 2**63


@pytest.mark.parametrize(
    "inner", ["s1:0", "s1:-1", "s1:9223372036854775808", "s2:1", "s1:1 ", "s1:"]
)
def test_a_cursor_that_we_have_not_written_is_refused(inner: str) -> None:
    import base64  # noqa: PLC0415 - only to forge one

    with pytest.raises(cursor.InvalidCursor):
        cursor.read(base64.urlsafe_b64encode(inner.encode()).decode())

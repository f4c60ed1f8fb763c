"""What people are told about a failure leads to what they can do themselves."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.advice import what_a_tenant_can_do, what_to_do, why, why_for_a_tenant
from schemas.outcomes import ErrorCode

#: What is stored of these fails again.
NOT_TO_BE_RETRIED = {ErrorCode.INVALID_EVENT, ErrorCode.CONFLICT}
#: As they are stored: each leads an operator to a command, a setting or a variable.
FOR_OPERATORS = [
    "tenant a has no Sedna account here: add it with `sedna-sync tenant set a`",
    "the password of tenant a is encrypted with key k1, which SEDNA_SYNC_ENCRYPTION_KEYS lacks",
    "the password of tenant a does not open with key k1; set it with `sedna-sync tenant set a`",
    "tenant a is switched off: `sedna-sync tenant set a --active` switches it on",
    "login: not sent: ConnectError: 10.0.0.7 is private: SEDNA_SYNC_ALLOW_PRIVATE_ADDRESSES",
    "HTTPS_PROXY must be a URL such as http://proxy.example:3128.",
]
WORDS = ("sedna-sync", "sedna_sync", "password", "_proxy", "10.0.0.7", "k1")
candidate: dict[str, Any] = {"id": 18, "name": "Mandarin", "score": 90.0}


@pytest.mark.parametrize("code", ErrorCode)
def test_whoever_has_mended_a_failure_is_told_to_retry_it(code: ErrorCode) -> None:
    assert ("sedna-sync retry" in what_to_do(code)) == (code not in NOT_TO_BE_RETRIED)


def test_who_was_overtaken_is_told_by_what_and_that_only_force_sends_it() -> None:
    message = "stop sale 8 of a..b came later and is synced: `sedna-sync retry --force` sends it"
    assert why(ErrorCode.SUPERSEDED, message, {}) == "stop sale 8 of a..b came later and is synced"
    assert "--force" in what_to_do(ErrorCode.SUPERSEDED)


@pytest.mark.parametrize("code", ErrorCode)
def test_a_tenants_admin_is_told_to_ask_for_the_sync_where_an_operator_is_told_to_retry(
    code: ErrorCode,
) -> None:
    advice = what_a_tenant_can_do(code, {})
    assert advice is not None
    assert ("for the sync again" in advice) == (
        code not in NOT_TO_BE_RETRIED | {ErrorCode.SUPERSEDED}  # only an operator can force it
    )
    assert "sedna-sync" not in advice


def test_of_a_hotel_whose_id_is_unknown_no_mapping_is_advised() -> None:
    by_name = what_a_tenant_can_do("hotel_not_found", {"hotel_name": "X"})
    by_id = what_a_tenant_can_do("hotel_not_found", {"hotel_name": "X", "sedna_hotel_id": 7})
    assert by_name is not None
    assert by_id is not None
    assert "hotel-mappings" in by_name
    assert "hotel-mappings" not in by_id


@pytest.mark.parametrize("code", [None, "of_a_later_release"])
def test_where_nothing_is_known_to_have_failed_nothing_is_advised(code: str | None) -> None:
    assert what_a_tenant_can_do(code, None) is None


@pytest.mark.parametrize("message", FOR_OPERATORS)
@pytest.mark.parametrize(
    "code",
    [None, "of_a_later_release", ErrorCode.GAVE_UP, ErrorCode.IN_DOUBT_UNRESOLVED],
)
def test_a_tenants_admin_is_never_shown_an_operators_matter(code: str | None, message: str) -> None:
    said = why_for_a_tenant(code, message, None)
    assert said
    assert not [word for word in WORDS if word in said.lower()]


@given(
    code=st.sampled_from([None, *ErrorCode]),
    before=st.text(),
    command=st.sampled_from(["sedna-sync", "SEDNA_SYNC_", "http_proxy", "HTTPS_PROXY"]),
    after=st.text(),
)
def test_no_command_or_setting_comes_through_whatever_stands_around_it(
    code: ErrorCode | None, before: str, command: str, after: str
) -> None:
    said = why_for_a_tenant(code, f"{before} {command} {after}", {})
    assert said
    assert command not in said


@pytest.mark.parametrize(
    "code, details, said",
    [
        ("hotel_not_found", {"hotel_name": "X", "candidates": []}, "no hotel is called “X”"),
        (
            "hotel_not_found",
            {"hotel_name": "X", "sedna_hotel_id": 7},
            "no hotel has the id 7 (“X”)",
        ),
        (
            "hotel_ambiguous",
            {"hotel_name": "X", "candidates": [candidate]},
            "“X” fits Mandarin (18)",
        ),
        ("tenant_not_configured", {}, "tenant a is switched off"),
        ("gave_up", {}, "tenant a is switched off: so it is"),
        (None, None, "tenant a is switched off: so it is"),
    ],
)
def test_a_reason_that_is_the_tenants_own_is_shown(
    code: str | None, details: dict[str, Any] | None, said: str
) -> None:
    assert why_for_a_tenant(code, "tenant a is switched off: so it is", details) == said


def test_without_a_message_there_is_no_reason() -> None:
    assert why_for_a_tenant(None, None, None) is None

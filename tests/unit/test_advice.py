"""What a person is told to do about a failure leads to a command that there is."""

import pytest

from consumer.advice import what_to_do, why
from schemas.outcomes import ErrorCode

#: What is stored of these fails again.
NOT_TO_BE_RETRIED = {ErrorCode.INVALID_EVENT, ErrorCode.CONFLICT}


@pytest.mark.parametrize("code", ErrorCode)
def test_whoever_has_mended_a_failure_is_told_to_retry_it(code: ErrorCode) -> None:
    assert ("sedna-sync retry" in what_to_do(code)) == (code not in NOT_TO_BE_RETRIED)


def test_who_was_overtaken_is_told_by_what_and_that_only_force_sends_it() -> None:
    message = "stop sale 8 of a..b came later and is synced: `sedna-sync retry --force` sends it"
    assert why(ErrorCode.SUPERSEDED, message, {}) == "stop sale 8 of a..b came later and is synced"
    assert "--force" in what_to_do(ErrorCode.SUPERSEDED)

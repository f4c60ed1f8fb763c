"""What a person is told to do about a failure leads to a command that there is."""

import pytest

from consumer.advice import what_to_do
from schemas.outcomes import ErrorCode

#: What is stored of these fails again, or is better not sent.
NOT_TO_BE_RETRIED = {ErrorCode.INVALID_EVENT, ErrorCode.CONFLICT, ErrorCode.SUPERSEDED}


@pytest.mark.parametrize("code", ErrorCode)
def test_whoever_has_mended_a_failure_is_told_to_retry_it(code: ErrorCode) -> None:
    assert ("sedna-sync retry" in what_to_do(code)) == (code not in NOT_TO_BE_RETRIED)

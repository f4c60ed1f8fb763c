"""How long the group waits for a silent member, next to the lease on its partitions."""

import pytest

from consumer.kafka import session_timeout
from consumer.settings import Settings


@pytest.mark.parametrize("lease, session", [(4, 6), (6, 6), (17.5, 17.5), (30, 30), (60, 30)])
def test_the_group_waits_for_a_silent_member_no_longer_than_its_leases_last(
    lease: float, session: float
) -> None:
    assert session_timeout(Settings(lease=lease)) == session

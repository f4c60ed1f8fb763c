"""Which claims are good, and when."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.api.claims import Rules, TokenRefused, tenant_of

NOW = 1_800_000_000.0
RULES = Rules(audience=None, leeway=30)


def judged(rules: Rules = RULES, /, **changes: Any) -> str:
    claims = {"tenant_id": "agency-7", "exp": NOW + 60} | changes
    return tenant_of(
        {name: value for name, value in claims.items() if value != "absent"}, rules=rules, now=NOW
    )


def test_a_good_token_gives_its_tenant() -> None:
    assert judged() == "agency-7"


@pytest.mark.parametrize("leeway", [0, 30])
def test_a_token_is_good_until_its_end_and_the_leeway_are_over(leeway: float) -> None:
    rules = Rules(audience=None, leeway=leeway)
    assert judged(rules, exp=NOW - leeway + 0.001) == "agency-7"
    with pytest.raises(TokenRefused, match="expired"):
        judged(rules, exp=NOW - leeway)


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_a_token_of_the_future_is_good_only_within_the_leeway(name: str) -> None:
    assert judged(**{name: NOW + 30}) == "agency-7"
    with pytest.raises(TokenRefused, match=f"its {name} is in the future"):
        judged(**{name: NOW + 30.001})


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value", [None, True, str(NOW + 60), [NOW + 60], {}, math.inf, -math.inf, math.nan]
)
def test_a_time_that_is_no_number_is_refused(name: str, value: object) -> None:
    with pytest.raises(TokenRefused, match=f"its {name} is no time"):
        judged(**{name: value})


def test_a_token_without_an_end_is_refused() -> None:
    with pytest.raises(TokenRefused, match="no exp"):
        judged(exp="absent")


@pytest.mark.parametrize(
    "tenant", ["absent", None, "", 7, ["agency-7"], "a b", "agency-7\n", "x" * 65, "ağency"]
)
def test_a_token_without_a_tenant_is_refused(tenant: object) -> None:
    with pytest.raises(TokenRefused, match="tenant_id"):
        judged(tenant_id=tenant)


@pytest.mark.parametrize("named", ["sedna-sync", ["other", "sedna-sync"]])
def test_a_token_for_this_audience_is_good(named: object) -> None:
    assert judged(Rules(audience="sedna-sync", leeway=0), aud=named) == "agency-7"


@pytest.mark.parametrize(
    "named", ["absent", None, "other", "sedna-syn", [], ["other"], [[]], 7, {}]
)
def test_a_token_for_another_audience_or_for_none_is_refused(named: object) -> None:
    with pytest.raises(TokenRefused, match="audience"):
        judged(Rules(audience="sedna-sync", leeway=0), aud=named)


@pytest.mark.parametrize("named", ["other", ["other"], []])
def test_a_token_for_some_audience_is_refused_where_none_is_set(named: object) -> None:
    with pytest.raises(TokenRefused, match="audience"):
        judged(aud=named)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["exp", "nbf", "iat", "aud", "tenant_id"]), _JSON),
    st.sampled_from([None, "sedna-sync"]),
)
def test_whatever_the_claims_are_they_give_a_tenant_or_a_refusal(
    claims: dict[str, Any], audience: str | None
) -> None:
    try:
        tenant = tenant_of(claims, rules=Rules(audience=audience, leeway=0), now=NOW)
    except TokenRefused:
        return
    assert tenant == claims["tenant_id"]
    assert claims["exp"] > NOW

"""The W3C form of a trace's context: what has it is carried on, and all else is left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.examples import TRACEPARENT
from schemas.trace import LONGEST_TRACESTATE, TraceContext, trace_in

KEYS = st.from_regex(r"[a-z0-9][a-z0-9_\-*/@]{0,10}", fullmatch=True)
VALUES = st.from_regex(r"[!-+\--<>-~]{1,10}", fullmatch=True)


def test_a_context_knows_its_trace() -> None:
    context = trace_in(TRACEPARENT)
    assert context == TraceContext(TRACEPARENT, None)
    assert context.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_context_is_carried_on_by_the_names_of_the_standard() -> None:
    assert TraceContext(TRACEPARENT).fields() == (("traceparent", TRACEPARENT),)
    assert dict(TraceContext(TRACEPARENT, "a=1").fields()) == {
        "traceparent": TRACEPARENT,
        "tracestate": "a=1",
    }


@pytest.mark.parametrize("parent", [None, 1, b"00", "", TRACEPARENT + "\n", TRACEPARENT.upper()])
def test_a_parent_of_another_form_is_no_context(parent: object) -> None:
    assert trace_in(parent, "a=1") is None


@given(st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=20), st.sampled_from([",", " ,\t"]))
def test_every_list_of_the_standard_is_carried_on(
    members: list[tuple[str, str]], comma: str
) -> None:
    texts = [f"{key}={value}" for key, value in members]
    context = trace_in(TRACEPARENT, comma.join(texts))
    assert context is not None
    assert context.state == ",".join(texts)


@given(st.text(max_size=40))
def test_whatever_is_carried_on_can_stand_in_a_header(state: str) -> None:
    context = trace_in(TRACEPARENT, state)
    assert context is not None
    if context.state is not None:
        assert context.state.isascii()
        assert context.state.isprintable()
        assert trace_in(TRACEPARENT, context.state) == context


@pytest.mark.parametrize(
    "state",
    [
        *(None, 7, "", " ", ",", "a", "=1", "A=1", "a=1,b", "a=1\r\nx: y", "a=ü", "a=1\n"),
        ",".join(f"a{number}=1" for number in range(33)),
        f"a={'x' * LONGEST_TRACESTATE}",
        ",".join(f"a{number}={'x' * 100}" for number in range(6)),
    ],
)
def test_a_state_of_another_form_is_left_out(state: object) -> None:
    assert trace_in(TRACEPARENT, state) == TraceContext(TRACEPARENT, None)

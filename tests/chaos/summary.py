"""What a chaos run came to, for a person. Pure."""

from collections import Counter
from collections.abc import Iterator

from tests.chaos.histories import Broken, Finding
from tests.chaos.run import Outcome
from tests.chaos.schedule import Disruption, SednaFault

_SHOWN = 20
#: Said even where there is none.
_ALWAYS = (
    Broken.LOST,
    Broken.DOUBLED,
    Broken.OUT_OF_ORDER,
    Broken.UNANSWERED,
    Broken.UNSETTLED_DOUBT,
)


def summary(outcome: Outcome) -> str:
    """The whole text."""
    return "\n".join(_lines(outcome))


def _lines(outcome: Outcome) -> Iterator[str]:
    options = outcome.options
    yield (
        f"seed {options.seed}: {options.duration:g} s, {outcome.events} events of "
        f"{options.tenants} tenants, {options.processes} processes"
    )
    yield f"{outcome.struck.total()} faults struck:"
    for kind in (*Disruption, *SednaFault):
        yield f"  {outcome.struck[kind.value]:5}  {kind.value}"
    counts = Counter(finding.broken for finding in outcome.findings)
    for broken in Broken:
        if counts[broken] or broken in _ALWAYS:
            yield f"{broken.value}: {counts[broken]}"
    yield f"in doubt at some time: {outcome.doubts}, of which Sedna had {outcome.adopted}"
    recovered = outcome.seconds_to_recover
    yield "time to recover: " + (
        f"{recovered:.1f} s from the last fault to the last result"
        if recovered is not None
        else f"not within {options.patience:g} s"
    )
    if outcome.not_started:
        yield f"{outcome.not_started} processes ended before they served, for want of a server"
    yield f"the run itself was late by {outcome.worst_delay:.2f} s at most"
    for finding in outcome.findings[:_SHOWN]:
        yield _finding(finding)
    if len(outcome.findings) > _SHOWN:
        yield f"… and {len(outcome.findings) - _SHOWN} more"
    if outcome.evidence is not None:
        yield f"evidence: {outcome.evidence}"


def _finding(finding: Finding) -> str:
    who = "" if finding.identity is None else " ".join(finding.identity) + ": "
    return f"FINDING {finding.broken}: {who}{finding.text}"

"""How long the work of a replay will take Sedna, going by how long it took of late. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from schemas.kinds import Kind

#: Requests that make one record.
_REQUESTS = {Kind.RESERVATION: 1, Kind.STOP_SALE: 2}


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be asked of a tenant's Sedna."""

    in_flight: int
    requests_per_second: float | None = None


def seconds(
    to_do: Mapping[tuple[str, Kind], int],
    pace: Mapping[tuple[str, Kind], float],
    limits: Mapping[str, Limits],
    *,
    in_flight: int,
) -> float | None:
    """At best so long, if nothing else is to be done: tenants side by side, each within its limits.

    Args:
        to_do: syncs by tenant and kind.
        pace: seconds for one, as they were of late; who has none is taken for the average, and a
            kind that has none for the other, by the requests that each takes.
        limits: by tenant; those of all of them in `to_do`.
        in_flight: of all tenants together.

    Returns:
        None: nothing was synced of late, so nothing is known.
    """
    if not to_do:
        return 0.0
    if not pace:
        return None
    average = _average(pace)
    each_takes: dict[str, float] = {}
    together = 0.0
    requests: dict[str, int] = {}
    for (tenant_id, kind), number in to_do.items():
        one = pace.get((tenant_id, kind), average[kind])
        together += number * one
        each_takes[tenant_id] = each_takes.get(tenant_id, 0.0) + number * one
        requests[tenant_id] = requests.get(tenant_id, 0) + number * _REQUESTS[kind]
    longest = max(
        max(
            takes / limits[tenant_id].in_flight,
            requests[tenant_id] / rate if (rate := limits[tenant_id].requests_per_second) else 0.0,
        )
        for tenant_id, takes in each_takes.items()
    )
    return max(longest, together / in_flight)


def _average(pace: Mapping[tuple[str, Kind], float]) -> dict[Kind, float]:
    """Seconds for one of each kind."""
    known = {
        kind: fmean(of_kind)
        for kind in Kind
        if (of_kind := [each for (_, its), each in pace.items() if its is kind])
    }
    of_a_request = fmean(one / _REQUESTS[kind] for kind, one in known.items())
    return {kind: known.get(kind, of_a_request * _REQUESTS[kind]) for kind in Kind}

"""`make bench`: which measurement to make; without a name the throughput is measured."""

import sys

from benchmarks import api, backfill, islands, outage, overhead, replay, throughput, traces

MEASUREMENTS = {
    "throughput": throughput.main,
    "islands": islands.main,
    "outage": outage.main,
    "overhead": overhead.main,
    "traces": traces.main,
    "api": api.main,
    "replay": replay.main,
    "backfill": backfill.main,
}


def main() -> None:
    arguments = sys.argv[1:]
    if not arguments or arguments[0].startswith("-"):
        arguments = ["throughput", *arguments]
    name, *rest = arguments
    if name not in MEASUREMENTS:
        sys.exit(f"there is no measurement {name}: one of {', '.join(MEASUREMENTS)}")
    MEASUREMENTS[name](rest)


if __name__ == "__main__":
    main()

"""A chaos run from the command line: `python -m tests.chaos --seed 7`; what `make chaos` runs.

Exit codes: 0 no finding and enough faults, 1 a finding, 2 used wrongly or no server can be had.
"""

import argparse
import asyncio
import logging
import random
import sys

import uvloop

from tests.chaos.broken import BREAKS, broken_program
from tests.chaos.run import Options, run
from tests.chaos.summary import summary
from tests.support.servers import Unavailable

_DEFAULTS = Options(seed=0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="of everything; default: a new one")
    parser.add_argument("--duration", type=float, default=_DEFAULTS.duration, help="seconds")
    parser.add_argument("--faults", type=int, default=_DEFAULTS.faults)
    parser.add_argument("--rate", type=float, default=_DEFAULTS.rate, help="events in a second")
    parser.add_argument("--tenants", type=int, default=_DEFAULTS.tenants)
    parser.add_argument("--processes", type=int, default=_DEFAULTS.processes)
    parser.add_argument(
        "--break",
        dest="broken",
        choices=sorted(BREAKS),
        help="break a promise of the service, to see that the run finds it",
    )
    given = parser.parse_args()
    # What the clients of the run itself say of servers that are away is no news.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    options = Options(
        seed=random.SystemRandom().randrange(10**6) if given.seed is None else given.seed,
        duration=given.duration,
        faults=given.faults,
        rate=given.rate,
        tenants=given.tenants,
        processes=given.processes,
        program=broken_program(breaks=given.broken) if given.broken else None,
    )
    _say(f"seed {options.seed}")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            outcome = runner.run(run(options))
    except Unavailable as reason:
        sys.stderr.write(f"no server of the run's own: {reason}\n")
        return 2
    _say(summary(outcome))
    return 1 if outcome.findings else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

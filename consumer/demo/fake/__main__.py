"""The fake Sedna as a process: `python -m consumer.demo.fake --port 0 --config accounts.json`.

Prints one JSON line, `{"base_url": …, "control_url": …}`, once it listens, and nothing else on
standard output. Ends on SIGTERM or SIGINT.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from consumer.demo.fake import ConfigError, FakeSedna
from consumer.demo.fake.accounts import Account, read_accounts
from consumer.demo.world_tenants import DEMO_TENANTS


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until told to end; 0 done, 1 it cannot listen, 2 the configuration is wrong."""
    parser = argparse.ArgumentParser(prog="python -m consumer.demo.fake", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--config", type=Path, help="accounts, as a JSON array")
    which.add_argument("--demo", action="store_true", help="the accounts of the demo's agencies")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--idle-seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=0, help="of faults with a probability")
    options = parser.parse_args(arguments)
    try:
        accounts = _accounts(options.config)
        fake = FakeSedna(
            accounts=accounts,
            host=options.host,
            port=options.port,
            idle_seconds=options.idle_seconds,
            seed=options.seed,
        )
    except ConfigError as error:
        return _fail(f"{options.config}: {error}", 2)
    except (OSError, ValueError) as error:
        return _fail(f"{options.config} cannot be read: {type(error).__name__}", 2)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_serve(fake))
        except OSError as error:
            return _fail(f"cannot listen on {options.host}:{options.port}: {error.strerror}", 1)
    return 0


def _accounts(config: Path | None) -> tuple[Account, ...]:
    if config is None:
        return tuple(tenant.account for tenant in DEMO_TENANTS)
    return read_accounts(json.loads(config.read_text(encoding="utf-8")))


async def _serve(fake: FakeSedna) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with fake:
        ready = {"base_url": fake.base_url, "control_url": fake.control_url}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await ended.wait()


def _fail(why: str, code: int) -> int:
    sys.stderr.write(f"{why}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())

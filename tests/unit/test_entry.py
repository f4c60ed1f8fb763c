"""SIGTERM ends `sedna-sync` from its first moments on, also where it is the first of its container.

To such a process a signal for which it has no handler does nothing, and then it runs on until it is
killed. A signal that is ignored from the start is the same without a container.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).parent / "sedna-sync"
#: A program that ignores SIGTERM for as long as it says nothing else.
_IGNORING = ["sh", "-c", "trap '' TERM; exec \"$@\"", "sh", str(PROGRAM)]
_SECONDS = 60.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc what is handled")


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """`sedna-sync` at the moment at which it handles SIGTERM for the first time, and not later."""
    process = subprocess.Popen(
        [*_IGNORING, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if "SEDNA_SYNC_" not in name},
    )
    try:
        deadline = time.monotonic() + _SECONDS
        while not _handles_sigterm(process.pid):
            assert process.poll() is None, "it ended, and never handled the signal"
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGSTOP)
        yield process
    finally:
        process.kill()
        process.communicate()


def _handles_sigterm(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
    return False


def test_it_heeds_the_signal_before_it_loads_what_takes_time() -> None:
    with started("doctor") as process:
        loaded = Path(f"/proc/{process.pid}/maps").read_text("utf-8")
        assert "pydantic_core" not in loaded
        assert "cryptography" not in loaded


def test_a_signal_while_it_loads_ends_it_as_one_ends_any_other_program() -> None:
    with started("tenant", "set", "demo", "--password-stdin") as process:
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        # Its input stays open: it could have waited for the password forever.
        assert process.wait(timeout=_SECONDS) == 128 + signal.SIGTERM
        assert process.stderr is not None
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    "busy",
    [
        "time.sleep(600)",
        "asyncio.run(asyncio.sleep(600))",
        # Such as the look-up of a name that nobody answers.
        "asyncio.run(asyncio.to_thread(time.sleep, 600))",
    ],
)
def test_a_command_that_is_at_work_ends_whatever_it_is_in_the_middle_of(busy: str) -> None:
    program = (
        "import asyncio, time; from consumer.cli import entry; entry._GOODBYE = 0.2; "
        f"entry.end_on_sigterm(); print('at work', flush=True); {busy}"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"at work\n"
    time.sleep(0.3)  # to be in the middle of it
    process.send_signal(signal.SIGTERM)
    try:
        assert process.wait(timeout=_SECONDS) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.communicate()

"""What the system's package manager may bring for a test run, and the folder where that is kept.

A machine is never changed where nobody has allowed it.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.support.servers import Unavailable

_SECONDS = 900


def bring(
    commands: Mapping[str, Sequence[Sequence[str]]], *, lacking: str, folder: Path | None = None
) -> None:
    """Runs the commands of the package manager that this machine has; does nothing if it may not.

    It may if this is root, or where CI=true; SEDNA_SYNC_TEST_INSTALL=0 or 1 overrules that. All
    managers but brew have to run as root.

    Args:
        commands: by manager.
        lacking: what is said, with its last words, where a command fails (`Unavailable`).
        folder: where they run.
    """
    is_root = os.geteuid() == 0
    default = "1" if is_root or os.environ.get("CI") == "true" else "0"
    manager = next(
        (name for name in commands if shutil.which(name) and (name == "brew") != is_root), None
    )
    if manager is None or os.environ.get("SEDNA_SYNC_TEST_INSTALL", default) != "1":
        return
    for command in commands[manager]:
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            cwd=folder,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
        if done.returncode != 0:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise Unavailable(f"{lacking}: `{' '.join(command)}` failed: {''.join(last)}")


def kept(name: str, fill: Callable[[Path, int], None]) -> Path:
    """The folder of that name in the user's cache; filled if this machine has not got it.

    Safe beside another run and after an interrupted one: the folder appears by renaming one that is
    complete, and one run at a time fills it.

    Args:
        name: of the folder.
        fill: puts everything into the folder that it is given, or raises. The other argument is
            the descriptor of the lock: a child that has it holds the lock for as long as it lives.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sedna-sync"
    complete = cache / name
    if complete.is_dir():
        return complete
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.is_dir():
            for left_over in cache.glob(f"{name}.part-*"):
                shutil.rmtree(left_over)
            part = Path(tempfile.mkdtemp(prefix=f"{name}.part-", dir=cache))
            try:
                fill(part, lock.fileno())
                part.rename(complete)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    return complete

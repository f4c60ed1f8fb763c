"""Runs a server that ends with its owner, however the owner ends.

Linux can kill a child when its parent dies (`PR_SET_PDEATHSIG`), but counts the *thread* that
started it as the parent, and other systems have nothing of the kind. So each server gets a
guardian: a small process in its own session (a Ctrl-C at the terminal does not reach it) whose
standard input is a pipe that the owner holds open. The pipe closes when the owner closes it or
dies, also by SIGKILL; the guardian then stops the server and removes its folder. A guardian that is
killed itself takes the server along, on Linux, by the death signal.

This file is both: imported, it is the owner's side (`Guarded`); run as a script, it is the
guardian. It must import the standard library only, since the script runs isolated, and must never
outlive both server and owner.
"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

_PR_SET_PDEATHSIG = 1
# Loaded here, since between fork and exec as little as possible should happen.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_LAST_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What a guardian is to run."""

    commands: Sequence[Sequence[str]]  #: run one after the other; the last one is the server
    folder: Path  #: the server's own; removed at the end
    env: Mapping[str, str]  #: added to the owner's environment
    user: str | None = None  #: whom the commands run as; None is the owner
    stop_signal: signal.Signals = signal.SIGTERM  #: asks the server to end
    grace_seconds: float = 10.0  #: from that signal to SIGKILL
    log: Path | None = None  #: where its output goes; None is a file in `folder`

    def to_json(self) -> str:
        """The form in which it is handed to the guardian: everything but the environment."""
        return json.dumps(
            {
                "commands": [list(command) for command in self.commands],
                "folder": str(self.folder),
                "user": self.user,
                "stop_signal": int(self.stop_signal),
                "grace_seconds": self.grace_seconds,
                "log": str(self.log or self.folder / "server.log"),
            }
        )


class Guarded:
    """A server under a guardian, as its owner sees it. Leaving its context stops the server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._guardian = subprocess.Popen(  # noqa: S603 - this interpreter and this file, no shell
            [sys.executable, "-I", "-S", __file__, server.to_json()],
            env={**os.environ, **server.env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._last_words = ""

    @property
    def guardian_pid(self) -> int:
        """The process whose end means that the server is gone and its folder removed."""
        return self._guardian.pid

    def running(self) -> bool:
        """Whether the guardian is there. It ends with the server, or with a command that fails."""
        return self._guardian.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Of the server, or of the command that failed; None while it runs, or if none was run.

        Where a signal ended it: the signal's number.
        """
        return self._guardian.poll()

    def close(self) -> str:
        """Stops the server and waits until it is gone; returns its last lines of output.

        A guardian that does not end in twice the grace is killed.
        """
        if self._guardian.stdout is None or self._guardian.stdout.closed:
            return self._last_words
        try:
            output, _ = self._guardian.communicate(timeout=2 * self._server.grace_seconds + 5)
        except subprocess.TimeoutExpired:
            self._guardian.kill()
            output, _ = self._guardian.communicate()
            shutil.rmtree(self._server.folder, ignore_errors=True)
        self._last_words = output.decode(errors="replace").strip()
        return self._last_words

    def __enter__(self) -> Self:
        """Already running."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        """Stops the server."""
        self.close()


class _Stopper:
    """Ends the process that runs now, once it has been asked to; and lets no further one start."""

    def __init__(self, stop_signal: int, grace_seconds: float) -> None:
        self._stop_signal = stop_signal
        self._grace_seconds = grace_seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = False

    def run(self, command: Sequence[str], *, user: str | None, log: int) -> int | None:
        """The command's exit code, or None if it was not started because the end was asked for."""
        with self._lock:
            if self._asked:
                return None
            self._process = process = subprocess.Popen(  # noqa: S603 - the owner's own command, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=user,
                extra_groups=None if user is None else [],
                process_group=0,
                # Safe here: this thread is the main one, and lives as long as the guardian.
                preexec_fn=_die_with_guardian,  # noqa: PLW1509 - the other thread only waits for input
            )
        return process.wait()

    def stop(self) -> None:
        """Asks the running process to end, and kills its group when the grace has run out."""
        with self._lock:
            self._asked = True
            process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(self._stop_signal)
        timer = threading.Timer(self._grace_seconds, _kill_group, [process.pid])
        timer.daemon = True
        timer.start()


def _die_with_guardian() -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _stop_when_the_owner_is_gone(stopper: _Stopper) -> None:
    while os.read(0, 1024):
        pass
    stopper.stop()


def guard(spec: Mapping[str, object]) -> int:
    """Runs a `Server`'s commands until one fails, the last ends or the owner is gone; cleans up."""
    folder = Path(str(spec["folder"]))
    user = spec["user"]
    commands = spec["commands"]
    stop_signal, grace_seconds = spec["stop_signal"], spec["grace_seconds"]
    if not (
        isinstance(commands, list)
        and isinstance(stop_signal, int)
        and isinstance(grace_seconds, int | float)
        and (user is None or isinstance(user, str))
    ):
        raise TypeError("not what Server.to_json() writes")
    stopper = _Stopper(stop_signal, grace_seconds)
    threading.Thread(target=_stop_when_the_owner_is_gone, args=[stopper], daemon=True).start()

    def stop(_number: int, _frame: FrameType | None) -> None:
        # In a thread: a handler may interrupt the holder of the stopper's lock.
        threading.Thread(target=stopper.stop, daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    log = Path(str(spec["log"]))
    code: int | None = 1
    os.chdir(folder)  # a server that runs as another user may not enter the owner's
    try:
        with log.open("ab") as output:
            for command in commands:
                code = stopper.run(command, user=user, log=output.fileno())
                if code != 0:
                    break
        last = log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    # The owner may be gone, and nobody reading.
    with contextlib.suppress(OSError):
        os.write(1, "\n".join(last).encode())
    return 0 if code is None else abs(code)


if __name__ == "__main__":
    # Not sys.exit: a thread that still waits for input is no reason to stay.
    os._exit(guard(json.loads(sys.argv[1])))

"""Makes `.venv` what requirements/dev.txt says, and installs the project in it, editable.

Runs on any Python that the project supports, with the standard library alone. Two runs side by side
are safe: one works, the other waits for it. So is a run after an interrupted one: what is complete
carries a stamp, which is written last, and what carries none is made anew.
"""

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
import venv
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parent.parent
_VENV = _CHECKOUT / ".venv"
_PYTHON = _VENV / "bin" / "python"
_REQUIREMENTS = _CHECKOUT / "requirements" / "dev.txt"
_OLDEST = (3, 11)


def main() -> str | None:
    """Does it. Returns None, or what a person has to do first."""
    if sys.version_info < _OLDEST:
        return f"{sys.executable} is older than Python {_OLDEST[0]}.{_OLDEST[1]}"
    # The checkout's own folder is the lock: it needs no file, and ends with the last process that
    # holds it.
    lock = os.open(_CHECKOUT, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    installed = _VENV / ".installed"
    wanted = _digest(_REQUIREMENTS)
    if not _has(installed, wanted):
        pip = _pip()
        if pip is None:
            return (
                f"{sys.executable} has no venv: on Debian or Ubuntu, apt-get install python3-venv"
            )
        _say("making .venv from requirements/dev.txt (once)")
        venv.create(_VENV, clear=True, symlinks=True, with_pip="--python" not in pip)
        _run([*pip, "install", "--require-hashes", "-r", str(_REQUIREMENTS)], lock)
        installed.write_text(wanted)
    project = _VENV / ".project"
    wanted = _digest(_CHECKOUT / "pyproject.toml")
    if not _has(project, wanted):
        install = [*(_pip() or []), "install", "--no-deps", "--no-build-isolation"]
        _run([*install, "--editable", str(_CHECKOUT)], lock)
        project.write_text(wanted)
    return None


def _digest(path: Path) -> str:
    # Where the checkout stands is part of it: a venv that was moved or copied no longer works.
    return hashlib.sha256(path.read_bytes() + str(_CHECKOUT).encode()).hexdigest()


def _has(stamp: Path, wanted: str) -> bool:
    return stamp.is_file() and stamp.read_text() == wanted and _PYTHON.exists()


def _pip() -> list[str] | None:
    """How to call pip for `.venv`: its own, else this Python's on its behalf, else None."""
    if importlib.util.find_spec("ensurepip") is not None:
        return [str(_PYTHON), "-m", "pip"]
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "--python", str(_PYTHON)]
    return None


def _run(command: list[str], lock: int) -> None:
    # The lock goes along: a pip that outlives this process still holds it.
    subprocess.run(
        [*command, "--quiet", "--disable-pip-version-check"], check=True, pass_fds=[lock]
    )


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"pip failed with code {error.returncode}; what it said stands above")
    except KeyboardInterrupt:
        sys.exit(130)

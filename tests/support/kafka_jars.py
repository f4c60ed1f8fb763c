"""Apache Kafka itself, as jars from Maven, kept in the user's cache folder."""

import os
import subprocess
from pathlib import Path

from tests.support.broker import VERSION
from tests.support.java import java, maven
from tests.support.packages import kept
from tests.support.servers import Unavailable

_POM = Path(__file__).parent / "maven" / "pom.xml"
_FETCH_SECONDS = 600


def jars() -> Path:
    """The folder of the jars; fetched if this machine has not got them."""
    return kept(f"kafka-{VERSION}", _fetch)


def _fetch(folder: Path, lock: int) -> None:
    program = maven()
    home = java().resolve().parents[1]
    try:
        done = subprocess.run(
            [
                *(program, "--batch-mode", "--quiet", "--strict-checksums", "--file", str(_POM)),
                *("dependency:copy-dependencies", f"-DoutputDirectory={folder}"),
            ],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_FETCH_SECONDS,
            env={"JAVA_HOME": str(home), **os.environ},
            # If this process is killed, Maven ends by itself, and the lock with it.
            pass_fds=[lock],
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"Maven did not bring Kafka in {_FETCH_SECONDS} s") from None
    if done.returncode != 0:
        said = next(
            (line for line in done.stdout.splitlines() if "ERROR" in line), "it said nothing"
        )
        raise Unavailable(f"Maven could not bring Kafka: {said}")

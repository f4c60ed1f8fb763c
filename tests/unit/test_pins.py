"""What is installed anywhere is what the tests run with."""

import re
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).parents[2] / "requirements"


def pins(name: str) -> dict[str, str]:
    """The version of each package."""
    text = (REQUIREMENTS / f"{name}.txt").read_text("utf-8")
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("name", [path.stem for path in REQUIREMENTS.glob("*.txt")])
def test_every_version_is_the_one_that_the_tests_run_with(name: str) -> None:
    assert pins(name)
    assert pins(name).items() <= pins("dev").items()

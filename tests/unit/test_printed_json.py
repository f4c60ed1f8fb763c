"""What commands print with --json can be read by programs."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consumer.cli.common import print_json


def test_times_are_written_as_iso_8601_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"created_at": datetime(2026, 11, 29, 9, 30, tzinfo=UTC), "path": Path("x")})
    assert json.loads(capsys.readouterr().out) == {
        "created_at": "2026-11-29T09:30:00+00:00",
        "path": "x",
    }

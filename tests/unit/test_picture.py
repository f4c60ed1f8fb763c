"""The picture of the dashboard is of the dashboard as it is, and writes numbers as Grafana does."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.dashboard import read
from tools.picture.sheet import KEY, digest, draw
from tools.picture.units import shown

PICTURE = Path(__file__).parents[2] / "docs" / "dashboard.png"


def test_the_picture_is_of_the_dashboard_as_it_is() -> None:
    with Image.open(PICTURE) as picture:
        assert picture.info[KEY] == digest(read()), "draw it anew: make picture"


def test_the_picture_is_quick_to_load() -> None:
    assert PICTURE.stat().st_size < 300_000


def test_a_word_that_is_not_seen_needs_no_new_picture() -> None:
    dashboard, other = read(), read()
    other["panels"][1]["description"] = "Another."
    assert digest(other) == digest(dashboard)
    other["panels"][1]["title"] = "Another"
    assert digest(other) != digest(dashboard)


@pytest.mark.parametrize(
    "value, unit, decimals, text",
    [
        (0.0, "none", None, "0"),
        (3.06, "none", 0, "3"),
        (12_400.0, "short", None, "12.4 K"),
        (2_000_000.0, "short", None, "2 Mil"),
        (0.0, "s", None, "0 s"),
        (0.05, "s", None, "50 ms"),
        (90.0, "s", None, "1.5 mins"),
        (7_200.0, "s", None, "2 hours"),
        (12.25, "ops", None, "12.2 ops/s"),
        (0.5, "reqps", None, "0.5 req/s"),
        (200.0, "cpm", None, "200 c/m"),
        (0.025, "percentunit", None, "2.5%"),
        (1.0, "percentunit", None, "100%"),
    ],
)
def test_a_number_is_written_in_its_unit(
    value: float, unit: str, decimals: int | None, text: str
) -> None:
    assert shown(value, unit, decimals) == text


def answer(panel: dict[str, Any]) -> list[dict[str, Any]]:
    """Something that each kind of panel can show: two series, the second one with a gap."""
    names = ["0.5", "+Inf"] if panel["type"] == "heatmap" else ["failed", "synced"]
    columns = [
        column
        for each in panel.get("transformations", [])
        for column in each["options"]["indexByName"]
    ]
    full = [(float(at), 1.0) for at in range(0, 61, 5)]
    points = [full[-1:]] if panel["type"] == "stat" else [full, full[:3]]
    return [
        {"name": name, "labels": dict.fromkeys(columns or ["le"], name), "points": each}
        for name, each in zip(names, points, strict=False)
    ]


@pytest.mark.parametrize("is_empty", [False, True])
def test_every_panel_can_be_drawn(tmp_path: Path, *, is_empty: bool) -> None:
    dashboard = read()
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    shown = {str(panel["id"]): [] if is_empty else answer(panel) for panel in panels}
    window = {"start": 0.0, "first": 0.0, "last": 60.0, "step": 5.0, "fired": []}
    draw(dashboard, {"window": window, "panels": shown}, tmp_path / "all.png")
    with Image.open(tmp_path / "all.png") as picture:
        assert picture.width == 1600
        assert picture.info[KEY] == digest(dashboard)

"""The whole dashboard as one picture: each panel where its JSON places it, as Grafana lays it out.

It asks nobody for anything: what Prometheus answered is given. The picture says that it is no
screenshot, and carries a digest of what it shows.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tools.picture.look import BACKGROUND, EDGE, SCALE, as_image, blank
from tools.picture.panels import Window, panel_image

#: Under which name the picture carries the digest.
KEY: Final = "dashboard"
#: What is seen of a panel: the rest may change without a new picture.
_SEEN = ("type", "title", "gridPos", "targets", "fieldConfig", "options", "transformations")
#: Points; Grafana's grid has 24 columns, and rows of 30 with 8 between two.
_WIDTH, _COLUMNS, _ROW, _GAP, _HEAD = 1200, 24, 38, 8, 56
_SAID = "Drawn from the dashboard's JSON and a real Prometheus' answers; no screenshot of Grafana"


def digest(dashboard: Mapping[str, Any]) -> str:
    """The same for dashboards that look the same."""
    seen = [{name: panel[name] for name in _SEEN if name in panel} for panel in dashboard["panels"]]
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()


def draw(dashboard: Mapping[str, Any], answers: Mapping[str, Any], out: Path) -> None:
    """Write the picture, as a PNG of few colours."""
    window = Window(**answers["window"])
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    size = (_pixels(_WIDTH), _pixels(_HEAD + rows * _ROW + _GAP))
    sheet = Image.new("RGB", size, BACKGROUND)
    minutes = round((window.last - window.first) / 60)
    head = _line(dashboard["title"], 18, _SAID, f"Last {minutes} minutes", height=_HEAD)
    sheet.paste(head, (_pixels(_GAP), 0))
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        column = (_WIDTH - _GAP) / _COLUMNS
        x, y = _pixels(_GAP + at["x"] * column), _pixels(_HEAD + at["y"] * _ROW)
        if panel["type"] == "row":
            image = _line(panel["title"], 14, height=_ROW - _GAP)
        else:
            series = answers["panels"][str(panel["id"])]
            width, height = at["w"] * column - _GAP, at["h"] * _ROW - _GAP
            image = panel_image(panel, series, window, width=width, height=height)
            frame = (x - 1, y - 1, x + image.width + 1, y + image.height + 1)
            sheet.paste(EDGE, frame)
        sheet.paste(image, (x, y))
    info = PngInfo()
    info.add_text(KEY, digest(dashboard))
    few = sheet.quantize(256, kmeans=2, dither=Image.Dither.NONE)
    few.save(out, optimize=True, pnginfo=info)


def _pixels(points: float) -> int:
    return round(points * SCALE)


def _line(title: str, size: int, note: str = "", right: str = "", *, height: int) -> Image.Image:
    figure = blank(_WIDTH - 2 * _GAP, height)
    figure.text(0.005, 0.5, title, size=size, va="center_baseline")
    figure.text(0.1, 0.5, note, size=11, alpha=0.65, va="center_baseline")
    figure.text(0.995, 0.5, right, size=12, va="center_baseline", ha="right")
    return as_image(figure)

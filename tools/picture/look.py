"""How the picture looks: the colours of Grafana's dark theme, and figures of matplotlib in them.

It knows nothing of dashboards. Sizes are in points, of which Grafana's pixels are one each.
"""

import io
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

BACKGROUND, EDGE = "#111217", "#2c3038"
PANEL, TEXT, FAINT, LINK = "#181b1f", "#d4d5de", "#9698a3", "#6e9fff"
#: Grafana's names for colours.
NAMED: Final = {
    "green": "#73bf69",
    "yellow": "#fade2a",
    "orange": "#ff9830",
    "red": "#f2495c",
    "blue": "#5794f2",
    "purple": "#b877d9",
    "text": TEXT,
}
#: Its classic palette, by the place of a series.
PALETTE: Final = (
    *("#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#705da0"),
    *("#37872d", "#fade2a", "#447ebc", "#c15c17", "#890f02", "#0a437c", "#6d1f62", "#584477"),
)
_POINTS, _DPI = 72, 96  # per inch
SCALE: Final = _DPI / _POINTS  #: pixels of the picture per point

mpl.rcParams |= {
    "font.size": 10.5,
    "text.color": TEXT,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.spines.left": False,
    "axes.spines.bottom": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "grid.color": EDGE,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.major.pad": 6,
    "legend.frameon": False,
    "legend.borderpad": 0,
    "legend.borderaxespad": 0.7,
    "legend.handleheight": 0.35,
    "legend.handlelength": 1.2,
    "legend.columnspacing": 1.4,
    "legend.labelspacing": 0.25,
}


def blank(width: float, height: float, *, background: str = BACKGROUND) -> Figure:
    """Nothing yet, of this size in points."""
    return Figure(
        (width / _POINTS, height / _POINTS),
        dpi=_DPI,
        layout=ConstrainedLayoutEngine(w_pad=8 / _POINTS, h_pad=7 / _POINTS),
        facecolor=background,
    )


def as_image(figure: Figure) -> Image.Image:
    """The figure in pixels."""
    png = io.BytesIO()
    figure.savefig(png, dpi="figure")
    return Image.open(png).convert("RGB")

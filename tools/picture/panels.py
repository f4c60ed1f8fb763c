"""One panel of the dashboard, drawn by matplotlib from its JSON and what Prometheus answered.

What the JSON says of styles is obeyed as far as our dashboard says it. A type, a unit or a colour
that is not known raises, and so does a table with more rows than fit: nothing is left out silently.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image

from tools.picture.look import (
    EDGE,
    FAINT,
    LINK,
    NAMED,
    PALETTE,
    PANEL,
    SCALE,
    TEXT,
    as_image,
    blank,
)
from tools.picture.units import shown

#: Points: a letter in a legend, between two labels of a time axis, a table's row, a panel's title.
_LETTER, _TICK, _ROW, _TITLE = 5.6, 65, 25, 44

Series = Sequence[Mapping[str, Any]]  #: each with name, labels and points (seconds, value)


@dataclass(frozen=True, slots=True)
class Window:
    """What is shown of time."""

    start: float  #: seconds since 1970 that are shown as 0 min
    first: float  #: like `last`, the edges
    last: float
    step: float  #: seconds from one point to the next
    fired: Series  #: critical alerts, at the times when they did

    @property
    def minutes(self) -> NDArray[np.float64]:
        """The times that can have a point, in minutes from the start."""
        return (np.arange(self.first, self.last + self.step / 2, self.step) - self.start) / 60

    def on_grid(self, each: Mapping[str, Any]) -> NDArray[np.float64]:
        """The values of a series at these times; NaN where it has none."""
        values = np.full(len(self.minutes), np.nan)
        for at, value in each["points"]:
            values[round((at - self.first) / self.step)] = value
        return values


def panel_image(
    panel: Mapping[str, Any], series: Series, window: Window, *, width: float, height: float
) -> Image.Image:
    """The panel with its title, of this size in points."""
    figure = blank(width, height, background=PANEL)
    figure.suptitle(panel["title"], x=10 / width, ha="left", fontsize=12)
    axes = figure.add_subplot()
    if series:
        _DRAWN[panel["type"]](axes, panel, series, window)
    else:
        none = panel["fieldConfig"]["defaults"].get("noValue", "No data")
        _only_text(axes, none, size=13, color=FAINT)
    return as_image(figure)


def _overridden(panel: Mapping[str, Any], what: str) -> dict[str, Any]:
    """What is said of single series or columns, by their names."""
    return {
        override["matcher"]["options"]: each["value"]
        for override in panel["fieldConfig"]["overrides"]
        for each in override["properties"]
        if each["id"] == what
    }


def _only_text(axes: Axes, text: str, *, size: float, color: str) -> None:
    axes.axis("off")
    axes.text(0.5, 0.5, text, size=size, color=color, ha="center", va="center")


def _stat(axes: Axes, panel: Mapping[str, Any], series: Series, _: Window) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    ((_, value),) = series[0]["points"]
    reached = [
        step["color"]
        for step in defaults["thresholds"]["steps"]
        if step["value"] is None or value >= step["value"]
    ]
    text = shown(value, defaults["unit"], defaults.get("decimals"))
    _only_text(axes, text, size=min(34, 180 / len(text)), color=NAMED[reached[-1]])


def _table(axes: Axes, panel: Mapping[str, Any], series: Series, _: Window) -> None:
    (organize,) = (each["options"] for each in panel["transformations"])
    names = {name for each in series for name in each["labels"]}
    columns = sorted(names, key=organize["indexByName"].__getitem__)
    heads = [organize["renameByName"].get(name, name) for name in columns]
    rows = [[each["labels"].get(name, "") for name in columns] for each in series]
    longest = [max(map(len, column)) + 3 for column in zip(heads, *rows, strict=True)]
    height = _ROW / (axes.figure.bbox.height / SCALE - _TITLE)
    if height * (len(rows) + 1) > 1:
        raise ValueError(f"{panel['title']} has more rows than fit")
    axes.axis("off")
    table = axes.table(
        rows,
        colLabels=heads,
        colWidths=[each / sum(longest) for each in longest],
        cellLoc="left",
        colLoc="left",
        loc="upper left",
        edges="horizontal",
    )
    table.auto_set_font_size(value=False)
    mapped = [each[0]["options"] for each in _overridden(panel, "mappings").values()]
    colors = {text: NAMED[each["color"]] for one in mapped for text, each in one.items()}
    for (row, _column), cell in table.get_celld().items():
        cell.PAD = 0.02
        cell.set_height(height)
        cell.set_edgecolor(EDGE)
        text = cell.get_text().get_text()
        cell.set_text_props(color=colors.get(text, TEXT) if row else LINK)


def _time_series(axes: Axes, panel: Mapping[str, Any], series: Series, window: Window) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    custom = defaults["custom"]
    fixed = _overridden(panel, "color")
    bars, stepped = custom["drawStyle"] == "bars", custom.get("lineInterpolation") == "stepAfter"
    step: Any = "mid" if bars else "post" if stepped else None
    below = np.zeros(len(window.minutes))
    for place, each in enumerate(sorted(series, key=lambda one: one["name"])):
        name = each["name"]
        color = NAMED[fixed[name]["fixedColor"]] if name in fixed else PALETTE[place]
        values = window.on_grid(each)
        if "stacking" in custom:
            values = below + np.nan_to_num(values)
        axes.fill_between(
            window.minutes,
            below,
            values,
            color=color,
            alpha=custom["fillOpacity"] / 100,
            linewidth=0,
            step=step,
        )
        if custom["lineWidth"]:
            marker = "." if custom["showPoints"] == "auto" else ""
            drawn = "steps-post" if stepped else "default"
            axes.plot(
                window.minutes, values, color=color, lw=1, drawstyle=drawn, marker=marker, ms=3
            )
        axes.bar(0, 0, color=color, label=name)  # what the legend shows
        if "stacking" in custom:
            below = values
    if custom.get("scaleDistribution", {}).get("type") == "log":
        axes.set_yscale("log")
    else:
        whole = defaults.get("decimals") == 0
        steps = [1, 3, 6, 10] if defaults["unit"] == "s" else [1, 2, 5, 10]
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=steps, integer=whole))
        axes.set_ylim(0, max(axes.get_ylim()[1], 1.2 if whole else 0))
    axes.yaxis.set_major_formatter(lambda y, _: shown(y, defaults["unit"]))
    axes.minorticks_off()
    axes.grid()
    for threshold in defaults["thresholds"]["steps"] if "thresholdsStyle" in custom else ():
        if threshold["value"] is not None and threshold["value"] < axes.get_ylim()[1]:
            axes.axhline(threshold["value"], color=NAMED[threshold["color"]], linewidth=1)
    _over_time(axes, window)
    _legend(axes)


def _heat_map(axes: Axes, panel: Mapping[str, Any], series: Series, window: Window) -> None:
    options = panel["options"]
    buckets = sorted(series, key=lambda each: float(each["labels"]["le"]))
    # Prometheus' buckets hold those before them, Grafana's rows do not.
    cells = np.diff([window.on_grid(each) for each in buckets], axis=0, prepend=0)
    cells = np.ma.masked_less_equal(np.nan_to_num(cells), options["filterValues"]["le"])
    names = [each["labels"]["le"] for each in buckets]
    mesh = axes.pcolormesh(
        window.minutes,
        np.arange(len(names)) + 0.5,
        cells,
        # Grafana turns the scheme around where the background is dark.
        cmap=options["color"]["scheme"] + "_r",
        norm=PowerNorm(options["color"]["exponent"], vmin=0, vmax=float(cells.max())),
        shading="nearest",
    )
    unit = options["yAxis"]["unit"]
    labels = [name if name == "+Inf" else shown(float(name), unit) for name in names]
    axes.set_yticks(range(1, len(names) + 1, 2), labels[::2])
    _over_time(axes, window)
    scale = axes.figure.colorbar(mesh, location="bottom", shrink=0.4, aspect=30, anchor=(0, 0))
    scale.ax.xaxis.set_major_locator(MaxNLocator(2))
    scale.ax.xaxis.set_major_formatter(lambda x, _: shown(x, options["cellValues"]["unit"]))


def _over_time(axes: Axes, window: Window) -> None:
    """Label the axis, and mark when critical alerts fired."""
    axes.set_xlim(window.minutes[0], window.minutes[-1])
    ticks = int(axes.figure.bbox.width / SCALE / _TICK)
    axes.xaxis.set_major_locator(MaxNLocator(ticks, integer=True))
    axes.xaxis.set_major_formatter("{x:.0f} min")
    for each in window.fired:
        when = ~np.isnan(window.on_grid(each))
        whole_height = axes.get_xaxis_transform()
        axes.fill_between(
            window.minutes, 0, 1, when, color=NAMED["red"], alpha=0.1, lw=0, transform=whole_height
        )
        axes.axvline(window.minutes[when.argmax()], color=NAMED["red"], lw=1, ls=(0, (4, 3)))


def _legend(axes: Axes) -> None:
    """Below, in as many columns as there is room for."""
    _, names = axes.get_legend_handles_labels()
    room = axes.figure.bbox.width / SCALE - 20
    columns = max(1, int(room / (_LETTER * max(map(len, names)) + 34)))
    axes.figure.legend(loc="outside lower left", ncols=columns)


_Draw = Callable[[Axes, Mapping[str, Any], Series, Window], None]
_DRAWN: Final[Mapping[str, _Draw]] = {
    "stat": _stat,
    "table": _table,
    "heatmap": _heat_map,
    "timeseries": _time_series,
}
